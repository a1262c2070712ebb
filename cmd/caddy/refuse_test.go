package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// refusal is what a request must be answered.
type refusal struct {
	status int
	code   string
	field  string
}

// check compares an answer with the error body of contract section 3.4.
func (want refusal) check(t *testing.T, name string, a *answer, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	var body map[string]string
	if err := json.Unmarshal(a.body, &body); err != nil {
		t.Errorf("%s: answered %s: %v", name, a, err)
		return
	}
	if a.status != want.status || body["code"] != want.code || body["field"] != want.field || body["message"] == "" || body["request_id"] == "" {
		t.Errorf("%s: answered %s, want %d %s, field %q", name, a, want.status, want.code, want.field)
	}
	for name := range body {
		switch name {
		case "code", "message", "request_id", "field", "upstream_code":
		default:
			t.Errorf("%s: the answer has %q", name, name)
		}
	}
}

// refusals is a server with a client of every restriction.
func refusals(t *testing.T) *server {
	t.Helper()
	return start(t, setup{
		bookshop: "max_amount 5000\n\t\t\tallow native\n\t\t\tallow_origin https://books.example.com",
		clients: `client library {
			id ` + otherID + `
			secret {env.OTHER_SECRET}
			rate 0.001
		}`,
	})
}

// TestRefusesSignature sends what is wrong with a signature, contract section
// 3.4, in its order.
func TestRefusesSignature(t *testing.T) {
	t.Parallel()
	s := refusals(t)
	now := strconv.FormatInt(time.Now().Unix(), 10)
	sign := func(secret, id, timestamp, nonce string) string {
		return signHeader(secret, id, "GET", s.shop.host(), "/v1/events", timestamp, nonce, "")
	}
	good := func() string { return sign(shopSecret, shopID, now, freshNonce()) }
	signError := refusal{401, "SIGN_ERROR", ""}
	noScheme := refusal{401, "SIGN_ERROR", "Authorization"}
	for _, tc := range []struct {
		name   string
		header []string
		want   refusal
	}{
		{"no header", nil, noScheme},
		{"another scheme", []string{"Bearer abc"}, noScheme},
		{"two headers", []string{good(), good()}, refusal{400, "PARAM_ERROR", "Authorization"}},
		{"an item twice", []string{good() + `,nonce="aaaaaaaaaaaaaaaaaaaa"`}, refusal{400, "PARAM_ERROR", "Authorization"}},
		{"an unknown item", []string{good() + `,realm="x"`}, refusal{400, "PARAM_ERROR", "Authorization"}},
		{"an item left out", []string{strings.Replace(good(), `client_id="`+shopID+`",`, "", 1)}, refusal{400, "PARAM_ERROR", "Authorization"}},
		{"a short nonce", []string{sign(shopSecret, shopID, now, "short")}, refusal{400, "PARAM_ERROR", "nonce"}},
		{"too old", []string{sign(shopSecret, shopID, strconv.FormatInt(time.Now().Unix()-302, 10), freshNonce())}, refusal{401, "TIMESTAMP_OUT_OF_RANGE", "timestamp"}},
		{"from the future", []string{sign(shopSecret, shopID, strconv.FormatInt(time.Now().Unix()+330, 10), freshNonce())}, refusal{401, "TIMESTAMP_OUT_OF_RANGE", "timestamp"}},
		{"old and of nobody", []string{sign(shopSecret, "9999999999999999", "1", freshNonce())}, refusal{401, "TIMESTAMP_OUT_OF_RANGE", "timestamp"}},
		{"unknown client", []string{sign(shopSecret, "9999999999999999", now, freshNonce())}, signError},
		{"another's secret", []string{sign(otherSecret, shopID, now, freshNonce())}, signError},
		{"another host", []string{signHeader(shopSecret, shopID, "GET", "pay.example.com", "/v1/events", now, freshNonce(), "")}, signError},
		{"another method", []string{signHeader(shopSecret, shopID, "POST", s.shop.host(), "/v1/events", now, freshNonce(), "")}, signError},
		{"another target", []string{signHeader(shopSecret, shopID, "GET", s.shop.host(), "/v1/events?limit=1", now, freshNonce(), "")}, signError},
		{"another body", []string{signHeader(shopSecret, shopID, "GET", s.shop.host(), "/v1/events", now, freshNonce(), "x")}, signError},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v1/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range tc.header {
			r.Header.Add("Authorization", h)
		}
		a, err := send(s.http, r)
		tc.want.check(t, tc.name, a, err)
	}
}

