package web

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/internal/safehttp"
	"github.com/wxrelay/wxrelay/relay"
)

const goodOrder = `{"order_no":"A000000001","amount":1,"description":"测试"}`

// The order of contract section 3.4: each request has the fault of its row and
// all faults of the rows below it, and must be refused for its own.
func TestChecksHappenInOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		auth   error
		nonce  error
		method string
		body   string
		media  string
		query  string
		status int
		code   string
		calls  string
	}{
		{"method", refusal(relay.KindSign, "x"), nil, "PUT", "{", "text/plain", "?x=1", 405, "METHOD_NOT_ALLOWED", ""},
		{"size", refusal(relay.KindSign, "x"), nil, "POST", strings.Repeat(" ", maxBody+1), "text/plain", "?x=1", 413, "BODY_TOO_LARGE", ""},
		{"form", refusal(relay.KindParam, "x"), refusal(relay.KindReplayed, "x"), "POST", "{", "text/plain", "?x=1", 400, "PARAM_ERROR", "authenticate"},
		{"time", refusal(relay.KindTimestamp, "x"), refusal(relay.KindReplayed, "x"), "POST", "{", "text/plain", "?x=1", 401, "TIMESTAMP_OUT_OF_RANGE", "authenticate"},
		{"signature", refusal(relay.KindSign, "x"), refusal(relay.KindReplayed, "x"), "POST", "{", "text/plain", "?x=1", 401, "SIGN_ERROR", "authenticate"},
		{"rate", refusal(relay.KindRate, "x"), refusal(relay.KindReplayed, "x"), "POST", "{", "text/plain", "?x=1", 429, "FREQUENCY_LIMITED", "authenticate"},
		{"nonce", nil, refusal(relay.KindReplayed, "x"), "POST", "{", "text/plain", "?x=1", 409, "REPLAYED", "authenticate nonce"},
		{"query", nil, nil, "POST", "{", "text/plain", "?x=1", 400, "PARAM_ERROR", "authenticate nonce"},
		{"media type", nil, nil, "POST", "{", "text/plain", "", 415, "UNSUPPORTED_MEDIA_TYPE", "authenticate nonce"},
		{"json", nil, nil, "POST", "{", "application/json", "", 400, "PARAM_ERROR", "authenticate nonce"},
		{"relay", nil, nil, "POST", goodOrder, "application/json", "", 409, "ORDER_CONFLICT", "authenticate nonce create order"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			service := &fakeService{
				authenticate: func(relay.SignedRequest) error { return c.auth },
				checkNonce:   c.nonce,
				createOrder: func(relay.CreateOrderRequest) (v relay.CreatedOrderView, created bool, err error) {
					return v, false, refusal(relay.KindOrderConflict, "x")
				},
			}
			w := newFace(t, service).do(t, c.method, "/v1/orders"+c.query, c.body, "Content-Type", c.media)
			if code := errorBody(t, w).Code; w.Code != c.status || code != c.code {
				t.Errorf("got %d %s, want %d %s", w.Code, code, c.status, c.code)
			}
			if got := service.callList(); got != c.calls {
				t.Errorf("calls %q, want %q", got, c.calls)
			}
		})
	}
}

// A read spends no nonce: asking again with the same signature is harmless.
func TestReadsCheckNoNonce(t *testing.T) {
	t.Parallel()
	service := &fakeService{
		checkNonce: refusal(relay.KindReplayed, "x"),
		order:      func(string, bool) (relay.OrderView, error) { return relay.OrderView{}, nil },
		events:     func(string, int) (relay.EventPage, error) { return relay.EventPage{}, nil },
		event:      func(string) (relay.EventView, error) { return relay.EventView{}, nil },
	}
	f := newFace(t, service)
	for _, rt := range []route{routeOrder, routeEvents, routeEvent} {
		if w := f.do(t, http.MethodGet, routePaths[rt], ""); w.Code != http.StatusOK {
			t.Errorf("%s: status %d, want 200", routePaths[rt], w.Code)
		}
	}
}

