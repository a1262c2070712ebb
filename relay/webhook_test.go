package relay

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/internal/safehttp"
)

var (
	webhookSecret  = NewSecret("abcdef0123456789ABCDEF0123456789")
	webhookVectorE = &Event{
		ID:       "evt_2KWPBgLlAfxdpx2AI54pPJ85f4W",
		ClientID: "1000000000000001",
		Body:     []byte(`{"type":"order.paid","timestamp":"2026-11-22T05:20:00+08:00","data":{"order_no":"A000000001"}}`),
	}
	webhookVectorAt = time.Unix(1795296000, 0)
)

func build(t *testing.T, e *Event, format NotifyFormat, address string, secrets ...Secret) *http.Request {
	t.Helper()
	d := &Delivery{URL: address, Format: format}
	req, err := buildWebhook(t.Context(), e, d, secrets, webhookAttempt{At: webhookVectorAt, Nonce: "NONCE0123456789A"})
	if err != nil {
		t.Fatalf("buildWebhook: %v", err)
	}
	return req
}

// The known answer of contract section 3.5.
func TestBuildWebhook_StandardVector(t *testing.T) {
	t.Parallel()
	old := NewSecret("0123456789abcdef0123456789ABCDEF")
	req := build(t, webhookVectorE, NotifyStandard, "https://shop.example/notify", webhookSecret, old)
	want := map[string]string{
		"Webhook-Id":        "evt_2KWPBgLlAfxdpx2AI54pPJ85f4W",
		"Webhook-Timestamp": "1795296000",
		"Content-Type":      "application/json",
	}
	for name, value := range want {
		if got := req.Header.Get(name); got != value {
			t.Errorf("%s = %q, want %q", name, got, value)
		}
	}
	signatures := strings.Split(req.Header.Get("Webhook-Signature"), " ")
	if len(signatures) != 2 || signatures[0] != "v1,lgC2CtYIPIk1zGdluETzoy5YA0JyvElfXH/3c0ro2qU=" || signatures[1] == signatures[0] {
		t.Errorf("signatures = %q, want the known one and the old secret's", signatures)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil || !bytes.Equal(body, webhookVectorE.Body) {
		t.Errorf("body = %q, %v, want the stored bytes", body, err)
	}
	if req.Method != http.MethodPost || req.ContentLength != int64(len(body)) {
		t.Errorf("%s with length %d", req.Method, req.ContentLength)
	}
}

func TestBuildWebhook_Get(t *testing.T) {
	t.Parallel()
	e := &Event{ID: "evt_1", ClientID: "1000000000000001", Body: []byte(`{"type":"order.paid","timestamp":"2026-11-22T05:20:00+08:00",
		"data":{"client_id":"1000000000000001","order_no":"A000000001","amount":1000000000,"currency":"CNY","status":"paid",
		"out_trade_no":"T1","transaction_id":"4200","trade_type":"native","paid_at":"2026-11-22T05:19:58+08:00",
		"attach":"a b+c&d=测试","payer":{"openid":"o1"},"metadata":{"amount":7}}}`)}
	req := build(t, e, NotifyGet, "https://shop.example/notify", webhookSecret, NewSecret("old"))
	if req.Method != http.MethodGet || req.Body != nil {
		t.Errorf("%s with body %v, want GET without", req.Method, req.Body)
	}
	if strings.Contains(req.URL.RawQuery, "+") || !strings.Contains(req.URL.RawQuery, "attach=a%20b%2Bc%26d%3D") {
		t.Errorf("query = %s, want blanks as %%20", req.URL.RawQuery)
	}
	var names []string
	for pair := range strings.SplitSeq(req.URL.RawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		names = append(names, name)
	}
	want := strings.Fields("client_id event event_id order_no out_trade_no transaction_id amount currency status paid_at attach timestamp nonce_str sign_type sign")
	if !slices.Equal(names, want) {
		t.Errorf("parameters = %v, want %v", names, want)
	}
	values, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		t.Fatal(err)
	}
	fields := make(map[string]string)
	for name := range values {
		fields[name] = values.Get(name)
	}
	if fields["amount"] != "1000000000" || fields["attach"] != "a b+c&d=测试" || fields["event"] != "order.paid" || fields["timestamp"] != "1795296000" {
		t.Errorf("fields = %v", fields)
	}
	if got := SignV2(fields, webhookSecret, V2SignHMACSHA256); got != fields["sign"] {
		t.Errorf("sign = %s, want %s by the newest secret", fields["sign"], got)
	}
}

