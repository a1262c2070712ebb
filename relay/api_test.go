package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/account"
	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// granted lets the first client call these paths.
func granted(paths ...string) func(*relay.Config) {
	return func(cfg *relay.Config) { cfg.Clients[0].AllowAPI = paths }
}

func rawToken(cfg *relay.Config) { cfg.Clients[0].RawToken = true }

// secretCaller is the first client after it sent its id and secret.
func (n *node) secretCaller() *relay.Caller {
	n.t.Helper()
	c, err := n.AuthenticateSecret(vectorClient, vectorSecret)
	if err != nil {
		n.t.Fatal(err)
	}
	return c
}

func (n *node) clientToken(path string) (string, time.Duration) {
	n.t.Helper()
	got, err := n.APIToken(n.t.Context(), n.secretCaller(), path)
	if err != nil {
		n.t.Fatal(err)
	}
	return string(got.Value.Reveal()), got.ExpiresIn
}

// TestAPIToken_E10: a token of the relay's own is good for its client, as a
// whole, for two hours, and as long as the secret that it came from.
func TestAPIToken_E10(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, api := memstore.New(), newFakeAPI()
		n := newNode(t, store, api, granted("/cgi-bin/user/info"))
		token, life := n.clientToken(relay.APITokenPath)
		if life != 2*time.Hour {
			t.Errorf("lives for %s", life)
		}
		if c, err := n.AuthenticateAPIToken(token); err != nil || c.Client.ID != vectorClient {
			t.Errorf("its client is refused: %v", err)
		}
		if api.count("stable") != 0 {
			t.Error("WeChat was asked for it")
		}
		bad := map[string]string{"empty": "", "two": token + token, "not base64": token[:len(token)-1] + "!", "long": strings.Repeat("A", 100_000)}
		for i := range 4 {
			bad["cut by "+string(rune('1'+i))] = token[:len(token)-1-i]
		}
		for i := range token {
			flip := byte('A')
			if token[i] == flip {
				flip = 'B'
			}
			bad["changed at "+token[i:]] = token[:i] + string(flip) + token[i+1:]
		}
		for name, text := range bad {
			if _, err := n.AuthenticateAPIToken(text); weChatCode(t, err) != errcode.InvalidSecret {
				t.Errorf("%s: %v", name, err)
			}
		}
		other := newNode(t, store, api, granted("/cgi-bin/user/info"), func(cfg *relay.Config) {
			cfg.Clients[0].Secrets = []relay.Secret{relay.NewSecret(strings.Repeat("s", 32))}
		})
		rotating := newNode(t, store, api, granted("/cgi-bin/user/info"), func(cfg *relay.Config) {
			cfg.Clients[0].Secrets = slices.Insert(cfg.Clients[0].Secrets, 0, relay.NewSecret(strings.Repeat("s", 32)))
		})
		removed := newNode(t, store, api, func(cfg *relay.Config) { cfg.Clients = cfg.Clients[1:] })
		if _, err := rotating.AuthenticateAPIToken(token); err != nil {
			t.Errorf("during rotation: %v", err)
		}
		for name, after := range map[string]*node{"rotation": other, "removal": removed} {
			if _, err := after.AuthenticateAPIToken(token); weChatCode(t, err) != errcode.InvalidSecret {
				t.Errorf("after %s: %v", name, err)
			}
		}
		time.Sleep(2*time.Hour - time.Second)
		if _, err := n.AuthenticateAPIToken(token); err != nil {
			t.Errorf("in its last second: %v", err)
		}
		time.Sleep(time.Second)
		if _, err := n.AuthenticateAPIToken(token); weChatCode(t, err) != errcode.TokenExpired {
			t.Errorf("after two hours: %v", err)
		}
	})
}

