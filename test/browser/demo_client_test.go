package browser

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The demo shop's credentials, as Caddyfile.example publishes them.
const (
	demoClientID = "1000000000000001"
	demoSecret   = "0123456789abcdef0123456789ABCDEF"
)

// demoHTTP bounds every call that a test makes by itself.
var demoHTTP = &http.Client{Timeout: tabLimit, Transport: &http.Transport{Proxy: nil}}

// call makes a request that is signed as the demo shop signs, whose answer
// must have a status, and decodes it.
func (d *demo) call(method, target, body string, status int, into any) {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.relay+target, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	timestamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), rand.Text()
	digest := sha256.Sum256([]byte(body))
	mac := hmac.New(sha256.New, []byte(demoSecret))
	for _, line := range []string{
		"WXRELAY1-HMAC-SHA256", demoClientID, method, r.URL.Host, target, timestamp, nonce, hex.EncodeToString(digest[:]),
	} {
		_, _ = io.WriteString(mac, line+"\n") // never fails
	}
	r.Header.Set("Authorization", fmt.Sprintf(`WXRELAY1-HMAC-SHA256 client_id="%s",timestamp="%s",nonce="%s",signature="%s"`,
		demoClientID, timestamp, nonce, base64.StdEncoding.EncodeToString(mac.Sum(nil))))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	d.send(r, status, into)
}

// pay lets the buyer pay on the sandbox's phone.
func (d *demo) pay(request string) {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, d.sandbox+"/sandbox/pay", strings.NewReader(request))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	var paid struct {
		TradeState string `json:"trade_state"`
	}
	d.send(r, http.StatusOK, &paid)
	if paid.TradeState != "SUCCESS" {
		d.t.Fatalf("paying %s leaves the payment %q", request, paid.TradeState)
	}
}

// fault arranges what goes wrong next at the sandbox.
func (d *demo) fault(name string) {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, d.sandbox+"/sandbox/faults", strings.NewReader(`{"fault":"`+name+`"}`))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	d.send(r, http.StatusOK, nil)
}

func (d *demo) send(r *http.Request, status int, into any) {
	d.t.Helper()
	answer, err := demoHTTP.Do(r)
	if err != nil {
		d.t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != status {
		d.t.Fatalf("%s %s = %d %s, %v; want %d", r.Method, r.URL.Path, answer.StatusCode, body, err, status)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(body, into); err != nil {
		d.t.Fatalf("%s %s = %s: %v", r.Method, r.URL.Path, body, err)
	}
}

// order creates an order without the shop's pages and returns its cashier's
// address.
func (d *demo) order(orderNo string) string {
	d.t.Helper()
	var made struct {
		CheckoutURL string `json:"checkout_url"`
	}
	d.call(http.MethodPost, "/v1/orders", `{"order_no":"`+orderNo+`","amount":800,"description":"一杯龙井",`+
		`"return_url":"`+d.sandbox+`/shop/return"}`, http.StatusCreated, &made)
	return made.CheckoutURL
}
