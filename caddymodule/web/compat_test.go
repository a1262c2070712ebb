package web

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
)

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
	signing  = "client_id=1000000000000001&timestamp=1795296000&nonce_str=n0nce-0000000001&sign_type=HMAC-SHA256&sign=ABC"
)

// compatService takes every v2-style request and writes down its fields.
func compatService(got *relay.CompatRequest, order *relay.CreateOrderRequest) *fakeService {
	return &fakeService{
		authenticate: func(req relay.SignedRequest) error {
			if len(req.Authorization) == 0 {
				return refusal(relay.KindSign, "sign the request")
			}
			return nil
		},
		authenticateV2: func(req relay.CompatRequest) error {
			*got = req
			return nil
		},
		createOrder: func(req relay.CreateOrderRequest) (v relay.CreatedOrderView, created bool, err error) {
			*order = req
			return v, true, nil
		},
		order:  func(string, bool) (relay.OrderView, error) { return relay.OrderView{}, nil },
		events: func(string, int) (relay.EventPage, error) { return relay.EventPage{}, nil },
		event:  func(string) (relay.EventView, error) { return relay.EventView{}, nil },
		createPayment: func(string, relay.CreatePaymentRequest) (v relay.PaymentInvocation, created bool, err error) {
			return v, true, nil
		},
		closeOrder: func(string) (relay.OrderView, error) { return relay.OrderView{}, nil },
	}
}

// TestCompatForms sends one order in each of the three forms of contract
// section 3.3, and checks that relay sees the same fields and the same order.
func TestCompatForms(t *testing.T) {
	t.Parallel()
	const form = "order_no=A000000001&amount=1&description=%E6%B5%8B+%26%2B&metadata=%7B%22a%22%3A1%7D&profit_sharing=true&attach=&" + signing
	const object = `{"order_no":"A000000001","amount":1,"description":"测 &+","metadata":"{\"a\":1}","profit_sharing":true,"attach":"",` +
		`"client_id":"1000000000000001","timestamp":1795296000,"nonce_str":"n0nce-0000000001","sign_type":"HMAC-SHA256","sign":"ABC"}`
	want := map[string]string{
		"order_no": "A000000001", "amount": "1", "description": "测 &+", "metadata": `{"a":1}`, "profit_sharing": "true",
		"client_id": "1000000000000001", "timestamp": "1795296000", "nonce_str": "n0nce-0000000001", "sign_type": "HMAC-SHA256", "sign": "ABC",
	}
	for name, tt := range map[string]struct{ target, media, body string }{
		"form":  {"/v1/orders", formType, form},
		"query": {"/v1/orders?" + form, "", ""},
		"json":  {"/v1/orders", jsonType + "; charset=utf-8", object},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got relay.CompatRequest
			var order relay.CreateOrderRequest
			var header []string
			if tt.media != "" {
				header = []string{"Content-Type", tt.media}
			}
			w := newFace(t, compatService(&got, &order)).do(t, http.MethodPost, tt.target, tt.body, header...)
			if w.Code != http.StatusCreated {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if !maps.Equal(got.Fields, want) || got.Call != "POST /v1/orders" || got.Strong {
				t.Errorf("relay saw %+v, want the fields %v", got, want)
			}
			if order.OrderNo != "A000000001" || order.Amount == nil || *order.Amount != 1 || order.Description != "测 &+" ||
				!order.ProfitSharing || string(order.Metadata) != `{"a":1}` || order.Attach != "" {
				t.Errorf("order %+v", order)
			}
		})
	}
}

