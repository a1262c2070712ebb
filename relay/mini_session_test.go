package relay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
	"github.com/wxrelay/wxrelay/relay/wechat/miniprogram"
	"github.com/wxrelay/wxrelay/store/memstore"
)

const (
	tillAppID = "wx7777777777777777"
	miniKey   = miniprogram.SessionKey("MDEyMzQ1Njc4OWFiY2RlZg==")
)

// newMiniBench is a bench with a mini-program whose codes are good once.
func newMiniBench(t *testing.T, store relay.Store, change ...func(*relay.Config)) *bench {
	t.Helper()
	b := newBench(t, store, append([]func(*relay.Config){func(cfg *relay.Config) {
		cfg.Accounts = append(cfg.Accounts, &relay.Account{Name: "till", Kind: relay.AccountMiniProgram, AppID: tillAppID, Secret: relay.NewSecret(strings.Repeat("b", 32))})
	}}, change...)...)
	var used sync.Map
	b.PlayMini(func(_ context.Context, code string) (*miniprogram.Session, error) {
		if _, again := used.LoadOrStore(code, true); again {
			return nil, miniError(errcode.CodeUsed)
		}
		return &miniprogram.Session{OpenID: "oMini-" + code, UnionID: "uMini", Key: miniKey}, nil
	})
	return b
}

func miniError(code int) error {
	return fmt.Errorf("asking: %w", &errcode.Error{Op: "exchange mini-program code", Code: code, HTTPStatus: 200, Message: "words of WeChat"})
}