func TestBuildWebhook_GetLeavesOutWhatIsEmpty(t *testing.T) {
	t.Parallel()
	req := build(t, webhookVectorE, NotifyGet, "https://shop.example/notify", webhookSecret)
	q := req.URL.Query()
	for _, name := range []string{"amount", "attach", "paid_at", "transaction_id"} {
		if q.Has(name) {
			t.Errorf("%s is in %s, want it left out", name, req.URL.RawQuery)
		}
	}
	if q.Get("client_id") != webhookVectorE.ClientID {
		t.Errorf("client_id = %q, want the event's", q.Get("client_id"))
	}
}

func TestBuildWebhook_Refuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		event   *Event
		format  NotifyFormat
		address string
		secrets []Secret
	}{
		{"no secret", webhookVectorE, NotifyStandard, "https://shop.example/", nil},
		{"unknown format", webhookVectorE, "pigeon", "https://shop.example/", []Secret{webhookSecret}},
		{"body is no JSON", &Event{Body: []byte("{")}, NotifyGet, "https://shop.example/", []Secret{webhookSecret}},
		{"address is no URL", webhookVectorE, NotifyStandard, "https://secret-%zz", []Secret{webhookSecret}},
		{"address is no URL, get", webhookVectorE, NotifyGet, "https://secret-%zz", []Secret{webhookSecret}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := &Delivery{URL: tt.address, Format: tt.format}
			req, err := buildWebhook(t.Context(), tt.event, d, tt.secrets, webhookAttempt{At: webhookVectorAt})
			if err == nil || req != nil {
				t.Fatalf("buildWebhook = %v, %v, want an error", req, err)
			}
			if strings.Contains(err.Error(), "secret-") {
				t.Errorf("the error shows the address: %v", err)
			}
		})
	}
}

