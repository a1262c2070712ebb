package relay_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/account"
	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
)

// fakeAPI plays WeChat's server interface for an account, with WeChat's own
// rules on tokens and tickets (oauth.md sections 5 and 6). Tokens and tickets
// hold the word "marker".
type fakeAPI struct {
	mu      sync.Mutex // guards all below
	tokens  int        // given out, each another one
	tickets int
	token   string
	ends    time.Time // of token
	ticket  string
	over    time.Time // of ticket
	calls   map[string]int
	err     error                      // answers each call for a token or ticket
	slow    time.Duration              // passes before a token is given
	call    func(int, account.Request) // before a call is answered, with its number
	answers []string                   // to calls in turn; then ok
	dead    map[string]bool            // tokens that are refused
}

func newFakeAPI() *fakeAPI { return &fakeAPI{calls: map[string]int{}, dead: map[string]bool{}} }

func (f *fakeAPI) count(what string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[what]
}

// given is how many tokens and tickets there were.
func (f *fakeAPI) given() (tokens, tickets int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tokens, f.tickets
}

// slowDown makes each call for a token take that long on the bubble's clock.
func (f *fakeAPI) slowDown(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.slow = d
}

func (f *fakeAPI) slowness() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.slow
}

func (f *fakeAPI) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// end makes the current token worthless.
func (f *fakeAPI) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead[f.token], f.token = true, ""
}

func (f *fakeAPI) StableToken(ctx context.Context, force bool) (*account.Token, error) {
	time.Sleep(f.slowness())
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls["stable"]++
	if force {
		f.calls["force"]++
	}
	if f.err != nil {
		return nil, f.err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if force {
		f.dead[f.token] = true
	}
	if f.token == "" || force || time.Until(f.ends) <= 5*time.Minute {
		f.tokens++
		f.token, f.ends = fmt.Sprintf("marker-token-%d", f.tokens), time.Now().Add(2*time.Hour)
	}
	return &account.Token{Value: f.token, ExpiresIn: time.Until(f.ends)}, nil
}

func (f *fakeAPI) Ticket(_ context.Context, accessToken string, _ account.TicketKind) (*account.Token, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls["ticket"]++
	if f.dead[accessToken] {
		return nil, &errcode.Error{Op: "get ticket", Code: errcode.InvalidSecret}
	}
	if f.err != nil {
		return nil, f.err
	}
	if f.ticket == "" || !time.Now().Before(f.over) {
		f.tickets++
		f.ticket, f.over = fmt.Sprintf("marker-ticket-%d", f.tickets), time.Now().Add(2*time.Hour)
	}
	return &account.Token{Value: f.ticket, ExpiresIn: 2 * time.Hour}, nil
}

const apiOK = `{"errcode":0,"errmsg":"ok"}`

func (f *fakeAPI) Call(_ context.Context, r account.Request, accessToken string) (*account.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls["call"]++
	if f.call != nil {
		f.call(f.calls["call"], r)
	}
	body := apiOK
	switch {
	case f.dead[accessToken]:
		body = `{"errcode":40001,"errmsg":"invalid credential, access_token is invalid or not latest"}`
	case len(f.answers) > 0:
		body, f.answers = f.answers[0], f.answers[1:]
	}
	return &account.Response{Status: 200, Header: map[string][]string{"Content-Type": {"application/json; encoding=utf-8"}}, Body: []byte(body)}, nil
}

// sameMasterKey makes what one node seals open on another.
func sameMasterKey(cfg *relay.Config) {
	cfg.MasterKeys = []relay.Secret{relay.NewSecret(strings.Repeat("m", 32))}
}

// node is a relay with its own memory on a store that it may share.
type node struct {
	*relay.Service
	t   testing.TB
	rt  *relay.Runtime
	log *syncBuffer

	ahead time.Duration // of the clock; set before anything runs

	mu       sync.Mutex // guards outcomes
	outcomes map[relay.TokenOutcome]int
}

type syncBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newNode(tb testing.TB, store relay.Store, api *fakeAPI, change ...func(*relay.Config)) *node {
	tb.Helper()
	cfg := testConfig(tb)
	sameMasterKey(cfg)
	for _, c := range change {
		c(cfg)
	}
	n := &node{t: tb, log: &syncBuffer{}, outcomes: map[relay.TokenOutcome]int{}}
	logger := slog.New(slog.NewTextHandler(n.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	n.rt, err = relay.NewRuntime(relay.RuntimeOptions{
		Store: store, Now: func() time.Time { return time.Now().Add(n.ahead) }, Rand: rand.Reader, Logger: logger, Sender: refusingSender{},
		Observe: relay.Observer{Token: func(_ string, _ relay.TokenKind, o relay.TokenOutcome) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.outcomes[o]++
		}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	if n.Service, err = relay.NewService(cfg, n.rt, logger); err != nil {
		tb.Fatal(err)
	}
	n.PlayWeChat(&fakeWeChat{payments: map[string]*relay.Transaction{}})
	if api != nil {
		n.PlayAccount("shop", api)
	}
	n.rt.Use(n.Service)
	return n
}

// run starts the workers for the rest of the test.
func (n *node) run() {
	n.rt.Start()
	n.t.Cleanup(n.stop)
}

func (n *node) stop() {
	if err := n.rt.Stop(context.Background()); err != nil {
		n.t.Error(err)
	}
}

// token lends the access token, which must be there.
func (n *node) token() string {
	n.t.Helper()
	got, err := n.AccessToken(n.t.Context(), "shop")
	if err != nil {
		n.t.Fatalf("lending a token: %v", err)
	}
	return string(got.Reveal())
}

func (n *node) ticket() string {
	n.t.Helper()
	got, err := n.JSTicket(n.t.Context(), "shop")
	if err != nil {
		n.t.Fatalf("lending a ticket: %v", err)
	}
	return string(got.Reveal())
}

// quiet reports what must not be in the log.
func (n *node) quiet() {
	n.t.Helper()
	if strings.Contains(n.log.String(), "marker") {
		n.t.Errorf("a token or ticket is in the log:\n%s", n.log)
	}
}