// Every route of a client asks for its signature first, and what lacks one
// learns nothing else (threats C01, C06).
func TestEveryClientRouteIsSigned_C01(t *testing.T) {
	t.Parallel()
	for rt, path := range routePaths {
		if !strings.HasPrefix(path, "/v1/") || rt == routeKey || rt == routeScript { // which anybody may read
			continue
		}
		if rt == routeJSSDK { // TestWhoseSignatureIsAsked_I05 is its own
			continue
		}
		service := &fakeService{authenticate: func(relay.SignedRequest) error { return refusal(relay.KindSign, "sign the request") }}
		w := newFace(t, service, func(o *Options) { o.RequestID = func() string { return "r" } }).do(t, methodOf(rt), path, "")
		want := `{"code":"SIGN_ERROR","message":"sign the request","request_id":"r"}`
		if w.Code != http.StatusUnauthorized || w.Body.String() != want {
			t.Errorf("%s: got %d %s, want 401 %s", path, w.Code, w.Body, want)
		}
		if got := service.callList(); got != "authenticate" {
			t.Errorf("%s: calls %q", path, got)
		}
	}
}

func TestSignedPartsReachRelayUntouched_C03(t *testing.T) {
	t.Parallel()
	var got relay.SignedRequest
	f := newFace(t, &fakeService{authenticate: func(r relay.SignedRequest) error {
		got = r
		return refusal(relay.KindSign, "x")
	}}, at("https://example.com/pay"))
	const body = " {\"a\":1}\r\n\xff"
	f.do(t, http.MethodPost, "/pay/v1/orders/A%2FB/payments?b=2&a=%31+%20&&", body, "Authorization", "one", "Authorization", "two")
	want := relay.SignedRequest{
		Method:        http.MethodPost,
		Target:        "/pay/v1/orders/A%2FB/payments?b=2&a=%31+%20&&",
		Authorization: []string{"one", "two"},
		Body:          []byte(body),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTargetOf(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		"/v1/orders":                              "/v1/orders",
		"/v1/orders?x=%2F#f":                      "/v1/orders?x=%2F#f",
		"//v1/orders":                             "//v1/orders",
		"http://evil.example/v1/orders?a=/":       "/v1/orders?a=/",
		"https://pay.example.com:443/pay/v1/x?a=": "/pay/v1/x?a=",
		"http://pay.example.com":                  "/",
		"http://pay.example.com?x=1":              "/?x=1",
		"*":                                       "*",
	} {
		if got := targetOf(&http.Request{RequestURI: sent}); got != want {
			t.Errorf("targetOf(%q) = %q, want %q", sent, got, want)
		}
	}
	if got := targetOf(&http.Request{URL: mustURL(t, "https://h/p?q=1")}); got != "/p?q=1" {
		t.Errorf("without RequestURI: %q, want /p?q=1", got)
	}
}

// What is signed and what is routed must be the same path, however oddly a
// request is written (threats C03).
func FuzzTargetOf(f *testing.F) {
	for _, target := range []string{
		"/v1/orders", "/v1/orders/A%2FB?x=%2F", "//v1//orders", "http://evil.example/v1/orders?x", "http://a?b", "*", "/%zz", "http://a@b:1/c?d#e",
		"https://[::1]:1/a?b=c://d/e", "a://b",
	} {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")))
		if err != nil {
			return
		}
		got := targetOf(r)
		if strings.HasPrefix(r.RequestURI, "/") && got != r.RequestURI {
			t.Fatalf("sent %q, signed %q", r.RequestURI, got)
		}
		if rt, _ := findRoute(PathOf(r.URL)); rt == routeNone {
			return
		}
		path, query, _ := strings.Cut(got, "?")
		signed, err := url.ParseRequestURI(path)
		if err != nil || PathOf(signed) != PathOf(r.URL) {
			t.Fatalf("signed %q, routed %q (%v)", path, PathOf(r.URL), err)
		}
		if query != r.URL.RawQuery {
			t.Fatalf("signed query %q, read %q", query, r.URL.RawQuery)
		}
	})
}

// endless counts what is read of a body that never ends.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	return len(p), nil
}

func (*endless) Close() error { return nil }