// TestRefusesOften is the rate of a client, and the nonce that is used twice.
func TestRefusesOften(t *testing.T) {
	t.Parallel()
	s := refusals(t)
	library := newShop(s.url, otherID, otherSecret)
	limited := false
	for range 3 { // a rate below one leaves a burst of one
		a, err := library.try(t.Context(), "GET", "/v1/events", "")
		if err != nil {
			t.Fatal(err)
		}
		if limited = a.status == http.StatusTooManyRequests; limited {
			refusal{429, "FREQUENCY_LIMITED", ""}.check(t, "too often", a, nil)
			if a.header.Get("Retry-After") == "" {
				t.Error("the refusal does not say when to come again")
			}
			break
		}
	}
	if !limited {
		t.Error("the rate is not kept")
	}

	write, err := s.shop.request(t.Context(), "POST", "/v1/orders", `{"order_no":"N000000001","amount":1,"description":"x"}`)
	if err != nil {
		t.Fatal(err)
	}
	again := write.Clone(t.Context())
	again.Body, _ = write.GetBody()
	if a, err := send(s.http, write); err != nil || a.status != http.StatusCreated {
		t.Fatalf("the first = %v, %v", a, err)
	}
	a, err := send(s.http, again)
	refusal{409, "REPLAYED", "nonce"}.check(t, "a write twice", a, err)
	read, err := s.shop.request(t.Context(), "GET", "/v1/events", "")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // reading may be repeated
		if a, err := send(s.http, read.Clone(t.Context())); err != nil || a.status != http.StatusOK {
			t.Errorf("a read twice = %v, %v", a, err)
		}
	}
}

// TestRefusesRequests sends signed requests that ask for what must not be.
func TestRefusesRequests(t *testing.T) {
	t.Parallel()
	s := refusals(t)
	s.shop.order(t, "E000000001", "")
	s.shop.order(t, "E000000002", "")
	s.shop.call(t, "POST", "/v1/orders/E000000002/close", "", http.StatusOK, nil)
	s.shop.call(t, "POST", "/v1/orders/E000000002/close", "", http.StatusOK, nil)
	s.paid(t, "E000000003", "")
	library := newShop(s.url, otherID, otherSecret)

	order := func(members string) string {
		return `{"order_no":"E000000009","amount":1,"description":"x"` + members + `}`
	}
	const orders, param = "/v1/orders", "PARAM_ERROR"
	for _, tc := range []struct {
		name, method, target, body string
		want                       refusal
	}{
		{"malformed", "POST", orders, `{"order_no":`, refusal{400, param, "order_no"}},
		{"a name twice", "POST", orders, order(`,"amount":2`), refusal{400, param, "amount"}},
		{"an unknown name", "POST", orders, order(`,"price":2`), refusal{400, param, "price"}},
		{"another type", "POST", orders, order(`,"attach":7`), refusal{400, param, "attach"}},
		{"a fraction of a fen", "POST", orders, `{"order_no":"E000000009","amount":1.5,"description":"x"}`, refusal{400, param, "amount"}},
		{"no amount", "POST", orders, `{"order_no":"E000000009","description":"x"}`, refusal{400, param, "amount"}},
		{"no money", "POST", orders, `{"order_no":"E000000009","amount":0,"description":"x"}`, refusal{400, param, "amount"}},
		{"a bad number", "POST", orders, `{"order_no":"E 9","amount":1,"description":"x"}`, refusal{400, param, "order_no"}},
		{"a short life", "POST", orders, order(`,"expires_in":59`), refusal{400, param, "expires_in"}},
		{"a foreign address", "POST", orders, order(`,"return_url":"https://books.example.com.evil.example/"`), refusal{400, param, "return_url"}},
		{"too much money", "POST", orders, `{"order_no":"E000000009","amount":5001,"description":"x"}`, refusal{403, "NO_AUTH", "amount"}},
		{"other content", "POST", orders, `{"order_no":"E000000001","amount":101,"description":"tea 茶"}`, refusal{409, "ORDER_CONFLICT", "order_no"}},
		{"too large", "POST", orders, order(`,"attach":"` + strings.Repeat("x", 70_000) + `"`), refusal{413, "BODY_TOO_LARGE", ""}},
		{"unknown order", "GET", orders + "/E000000009", "", refusal{404, "NOT_FOUND", ""}},
		{"unknown event", "GET", "/v1/events/evt_nothing", "", refusal{404, "NOT_FOUND", ""}},
		{"unknown order to pay", "POST", orders + "/E000000009/payments", `{"trade_type":"native"}`, refusal{404, "NOT_FOUND", ""}},
		{"unknown trade type", "POST", orders + "/E000000001/payments", `{"trade_type":"cash"}`, refusal{400, param, "trade_type"}},
		{"trade type not allowed", "POST", orders + "/E000000001/payments", `{"trade_type":"jsapi","openid":"o1"}`, refusal{403, "NO_AUTH", "trade_type"}},
		{"pay a closed order", "POST", orders + "/E000000002/payments", `{"trade_type":"native"}`, refusal{409, "ORDER_CLOSED", ""}},
		{"pay a paid order", "POST", orders + "/E000000003/payments", `{"trade_type":"native"}`, refusal{409, "ORDER_PAID", ""}},
		{"close a paid order", "POST", orders + "/E000000003/close", "", refusal{409, "ORDER_PAID", ""}},
		{"too many events", "GET", "/v1/events?limit=201", "", refusal{400, param, "limit"}},
		{"a bad cursor", "GET", "/v1/events?after=x", "", refusal{400, param, "after"}},
		{"an unknown parameter", "GET", "/v1/events?until=1", "", refusal{400, param, ""}},
		{"delete", "DELETE", orders + "/E000000001", "", refusal{405, "METHOD_NOT_ALLOWED", ""}},
	} {
		a, err := s.shop.try(t.Context(), tc.method, tc.target, tc.body)
		tc.want.check(t, tc.name, a, err)
		if err == nil && a.status == http.StatusMethodNotAllowed && a.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: allowed is %q", tc.name, a.header.Get("Allow"))
		}
	}
	a, err := library.try(t.Context(), "GET", orders+"/E000000001", "")
	refusal{404, "NOT_FOUND", ""}.check(t, "another client's order (C06)", a, err)

	r, err := s.shop.request(t.Context(), "POST", orders, order(""))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "text/plain")
	a, err = send(s.http, r)
	refusal{415, "UNSUPPORTED_MEDIA_TYPE", ""}.check(t, "another media type", a, err)
	if v := s.shop.view(t, "E000000001"); v.Status != "created" || len(v.Payments) != 0 {
		t.Errorf("refused requests changed the order: %+v", v)
	}
}