// TestCompatCalls lists which calls may be signed v2-style, and which of them
// take no MD5.
func TestCompatCalls(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method, target, fields string
		status                 int
		strong                 bool
	}{
		{"GET", "/v1/orders/A1", "", 200, false},
		{"GET", "/v1/orders/A1", "order_no=A1&refresh=true&", 200, false},
		{"GET", "/v1/events", "after=12&limit=200&", 200, false},
		{"GET", "/v1/events/evt_1", "", 200, false},
		{"POST", "/v1/orders/A1/payments", "trade_type=native&", 201, false},
		{"POST", "/v1/orders/A1/close", "", 200, true},
		{"POST", "/v1/orders/A1/close", "order_no=A1&", 200, true},
		{"POST", "/v1/tickets/" + ticket, "", 200, false},
		{"POST", "/v1/tickets/" + ticket, "ticket=" + ticket + "&", 200, false},
		{"POST", "/v1/tickets/" + ticket, "ticket=another&", 400, false},
		{"GET", "/v1/orders/A1", "order_no=A2&", 400, false},
		{"POST", "/v1/orders/A1/close", "order_no=A2&", 400, true},
		{"GET", "/v1/orders/A1", "refresh=1&", 400, false},
		{"GET", "/v1/events", "limit=0&", 400, false},
		{"POST", "/v1/events/evt_1/deliver", "", 401, false}, // not one of them
	} {
		var got relay.CompatRequest
		var order relay.CreateOrderRequest
		w := newFace(t, compatService(&got, &order)).do(t, tt.method, tt.target+"?"+tt.fields+signing, "")
		if w.Code != tt.status || got.Strong != tt.strong {
			t.Errorf("%s %s?%s: status %d, strong %t; want %d, %t: %s", tt.method, tt.target, tt.fields, w.Code, got.Strong, tt.status, tt.strong, w.Body)
		}
		if got.Fields != nil && got.Call != tt.method+" "+tt.target {
			t.Errorf("%s %s: the call is %q", tt.method, tt.target, got.Call)
		}
	}
}

// TestCompatOnlyKnownNames_C15: book&goods_tag=HALF signs the same as one
// value and as two fields, so that a name that the call does not document is
// refused before the signature is looked at.
func TestCompatOnlyKnownNames_C15(t *testing.T) {
	t.Parallel()
	for name, fields := range map[string]string{
		"unknown":                "body=book&goods_tag=HALF",
		"of another call":        "trade_type=native",
		"of the WXRELAY1 form":   "nonce=n0nce-0000000001",
		"unknown without value":  "goods_tag=",
		"other case":             "Amount=1",
		"escaped":                "%61mount=1",
		"list":                   "a[]=1",
		"list of a known":        "amount[]=1",
		"repeated":               "amount=1&amount=1",
		"repeated, other value":  "amount=1&amount=2",
		"repeated, empty":        "amount=1&amount=",
		"semicolon":              "amount=1;order_no=2",
		"without =":              "amount",
		"empty name":             "=1",
		"empty pair":             "amount=1&",
		"bad escape":             "amount=%zz",
		"not UTF-8":              "description=%ff",
		"blank around the name":  "+amount=1",
		"signature given twice":  "sign=ABC",
		"a name of no character": "%00=1",
	} {
		var got relay.CompatRequest
		var order relay.CreateOrderRequest
		f := newFace(t, compatService(&got, &order))
		for place, send := range map[string]func() (target, body string){
			"query": func() (string, string) { return "/v1/orders?" + fields + "&" + signing, "" },
			"form":  func() (string, string) { return "/v1/orders", signing + "&" + fields },
		} {
			target, body := send()
			w := f.do(t, http.MethodPost, target, body, "Content-Type", formType)
			if w.Code != http.StatusBadRequest || errorBody(t, w).Code != "PARAM_ERROR" {
				t.Errorf("%s in the %s: status %d, want 400 PARAM_ERROR", name, place, w.Code)
			}
		}
		if got.Fields != nil {
			t.Errorf("%s: the signature of %v was looked at", name, got.Fields)
		}
	}
}

// TestCompatBorders_C15: one signature fits a field and the same text as the
// end of its neighbour, so that whoever may choose a description could drop or
// add a field of the shop's order. Text that names nothing of the call, and
// JSON, which cannot be cut so, pass.
func TestCompatBorders_C15(t *testing.T) {
	t.Parallel()
	for fields, status := range map[string]int{
		"description=book%26expires_in%3D604800":       http.StatusBadRequest,
		"attach=a%26b%3D1%26%26client_id%3Dx":          http.StatusBadRequest,
		"attach=a%26sign_type%3DMD5":                   http.StatusBadRequest,
		"attach=id%3D1%26total_fee%3D1":                http.StatusCreated,
		"attach=amount%3D1%26":                         http.StatusCreated,
		"metadata=%7B%22a%22%3A%22%26amount%3D1%22%7D": http.StatusCreated,
	} {
		var got relay.CompatRequest
		var order relay.CreateOrderRequest
		w := newFace(t, compatService(&got, &order)).do(t, http.MethodPost, "/v1/orders?order_no=A1&amount=1&"+fields+"&"+signing, "")
		if w.Code != status || (got.Fields != nil) != (status == http.StatusCreated) {
			t.Errorf("%s: status %d, want %d", fields, w.Code, status)
		}
	}
}