// TestAPITokenRaw: the account's own token leaves the relay for a client with
// the leave and the path, and for nobody else.
func TestAPITokenRaw(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change []func(*relay.Config)
		path   string
		raw    bool
	}{
		{"nothing", []func(*relay.Config){granted("/cgi-bin/user/info")}, relay.APITokenPath, false},
		{"the path alone", []func(*relay.Config){granted(relay.APITokenPath)}, relay.APITokenPath, false},
		{"the leave alone", []func(*relay.Config){granted("/cgi-bin/user/info"), rawToken}, relay.APITokenPath, false},
		{"the other path", []func(*relay.Config){granted(relay.APIStableTokenPath), rawToken}, relay.APITokenPath, false},
		{"both", []func(*relay.Config){granted(relay.APITokenPath), rawToken}, relay.APITokenPath, true},
		{"all paths", []func(*relay.Config){granted("/cgi-bin/*"), rawToken}, relay.APIStableTokenPath, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, memstore.New(), newFakeAPI(), tt.change...)
				n.token()
				time.Sleep(time.Hour)
				token, life := n.clientToken(tt.path)
				if raw := token == "marker-token-1"; raw != tt.raw || raw && life != time.Hour {
					t.Errorf("raw %t for %s", raw, life)
				}
			})
		})
	}
	t.Run("granted nothing", func(t *testing.T) {
		t.Parallel()
		n := newNode(t, memstore.New(), newFakeAPI())
		if _, err := n.APIToken(t.Context(), n.secretCaller(), relay.APITokenPath); kindOf(err) != relay.KindNoAuth {
			t.Errorf("got %v", err)
		}
	})
}

// TestCallAPIGrants: what was not granted, or could be read as another path, is
// refused and WeChat hears nothing.
func TestCallAPIGrants_C03(t *testing.T) {
	t.Parallel()
	paths := []string{"/cgi-bin/user/info", "/cgi-bin/menu/*"}
	tests := []struct {
		name string
		path string
		kind relay.Kind // 0: passed on
	}{
		{"granted", "/cgi-bin/user/info", 0},
		{"below", "/cgi-bin/menu/create", 0},
		{"far below", "/cgi-bin/menu/a/b", 0},
		{"another", "/cgi-bin/user/get", relay.KindNoAuth},
		{"longer", "/cgi-bin/user/information", relay.KindNoAuth},
		{"below what is granted alone", "/cgi-bin/user/info/x", relay.KindNoAuth},
		{"case", "/cgi-bin/User/info", relay.KindNoAuth},
		{"the wildcard's own", "/cgi-bin/menu", relay.KindNoAuth},
		{"the wildcard's own and slash", "/cgi-bin/menu/", relay.KindParam},
		{"star itself", "/cgi-bin/menu/*", relay.KindParam},
		{"like the wildcard's", "/cgi-bin/menus/create", relay.KindNoAuth},
		{"up and elsewhere", "/cgi-bin/menu/../user/get", relay.KindParam},
		{"dot", "/cgi-bin/menu/./create", relay.KindParam},
		{"escaped dots", "/cgi-bin/menu/%2e%2e/user/get", relay.KindParam},
		{"escaped slash", "/cgi-bin/menu/..%2fuser", relay.KindParam},
		{"doubled slash", "/cgi-bin//user/info", relay.KindParam},
		{"slash at the end", "/cgi-bin/user/info/", relay.KindParam},
		{"parameters of a segment", "/cgi-bin/menu/create;x=1", relay.KindParam},
		{"backslash", `/cgi-bin/menu/..\user`, relay.KindParam},
		{"line end", "/cgi-bin/menu/a\r\nHost: b", relay.KindParam},
		{"not ASCII", "/cgi-bin/menu/créer", relay.KindParam},
		{"another interface", "/sns/userinfo", relay.KindNoAuth},
		{"a token", relay.APITokenPath, relay.KindNoAuth},
		{"no slash", "cgi-bin/user/info", relay.KindParam},
	}
	api := newFakeAPI()
	n := newNode(t, memstore.New(), api, granted(paths...))
	for _, tt := range tests {
		before := api.count("call")
		_, err := n.CallAPI(t.Context(), n.secretCaller(), relay.APIRequest{Method: "GET", Path: tt.path})
		if tt.kind == 0 && err != nil || tt.kind != 0 && kindOf(err) != tt.kind {
			t.Errorf("%s: %v", tt.name, err)
		}
		if passed := api.count("call") > before; passed != (tt.kind == 0) {
			t.Errorf("%s: passed on %t", tt.name, passed)
		}
	}
	all := newNode(t, memstore.New(), api, granted("/cgi-bin/*"), rawToken)
	for _, path := range []string{relay.APITokenPath, relay.APIStableTokenPath} {
		if _, err := all.CallAPI(t.Context(), all.secretCaller(), relay.APIRequest{Method: "POST", Path: path}); kindOf(err) != relay.KindNoAuth {
			t.Errorf("%s is passed on: %v", path, err)
		}
	}
}