func TestBodyLimit_A12(t *testing.T) {
	t.Parallel()
	for _, rt := range []route{routeOrders, routeOrder, routePayments, routeClose, routeRefunds, routeRefund, routeDeliver, routeSplits, routeTicket, routeNotify} {
		path := routePaths[rt]
		f := newFace(t, failing(refusal(relay.KindSign, "x")))
		if w := f.do(t, methodOf(rt), path, strings.Repeat("x", maxBody)); w.Code != http.StatusUnauthorized {
			t.Errorf("%s with 65536 bytes: status %d, want 401", path, w.Code)
		}
		w := f.do(t, methodOf(rt), path, strings.Repeat("x", maxBody+1))
		if w.Code != http.StatusRequestEntityTooLarge || w.Header().Get("Connection") != "close" {
			t.Errorf("%s with 65537 bytes: status %d, Connection %q; want 413, close", path, w.Code, w.Header().Get("Connection"))
		}

		body := &endless{}
		r := httptest.NewRequest(methodOf(rt), path, body)
		r.ContentLength = -1 // chunked
		w = httptest.NewRecorder()
		f.ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge || body.read > 4*maxBody {
			t.Errorf("%s without end: status %d after %d bytes, want 413 soon after 65536", path, w.Code, body.read)
		}

		body = &endless{}
		r = httptest.NewRequest(methodOf(rt), path, body)
		r.ContentLength = 2 << 30
		w = httptest.NewRecorder()
		f.ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge || body.read != 0 {
			t.Errorf("%s announcing 2 GiB: status %d after %d bytes, want 413 after none", path, w.Code, body.read)
		}
	}
}

func TestBrokenBody(t *testing.T) {
	t.Parallel()
	service := &fakeService{}
	f := newFace(t, service)
	r := httptest.NewRequest(http.MethodPost, "/v1/orders", io.MultiReader(strings.NewReader(`{"ord`), failingReader{}))
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	if got := errorBody(t, w); w.Code != http.StatusBadRequest || got.Message != "the body is incomplete" {
		t.Errorf("got %d %+v", w.Code, got)
	}
	if got := service.callList(); got != "" {
		t.Errorf("half a body went to %s", got)
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("connection reset by peer") }

// deadlines is a connection that writes down its deadlines.
type deadlines struct {
	*httptest.ResponseRecorder
	read, write []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.read = append(d.read, t)
	return nil
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.write = append(d.write, t)
	return nil
}

func TestBodyHasADeadlineThatIsLifted_A12(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	for rt, within := range map[route]time.Duration{routeOrders: 10 * time.Second, routeNotify: 4 * time.Second} {
		f := newFace(t, failing(refusal(relay.KindSign, "x")), func(o *Options) { o.Now = func() time.Time { return now } })
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		f.ServeHTTP(w, httptest.NewRequest(http.MethodPost, routePaths[rt], strings.NewReader("{}")))
		if want := []time.Time{now.Add(within), {}}; !reflect.DeepEqual(w.read, want) {
			t.Errorf("%s: read deadlines %v, want %v", routePaths[rt], w.read, want)
		}
	}
}

// A relay's own call for a client must not drive another relay (threats F10).
func TestCallsOfARelayAreRefused_F10(t *testing.T) {
	t.Parallel()
	service := &fakeService{}
	w := newFace(t, service).do(t, http.MethodPost, "/v1/orders", goodOrder, safehttp.MarkerHeader, "1", "Content-Type", "application/json")
	if got := errorBody(t, w).Code; w.Code != http.StatusForbidden || got != "NO_AUTH" {
		t.Errorf("got %d %s, want 403 NO_AUTH", w.Code, got)
	}
	if got := service.callList(); got != "" {
		t.Errorf("calls %q", got)
	}
}

func TestMediaType_C14(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"application/json":                            true,
		"Application/JSON":                            true,
		"application/json; charset=utf-8":             true,
		"application/json;charset=UTF-8":              true,
		"application/json; charset=gbk":               false,
		"application/json; profile=x":                 false,
		"application/x-www-form-urlencoded":           false,
		"multipart/form-data; boundary=x":             false,
		"text/json":                                   false,
		"application/jsonx":                           false,
		"application/json, text/plain":                false,
		"application/json; charset=utf-8; charset=gb": false,
		"": false,
	} {
		if got := isJSON([]string{line}); got != want {
			t.Errorf("isJSON(%q) = %v, want %v", line, got, want)
		}
	}
	if isJSON(nil) || isJSON([]string{"application/json", "application/json"}) {
		t.Error("no line or two lines were taken")
	}
}

