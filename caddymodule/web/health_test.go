package web

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		body   string
	}{
		"well":   {nil, 200, `{"status":"ok"}`},
		"unwell": {errors.New("store: disk full; free some space"), 503, `{"status":"unavailable","reason":"store: disk full; free some space"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFace(t, &fakeService{}, func(o *Options) { o.Ready = func(context.Context) error { return c.err } })
			w := f.do(t, http.MethodGet, "/wechat/health", "")
			if w.Code != c.status || w.Body.String() != c.body {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, c.status, c.body)
			}
			if got := w.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control %q", got)
			}
		})
	}
}

func TestHealthDoesNotHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := newFace(t, &fakeService{}, func(o *Options) {
			o.Ready = func(ctx context.Context) error {
				<-ctx.Done()
				return errors.New("store: no answer")
			}
		})
		w := f.do(t, http.MethodGet, "/wechat/health", "")
		if took := time.Since(began); w.Code != http.StatusServiceUnavailable || took != 2*time.Second {
			t.Errorf("status %d after %v, want 503 after 2s", w.Code, took)
		}
	})
}
