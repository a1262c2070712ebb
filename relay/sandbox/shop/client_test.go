package shop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// The published example of the contract, section 3.5.
const (
	exampleSecret       Secret = "0123456789abcdef0123456789ABCDEF"
	exampleNotifySecret Secret = "abcdef0123456789ABCDEF0123456789"
	exampleClient              = "1000000000000001"
)

// exampleTime is the time of the published example.
var exampleTime = time.Unix(1795296000, 0)

// testOptions are those of a shop whose clock stands still.
func testOptions(relayURL string) Options {
	return Options{
		RelayURL: relayURL, ClientID: exampleClient, Secret: exampleSecret, NotifySecret: exampleNotifySecret,
		Now: func() time.Time { return exampleTime },
	}
}

// newTestClient makes a client of the relay at this address.
func newTestClient(t *testing.T, relayURL string) *Client {
	t.Helper()
	o := testOptions(relayURL)
	o.Rand = bytes.NewReader(bytes.Repeat([]byte{1}, 1<<10))
	c, err := NewClient(o)
	if err != nil {
		t.Fatalf("NewClient: %v", err)
	}
	return c
}

func TestAuthorizationGivesTheKnownAnswers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		method, target, nonce, body, want string
	}{
		"POST": {
			http.MethodPost, "/v1/orders", "5K8264ILTKCH16CQ2502SI8ZNMTM67VS",
			`{"order_no":"A000000001","amount":1,"description":"测试"}`, "a420bMjS49hYHhDgQTNgI3B7jJT6AO+0vlP9Tf8/YyI=",
		},
		"GET": {
			http.MethodGet, "/v1/orders/A000000001?refresh=true", "n0nce-0000000001",
			"", "sqWSVKxyX5ct++f5rLg7GROobRKsGum68JZ7iMRWOsE=",
		},
	}
	for name, test := range tests {
		for _, address := range []string{"https://pay.example.com", "https://PAY.example.com:443/"} {
			c := newTestClient(t, address)
			got := c.authorization(test.method, test.target, exampleTime, test.nonce, []byte(test.body))
			want := fmt.Sprintf(`WXRELAY1-HMAC-SHA256 client_id="%s",timestamp="1795296000",nonce="%s",signature="%s"`, exampleClient, test.nonce, test.want)
			if got != want {
				t.Errorf("%s at %s:\n got %s\nwant %s", name, address, got, want)
			}
		}
	}
}

func TestSignedHostKeepsOnlyUnusualPorts(t *testing.T) {
	t.Parallel()
	for address, want := range map[[2]string]string{
		{"https", "A.example:443"}:  "a.example",
		{"http", "a.example:80"}:    "a.example",
		{"http", "a.example:443"}:   "a.example:443",
		{"https", "a.example:8443"}: "a.example:8443",
		{"http", "[::1]:8080"}:      "[::1]:8080",
	} {
		if got := signedHost(address[0], address[1]); got != want {
			t.Errorf("signedHost(%q, %q) = %q, want %q", address[0], address[1], got, want)
		}
	}
}

func TestCreateOrderSendsWhatItSigned(t *testing.T) {
	t.Parallel()
	var seen *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"order_no":"A1","status":"created","checkout_url":"https://pay.example.com/checkout/t","new":1}`)
	}))
	defer server.Close()
	c := newTestClient(t, server.URL+"/prefix")
	made, err := c.CreateOrder(t.Context(), OrderRequest{OrderNo: "A1", AmountFen: 5, Description: "书"})
	if err != nil || made.CheckoutURL != "https://pay.example.com/checkout/t" {
		t.Fatalf("CreateOrder = %+v, %v", made, err)
	}
	if seen.RequestURI != "/prefix/v1/orders" || string(body) != `{"order_no":"A1","amount":5,"description":"书"}` {
		t.Errorf("sent %s %s", seen.RequestURI, body)
	}
	want := c.authorization(http.MethodPost, "/prefix/v1/orders", exampleTime, strings.Repeat("01", 16), body)
	if got := seen.Header.Get("Authorization"); got != want {
		t.Errorf("Authorization = %s, want %s", got, want)
	}
}

func TestRefusalsAreTyped(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status int
		body   string
		want   RefusalError
	}{
		"of the relay": {409, `{"code":"ORDER_PAID","message":"paid","request_id":"r"}`, RefusalError{HTTPStatus: 409, Code: "ORDER_PAID", Message: "paid", RequestID: "r"}},
		"of a proxy":   {502, `<html>`, RefusalError{HTTPStatus: 502, Code: "Bad Gateway"}},
		"a redirect":   {302, ``, RefusalError{HTTPStatus: 302, Code: "Found"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			defer server.Close()
			_, err := newTestClient(t, server.URL).Event(t.Context(), "evt_1")
			refusal, ok := errors.AsType[*RefusalError](err)
			if !ok || *refusal != test.want {
				t.Errorf("error = %#v, want %+v", err, test.want)
			}
		})
	}
}

func TestRelayThatIsAway(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, err := newTestClient(t, server.URL).Event(t.Context(), "evt_1")
	if err == nil || strings.Contains(err.Error(), server.URL) {
		t.Errorf("error = %v, want one without the address", err)
	}
}

func TestNewReportsEveryFault(t *testing.T) {
	t.Parallel()
	_, err := New(Options{RelayURL: "pay.example.com", ClientID: "1"})
	if err == nil {
		t.Fatal("New accepted nonsense")
	}
	for _, want := range []string{"address", "client id", "secret is empty", "notify secret"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name the %s: %v", want, err)
		}
	}
}

// Secrets never reach a log or a page, whatever prints them (H03).
func TestSecretsAreRedacted(t *testing.T) {
	t.Parallel()
	encoded, err := json.Marshal(exampleSecret)
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{
		fmt.Sprint(exampleSecret), fmt.Sprintf("%+v %#v %q %x", testOptions(""), testOptions(""), exampleSecret, exampleSecret),
		string(encoded), exampleSecret.LogValue().String(),
	} {
		if strings.Contains(got, "0123456789") || strings.Contains(got, "30313233") || !strings.Contains(got, redacted) {
			t.Errorf("printed %s", got)
		}
	}
}