// TestRefusesForWechat: what WeChat refuses or leaves open is told apart.
func TestRefusesForWechat(t *testing.T) {
	t.Parallel()
	s := refusals(t)
	const pay = `{"trade_type":"native"}`
	s.shop.order(t, "U000000001", "")
	s.fault(t, `{"fault":"api_wrong_signature","operation":"prepay","times":20}`)
	a, err := s.shop.try(t.Context(), "POST", "/v1/orders/U000000001/payments", pay)
	if err != nil || a.status != http.StatusBadGateway && a.status != http.StatusGatewayTimeout {
		t.Errorf("WeChat's answer is not signed by WeChat: %v, %v", a, err)
	}
	s.fault(t, `{"clear":true,"fault":"api_429","operation":"prepay","times":20}`)
	s.shop.order(t, "U000000002", "")
	a, err = s.shop.try(t.Context(), "POST", "/v1/orders/U000000002/payments", pay)
	refusal{502, "UPSTREAM_ERROR", ""}.check(t, "WeChat refuses", a, err)
	if err == nil && !strings.Contains(string(a.body), `"upstream_code":"FREQUENCY_LIMITED"`) {
		t.Errorf("WeChat's code is not passed on: %s", a)
	}
	s.fault(t, `{"clear":true,"fault":"api_cut","operation":"prepay","times":20}`)
	s.shop.order(t, "U000000003", "")
	a, err = s.shop.try(t.Context(), "POST", "/v1/orders/U000000003/payments", pay)
	refusal{504, "UPSTREAM_TIMEOUT", ""}.check(t, "WeChat says nothing", a, err)
	s.fault(t, `{"clear":true}`)
	for _, orderNo := range []string{"U000000001", "U000000002", "U000000003"} {
		s.pay(t, `{"code_url":"`+s.shop.native(t, orderNo).CodeURL+`"}`)
		s.shop.awaitStatus(t, orderNo, "paid")
	}
}
