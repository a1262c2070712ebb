package relay

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// compatQuery signs the parameters of the second handshake v2-style.
func compatQuery(secret Secret, signType string, edit ...string) string {
	fields := map[string]string{
		"order_no": "A000000001", "amount": "1", "client_id": vectorClient, "timestamp": "1795296000", "nonce_str": "n0nce-0000000002",
	}
	if signType != "" {
		fields["sign_type"] = signType
	}
	for i := 0; i < len(edit); i += 2 {
		fields[edit[i]] = edit[i+1]
	}
	kind := V2SignMD5
	if signType == string(V2SignHMACSHA256) {
		kind = V2SignHMACSHA256
	}
	fields["sign"] = SignV2(fields, secret, kind)
	values := url.Values{}
	for name, value := range fields {
		if value != "" {
			values.Set(name, value)
		}
	}
	return values.Encode()
}

// TestCompatLink_C16 opens the cashier by a v2-style link, and by links that
// somebody changed.
func TestCompatLink_C16(t *testing.T) {
	t.Parallel()
	c, o, standard := linkFixture()
	c.Compat = CompatHMAC
	at := time.Unix(1795296000, 0)
	good := compatQuery(c.Secrets[0], "HMAC-SHA256")
	for name, tt := range map[string]struct {
		compat CompatMode
		query  string
		want   Kind // 0: accepted
	}{
		"HMAC-SHA256":           {CompatHMAC, good, 0},
		"standard beside":       {CompatHMAC, standard[strings.Index(standard, "?")+1:], 0},
		"MD5 allowed":           {CompatMD5, compatQuery(c.Secrets[0], "MD5"), 0},
		"MD5 unsaid":            {CompatMD5, compatQuery(c.Secrets[0], ""), 0},
		"MD5 not allowed":       {CompatHMAC, compatQuery(c.Secrets[0], "MD5"), KindSign},
		"no compat":             {"", good, KindSign},
		"appended":              {CompatHMAC, good + "&total_fee=1", KindParam},
		"repeated":              {CompatHMAC, good + "&amount=1", KindParam},
		"unknown but signed":    {CompatHMAC, compatQuery(c.Secrets[0], "HMAC-SHA256", "x", "1"), KindParam},
		"amount changed":        {CompatHMAC, strings.Replace(good, "amount=1&", "amount=2&", 1), KindSign},
		"other order":           {CompatHMAC, compatQuery(c.Secrets[0], "HMAC-SHA256", "order_no", "A000000002"), KindSign},
		"other amount":          {CompatHMAC, compatQuery(c.Secrets[0], "HMAC-SHA256", "amount", "01"), KindSign},
		"other client":          {CompatHMAC, compatQuery(c.Secrets[0], "HMAC-SHA256", "client_id", "2000000000000002"), KindSign},
		"wrong secret":          {CompatHMAC, compatQuery(NewSecret("x"), "HMAC-SHA256"), KindSign},
		"late":                  {CompatHMAC, compatQuery(c.Secrets[0], "HMAC-SHA256", "timestamp", "1795295699"), KindTimestamp},
		"without order":         {CompatHMAC, compatQuery(c.Secrets[0], "HMAC-SHA256", "order_no", ""), KindSign},
		"short nonce":           {CompatHMAC, compatQuery(c.Secrets[0], "HMAC-SHA256", "nonce_str", "n"), KindParam},
		"both forms":            {CompatHMAC, good + "&sig=x", KindParam},
		"malformed":             {CompatHMAC, good + "&%zz", KindParam},
		"sign in another field": {CompatHMAC, strings.Replace(good, "&sign=", "&total=", 1), KindSign},
	} {
		c.Compat = tt.compat
		err := verifyCheckoutLink(c, o, vectorHost, "/checkout/tok3n?"+tt.query, at)
		if kindOf(err) != tt.want {
			t.Errorf("%s: %v, want kind %d", name, err, tt.want)
		}
	}
}

// FuzzParseCompatLink: never panics; what it accepts has each parameter once
// and none that is not documented.
func FuzzParseCompatLink(f *testing.F) {
	f.Add(compatQuery(NewSecret(vectorSecret), "HMAC-SHA256"))
	f.Add("order_no=1&order_no=2&sign=")
	f.Fuzz(func(t *testing.T, query string) {
		fields, err := parseCompatLink(query)
		if err != nil {
			return
		}
		if len(fields) != strings.Count(query, "&")+1 || len(fields) > len(compatLinkNames) {
			t.Errorf("parseCompatLink(%q) = %q", query, fields)
		}
	})
}