// TestCompatOneSource_C14: a field has one place, and a body is what its
// Content-Type says.
func TestCompatOneSource_C14(t *testing.T) {
	t.Parallel()
	const order = "order_no=A1&amount=1&description=x&"
	const flat = `{"order_no":"A1","amount":1,"description":"x","client_id":"1000000000000001","timestamp":"1","nonce_str":"n","sign":"ABC"`
	for _, tt := range []struct {
		name, method, target, media, body, authorization string
		status                                           int
	}{
		{"query and body", "POST", "/v1/orders?" + signing, formType, order + "a=b", "", 400},
		{"query and empty object", "POST", "/v1/orders?" + order + signing, jsonType, "{}", "", 400},
		{"body and query", "POST", "/v1/orders?amount=1", formType, order + signing, "", 400},
		{"read with a body", "GET", "/v1/orders/A1", formType, signing, "", 400},
		{"json called a form", "POST", "/v1/orders", formType, flat + "}", "", 400},
		{"form called json", "POST", "/v1/orders", jsonType, order + signing, "", 400},
		{"text", "POST", "/v1/orders", "text/plain", order + signing, "", 415},
		{"no type", "POST", "/v1/orders", "", order + signing, "", 415},
		{"gbk", "POST", "/v1/orders", formType + "; charset=gbk", order + signing, "", 415},
		{"multipart", "POST", "/v1/orders", "multipart/form-data; boundary=x", order + signing, "", 415},
		{"nested", "POST", "/v1/orders", jsonType, flat + `,"metadata":{"a":1}}`, "", 400},
		{"list", "POST", "/v1/orders", jsonType, flat + `,"attach":["a"]}`, "", 400},
		{"null", "POST", "/v1/orders", jsonType, flat + `,"attach":null}`, "", 400},
		{"fraction", "POST", "/v1/orders", jsonType, flat + `,"expires_in":60.0}`, "", 400},
		{"repeated member", "POST", "/v1/orders", jsonType, flat + `,"amount":1}`, "", 400},
		{"other case", "POST", "/v1/orders", jsonType, flat + `,"Attach":"a"}`, "", 400},
		{"header and query", "POST", "/v1/orders?" + signing, jsonType, goodOrder, "a", 400},
		{"header and form", "POST", "/v1/orders", formType, order + signing, "a", 400},
		{"header and member", "POST", "/v1/orders", jsonType, flat + "}", "a", 400},
		{"header and read", "GET", "/v1/orders/A1?" + signing, "", "", "a", 400},
		{"unsigned form", "POST", "/v1/orders", formType, order + "attach=x", "", 401},
		{"unsigned, signs of", "POST", "/v1/orders", jsonType, `{"description":"signs","metadata":{"sign":"x"}}`, "", 401},
		{"header, signs of", "POST", "/v1/orders", jsonType, `{"order_no":"A1","description":"signs","metadata":{"sign":"x"}}`, "a", 201},
		{"header, form without sign", "POST", "/v1/orders", formType, order + "attach=x", "a", 415},
	} {
		var got relay.CompatRequest
		var o relay.CreateOrderRequest
		var header []string
		for name, value := range map[string]string{"Content-Type": tt.media, "Authorization": tt.authorization} {
			if value != "" {
				header = append(header, name, value)
			}
		}
		w := newFace(t, compatService(&got, &o)).do(t, tt.method, tt.target, tt.body, header...)
		if w.Code != tt.status {
			t.Errorf("%s: status %d, want %d: %s", tt.name, w.Code, tt.status, w.Body)
		}
		if got.Fields != nil {
			t.Errorf("%s: taken as %v", tt.name, got.Fields)
		}
	}
}

