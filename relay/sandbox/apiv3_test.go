package sandbox

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRequiredHeaders(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	tests := map[string]struct {
		header http.Header
		field  string // of the refusal; empty when all is well
	}{
		"no Accept":              {http.Header{"Accept": nil}, "Accept"},
		"Accept without JSON":    {http.Header{"Accept": {"text/html, image/*"}}, "Accept"},
		"Accept of anything":     {http.Header{"Accept": {"*/*"}}, ""},
		"Accept of a list":       {http.Header{"Accept": {"text/html, application/json;q=0.9"}}, ""},
		"no User-Agent":          {http.Header{"User-Agent": nil}, "User-Agent"},
		"no Content-Type":        {http.Header{"Content-Type": nil}, "Content-Type"},
		"other Content-Type":     {http.Header{"Content-Type": {"text/plain"}}, "Content-Type"},
		"two Content-Types":      {http.Header{"Content-Type": {"application/json", "text/plain"}}, "Content-Type"},
		"with a charset":         {http.Header{"Content-Type": {"application/json; charset=utf-8"}}, ""},
		"unknown serial":         {http.Header{"Wechatpay-Serial": {"PUB_KEY_ID_1"}}, "Wechatpay-Serial"},
		"two serials":            {http.Header{"Wechatpay-Serial": {DefaultPublicKeyID, DefaultPublicKeyID}}, "Wechatpay-Serial"},
		"new serial before time": {http.Header{"Wechatpay-Serial": {rotatedPlatformSerial}}, "Wechatpay-Serial"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := native(prepayBody(t, nil))
			c.header = test.header
			w := c.send(t, s)
			if test.field == "" {
				mustStatus(t, w, http.StatusOK)
				return
			}
			mustStatus(t, w, http.StatusBadRequest)
			e := errorOf(t, w)
			if e.Code != "PARAM_ERROR" || e.Detail == nil || e.Detail.Field != test.field || e.Detail.Location != "header" {
				t.Errorf("refusal = %s, want PARAM_ERROR with the header %s", w.Body, test.field)
			}
		})
	}
}

func TestQueryNeedsNoContentType(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	mustStatus(t, native(prepayBody(t, nil)).send(t, s), http.StatusOK)
	mustStatus(t, query("T00001").send(t, s), http.StatusOK)
}

func TestBodyIsBounded(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	w := native(strings.Repeat(" ", maxBody+1)).send(t, s)
	mustStatus(t, w, http.StatusRequestEntityTooLarge)
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	tests := map[string]struct {
		method, path string
		status       int
	}{
		"unknown":           {http.MethodGet, "/v3/pay/transactions/facepay", 404},
		"id in other case":  {http.MethodGet, "/v3/Pay/transactions/id/1", 404},
		"slash at the end":  {http.MethodPost, "/v3/pay/transactions/native/", 404},
		"prepay by GET":     {http.MethodGet, "/v3/pay/transactions/native", 405},
		"query by POST":     {http.MethodPost, "/v3/pay/transactions/id/1", 405},
		"close by GET":      {http.MethodGet, "/v3/pay/transactions/out-trade-no/T00001/close", 405},
		"certificates, PUT": {http.MethodPut, "/v3/certificates", 405},
		"two variables":     {http.MethodGet, "/v3/refund/domestic/refunds/a/b", 404},
		"no variable":       {http.MethodGet, "/v3/pay/transactions/id/", 404},
		"needs a signature": {http.MethodGet, "/v3/certificates", 401},
	}
	for name, test := range tests {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(test.method, test.path, nil))
		if w.Code != test.status {
			t.Errorf("%s: status = %d, want %d", name, w.Code, test.status)
		}
	}
}

// A merchant checks every success, empty ones too, with the key that it
// asked for.
func TestSuccessesAreSignedWithTheKeyAskedFor(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		asked, want string
	}{
		"nothing asked": {"", defaultPlatformSerial},
		"certificate":   {defaultPlatformSerial, defaultPlatformSerial},
		"public key":    {DefaultPublicKeyID, DefaultPublicKeyID},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t, Options{})
			for _, c := range []call{native(prepayBody(t, nil)), query("T00001"), closing("T00001")} {
				if test.asked != "" {
					c.header = http.Header{"Wechatpay-Serial": {test.asked}}
				}
				w := c.send(t, s)
				serial, err := ring(t).Verify(t.Context(), w.Header(), w.Body.Bytes(), testNow)
				if err != nil || serial != test.want {
					t.Errorf("%s: signed with %q, %v, want %q", c.target, serial, err, test.want)
				}
				if id := w.Header().Get("Request-Id"); !strings.HasSuffix(id, "-0") {
					t.Errorf("%s: Request-ID = %q, want one that ends in -0", c.target, id)
				}
			}
		})
	}
}