// TestCallAPIRepeats: WeChat refuses the token; the call is made once more with
// another, a write too, and never a third time. Other refusals are the
// client's to read.
func TestCallAPIRepeats(t *testing.T) {
	t.Parallel()
	const refused = `{"errcode":40001,"errmsg":"invalid credential"}`
	tests := []struct {
		name    string
		answers []string
		calls   int
		last    string
	}{
		{"good", nil, 1, apiOK},
		{"invalid once", []string{refused}, 2, apiOK},
		{"not a token once", []string{`{"errcode":40014,"errmsg":"x"}`}, 2, apiOK},
		{"expired once", []string{`{"errcode":42001,"errmsg":"x"}`}, 2, apiOK},
		{"invalid for good", []string{refused, refused, apiOK}, 2, refused},
		{"another refusal", []string{`{"errcode":40003,"errmsg":"invalid openid"}`}, 1, `{"errcode":40003,"errmsg":"invalid openid"}`},
		{"busy", []string{`{"errcode":-1,"errmsg":"system error"}`}, 1, `{"errcode":-1,"errmsg":"system error"}`},
		{"a picture", []string{"\xff\xd8"}, 1, "\xff\xd8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			api := newFakeAPI()
			api.answers = tt.answers
			var sent []account.Request
			api.call = func(_ int, r account.Request) { sent = append(sent, r) }
			n := newNode(t, memstore.New(), api, granted("/cgi-bin/message/custom/send"))
			req := relay.APIRequest{
				Method: "POST", Path: "/cgi-bin/message/custom/send", Query: url.Values{"a": {"b"}},
				ContentType: "application/json", Body: []byte(`{"touser":"o"}`),
			}
			got, err := n.CallAPI(t.Context(), n.secretCaller(), req)
			if err != nil || string(got.Body) != tt.last || got.Status != 200 {
				t.Errorf("answer %q, %v", got.Body, err)
			}
			if len(sent) != tt.calls {
				t.Errorf("sent %d times, want %d", len(sent), tt.calls)
			}
			for _, r := range sent {
				if r.Method != http.MethodPost || r.Path != req.Path || r.ContentType != req.ContentType || string(r.Body) != string(req.Body) || r.Query.Encode() != "a=b" {
					t.Errorf("sent %s %s %s", r.Method, r.Path, r.Query.Encode())
				}
			}
			n.quiet()
		})
	}
}

// TestCallAPISignedWrite: a signed write passes once with its nonce (threats
// C02); nothing uses the nonce up that does not go out.
func TestCallAPISignedWrite_C02(t *testing.T) {
	t.Parallel()
	api := newFakeAPI()
	n := newNode(t, memstore.New(), api, granted("/cgi-bin/menu/*"))
	caller := relay.CallerFor(n.ClientByID(vectorClient), "nonce-of-a-write")
	if _, err := n.CallAPI(t.Context(), caller, relay.APIRequest{Method: "POST", Path: "/cgi-bin/user/info"}); kindOf(err) != relay.KindNoAuth {
		t.Errorf("not granted: %v", err)
	}
	write := relay.APIRequest{Method: "POST", Path: "/cgi-bin/menu/create", Body: []byte("{}")}
	if _, err := n.CallAPI(t.Context(), caller, write); err != nil {
		t.Errorf("first: %v", err)
	}
	if _, err := n.CallAPI(t.Context(), caller, write); kindOf(err) != relay.KindReplayed {
		t.Errorf("replay: %v", err)
	}
	if calls := api.count("call"); calls != 1 {
		t.Errorf("passed on %d times", calls)
	}
}

