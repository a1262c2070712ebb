package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// waitingHandler is a handler of an app below /pay that has not started.
func waitingHandler(tb testing.TB) *Handler {
	tb.Helper()
	h := &Handler{app: new(App)}
	h.app.face.init(&url.URL{Scheme: "http", Host: "localhost", Path: "/pay"}, false)
	return h
}

// request is a request as Caddy hands it over after rewriting it.
func request(original, rewritten string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, original, nil)
	sent := http.Request{Method: r.Method, RemoteAddr: r.RemoteAddr, RequestURI: r.RequestURI, URL: r.URL}
	r = r.WithContext(context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, sent))
	to, err := url.Parse(rewritten)
	if err != nil {
		panic(err)
	}
	r.URL, r.RequestURI = to, rewritten
	return r
}

// nextHandler says by its error that it was asked, and with what.
var errNext = errors.New("next")

var nextHandler = caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return errNext })

// What is not the relay's goes on at once, before the app has started too.
func TestForeignPathsGoOn(t *testing.T) {
	t.Parallel()
	h := waitingHandler(t)
	for _, path := range []string{"/", "/v1/orders", "/pay", "/pay/", "/pay/v1", "/pay/v1/order", "/payv1/orders", "/pay//v1/orders", "/pay/%76%31/orders%2f", "/pay/wechat/callback/"} {
		if err := h.ServeHTTP(httptest.NewRecorder(), request(path, path), nextHandler); !errors.Is(err, errNext) {
			t.Errorf("%s: %v, want the next handler", path, err)
		}
	}
}

// The path as it was sent decides, not what rewriting made of it.
func TestOriginalPathDecides(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := waitingHandler(t)
		if err := h.ServeHTTP(httptest.NewRecorder(), request("/elsewhere", "/pay/v1/orders"), nextHandler); !errors.Is(err, errNext) {
			t.Errorf("a path that became ours: %v, want the next handler", err)
		}
		if err := h.ServeHTTP(httptest.NewRecorder(), request("/pay/v1/orders", "/elsewhere"), nextHandler); errors.Is(err, errNext) {
			t.Error("a path of ours that was rewritten went to the next handler")
		}
	})
}

// A request that comes before the app has started waits, for a bounded time.
func TestRequestsWaitForTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, began, w := waitingHandler(t), time.Now(), httptest.NewRecorder()
		err := h.ServeHTTP(w, request("/pay/v1/orders", "/pay/v1/orders"), nextHandler)
		var status caddyhttp.HandlerError
		if !errors.As(err, &status) || status.StatusCode != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("got %v with Retry-After %q, want 503 with one", err, w.Header().Get("Retry-After"))
		}
		if waited := time.Since(began); waited != startWait {
			t.Errorf("waited %v, want %v", waited, startWait)
		}
	})
}

func TestSecretQuery(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]bool{
		"":                        false,
		"after=x&limit=20":        false,
		"refresh=true":            false,
		"barcode=1&decode=2":      false,
		"code=061&state=s":        true,
		"state=s&code=061":        true,
		"order_no=A&sig=abc":      true,
		"order_no=A&sign=abc":     true,
		"appid=1&secret=s&code=c": true,
		"access_token=t&openid=o": true,
		"a&&sig=":                 true,
		"redirect_uri=x&state=s":  true,
		"%73tate=s":               true,
		"ticket=t":                true,
		"openid=o":                true,
		"signature=s&echostr=1":   true,
		"estate=1&scope=s":        false,
	} {
		if got := secretQuery(query); got != want {
			t.Errorf("secretQuery(%q) = %t, want %t", query, got, want)
		}
	}
}

// P4 of budgets.md: a path that is not the relay's costs no allocation.
func TestForeignPathAllocatesNothing(t *testing.T) {
	h, w := waitingHandler(t), httptest.NewRecorder()
	r := request("/shop/books?page=2", "/shop/books?page=2")
	if n := testing.AllocsPerRun(100, func() { _ = h.ServeHTTP(w, r, nextHandler) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkForeignPath(b *testing.B) {
	h, w := waitingHandler(b), httptest.NewRecorder()
	for name, path := range map[string]string{"far": "/shop/books?page=2", "near": "/pay/v1/books/1"} {
		r := request(path, path)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = h.ServeHTTP(w, r, nextHandler)
			}
		})
	}
}

// H04: the code of a login is in no log, access logs and debug lines
// included, of a server that nobody gave any filters.
func TestLoginCodesAreNotLogged_H04(t *testing.T) {
	s := newSetup(t)
	file := filepath.Join(t.TempDir(), "log")
	config := strings.Replace(string(s.json(t)),
		`"default":{"writer":{"output":"discard"}}`,
		`"default":{"level":"DEBUG","writer":{"output":"file","filename":"`+file+`"}}`, 1)
	config = strings.Replace(config, `"automatic_https"`, `"logs":{},"automatic_https"`, 1)
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := caddy.Load([]byte(config), true); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/wechat/callback?code=MARKEDcode&state=MARKEDstate",
		"/checkout/AAAAAAAAAAAAAAAAAAAAAA?order_no=A&sig=MARKEDsig",
		"/wechat/health",
	} {
		s.get(t, 0, path)
	}
	log, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), "/wechat/health") {
		t.Errorf("the access log is not at work:\n%s", log)
	}
	if strings.Contains(string(log), "MARKED") {
		t.Errorf("a secret of an address is in the log:\n%s", log)
	}
}