func (b *bench) miniSession(code string) relay.MiniSessionView {
	b.t.Helper()
	v, err := b.CreateMiniSession(b.t.Context(), b.caller(b.client), relay.MiniSessionRequest{Code: code})
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// TestMiniSession_C10_H09: a client learns who its user is; the key stays in
// the store, sealed, and the session's name is kept nowhere. The openid is
// known from then on as one of this app id.
func TestMiniSession_C10_H09(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	b := newMiniBench(t, store)
	b.clock = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	v := b.miniSession("c1")
	if v.OpenID != "oMini-c1" || v.UnionID != "uMini" || v.AppID != tillAppID || len(v.SessionID) != 22 || v.ExpiresAt != "2026-11-25T12:00:00+08:00" {
		t.Errorf("session %+v", v)
	}
	var g relay.Grant
	var p relay.Payer
	err := store.View(t.Context(), func(r relay.Reader) (err error) {
		if g, err = r.Grant(relay.GrantKey{Kind: relay.GrantMiniSession, Hash: relay.GrantHash(v.SessionID)}); err != nil {
			return err
		}
		p, err = r.Payer(v.OpenID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if g.ClientID != b.client.ID || g.AppID != tillAppID || !g.ExpiresAt.Equal(b.clock.Add(relay.MiniSessionLife)) {
		t.Errorf("kept %+v", g)
	}
	if len(g.Sealed) == 0 || bytes.Contains(g.Sealed, []byte(miniKey)) || bytes.Contains(g.Sealed, []byte("0123456789abcdef")) {
		t.Error("the session key is not sealed")
	}
	if p.AppID != tillAppID || !slices.Equal(p.Clients, []string{b.client.ID}) {
		t.Errorf("payer %+v", p)
	}
}

// TestMiniSessionRefusals: what WeChat said reaches the client as what it can
// do about it, and never its words.
func TestMiniSessionRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		err      error
		kind     relay.Kind
		field    string
		upstream string
	}{
		{"no code of this account", miniError(40029), relay.KindParam, "code", ""},
		{"used", miniError(40163), relay.KindParam, "code", ""},
		{"expired", miniError(42003), relay.KindParam, "code", ""},
		{"blocked user", miniError(40226), relay.KindNoAuth, "", ""},
		{"too many", miniError(45011), relay.KindRate, "", ""},
		{"busy", miniError(-1), relay.KindUnavailable, "", ""},
		{"down", &errcode.Error{Op: "exchange", HTTPStatus: 502}, relay.KindUnavailable, "", ""},
		{"wrong secret", miniError(40125), relay.KindUpstream, "", "40125"},
		{"wrong app id", miniError(40013), relay.KindUpstream, "", "40013"},
		{"other address", miniError(40164), relay.KindUpstream, "", "40164"},
		{"unheard of", miniError(99999), relay.KindUpstream, "", "99999"},
		{"moved", &errcode.Error{Op: "exchange", HTTPStatus: 302}, relay.KindUpstream, "", "0"},
		{"no answer", errors.New("connection reset"), relay.KindUpstreamTimeout, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newMiniBench(t, memstore.New())
			b.PlayMini(func(context.Context, string) (*miniprogram.Session, error) { return nil, tt.err })
			_, err := b.CreateMiniSession(t.Context(), b.caller(b.client), relay.MiniSessionRequest{Code: "c1"})
			var e *relay.Error
			if !asError(err, &e) || e.Kind != tt.kind || e.Field != tt.field || e.UpstreamCode != tt.upstream {
				t.Fatalf("got %+v", err)
			}
			if strings.Contains(e.Message, "words of WeChat") || e.Message == "" {
				t.Errorf("message %q", e.Message)
			}
		})
	}
}

// TestMiniAlarmNamesTheFix: the operator reads which account is refused, and
// which address WeChat wants on its list.
func TestMiniAlarmNamesTheFix(t *testing.T) {
	t.Parallel()
	b := newMiniBench(t, memstore.New())
	b.PlayMini(func(context.Context, string) (*miniprogram.Session, error) {
		return nil, &errcode.Error{Op: "exchange", Code: 40164, HTTPStatus: 200, Message: "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist"}
	})
	_, err := b.CreateMiniSession(t.Context(), b.caller(b.client), relay.MiniSessionRequest{Code: "c1"})
	if text := fmt.Sprint(err); !strings.Contains(text, "account till") || !strings.Contains(text, "add 203.0.113.7 to its IP list") {
		t.Errorf("got %s", text)
	}
}

func TestMiniSessionRequests(t *testing.T) {
	t.Parallel()
	b := newMiniBench(t, memstore.New(), func(cfg *relay.Config) {
		cfg.Accounts = append(cfg.Accounts, &relay.Account{Name: "poor", Kind: relay.AccountMiniProgram, AppID: "wx6666666666666666"})
		cfg.Merchants[0].Accounts = []string{"shop", "till", "poor"}
	})
	for _, tt := range []struct {
		name  string
		req   relay.MiniSessionRequest
		kind  relay.Kind
		field string
	}{
		{"no code", relay.MiniSessionRequest{}, relay.KindParam, "code"},
		{"blank in code", relay.MiniSessionRequest{Code: "a b"}, relay.KindParam, "code"},
		{"line end in code", relay.MiniSessionRequest{Code: "ab\n"}, relay.KindParam, "code"},
		{"CJK code", relay.MiniSessionRequest{Code: "码"}, relay.KindParam, "code"},
		{"endless code", relay.MiniSessionRequest{Code: strings.Repeat("c", 513)}, relay.KindParam, "code"},
		{"unknown account", relay.MiniSessionRequest{Account: "nobody", Code: "c1"}, relay.KindParam, "account"},
		{"official account", relay.MiniSessionRequest{Account: "shop", Code: "c1"}, relay.KindParam, "account"},
		{"account without secret", relay.MiniSessionRequest{Account: "poor", Code: "c1"}, relay.KindNoAuth, "account"},
		{"longest code", relay.MiniSessionRequest{Account: "till", Code: strings.Repeat("c", 100)}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := b.CreateMiniSession(t.Context(), b.caller(b.client), tt.req)
			var e *relay.Error
			if tt.kind == 0 && err != nil || tt.kind != 0 && (!asError(err, &e) || e.Kind != tt.kind || e.Field != tt.field) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestMiniCodeAtOnce_E08: one code brought many times at once is good once,
// and the others hear that it was used.
func TestMiniCodeAtOnce_E08(t *testing.T) {
	t.Parallel()
	b := newMiniBench(t, memstore.New(), func(cfg *relay.Config) { cfg.Clients[0].Rate = 1000 })
	errs := make(chan error, 50)
	for range cap(errs) {
		go func() {
			_, err := b.CreateMiniSession(t.Context(), b.caller(b.client), relay.MiniSessionRequest{Code: "c1"})
			errs <- err
		}()
	}
	won := 0
	for range cap(errs) {
		switch err := <-errs; {
		case err == nil:
			won++
		case kindOf(err) != relay.KindParam:
			t.Errorf("got %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d sessions of one code", won)
	}
}

// TestMiniSessionReplay_C05: a request seen before does not reach WeChat.
func TestMiniSessionReplay_C05(t *testing.T) {
	t.Parallel()
	b := newMiniBench(t, memstore.New())
	asked := 0
	b.PlayMini(func(context.Context, string) (*miniprogram.Session, error) { asked++; return nil, miniError(40029) })
	caller := b.caller(b.client)
	for i, want := range []relay.Kind{relay.KindParam, relay.KindReplayed, relay.KindReplayed} {
		_, err := b.CreateMiniSession(t.Context(), caller, relay.MiniSessionRequest{Code: "c1"})
		if kindOf(err) != want {
			t.Errorf("time %d: %v", i+1, err)
		}
	}
	if asked != 1 {
		t.Errorf("WeChat was asked %d times", asked)
	}
}
