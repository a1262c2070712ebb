package relay_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
	"github.com/wxrelay/wxrelay/store/memstore"
)

const songs = "2000000000000002"

// codeBench is a relay at a fixed time that has given a code to a client.
type codeBench struct {
	*bench
	books, songs *relay.Caller
}

func newCodeBench(t *testing.T, s relay.Store, change ...func(*relay.Config)) *codeBench {
	t.Helper()
	b := newBench(t, s, change...)
	b.clock = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	return &codeBench{
		bench: b,
		books: &relay.Caller{Client: b.ClientByID(vectorClient)},
		songs: &relay.Caller{Client: b.ClientByID(songs)},
	}
}

var reader = relay.LoginUser{
	OpenID: "oREADER", UnionID: "uREADER", Scope: "snsapi_userinfo", Nickname: "读者", AvatarURL: "https://thirdwx.qlogo.cn/1/132",
}

// give gives the books' client a code, as a login does.
func (b *codeBench) give(code string, user relay.LoginUser) {
	b.t.Helper()
	putGrant(b.t, b.rt.Store(), relay.Grant{
		GrantKey: relay.GrantKey{Kind: relay.GrantCode, Hash: relay.GrantHash(code)}, ClientID: vectorClient, AppID: testAppID,
		User: user, CreatedAt: b.now(), ExpiresAt: b.now().Add(time.Minute),
	})
}

// redeem redeems what must be good.
func (b *codeBench) redeem(code string) relay.UserToken {
	b.t.Helper()
	token, err := b.RedeemCode(b.t.Context(), b.books, code)
	if err != nil {
		b.t.Fatalf("RedeemCode: %v", err)
	}
	return token
}

func (b *codeBench) check(accessToken relay.Secret) int {
	b.t.Helper()
	return weChatCode(b.t, b.CheckUserToken(b.t.Context(), string(accessToken.Reveal()), reader.OpenID))
}

// weChatCode is the number of a refusal; 0 of none.
func weChatCode(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	e, ok := errors.AsType[*relay.Error](err)
	if !ok || e.WeChatCode == 0 {
		t.Errorf("%v is no refusal in WeChat's form", err)
		return -2
	}
	return e.WeChatCode
}

// TestCodeIsWorthATokenOnce: the token says who logged in, the code is spent.
func TestCodeIsWorthATokenOnce_E08(t *testing.T) {
	t.Parallel()
	for name, s := range grantStores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCodeBench(t, s)
			b.give("the code", reader)
			token := b.redeem("the code")
			if token.OpenID != reader.OpenID || token.UnionID != reader.UnionID || token.Scope != reader.Scope || token.ExpiresIn != 2*time.Hour {
				t.Errorf("got %+v, want %+v", token, reader)
			}
			if token.AccessToken.Len() != 22 || token.RefreshToken.Len() != 22 || token.AccessToken == token.RefreshToken {
				t.Error("the tokens are not two texts of 128 random bits")
			}
			user, err := b.UserOf(t.Context(), string(token.AccessToken.Reveal()), reader.OpenID)
			if err != nil || user != reader {
				t.Errorf("UserOf = %+v, %v; want %+v", user, err, reader)
			}
			if got := b.check(token.AccessToken); got != 0 {
				t.Errorf("check: %d, want 0", got)
			}
		})
	}
}

// TestReplayedCodeEndsItsTokens_E08: who redeems a code again gets nothing,
// and what it gave is taken back, that of a refresh too.
func TestReplayedCodeEndsItsTokens_E08(t *testing.T) {
	t.Parallel()
	for name, s := range grantStores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCodeBench(t, s)
			b.give("the code", reader)
			first := b.redeem("the code")
			refreshed, err := b.RefreshUserToken(t.Context(), vectorClient, string(first.RefreshToken.Reveal()))
			if err != nil {
				t.Fatal(err)
			}
			b.clock = b.clock.Add(time.Millisecond)
			for range 2 {
				_, err = b.RedeemCode(t.Context(), b.books, "the code")
				if got := weChatCode(t, err); got != errcode.CodeUsed {
					t.Errorf("replay: %d, want 40163", got)
				}
			}
			for name, token := range map[string]relay.Secret{"access token": first.AccessToken, "refreshed one": refreshed.AccessToken} {
				if got := b.check(token); got != errcode.InvalidSecret {
					t.Errorf("%s after the replay: %d, want 40001", name, got)
				}
			}
			_, err = b.RefreshUserToken(t.Context(), vectorClient, string(first.RefreshToken.Reveal()))
			if got := weChatCode(t, err); got != errcode.InvalidRefresh {
				t.Errorf("refresh after the replay: %d, want 40030", got)
			}
		})
	}
}

