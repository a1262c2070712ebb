package relay_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// TestLostAnswer_E19: WeChat's answer about a second user was lost, and its
// code is spent. Whoever logged in before is not taken for that user.
func TestLostAnswer_E19(t *testing.T) {
	t.Parallel()
	for _, purpose := range []relay.LoginPurpose{relay.LoginForTicket, relay.LoginForCode} {
		b := newLoginBench(t)
		b.wechat.users = map[string]relay.LoginUser{"c1": {OpenID: "o-1"}, "c3": {OpenID: "o-2"}}
		tr := b.begin(loginFor(purpose))
		first := b.arrives(tr, "c1", string(purpose))
		b.wechat.refused = map[string]error{"c2": relay.ErrLoginBusy}
		_, _ = b.back(tr, "c2")
		b.wechat.refused = map[string]error{"c1": relay.ErrCodeSpent, "c2": relay.ErrCodeSpent}
		if to, err := b.back(tr, "c2"); err != nil || !strings.HasPrefix(to, "https://open.example/authorize?") {
			t.Fatalf("%s: the second user is sent to %q, %v; want WeChat", purpose, to, err)
		}
		if to, err := b.back(tr, "c2"); kindOf(err) != relay.KindUpstream || to != "" {
			t.Errorf("%s, once more: %q, %v; want a page", purpose, to, err)
		}
		second := b.arrives(tr, "c3", string(purpose))
		if second == first {
			t.Errorf("%s: the second user got the first one's", purpose)
		}
		// Back to the pages before: the last one who agreed.
		for _, code := range []string{"c1", "c2", "c3"} {
			if again := b.arrives(tr, code, string(purpose)); again != second {
				t.Errorf("%s: back to %s made another", purpose, code)
			}
		}
	}
}

// TestOddOpenID: what cannot be an openid is nobody's, whatever WeChat's answer
// says.
func TestOddOpenID(t *testing.T) {
	t.Parallel()
	b := newLoginBench(t)
	for _, openID := range []string{"", " ", "o 1", "o\x00", "o/1", "小明", strings.Repeat("o", 129)} {
		b.wechat.openID = openID
		for _, purpose := range []relay.LoginPurpose{relay.LoginForTicket, relay.LoginForCode} {
			to, err := b.back(b.begin(loginFor(purpose)), "c1")
			if strings.Contains(to, "ticket=") || strings.Contains(to, "code=") || purpose == relay.LoginForCode && kindOf(err) != relay.KindUpstream {
				t.Errorf("%q for a %s: %q, %v; want no login", openID, purpose, to, err)
			}
		}
	}
	b.wechat.openID = strings.Repeat("o", 128)
	b.arrives(b.begin(loginFor(relay.LoginForTicket)), "c1", "ticket")
}

// TestLoginWithoutStore: whatever the store says, and whenever, nobody is
// logged in by halves, and loading the page again helps.
func TestLoginWithoutStore(t *testing.T) {
	t.Parallel()
	for _, purpose := range []relay.LoginPurpose{relay.LoginForTicket, relay.LoginForCode} {
		for writes := range 2 { // of learning the openid, and of the ticket
			store := &failingStore{Store: memstore.New()}
			store.left.Store(1000)
			b := newLoginBenchOn(t, store)
			tr := b.begin(loginFor(purpose))
			store.left.Store(int64(writes))
			for _, trouble := range []error{relay.ErrUnavailable, context.DeadlineExceeded} {
				store.trouble = trouble
				if to, err := b.back(tr, "c1"); err == nil || to != "" || kindOf(err) != 0 && kindOf(err) != relay.KindUnavailable {
					t.Errorf("%s, after %d writes, %v: %q, %v", purpose, writes, trouble, to, err)
				}
			}
			store.left.Store(1000)
			b.arrives(tr, "c1", string(purpose))
			if n := b.wechat.count("exchange"); n != 1 {
				t.Errorf("%s: WeChat was asked %d times, want once", purpose, n)
			}
		}
	}
}

// failingStore takes some more writes and then none.
type failingStore struct {
	relay.Store
	left    atomic.Int64
	trouble error
}

func (s *failingStore) Update(ctx context.Context, fn func(relay.Tx) error) error {
	if s.left.Add(-1) < 0 {
		return s.trouble
	}
	return s.Store.Update(ctx, fn)
}

// TestLoginTroublesAreLogged: what only the operator can mend is told aloud.
func TestLoginTroublesAreLogged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err   error
		level slog.Level
	}{
		"wrong secret": {errors.New("errcode 40125"), slog.LevelError},
		"busy":         {relay.ErrLoginBusy, slog.LevelInfo},
		"consent":      {nil, slog.LevelInfo},
	} {
		b := newLoginBench(t)
		var out bytes.Buffer
		b.LogTo(slog.New(slog.NewJSONHandler(&out, nil)))
		b.wechat.refused = map[string]error{"c1": c.err}
		code := "c1"
		if c.err == nil {
			code = ""
		}
		if _, err := b.back(b.begin(loginFor(relay.LoginForTicket)), code); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), `"level":"`+c.level.String()+`"`) {
			t.Errorf("%s: logged %s, want level %s", name, out.String(), c.level)
		}
	}
}