// F31, G06: what counts as success, by format.
func TestJudgeWebhook_F31_G06(t *testing.T) {
	t.Parallel()
	reset := &safehttp.Error{Reason: safehttp.ReasonReset, Err: errors.New("10.0.0.1 said no")}
	now := time.Date(2026, 11, 22, 5, 20, 0, 0, time.UTC)
	tests := []struct {
		name     string
		res      safehttp.Result
		err      error
		standard webhookVerdict
		get      webhookVerdict
	}{
		{"success", safehttp.Result{Status: 200, Body: []byte("success")}, nil, delivered, delivered},
		{"success with line end", safehttp.Result{Status: 200, Body: []byte("success\n")}, nil, delivered, delivered},
		{"blanks around", safehttp.Result{Status: 200, Body: []byte("\r\n\t success \r\n")}, nil, delivered, delivered},
		{"byte order mark", safehttp.Result{Status: 200, Body: []byte("\xef\xbb\xbfsuccess")}, nil, delivered, delivered},
		{"byte order mark and blanks", safehttp.Result{Status: 200, Body: []byte(" \xef\xbb\xbf success ")}, nil, delivered, delivered},
		{"capitals", safehttp.Result{Status: 201, Body: []byte("SUCCESS")}, nil, delivered, delivered},
		{"mixed", safehttp.Result{Status: 299, Body: []byte("Success")}, nil, delivered, delivered},
		{"long s", safehttp.Result{Status: 200, Body: []byte("ſuccess")}, nil, delivered, notSuccess},
		{"exclamation mark", safehttp.Result{Status: 200, Body: []byte("success!")}, nil, delivered, notSuccess},
		{"quoted", safehttp.Result{Status: 200, Body: []byte(`"success"`)}, nil, delivered, notSuccess},
		{"unsuccess", safehttp.Result{Status: 200, Body: []byte("unsuccess")}, nil, delivered, notSuccess},
		{"JSON with the word", safehttp.Result{Status: 200, Body: []byte(`{"msg":"not success"}`)}, nil, delivered, notSuccess},
		{"HTML with the word", safehttp.Result{Status: 200, Body: []byte("<html>success</html>")}, nil, delivered, notSuccess},
		{"twice", safehttp.Result{Status: 200, Body: []byte("success success")}, nil, delivered, notSuccess},
		{"fail", safehttp.Result{Status: 200, Body: []byte("fail")}, nil, delivered, notSuccess},
		{"empty", safehttp.Result{Status: 200}, nil, delivered, notSuccess},
		{"no content", safehttp.Result{Status: 204}, nil, delivered, notSuccess},
		{"cut", safehttp.Result{Status: 200, Body: []byte("success"), Truncated: true}, nil, delivered, notSuccess},
		{"reset in the body", safehttp.Result{Status: 200, Body: []byte("success"), Truncated: true}, reset, delivered, failure("reset", 0)},
		{"interim", safehttp.Result{Status: 199, Body: []byte("success")}, nil, failure("status 199", 0), failure("status 199", 0)},
		{"redirect", safehttp.Result{Status: 301, Body: []byte("success")}, nil, failure("status 301", 0), failure("status 301", 0)},
		{"gone", safehttp.Result{Status: 410}, nil, gone, gone},
		{"too many", safehttp.Result{Status: 429, RetryAfter: "120"}, nil, failure("status 429", 2*time.Minute), failure("status 429", 2*time.Minute)},
		{"date", safehttp.Result{Status: 503, RetryAfter: "Sun, 22 Nov 2026 05:21:00 GMT"}, nil, failure("status 503", time.Minute), failure("status 503", time.Minute)},
		{"date in the past", safehttp.Result{Status: 503, RetryAfter: "Sun, 22 Nov 2020 05:21:00 GMT"}, nil, failure("status 503", 0), failure("status 503", 0)},
		{"huge", safehttp.Result{Status: 503, RetryAfter: "4294967295"}, nil, failure("status 503", maxScheduleOffset), failure("status 503", maxScheduleOffset)},
		{"nonsense", safehttp.Result{Status: 503, RetryAfter: "-1"}, nil, failure("status 503", 0), failure("status 503", 0)},
		{"error with the word", safehttp.Result{Status: 500, Body: []byte("success")}, nil, failure("status 500", 0), failure("status 500", 0)},
		{"no answer", safehttp.Result{}, reset, failure("reset", 0), failure("reset", 0)},
		{"foreign error", safehttp.Result{}, errors.New("dial 10.0.0.1"), failure("failed", 0), failure("failed", 0)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := judgeWebhook(NotifyStandard, &tt.res, tt.err, now); got != tt.standard {
				t.Errorf("standard: %+v, want %+v", got, tt.standard)
			}
			if got := judgeWebhook(NotifyGet, &tt.res, tt.err, now); got != tt.get {
				t.Errorf("get: %+v, want %+v", got, tt.get)
			}
		})
	}
}

var (
	delivered  = webhookVerdict{Delivered: true}
	gone       = webhookVerdict{Gone: true, Failure: "status 410"}
	notSuccess = failure("answer is not success", 0)
)

func failure(reason string, after time.Duration) webhookVerdict {
	return webhookVerdict{Failure: reason, RetryAfter: after}
}

func FuzzWebhookAnswer(f *testing.F) {
	f.Add([]byte("success"), "120")
	f.Add([]byte("\xef\xbb\xbf SUCCESS\r\n"), "Sun, 22 Nov 2026 05:21:00 GMT")
	f.Add([]byte("unsuccess"), "99999999999999999999")
	now := time.Date(2026, 11, 22, 5, 20, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, body []byte, after string) {
		if d := parseRetryAfter(after, now); d < 0 || d > maxScheduleOffset {
			t.Errorf("parseRetryAfter(%q) = %v, out of bounds", after, d)
		}
		if webhookSuccess(body) && !bytes.Contains(bytes.ToLower(body), []byte("success")) {
			t.Errorf("%q is taken for success", body)
		}
	})
}