// TestFiftyRedeemACode_E08: one wins, and who lost the race takes nothing
// from the winner.
func TestFiftyRedeemACode_E08(t *testing.T) {
	t.Parallel()
	for name, s := range grantStores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCodeBench(t, s, func(c *relay.Config) { c.Clients[0].Rate = 1000 })
			b.give("the code", reader)
			var won atomic.Int64
			var winner atomic.Value
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					token, err := b.RedeemCode(t.Context(), b.books, "the code")
					if err == nil {
						won.Add(1)
						winner.Store(token.AccessToken)
					} else if got := weChatCode(t, err); got != errcode.CodeUsed {
						t.Errorf("loser: %d, want 40163", got)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 {
				t.Fatalf("%d won, want 1", won.Load())
			}
			if got := b.check(winner.Load().(relay.Secret)); got != 0 {
				t.Errorf("the winner's token: %d, want 0", got)
			}
		})
	}
}

// TestCodeRefused_E09: another client learns nothing of a code and leaves it
// to its owner; a late or changed one is none.
func TestCodeRefused_E09(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code   string
		caller func(*codeBench) *relay.Caller
		later  time.Duration
		want   int
	}{
		"another client's": {"the code", func(b *codeBench) *relay.Caller { return b.songs }, 0, errcode.InvalidCode},
		"unknown":          {"another", func(b *codeBench) *relay.Caller { return b.books }, 0, errcode.InvalidCode},
		"cut":              {"the cod", func(b *codeBench) *relay.Caller { return b.books }, 0, errcode.InvalidCode},
		"longer":           {"the codes", func(b *codeBench) *relay.Caller { return b.books }, 0, errcode.InvalidCode},
		"huge":             {strings.Repeat("x", 1<<20), func(b *codeBench) *relay.Caller { return b.books }, 0, errcode.InvalidCode},
		"late":             {"the code", func(b *codeBench) *relay.Caller { return b.books }, time.Minute, errcode.CodeExpired},
		"late, another's":  {"the code", func(b *codeBench) *relay.Caller { return b.songs }, time.Minute, errcode.InvalidCode},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCodeBench(t, memstore.New())
			b.give("the code", reader)
			start := b.clock
			b.clock = start.Add(c.later)
			_, err := b.RedeemCode(t.Context(), c.caller(b), c.code)
			if got := weChatCode(t, err); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
			if err != nil && strings.Contains(err.Error(), c.code) {
				t.Errorf("%q repeats the code", err)
			}
			b.clock = start.Add(59 * time.Second)
			b.redeem("the code")
		})
	}
}

// TestUserTokenRefused_E10 plays with access tokens.
func TestUserTokenRefused_E10(t *testing.T) {
	t.Parallel()
	b := newCodeBench(t, memstore.New())
	b.give("the code", reader)
	given := b.redeem("the code")
	token, refresh := string(given.AccessToken.Reveal()), string(given.RefreshToken.Reveal())
	start := b.clock
	for name, c := range map[string]struct {
		token, openID string
		later         time.Duration
		want          int
	}{
		"cut by 1":         {token[:21], reader.OpenID, 0, errcode.InvalidSecret},
		"cut by 2":         {token[:20], reader.OpenID, 0, errcode.InvalidSecret},
		"cut by 3":         {token[:19], reader.OpenID, 0, errcode.InvalidSecret},
		"cut by 4":         {token[:18], reader.OpenID, 0, errcode.InvalidSecret},
		"two joined":       {token + token, reader.OpenID, 0, errcode.InvalidSecret},
		"refresh token":    {refresh, reader.OpenID, 0, errcode.InvalidSecret},
		"code":             {"the code", reader.OpenID, 0, errcode.InvalidSecret},
		"its hash":         {relay.GrantHash(token), reader.OpenID, 0, errcode.InvalidSecret},
		"another's openid": {token, "oANOTHER", 0, errcode.InvalidOpenID},
		"no openid":        {token, "", 0, errcode.InvalidOpenID},
		"a moment before":  {token, reader.OpenID, 2*time.Hour - 1, 0},
		"expired":          {token, reader.OpenID, 2 * time.Hour, errcode.TokenExpired},
	} {
		b.clock = start.Add(c.later)
		if got := weChatCode(t, b.CheckUserToken(t.Context(), c.token, c.openID)); got != c.want {
			t.Errorf("%s: check got %d, want %d", name, got, c.want)
		}
		_, err := b.UserOf(t.Context(), c.token, c.openID)
		if got := weChatCode(t, err); got != c.want {
			t.Errorf("%s: user got %d, want %d", name, got, c.want)
		}
	}
}

// TestTokensOfARemovedClient_E10: a client that left the configuration takes
// along what it was given.
func TestTokensOfARemovedClient_E10(t *testing.T) {
	t.Parallel()
	s := memstore.New()
	b := newCodeBench(t, s)
	b.give("the code", reader)
	token := b.redeem("the code")
	later := newCodeBench(t, s, func(c *relay.Config) { c.Clients = c.Clients[1:] })
	if got := later.check(token.AccessToken); got != errcode.InvalidSecret {
		t.Errorf("check: %d, want 40001", got)
	}
	_, err := later.RefreshUserToken(t.Context(), vectorClient, string(token.RefreshToken.Reveal()))
	if got := weChatCode(t, err); got != errcode.InvalidRefresh {
		t.Errorf("refresh: %d, want 40030", got)
	}
}

