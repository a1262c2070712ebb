package payv2

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What the tests of this package agree on.
const (
	testMchID = "1900000109"
	testAppID = "wx8888888888888888"
	testKey   = "0123456789abcdef0123456789ABCDEF"
	oldKey    = "ABCDEF0123456789abcdef0123456789"
)

var testNow = time.Date(2026, 11, 22, 5, 20, 0, 0, time.UTC)

// fixedClock is a clock that stands still.
func fixedClock() time.Time { return testNow }

// newTestClient returns a client for HMAC-SHA256 with the fixed clock; change
// alters its options.
func newTestClient(tb testing.TB, change func(*ClientOptions)) *Client {
	tb.Helper()
	o := ClientOptions{
		MchID:       testMchID,
		Key:         []byte(testKey),
		SignType:    SignHMACSHA256,
		Certificate: &tls.Certificate{Certificate: [][]byte{[]byte("test")}},
		BaseURL:     "https://primary.example",
		BackupURL:   "https://backup.example",
		HTTP:        func(*tls.Certificate) *http.Client { return &http.Client{Transport: roundTripper(noRequest)} },
		Now:         fixedClock,
	}
	if change != nil {
		change(&o)
	}
	c, err := NewClient(o)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func noRequest(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// serve makes a handler answer requests without a network.
func serve(h http.HandlerFunc) func(*tls.Certificate) *http.Client {
	return func(*tls.Certificate) *http.Client {
		return &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if err := r.Context().Err(); err != nil {
				return nil, err
			}
			w := httptest.NewRecorder()
			h(w, r)
			return w.Result(), nil
		})}
	}
}

// wechat plays WeChat for calls to path: it verifies each request like WeChat
// and answers with what answer makes of its fields.
func wechat(t *testing.T, path string, answer func(request Message) Message) func(*ClientOptions) {
	t.Helper()
	return func(o *ClientOptions) {
		o.HTTP = serve(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			m, err := ParseMessage(body)
			if err != nil {
				t.Errorf("request: %v", err)
				return
			}
			st, err := VerifyRequest(m, o.Key)
			if err != nil {
				t.Errorf("request: %v", err)
			}
			h := r.Header
			if r.Method != http.MethodPost || r.URL.RequestURI() != path || h.Get("Content-Type") != "text/xml; charset=utf-8" || h.Get("User-Agent") != "wxrelay" {
				t.Errorf("got %s %s, %v", r.Method, r.URL.RequestURI(), h)
			}
			reply, err := SignedReply(answer(m), o.Key, st, rand.Reader)
			if err != nil {
				t.Error(err)
			}
			_, _ = w.Write(reply)
		})
	}
}

// success are the common fields of a good answer beside others.
func success(fields ...string) Message {
	return edited(Message{"appid": testAppID, "mch_id": testMchID, "result_code": "SUCCESS"}, fields...)
}

// edited returns a copy of m with fields set, or left out for "-".
func edited(m Message, fields ...string) Message {
	m = maps.Clone(m)
	for i := 0; i+1 < len(fields); i += 2 {
		m[fields[i]] = fields[i+1]
		if fields[i+1] == "-" {
			delete(m, fields[i])
		}
	}
	return m
}

// signedBody signs and encodes fields.
func signedBody(tb testing.TB, m Message, key string, st SignType) []byte {
	tb.Helper()
	m = maps.Clone(m)
	m[fieldSign] = Sign(m, []byte(key), st)
	return m.Encode()
}

// goodPayment is a payment's statement.
func goodPayment() *Transaction {
	return &Transaction{
		AppID: testAppID, MchID: testMchID, OutTradeNo: "A000000001", TransactionID: "4200000015201711256947025404",
		TradeType: TradeNative, TradeState: StateSuccess, OpenID: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", TotalFen: 100, CashFen: 90,
		FeeType: "CNY", BankType: "OTHERS", Attach: "a&b <c>", TimeEnd: testNow,
	}
}

// goodRefund is a refund's notice.
func goodRefund() *RefundNotice {
	return &RefundNotice{
		AppID: testAppID, MchID: testMchID, TransactionID: "4200000015201711256947025404", OutTradeNo: "A000000001",
		RefundID: "50000404922017112502468056157", OutRefundNo: "R000000001", TotalFen: 100, RefundFen: 60, SettlementRefundFen: 60,
		Status: RefundSuccess, SuccessTime: testNow, Receiver: "支付用户零钱", Account: "REFUND_SOURCE_UNSETTLED_FUNDS", Source: "VENDOR_PLATFORM",
	}
}

// vector is one known answer.
type vector[In, Want any] struct {
	ID        string `json:"id"`
	Presorted bool   `json:"presorted"` // in an order that Go's maps do not keep
	Input     In     `json:"input"`
	Expected  Want   `json:"expected"`
}

// forEachVector runs test for every vector of a kind.
func forEachVector[In, Want any](t *testing.T, kind string, test func(t *testing.T, v vector[In, Want])) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "vectors", kind+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Kind    string             `json:"kind"`
		Vectors []vector[In, Want] `json:"vectors"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if file.Kind != kind || len(file.Vectors) == 0 {
		t.Fatalf("file holds %d vectors of kind %q", len(file.Vectors), file.Kind)
	}
	for _, v := range file.Vectors {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			test(t, v)
		})
	}
}

// noSecrets makes sure that an error tells nothing of what was posted.
func noSecrets(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{testKey, oldKey, "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "A000000001"} {
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("error %q has %q", err, secret)
		}
	}
}
