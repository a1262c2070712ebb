package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Credentials of the tests' clients.
const (
	shopID       = "1000000000000001"
	shopSecret   = "shopMARKEDsecretshopMARKEDsecret"
	shopNotify   = "tellMARKEDsecrettellMARKEDsecret"
	shopOldTell  = "oldtellMARKEDkeyoldtellMARKEDkey"
	otherID      = "2000000000000002"
	otherSecret  = "othrMARKEDsecretothrMARKEDsecret"
	desktopAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	wechatAgent  = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.60(0x18003c2f) NetType/WIFI Language/zh_CN"
)

// shop is a client of the relay.
type shop struct {
	http   *http.Client
	url    string // public_url of the relay
	id     string
	secret string
}

var nonces atomic.Uint64

func freshNonce() string { return fmt.Sprintf("blackbox-%016d", nonces.Add(1)) }

// nowText is the time as signatures spell it.
func nowText() string { return strconv.FormatInt(time.Now().Unix(), 10) }

func newShop(publicURL, id, secret string) *shop {
	return &shop{
		http: &http.Client{
			Timeout:   patience,
			Transport: &http.Transport{MaxIdleConnsPerHost: 64},
		},
		url: publicURL, id: id, secret: secret,
	}
}

func (s *shop) host() string { return strings.TrimPrefix(s.url, "http://") }

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a *answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

// code is the code of a refusal.
func (a *answer) code() string {
	var e struct {
		Code string `json:"code"`
	}
	_ = json.Unmarshal(a.body, &e)
	return e.Code
}

// request makes a signed request.
func (s *shop) request(ctx context.Context, method, target, body string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.url+target, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", signHeader(s.secret, s.id, method, s.host(), target, nowText(), freshNonce(), body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, nil
}

// send sends a request and reads the whole answer.
func send(c *http.Client, r *http.Request) (*answer, error) {
	response, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return &answer{status: response.StatusCode, header: response.Header, body: body}, err
}