func TestOrderJSON_C11_C12(t *testing.T) {
	t.Parallel()
	var req relay.CreateOrderRequest
	if err := decodeJSON([]byte(goodOrder), &req); err != nil {
		t.Fatalf("good order: %v", err)
	}
	if req.OrderNo != "A000000001" || *req.Amount != 1 || req.Description != "测试" {
		t.Errorf("decoded %+v", req)
	}
	for body, field := range map[string]string{
		"":                                "",
		"null":                            "",
		"[]":                              "",
		`"x"`:                             "",
		goodOrder + goodOrder:             "",
		goodOrder + "x":                   "",
		"\ufeff" + goodOrder:              "",
		`{"order_no":"A","order_no":"A"}`: "order_no",
		`{"Amount":1}`:                    "Amount",
		`{"AMOUNT":1}`:                    "AMOUNT",
		`{"total":1}`:                     "total",
		`{"amount":1.0}`:                  "amount",
		`{"amount":1e0}`:                  "amount",
		`{"amount":-0}`:                   "amount",
		`{"amount":01}`:                   "",
		`{"amount":"1"}`:                  "amount",
		`{"amount":null}`:                 "amount",
		`{"amount":true}`:                 "amount",
		`{"amount":9223372036854775808}`:  "amount",
		`{"order_no":1}`:                  "order_no",
		`{"order_no":"\ud800"}`:           "order_no",
		`{"profit_sharing":"true"}`:       "profit_sharing",
		`{"metadata":{"a":1,"a":2}}`:      "metadata",
		`{"metadata":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`: "metadata",
	} {
		err := decodeJSON([]byte(body), &relay.CreateOrderRequest{})
		e, ok := errors.AsType[*relay.Error](err)
		if !ok || e.Kind != relay.KindParam {
			t.Errorf("%q: %v, want a refusal", body, err)
			continue
		}
		if got, _, _ := strings.Cut(e.Field, "."); got != field {
			t.Errorf("%q: field %q, want %q", body, e.Field, field)
		}
	}
}

func TestDecodingIntoTheImpossibleIsNoRefusal(t *testing.T) {
	t.Parallel()
	if _, refused := errors.AsType[*relay.Error](decodeJSON([]byte(`{}`), struct{}{})); refused {
		t.Error("a mistake of ours reads like one of the client's")
	}
}

func FuzzOrderJSON(f *testing.F) {
	f.Add([]byte(goodOrder))
	f.Add([]byte(`{"amount":1e2,"metadata":{"a":[1,{"b":null}]}}`))
	f.Add([]byte(`{"order_no":"A","amount":1,"amount":2}`))
	f.Add([]byte("{\"description\":\"\xff\"}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		var req relay.CreateOrderRequest
		if err := decodeJSON(body, &req); err != nil {
			if e, ok := errors.AsType[*relay.Error](err); !ok || e.Kind != relay.KindParam {
				t.Fatalf("not a refusal: %v", err)
			}
			if !reflect.ValueOf(req).IsZero() {
				t.Fatalf("refused and filled: %+v", req)
			}
			return
		}
		// What is taken must mean the same to encoding/json, the decoder of
		// most others.
		var other relay.CreateOrderRequest
		d := json.NewDecoder(strings.NewReader(string(body)))
		d.DisallowUnknownFields()
		if err := d.Decode(&other); err != nil {
			t.Fatalf("taken here and refused by encoding/json: %v", err)
		}
		// Raw text may be kept with or without the blanks around it.
		req.Metadata, other.Metadata = nil, nil
		if !reflect.DeepEqual(req, other) {
			t.Fatalf("%+v here, %+v by encoding/json", req, other)
		}
	})
}

func TestQuery_C14(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                      "map[]",
		"after=12&limit=200":    "map[after:12 limit:200]",
		"limit=200&after=":      "map[after: limit:200]",
		"%61fter=1":             "map[after:1]",
		"after=1&after=1":       "after",
		"after=1&%61fter=2":     "after",
		"limit=1&x=1":           "-",
		"after[]=1":             "-",
		"After=1":               "-",
		"after=1;limit=2":       "-",
		"after=%zz":             "-",
		"=":                     "-",
		"after=1&limit=2&sig=x": "-",
	} {
		values, err := parseQuery(raw, "after", "limit")
		got := fmt.Sprint(values)
		if e, ok := errors.AsType[*relay.Error](err); ok {
			if got = e.Field; got == "" {
				got = "-"
			}
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", raw, got, want)
		}
	}
}