// TestCompatAmounts_C11: the text of an amount is a plain decimal integer.
func TestCompatAmounts_C11(t *testing.T) {
	t.Parallel()
	for value, status := range map[string]int{
		"1": 201, "100": 201, "9223372036854775807": 201,
		"01": 400, "+1": 400, "1.0": 400, "1e0": 400, " 1": 400, "1 ": 400, "0x1": 400, "-0": 400, "１": 400, "1_0": 400,
		"9223372036854775808": 400, "true": 400, "1\n": 400, "{}": 400,
	} {
		var got relay.CompatRequest
		var order relay.CreateOrderRequest
		w := newFace(t, compatService(&got, &order)).do(t, http.MethodPost, "/v1/orders?amount="+url.QueryEscape(value)+"&"+signing, "")
		if w.Code != status {
			t.Errorf("amount %q: status %d, want %d", value, w.Code, status)
		} else if status == 400 {
			if e := errorBody(t, w); e.Field != "amount" {
				t.Errorf("amount %q: field %q", value, e.Field)
			}
		}
	}
}

// TestCompatNamesAreTheBodys keeps every member of a body reachable as a
// field.
func TestCompatNamesAreTheBodys(t *testing.T) {
	t.Parallel()
	want := map[string]fieldKind{
		"order_no": fieldText, "amount": fieldInteger, "description": fieldText, "attach": fieldText, "notify_url": fieldText, "return_url": fieldText,
		"expires_in": fieldInteger, "openid": fieldText, "profit_sharing": fieldFlag, "metadata": fieldObject,
	}
	if got := fieldsOf[relay.CreateOrderRequest](); !maps.Equal(got, want) {
		t.Errorf("fields %v, want %v", got, want)
	}
	for rt, call := range compatCalls {
		if call == nil {
			continue
		}
		for _, name := range compatSigning {
			if _, taken := call.body[name]; taken || !call.knows(name) {
				t.Errorf("route %d: the field %q of the signature is also one of the body, or unknown", rt, name)
			}
		}
	}
}

// FuzzParseForm: what is taken is written by no other text with other
// fields, and encoding it again gives the same fields.
func FuzzParseForm(f *testing.F) {
	f.Add("order_no=A1&amount=1&" + signing)
	f.Add("a=1;b=2&c[]=%zz&&=&d=%20+")
	f.Add("a=&a=1")
	f.Fuzz(func(t *testing.T, text string) {
		fields, err := parseForm(text)
		if err != nil {
			if fields != nil {
				t.Fatalf("refused and filled: %q", fields)
			}
			return
		}
		// What is taken must mean the same to net/url, the parser of others.
		values, err := url.ParseQuery(text)
		if err != nil {
			t.Fatalf("taken here and refused by net/url: %v", err)
		}
		again := url.Values{}
		for name, given := range values {
			if len(given) != 1 || given[0] != fields[name] {
				t.Fatalf("%q is %q here, %q by net/url", name, fields[name], given)
			}
			again.Set(name, given[0])
		}
		if back, err := parseForm(again.Encode()); err != nil || !maps.Equal(back, fields) {
			t.Fatalf("%q reads back as %q, %v", fields, back, err)
		}
	})
}

// FuzzParseFlat: what is taken is one flat object whose values are their
// texts.
func FuzzParseFlat(f *testing.F) {
	f.Add(`{"sign":"A","amount":1,"flag":true,"attach":""}`)
	f.Add(`{"sign":"A","a":{"b":1}}`)
	f.Add(`{"sign":"A","sign":"B"}`)
	f.Fuzz(func(t *testing.T, text string) {
		fields, err := parseFlat([]byte(text))
		if err != nil || fields == nil {
			if err != nil && fields != nil {
				t.Fatalf("refused and filled: %q", fields)
			}
			return
		}
		for name, value := range fields {
			if !plainField(name) || !strings.Contains(text, `"`) {
				t.Fatalf("took %q=%q of %q", name, value, text)
			}
		}
		if len(fields) > strings.Count(text, ":") {
			t.Fatalf("%s has fewer members than %s", text, fmt.Sprint(fields))
		}
	})
}