// try sends a signed request.
func (s *shop) try(ctx context.Context, method, target, body string) (*answer, error) {
	r, err := s.request(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	return send(s.http, r)
}

// call sends a signed request whose answer must have a status, and decodes
// it.
func (s *shop) call(t *testing.T, method, target, body string, status int, into any) {
	t.Helper()
	a, err := s.try(t.Context(), method, target, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	if a.status != status {
		t.Fatalf("%s %s = %s, want %d", method, target, a, status)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		t.Fatalf("%s %s = %s: %v", method, target, a, err)
	}
}

// The JSON of the contract, section 4, as far as the tests read it.
type (
	orderJSON struct {
		OrderNo       string        `json:"order_no"`
		Status        string        `json:"status"`
		Amount        int64         `json:"amount"`
		Currency      string        `json:"currency"`
		CheckoutURL   string        `json:"checkout_url"`
		CreatedAt     time.Time     `json:"created_at"`
		ExpiresAt     time.Time     `json:"expires_at"`
		CloseReason   string        `json:"close_reason"`
		PaidAmount    int64         `json:"paid_amount"`
		PaidAt        string        `json:"paid_at"`
		TransactionID string        `json:"transaction_id"`
		TradeType     string        `json:"trade_type"`
		Payments      []paymentJSON `json:"payments"`
		Case          *struct {
			Kind string `json:"kind"`
		} `json:"case"`
	}
	paymentJSON struct {
		OutTradeNo string            `json:"out_trade_no"`
		TradeType  string            `json:"trade_type"`
		Status     string            `json:"status"`
		CodeURL    string            `json:"code_url"`
		JSAPI      map[string]string `json:"jsapi"`
	}
	eventJSON struct {
		ID        string       `json:"id"`
		Type      string       `json:"type"`
		Timestamp string       `json:"timestamp"`
		Data      eventData    `json:"data"`
		Delivery  deliveryJSON `json:"delivery"`
	}
	eventData struct {
		ClientID      string `json:"client_id"`
		OrderNo       string `json:"order_no"`
		Amount        int64  `json:"amount"`
		Currency      string `json:"currency"`
		Status        string `json:"status"`
		OutTradeNo    string `json:"out_trade_no"`
		TransactionID string `json:"transaction_id"`
		TradeType     string `json:"trade_type"`
		AppID         string `json:"app_id"`
		MchID         string `json:"mch_id"`
		Payer         struct {
			OpenID string `json:"openid"`
		} `json:"payer"`
		PaidAt   string          `json:"paid_at"`
		Attach   string          `json:"attach"`
		Metadata json.RawMessage `json:"metadata"`
	}
	deliveryJSON struct {
		Status        string `json:"status"`
		NextAttemptAt string `json:"next_attempt_at"`
		Attempts      []struct {
			HTTPStatus int    `json:"http_status"`
			Failure    string `json:"failure"`
			Manual     bool   `json:"manual"`
		} `json:"attempts"`
	}
	eventsJSON struct {
		Events  []eventJSON `json:"events"`
		Next    string      `json:"next"`
		HasMore bool        `json:"has_more"`
	}
)

// order creates an order. more is further JSON, each member with a comma
// before it.
func (s *shop) order(t *testing.T, orderNo, more string) orderJSON {
	t.Helper()
	var o orderJSON
	s.call(t, "POST", "/v1/orders", `{"order_no":"`+orderNo+`","amount":100,"description":"tea 茶"`+more+`}`, http.StatusCreated, &o)
	return o
}

// native returns the NATIVE payment of an order, a new one or the living one.
func (s *shop) native(t *testing.T, orderNo string) paymentJSON {
	t.Helper()
	a, err := s.try(t.Context(), "POST", "/v1/orders/"+orderNo+"/payments", `{"trade_type":"native"}`)
	if err != nil {
		t.Fatal(err)
	}
	var p paymentJSON
	if err := json.Unmarshal(a.body, &p); err != nil || a.status/100 != 2 || p.CodeURL == "" {
		t.Fatalf("the payment of %s = %s, want a code", orderNo, a)
	}
	return p
}

func (s *shop) view(t *testing.T, orderNo string) orderJSON {
	t.Helper()
	var o orderJSON
	s.call(t, "GET", "/v1/orders/"+orderNo, "", http.StatusOK, &o)
	return o
}

func (s *shop) event(t *testing.T, id string) eventJSON {
	t.Helper()
	var e eventJSON
	s.call(t, "GET", "/v1/events/"+id, "", http.StatusOK, &e)
	return e
}

// allEvents pages through everything that happened.
func (s *shop) allEvents(t *testing.T) []eventJSON {
	t.Helper()
	var all []eventJSON
	for after := ""; ; {
		var page eventsJSON
		s.call(t, "GET", "/v1/events?after="+after+"&limit=200", "", http.StatusOK, &page)
		all = append(all, page.Events...)
		if !page.HasMore {
			return all
		}
		after = page.Next
	}
}

// eventsOf picks the events of an order.
func eventsOf(all []eventJSON, orderNo string) []eventJSON {
	var own []eventJSON
	for _, e := range all {
		if e.Data.OrderNo == orderNo {
			own = append(own, e)
		}
	}
	return own
}

// awaitStatus waits until an order has a status.
func (s *shop) awaitStatus(t *testing.T, orderNo, status string) orderJSON {
	t.Helper()
	var o orderJSON
	eventually(t, "order "+orderNo+" to be "+status, func() error {
		if o = s.view(t, orderNo); o.Status != status {
			return fmt.Errorf("it is %s", o.Status)
		}
		return nil
	})
	return o
}

// awaitDelivery waits until the telling of an event has a status.
func (s *shop) awaitDelivery(t *testing.T, id, status string) eventJSON {
	t.Helper()
	var e eventJSON
	eventually(t, "delivery of "+id+" to be "+status, func() error {
		if e = s.event(t, id); e.Delivery.Status != status {
			return fmt.Errorf("it is %+v", e.Delivery)
		}
		return nil
	})
	return e
}

// get fetches a page as a browser does.
func get(t *testing.T, c *http.Client, url, agent string, header ...string) *answer {
	t.Helper()
	a, err := fetch(t.Context(), c, url, agent, header...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// fetch is get where a test must not end.
func fetch(ctx context.Context, c *http.Client, url, agent string, header ...string) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", agent)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return send(c, r)
}

// post sends JSON without a signature.
func post(t *testing.T, c *http.Client, url, body string) *answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	a, err := send(c, r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// jsonBody is v as the body of a request.
func jsonBody(v any) *bytes.Reader {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of strings always encode
	}
	return bytes.NewReader(body)
}
