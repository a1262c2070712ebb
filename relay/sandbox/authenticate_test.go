package sandbox

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// merchantsOfAllKinds are merchants whose credentials are not in order; they
// sign with the default merchant's key.
func merchantsOfAllKinds() []Merchant {
	public := DefaultCredentials().PublicKey
	key := []byte(DefaultAPIv3Key)
	return []Merchant{
		{MchID: "21", Certificates: []MerchantCertificate{{Serial: "21", PublicKey: public}}},
		{MchID: "22", APIv3Key: key},
		{MchID: "23", APIv3Key: key, Certificates: []MerchantCertificate{
			{Serial: "E1", PublicKey: public, Status: CertificateExpired},
			{Serial: "E2", PublicKey: public, Status: CertificateRevoked},
			{Serial: "E3", PublicKey: public, Status: CertificateReplaced},
			{Serial: "E4", PublicKey: &forgerKey().PublicKey},
		}},
	}
}

// One row per documented text of v3.md 3.
func TestAuthenticateRefuses(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{Merchants: merchantsOfAllKinds()})
	replace := func(from, to string) func(string) string {
		return func(a string) string { return strings.Replace(a, from, to, 1) }
	}
	tests := map[string]struct {
		spoil func(*call)
		text  string
		field string // of the detail
	}{
		"no header":         {func(c *call) { c.header = http.Header{"Authorization": nil} }, textMalformed, "Authorization"},
		"two headers":       {func(c *call) { c.header = http.Header{"Authorization": {"a", "b"}} }, textMalformed, "Authorization"},
		"other scheme":      {func(c *call) { c.authorization = replace("RSA2048", "SM3") }, textScheme, "Authorization"},
		"lower-case scheme": {func(c *call) { c.authorization = strings.ToLower }, textScheme, "Authorization"},
		"two blanks":        {func(c *call) { c.authorization = replace(" ", "  ") }, textMalformed, "Authorization"},
		"missing item":      {func(c *call) { c.authorization = replace(`mchid="`+DefaultMchID+`",`, "") }, textMalformed, "Authorization"},
		"repeated item":     {func(c *call) { c.authorization = replace(`mchid="`, `mchid="1",mchid="`) }, textMalformed, "Authorization"},
		"unknown item":      {func(c *call) { c.authorization = replace(`mchid="`, `realm="1",mchid="`) }, textMalformed, "Authorization"},
		"no quotes":         {func(c *call) { c.authorization = replace(`"`+DefaultMchID+`"`, DefaultMchID) }, textMalformed, "Authorization"},
		"nonce of 33":       {func(c *call) { c.authorization = replace(`nonce_str="`, `nonce_str="`+strings.Repeat("0", 20)) }, textMalformed, "Authorization"},
		"no APIv3 key":      {func(c *call) { c.mchID, c.serial = "21", "21" }, textNoKey, ""},
		"no certificate":    {func(c *call) { c.mchID = "22" }, textNoCertificate, ""},
		"wrong serial":      {func(c *call) { c.serial = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1" }, textWrongSerial, "serial_no"},
		"expired":           {func(c *call) { c.mchID, c.serial = "23", "E1" }, textExpired, "serial_no"},
		"revoked":           {func(c *call) { c.mchID, c.serial = "23", "E2" }, textRevoked, "serial_no"},
		"replaced":          {func(c *call) { c.mchID, c.serial = "23", "E3" }, textReplaced, "serial_no"},
		"other key":         {func(c *call) { c.mchID, c.serial = "23", "E4" }, textSignature, "signature"},
		"too old":           {func(c *call) { c.at = testNow.Add(-301 * time.Second) }, textTimestamp, "timestamp"},
		"too early":         {func(c *call) { c.at = testNow.Add(301 * time.Second) }, textTimestamp, "timestamp"},
		"changed body":      {func(c *call) { c.sentBody = c.body + " " }, textSignature, "signature"},
		"changed target":    {func(c *call) { c.sentTarget = c.target + "?a=b" }, textSignature, "signature"},
		"changed nonce":     {func(c *call) { c.authorization = replace("nonce0", "nonce1") }, textSignature, "signature"},
		"changed timestamp": {func(c *call) { c.authorization = replace(`timestamp="17`, `timestamp="18`) }, textTimestamp, "timestamp"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := native(prepayBody(t, nil))
			test.spoil(&c)
			w := c.send(t, s)
			mustStatus(t, w, http.StatusUnauthorized)
			e := errorOf(t, w)
			if e.Code != "SIGN_ERROR" || e.Message != test.text {
				t.Errorf("refusal = %s %q, want SIGN_ERROR %q", e.Code, e.Message, test.text)
			}
			if test.field == "" {
				return
			}
			if e.Detail == nil || e.Detail.Field != test.field || e.Detail.Location != "authorization" {
				t.Errorf("detail = %+v, want the field %s of authorization", e.Detail, test.field)
			}
			if id := w.Header().Get("Request-Id"); !strings.HasSuffix(id, "-268443699") {
				t.Errorf("Request-ID = %q, want the number of signatures", id)
			}
		})
	}
}

func TestWrongSignatureShowsWhatWasSigned(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	c := native(prepayBody(t, map[string]any{"description": strings.Repeat("书", 42)}))
	c.sentBody = c.body + " "
	e := errorOf(t, c.send(t, s))
	if e.Detail == nil || e.Detail.SignInformation == nil {
		t.Fatalf("detail = %+v, want sign_information", e.Detail)
	}
	info := e.Detail.SignInformation
	if info.Method != http.MethodPost || info.URL != c.target || e.Detail.Issue != "sign not match" {
		t.Errorf("sign_information = %+v of %q", info, e.Detail.Issue)
	}
	prefix := "POST\n" + c.target + "\n1795320000\n"
	if !strings.HasPrefix(info.TruncatedSignMessage, prefix) || len(info.TruncatedSignMessage) > truncatedMessage {
		t.Errorf("truncated message = %q, want at most %d bytes that begin with %q", info.TruncatedSignMessage, truncatedMessage, prefix)
	}
	if want := len(prefix) + len("nonce0123456789ABCDEF\n") + len(c.sentBody) + 1; info.SignMessageLength != want {
		t.Errorf("length = %d, want %d", info.SignMessageLength, want)
	}
}

func TestUnknownMerchantIsNamed(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	c := native(prepayBody(t, nil))
	c.mchID = "404"
	w := c.send(t, s)
	mustStatus(t, w, http.StatusBadRequest)
	if e := errorOf(t, w); e.Code != "MCH_NOT_EXISTS" {
		t.Errorf("code = %s, want MCH_NOT_EXISTS", e.Code)
	}
}

// The signature covers the target as it was sent, whatever a proxy or a
// handler in front made of the address.
func TestSignatureCoversTheTargetAsSent(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	c := native(prepayBody(t, map[string]any{"out_trade_no": "a|b*cd"}))
	mustStatus(t, c.send(t, s), http.StatusOK)
	asked := query("a%7Cb%2Acd")
	mustStatus(t, asked.send(t, s), http.StatusOK)

	r := query("a%7Cb%2Acd").request(t)
	r.URL.RawQuery = "mchid=" + DefaultMchID + "&added=1"
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	mustStatus(t, w, http.StatusOK)
}
