package web

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
)

func TestNotifyKey(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key, err := relay.NewNotifyKey(private)
	if err != nil {
		t.Fatal(err)
	}
	f := newFace(t, &fakeService{}, func(o *Options) { o.NotifyKey = key })
	for _, c := range []struct {
		accept string
		json   bool
	}{
		{"", false},
		{"*/*", false},
		{"application/x-pem-file", false},
		{"text/html,application/xhtml+xml", false},
		{"application/json", true},
		{"application/json, text/plain, */*", true},
		{"Application/JSON;q=0.9", true},
	} {
		w := f.do(t, http.MethodGet, "/v1/notify-key", "", "Accept", c.accept)
		if w.Code != http.StatusOK || w.Header().Get("Wechatpay-Serial") != key.ID() {
			t.Errorf("Accept %q: %d %v", c.accept, w.Code, w.Header())
		}
		text := w.Body.String()
		if c.json {
			var v map[string]string
			if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || len(v) != 2 || v["key_id"] != key.ID() || v["public_key"] != string(key.PublicPEM()) {
				t.Errorf("Accept %q: %q, %v", c.accept, text, err)
			}
			continue
		}
		if first, _, _ := strings.Cut(text, "\n"); first != "Key-Id: "+key.ID() || w.Header().Get("Content-Type") != "application/x-pem-file" {
			t.Errorf("Accept %q: first line %q, header %v", c.accept, first, w.Header())
		}
		block, _ := pem.Decode([]byte(text))
		if block == nil || block.Type != "PUBLIC KEY" {
			t.Fatalf("Accept %q: no public key in %q", c.accept, text)
		}
		if public, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil || !private.PublicKey.Equal(public) {
			t.Errorf("Accept %q: another key: %v", c.accept, err)
		}
		if strings.Contains(text, "PRIVATE") {
			t.Error("the private half is given out")
		}
	}
	if called := f.service.callList(); called != "" {
		t.Errorf("asking for the key called %s, want no one", called)
	}
	if w := f.do(t, http.MethodPost, "/v1/notify-key", ""); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d, want 405", w.Code)
	}
}

func TestNotifyKey_None(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{})
	if w := f.do(t, http.MethodGet, "/v1/notify-key", ""); w.Code != http.StatusServiceUnavailable {
		t.Errorf("got %d %s, want 503", w.Code, w.Body)
	}
}