func TestNumbersAreStrict(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]int{
		"1": 1, "200": 200, "0": 0, "201": 0, "-1": 0, "+1": 0, "01": 0, " 1": 0, "1 ": 0, "": 0,
		"1.0": 0, "1e2": 0, "0x10": 0, "１": 0, "99999999999999999999": 0, "1_0": 0,
	} {
		got, err := intParam(map[string]string{"limit": value}, "limit", 200, 50)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: got %d %v, want %d", value, got, err, want)
		}
	}
	if got, err := intParam(nil, "limit", 200, 50); got != 50 || err != nil {
		t.Errorf("absent: %d %v", got, err)
	}
}

func TestBooleansAreStrict(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"true": "true", "false": "false", "True": "", "1": "", "": "", "yes": "", "true ": "",
	} {
		got, err := refreshParam(map[string]string{"refresh": value})
		if (err == nil) != (want != "") || (err == nil && fmt.Sprint(got) != want) {
			t.Errorf("%q: got %v %v, want %q", value, got, err, want)
		}
	}
}

// rawExchange sends bytes over a real connection and reads the answer: its
// status, and whether the connection ends with it.
func rawExchange(t *testing.T, h http.Handler, request string) (status int, closes bool) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("reading answer: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatalf("reading answer: %v", err)
	}
	return resp.StatusCode, resp.Close
}

// oneLine is the part of relay's check that these tests need.
func oneLine(req relay.SignedRequest) error {
	if len(req.Authorization) != 1 {
		return refusal(relay.KindParam, "send the header once")
	}
	return nil
}

func TestDoubledHeadersOnTheWire_C18(t *testing.T) {
	t.Parallel()
	const first = "POST /v1/orders HTTP/1.1\r\nHost: pay.example.com\r\nContent-Type: application/json\r\n"
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"one of each": {first + "Authorization: a\r\nContent-Length: 2\r\n\r\n{}", 201},
		"two Authorization lines": {
			first + "Authorization: a\r\nAuthorization: b\r\nContent-Length: 2\r\n\r\n{}", 400,
		},
		"two lines of other case": {
			first + "AUTHORIZATION: a\r\nauthorization: b\r\nContent-Length: 2\r\n\r\n{}", 400,
		},
		"two Content-Type lines": {
			first + "Content-Type: application/json\r\nAuthorization: a\r\nContent-Length: 2\r\n\r\n{}", 415,
		},
		"two lengths": {first + "Authorization: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400},
		"bare LF in a chunk line": {
			first + "Authorization: a\r\nTransfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n", 400,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFace(t, &fakeService{
				authenticate: oneLine,
				createOrder: func(relay.CreateOrderRequest) (relay.CreatedOrderView, bool, error) {
					return relay.CreatedOrderView{}, true, nil
				},
			})
			if status, _ := rawExchange(t, f, c.request); status != c.status {
				t.Errorf("status %d, want %d", status, c.status)
			}
		})
	}
}

// Given a length and chunks, net/http goes by the chunks and tells nobody of
// the length; a proxy in front may have gone by the length. Whatever follows
// such a body must not be taken for a request.
func TestLengthBesideChunksIsNotSmuggled_C18(t *testing.T) {
	t.Parallel()
	service := &fakeService{
		authenticate: oneLine,
		createOrder: func(relay.CreateOrderRequest) (relay.CreatedOrderView, bool, error) {
			return relay.CreatedOrderView{}, true, nil
		},
		order: func(string, bool) (relay.OrderView, error) { return relay.OrderView{}, nil },
	}
	f := newFace(t, service)
	status, closes := rawExchange(t, f, "POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: a\r\n"+
		"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nGET /v1/orders/A1 HTTP/1.1\r\nHost: x\r\nAuthorization: b\r\n\r\n")
	if !closes {
		t.Errorf("status %d on a connection that stays open", status)
	}
	if got, want := service.callList(), "authenticate nonce create order"; got != want {
		t.Errorf("calls %q, want %q", got, want)
	}
}