// TestUserNeedsConsent: a silent login tells the openid alone.
func TestUserNeedsConsent(t *testing.T) {
	t.Parallel()
	for scope, want := range map[string]int{
		"snsapi_base": errcode.NotAuthorised, "": errcode.NotAuthorised, "xsnsapi_userinfo": errcode.NotAuthorised,
		"snsapi_userinfo": 0, "snsapi_login": 0, "snsapi_base,snsapi_userinfo": 0,
	} {
		b := newCodeBench(t, memstore.New())
		user := reader
		user.Scope = scope
		b.give("the code", user)
		token := b.redeem("the code")
		_, err := b.UserOf(t.Context(), string(token.AccessToken.Reveal()), reader.OpenID)
		if got := weChatCode(t, err); got != want {
			t.Errorf("scope %q: got %d, want %d", scope, got, want)
		}
		if got := b.check(token.AccessToken); got != 0 {
			t.Errorf("scope %q: check got %d, want 0", scope, got)
		}
	}
}

// TestRefreshUserToken: a new access token each time, the one before it lives
// on, older ones end; after thirty days so does the refresh token.
func TestRefreshUserToken(t *testing.T) {
	t.Parallel()
	b := newCodeBench(t, memstore.New())
	b.give("the code", reader)
	tokens := []relay.UserToken{b.redeem("the code")}
	refresh := string(tokens[0].RefreshToken.Reveal())
	for range 4 {
		b.clock = b.clock.Add(time.Hour)
		token, err := b.RefreshUserToken(t.Context(), vectorClient, refresh)
		if err != nil {
			t.Fatal(err)
		}
		if token.RefreshToken != tokens[0].RefreshToken || token.OpenID != reader.OpenID || token.Scope != reader.Scope || token.UnionID != "" {
			t.Errorf("got %+v, want the same refresh token, openid and scope", token)
		}
		tokens = append(tokens, token)
	}
	for i, token := range tokens {
		want := errcode.InvalidSecret
		if i >= 3 {
			want = 0
		}
		if got := b.check(token.AccessToken); got != want {
			t.Errorf("token %d: check got %d, want %d", i, got, want)
		}
	}
	for name, c := range map[string]struct {
		client, refresh string
		want            int
	}{
		"another client": {songs, refresh, errcode.InvalidRefresh},
		"unknown client": {"3000000000000003", refresh, errcode.InvalidRefresh},
		"cut":            {vectorClient, refresh[:21], errcode.InvalidRefresh},
		"access token":   {vectorClient, string(tokens[4].AccessToken.Reveal()), errcode.InvalidRefresh},
		"the code":       {vectorClient, "the code", errcode.InvalidRefresh},
	} {
		_, err := b.RefreshUserToken(t.Context(), c.client, c.refresh)
		if got := weChatCode(t, err); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
	b.clock = b.clock.Add(30*24*time.Hour - 4*time.Hour)
	_, err := b.RefreshUserToken(t.Context(), vectorClient, refresh)
	if got := weChatCode(t, err); got != errcode.RefreshExpired {
		t.Errorf("after 30 days: got %d, want 42002", got)
	}
}

// TestUserTokenRate_C20: what a token asks counts against its client, and a
// stranger's guesses against nobody.
func TestUserTokenRate_C20(t *testing.T) {
	t.Parallel()
	b := newCodeBench(t, memstore.New(), func(c *relay.Config) { c.Clients[0].Rate = 1 })
	b.give("the code", reader)
	token := b.redeem("the code")
	for range 20 {
		if got := b.check(relay.NewSecret("a guess")); got != errcode.InvalidSecret {
			t.Fatalf("guess: %d, want 40001", got)
		}
	}
	// In this order: refreshing twice ends the token that is checked.
	for _, ask := range []struct {
		name string
		call func() error
	}{
		{"check", func() error {
			return b.CheckUserToken(t.Context(), string(token.AccessToken.Reveal()), reader.OpenID)
		}},
		{"refresh", func() error {
			_, err := b.RefreshUserToken(t.Context(), vectorClient, string(token.RefreshToken.Reveal()))
			return err
		}},
	} {
		for range 2 {
			if err := ask.call(); err != nil {
				t.Errorf("%s within the rate: %v", ask.name, err)
			}
		}
		if err := ask.call(); kindOf(err) != relay.KindRate {
			t.Errorf("%s above the rate: %v, want KindRate", ask.name, err)
		}
		b.clock = b.clock.Add(time.Minute)
	}
}
