package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

func notified(err error) *fakeService {
	return &fakeService{notify: func(context.Context, string, relay.RawNotification) error { return err }}
}

func TestNotificationAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		body   string
	}{
		"settled":           {nil, 204, ""},
		"forged":            {refusal(relay.KindSign, "key PUB_KEY_ID_1"), 401, `{"code":"FAIL","message":"signature not accepted"}`},
		"of another":        {refusal(relay.KindParam, "appid wx1"), 400, `{"code":"FAIL","message":"notification not accepted"}`},
		"unknown order":     {refusal(relay.KindNotFound, "order; kept"), 404, `{"code":"FAIL","message":"order not known; send it again"}`},
		"store in doubt":    {refusal(relay.KindUnavailable, "disk /var"), 503, `{"code":"FAIL","message":"not stored; send it again"}`},
		"store says so":     {fmt.Errorf("at /var: %w", relay.ErrUnavailable), 503, `{"code":"FAIL","message":"not stored; send it again"}`},
		"out of time":       {context.DeadlineExceeded, 503, `{"code":"FAIL","message":"not stored; send it again"}`},
		"a mistake of ours": {errors.New("nil map"), 500, `{"code":"FAIL","message":"not stored; send it again"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFace(t, notified(c.err))
			w := f.do(t, http.MethodPost, "/wechat/notify/main", "{}")
			if w.Code != c.status || w.Body.String() != c.body {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, c.status, c.body)
			}
			if lines := strings.Count(f.log.String(), "\n"); (lines == 1) != (c.err != nil) {
				t.Errorf("%d log lines", lines)
			}
		})
	}
}

// TestNotificationAnswersV2: an XML notification is answered in XML, success
// by the one document that WeChat takes (v2.md section 8), and a refusal by
// FAIL with a status that is no success either.
func TestNotificationAnswersV2(t *testing.T) {
	t.Parallel()
	fail := func(words string) string {
		return "<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[" + words + "]]></return_msg></xml>"
	}
	for name, c := range map[string]struct {
		err    error
		status int
		body   string
	}{
		"settled":        {nil, 200, "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>"},
		"forged":         {refusal(relay.KindSign, "sign"), 401, fail("signature not accepted")},
		"of another":     {refusal(relay.KindParam, "appid wx1"), 400, fail("notification not accepted")},
		"unknown order":  {refusal(relay.KindNotFound, "order; kept"), 404, fail("order not known; send it again")},
		"store in doubt": {refusal(relay.KindUnavailable, "disk /var"), 503, fail("not stored; send it again")},
	} {
		for _, body := range []string{"<xml></xml>", "\xef\xbb\xbf\r\n<?xml version=\"1.0\"?><xml/>"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := newFace(t, notified(c.err))
				w := f.do(t, http.MethodPost, "/wechat/notify/main", body)
				if w.Code != c.status || w.Body.String() != c.body || w.Header().Get("Content-Type") != "text/xml; charset=utf-8" {
					t.Errorf("got %d %s %s, want %d %s", w.Code, w.Header().Get("Content-Type"), w.Body, c.status, c.body)
				}
			})
		}
	}
}

// TestNotificationByAnotherMethod_A25: nothing but POST is read.
func TestNotificationByAnotherMethod_A25(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete} {
		service := notified(nil)
		f := newFace(t, service)
		w := f.do(t, method, "/wechat/notify/main?out_trade_no=1", "<xml><out_trade_no>1</out_trade_no></xml>")
		if w.Code != http.StatusMethodNotAllowed || service.callList() != "" {
			t.Errorf("%s: status %d after %q, want 405 and nothing", method, w.Code, service.callList())
		}
	}
}

// The raw body and every header line must reach the verifier as they came:
// the signature covers bytes, and of two lines neither may be picked here
// (threats B16, R1).
func TestNotificationReachesRelayAsSent_B16(t *testing.T) {
	t.Parallel()
	var name string
	var got relay.RawNotification
	f := newFace(t, &fakeService{notify: func(_ context.Context, merchant string, n relay.RawNotification) error {
		name, got = merchant, n
		if len(n.Header.Values("Wechatpay-Signature")) != 1 {
			return refusal(relay.KindSign, "header repeated")
		}
		return nil
	}})
	const body = " {\"id\" : \"1\"}\n"
	status, _ := rawExchange(t, f, fmt.Sprintf("POST /wechat/notify/main HTTP/1.1\r\nHost: x\r\nWechatpay-Signature: wrong\r\n"+
		"wechatpay-signature: right\r\nWechatpay-Nonce: n\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	if status != http.StatusUnauthorized {
		t.Errorf("status %d, want 401", status)
	}
	if name != "main" || string(got.Body) != body {
		t.Errorf("relay was given %q %q", name, got.Body)
	}
	if lines := got.Header.Values("Wechatpay-Signature"); !slices.Equal(lines, []string{"wrong", "right"}) {
		t.Errorf("signature lines %q", lines)
	}
}

// Nothing about a request may change what happens to it but what relay
// verifies (threats B01, B02): each of these is handed over, and refused.
func TestNoPropertySkipsVerification_B01_B02(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*http.Request){
		"plain":             func(*http.Request) {},
		"host localhost":    func(r *http.Request) { r.Host = "localhost" },
		"forwarded host":    func(r *http.Request) { r.Header.Set("X-Forwarded-Host", "localhost") },
		"debug parameter":   func(r *http.Request) { r.URL.RawQuery = "debug=1" },
		"from this machine": func(r *http.Request) { r.RemoteAddr = "127.0.0.1:1" },
		"agent of WeChat":   func(r *http.Request) { r.Header.Set("User-Agent", "Mozilla/4.0") },
		"marked outgoing":   func(r *http.Request) { r.Header.Set("Wxrelay-Outgoing", "1") },
		"of another type":   func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") },
		"with a signature of a client": func(r *http.Request) {
			r.Header.Set("Authorization", `WXRELAY1-HMAC-SHA256 client_id="1"`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := notified(refusal(relay.KindSign, "no signature"))
			f := newFace(t, service)
			r := httptest.NewRequest(http.MethodPost, "/wechat/notify/main", strings.NewReader("{}"))
			change(r)
			w := httptest.NewRecorder()
			f.ServeHTTP(w, r)
			if w.Code != http.StatusUnauthorized || service.callList() != "notify" {
				t.Errorf("status %d after %q, want 401 after notify", w.Code, service.callList())
			}
		})
	}
}

// The answer must not tell which merchants exist (threats B18): its shape
// depends on the kind of refusal alone, never on the name or the cause.
func TestRefusalsLookAlike_B18(t *testing.T) {
	t.Parallel()
	shape := func(path string, err error) string {
		f := newFace(t, notified(err), func(o *Options) { o.RequestID = func() string { return "r" } })
		w := f.do(t, http.MethodPost, path, "{}")
		return fmt.Sprint(w.Code, w.Header(), w.Body)
	}
	want := shape("/wechat/notify/main", &relay.Error{Kind: relay.KindSign, Message: "a", Err: errors.New("wrong signature")})
	for _, path := range []string{"/wechat/notify/main", "/wechat/notify/nobody", "/wechat/notify/%00", "/wechat/notify/" + strings.Repeat("x", 5000)} {
		if got := shape(path, &relay.Error{Kind: relay.KindSign, Message: "b", Err: errors.New("unknown merchant")}); got != want {
			t.Errorf("%.40s: got %s, want %s", path, got, want)
		}
	}
}

func TestNotificationHasFourSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := newFace(t, &fakeService{notify: func(ctx context.Context, _ string, _ relay.RawNotification) error {
			<-ctx.Done() // a store that does not answer
			return fmt.Errorf("committing: %w", ctx.Err())
		}})
		w := f.do(t, http.MethodPost, "/wechat/notify/main", "{}")
		if took := time.Since(began); w.Code != http.StatusServiceUnavailable || took != 4*time.Second {
			t.Errorf("status %d after %v, want 503 after 4s", w.Code, took)
		}
		if w.Header().Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	})
}

func TestNotificationBodyIsWhole(t *testing.T) {
	t.Parallel()
	want := []byte(strings.Repeat("\x00\xff", maxBody/2))
	var got []byte
	f := newFace(t, &fakeService{notify: func(_ context.Context, _ string, n relay.RawNotification) error {
		got = n.Body
		return nil
	}})
	if w := f.do(t, http.MethodPost, "/wechat/notify/main", string(want)); w.Code != http.StatusNoContent || w.Body.Len() > 0 {
		t.Errorf("status %d with %d bytes, want 204 without", w.Code, w.Body.Len())
	}
	if !reflect.DeepEqual(got, want) {
		t.Error("the body changed on its way")
	}
	w := f.do(t, http.MethodPost, "/wechat/notify/main", string(want)+"x")
	if want := `{"code":"FAIL","message":"notification too large"}`; w.Code != http.StatusRequestEntityTooLarge || w.Body.String() != want {
		t.Errorf("one byte more: %d %s, want 413 %s", w.Code, w.Body, want)
	}
}