// TestCallAPITicket: the ticket comes from the centre, to who was granted it by
// name: it signs pages of every domain of the account.
func TestCallAPITicket(t *testing.T) {
	t.Parallel()
	const path = "/cgi-bin/ticket/getticket"
	for name, tt := range map[string]struct {
		change []func(*relay.Config)
		kind   relay.Kind
	}{
		"by name":                  {[]func(*relay.Config){granted(path)}, 0},
		"by wildcard":              {[]func(*relay.Config){granted("/cgi-bin/*")}, relay.KindNoAuth},
		"by wildcard, with leave":  {[]func(*relay.Config){granted("/cgi-bin/ticket/*"), rawToken}, 0},
		"with leave and no path":   {[]func(*relay.Config){granted("/cgi-bin/user/*"), rawToken}, relay.KindNoAuth},
		"neither leave nor a path": {[]func(*relay.Config){granted("/cgi-bin/user/*")}, relay.KindNoAuth},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				api := newFakeAPI()
				n := newNode(t, memstore.New(), api, tt.change...)
				n.ticket()
				time.Sleep(time.Hour)
				got, err := n.CallAPI(t.Context(), n.secretCaller(), relay.APIRequest{Method: "GET", Path: path, Query: url.Values{"type": {"jsapi"}}})
				if tt.kind != 0 {
					if kindOf(err) != tt.kind {
						t.Errorf("got %v", err)
					}
					return
				}
				var answer struct {
					ErrCode   *int   `json:"errcode"`
					ErrMsg    string `json:"errmsg"`
					Ticket    string `json:"ticket"`
					ExpiresIn int    `json:"expires_in"`
				}
				if err != nil || json.Unmarshal(got.Body, &answer) != nil || answer.ErrCode == nil || *answer.ErrCode != 0 || answer.Ticket != "marker-ticket-1" || answer.ExpiresIn != 3600 {
					t.Errorf("answer %s, %v", got.Body, err)
				}
				if api.count("ticket") != 1 {
					t.Errorf("WeChat was asked %d times", api.count("ticket"))
				}
			})
		})
	}
}

// TestCallAPITicketSpelling_C03: WeChat may take another spelling for the same
// call, so a wildcard grants a token or ticket under none.
func TestCallAPITicketSpelling_C03(t *testing.T) {
	t.Parallel()
	api := newFakeAPI()
	n := newNode(t, memstore.New(), api, granted("/cgi-bin/*"))
	for _, path := range []string{"/cgi-bin/Ticket/getTicket", "/cgi-bin/ticket/GETTICKET", "/cgi-bin/Token", "/cgi-bin/STABLE_token"} {
		if _, err := n.CallAPI(t.Context(), n.secretCaller(), relay.APIRequest{Method: "GET", Path: path}); kindOf(err) != relay.KindNoAuth {
			t.Errorf("%s: %v", path, err)
		}
	}
	if calls := api.count("call"); calls != 0 {
		t.Errorf("passed on %d times", calls)
	}
}

// oddAPI answers calls as no interface of WeChat's does.
type oddAPI struct {
	*fakeAPI
	answer account.Response
}

func (o oddAPI) Call(context.Context, account.Request, string) (*account.Response, error) {
	return &o.answer, nil
}

// TestCallAPIOddAnswer: redirects and answers that HTTP has no place for come
// from something between here and WeChat. They are not the client's to follow,
// and none is a reason to panic.
func TestCallAPIOddAnswer(t *testing.T) {
	t.Parallel()
	for status, passed := range map[int]bool{
		0: false, 99: false, 101: false, 199: false, 301: false, 302: false, 304: false, 307: false, 600: false, 999: false,
		200: true, 202: true, 400: true, 403: true, 500: true, 503: true,
	} {
		n := newNode(t, memstore.New(), newFakeAPI(), granted("/cgi-bin/user/info"))
		n.PlayAccount("shop", oddAPI{newFakeAPI(), account.Response{Status: status, Header: http.Header{}, Body: []byte("<html>")}})
		got, err := n.CallAPI(t.Context(), n.secretCaller(), relay.APIRequest{Method: "GET", Path: "/cgi-bin/user/info"})
		if passed && (err != nil || got.Status != status) || !passed && kindOf(err) != relay.KindUpstream {
			t.Errorf("%d: answer %d, %v", status, got.Status, err)
		}
	}
}

// lostAPI never answers calls.
type lostAPI struct {
	*fakeAPI
	err error
}

func (l lostAPI) Call(context.Context, account.Request, string) (*account.Response, error) {
	return nil, l.err
}

// TestCallAPILost: a call without an answer may have had its effect.
func TestCallAPILost(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		kind relay.Kind
	}{
		"no answer": {errors.New("call: timeout"), relay.KindUpstreamTimeout},
		"too long":  {&account.TooLongError{Limit: 1}, relay.KindUpstream},
	} {
		n := newNode(t, memstore.New(), newFakeAPI(), granted("/cgi-bin/user/info"))
		n.PlayAccount("shop", lostAPI{newFakeAPI(), tt.err})
		if _, err := n.CallAPI(t.Context(), n.secretCaller(), relay.APIRequest{Method: "GET", Path: "/cgi-bin/user/info"}); kindOf(err) != tt.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	api := newFakeAPI()
	api.fail(refusal(errcode.IPNotAllowed))
	n := newNode(t, memstore.New(), api, granted("/cgi-bin/user/info"))
	if _, err := n.CallAPI(t.Context(), n.secretCaller(), relay.APIRequest{Method: "GET", Path: "/cgi-bin/user/info"}); kindOf(err) != relay.KindUpstream || api.count("call") != 0 {
		t.Errorf("without a token: %v", err)
	}
}

// TestCallAPIAccount: a call goes out in the name of the client's own account,
// or of the one that it names and may use.
func TestCallAPIAccount(t *testing.T) {
	t.Parallel()
	withMini := func(cfg *relay.Config) {
		cfg.Accounts = append(cfg.Accounts,
			&relay.Account{Name: "mini", Kind: relay.AccountMiniProgram, AppID: "wx1111111111111111", Secret: relay.NewSecret(strings.Repeat("b", 32))},
			&relay.Account{Name: "web", Kind: relay.AccountWebsiteApp, AppID: "wx2222222222222222", Secret: relay.NewSecret(strings.Repeat("c", 32))},
			&relay.Account{Name: "bare", Kind: relay.AccountMiniProgram, AppID: "wx3333333333333333"},
		)
		cfg.Merchants[0].Accounts = append(cfg.Merchants[0].Accounts, "mini")
	}
	own := func(cfg *relay.Config) { cfg.Clients[0].Account = "mini" }
	for name, tt := range map[string]struct {
		change []func(*relay.Config)
		named  string
		want   string // account, or none
		kind   relay.Kind
	}{
		"by itself":            {nil, "", "shop", 0},
		"the client's own":     {[]func(*relay.Config){own}, "", "mini", 0},
		"named":                {nil, "mini", "mini", 0},
		"named beside its own": {[]func(*relay.Config){own}, "shop", "shop", 0},
		"unknown":              {nil, "nothing", "", relay.KindParam},
		"of a kind without":    {nil, "web", "", relay.KindParam},
		"not the client's":     {nil, "bare", "", relay.KindParam},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop, mini := newFakeAPI(), newFakeAPI()
			n := newNode(t, memstore.New(), shop, append([]func(*relay.Config){granted("/cgi-bin/user/info"), withMini}, tt.change...)...)
			n.PlayAccount("mini", mini)
			_, err := n.CallAPI(t.Context(), n.secretCaller(), relay.APIRequest{Method: "GET", Path: "/cgi-bin/user/info", Account: tt.named})
			if kindOf(err) != tt.kind {
				t.Fatalf("got %v", err)
			}
			if shop.count("call") != count(tt.want == "shop") || mini.count("call") != count(tt.want == "mini") {
				t.Errorf("shop %v, mini %v", shop.calls, mini.calls)
			}
		})
	}
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// FuzzAPIToken: whatever is shown as a token, only the very text that was given
// is taken.
func FuzzAPIToken(f *testing.F) {
	n := newNode(f, memstore.New(), newFakeAPI(), granted("/cgi-bin/user/info"))
	good, err := n.APIToken(f.Context(), relay.CallerFor(n.ClientByID(vectorClient), ""), relay.APITokenPath)
	if err != nil {
		f.Fatal(err)
	}
	given := string(good.Value.Reveal())
	f.Add(given)
	f.Add(given + "=")
	f.Add(given[:len(given)-1])
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := n.AuthenticateAPIToken(text)
		if (err == nil) != (c != nil) || c != nil && text != given {
			t.Fatalf("%q is taken: %v", text, err)
		}
	})
}
