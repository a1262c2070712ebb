package relay

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The known answers of contract section 3.5.
const (
	vectorSecret = "0123456789abcdef0123456789ABCDEF"
	vectorClient = "1000000000000001"
	vectorHost   = "pay.example.com"
	vectorTime   = "1795296000"
)

func TestSignHMACVectors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, method, target, nonce, body, want string }{
		{"create", "POST", "/v1/orders", "5K8264ILTKCH16CQ2502SI8ZNMTM67VS", `{"order_no":"A000000001","amount":1,"description":"测试"}`, "a420bMjS49hYHhDgQTNgI3B7jJT6AO+0vlP9Tf8/YyI="},
		{"read", "GET", "/v1/orders/A000000001?refresh=true", "n0nce-0000000001", "", "sqWSVKxyX5ct++f5rLg7GROobRKsGum68JZ7iMRWOsE="},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			text := StringToSign(schemeHMAC, vectorClient, tc.method, vectorHost, tc.target, vectorTime, tc.nonce, []byte(tc.body))
			if got := SignHMAC(NewSecret(vectorSecret), text); got != tc.want {
				t.Errorf("signature = %s, want %s", got, tc.want)
			}
			if n := strings.Count(string(text), "\n"); n != 8 {
				t.Errorf("string to sign has %d line ends, want 8", n)
			}
		})
	}
}

func TestSignLinkVector(t *testing.T) {
	t.Parallel()
	got := SignLink(NewSecret(vectorSecret), vectorClient, vectorHost, "/checkout/tok3n",
		"order_no=A000000001&amount=1&client_id=1000000000000001&timestamp=1795296000&nonce=n0nce-0000000002")
	if want := "OJBXE7FxtNp37P_iec33LRgJZWwxlDA6AgikekWGAI4"; got != want {
		t.Errorf("sig = %s, want %s", got, want)
	}
}

// TestParseAuthorization_C01_C02_C18 reads headers as contract section 3.4
// orders: scheme first, then form.
func TestParseAuthorization_C01_C02_C18(t *testing.T) {
	t.Parallel()
	items := `client_id="1000000000000001",timestamp="1795296000",nonce="n0nce-0000000001",signature="AAAA"`
	for _, tc := range []struct {
		name  string
		lines []string
		want  Kind // 0: accepted
	}{
		{"good", []string{schemeHMAC + " " + items}, 0},
		{"ed25519", []string{schemeEd25519 + " " + items}, 0},
		{"any order", []string{schemeHMAC + ` signature="AAAA",nonce="n0nce-0000000001",client_id="1000000000000001",timestamp="1"`}, 0},
		{"blanks after commas", []string{schemeHMAC + " " + strings.ReplaceAll(items, ",", ", ")}, 0},
		{"no header", nil, KindSign},
		{"empty", []string{""}, KindSign},
		{"other scheme", []string{"Bearer x"}, KindSign},
		{"none scheme", []string{"WXRELAY1-NONE " + items}, KindSign},
		{"lower case scheme", []string{strings.ToLower(schemeHMAC) + " " + items}, KindSign},
		{"two headers", []string{schemeHMAC + " " + items, schemeHMAC + " " + items}, KindParam},
		{"scheme alone", []string{schemeHMAC}, KindParam},
		{"missing item", []string{schemeHMAC + ` client_id="1000000000000001",timestamp="1",nonce="n0nce-0000000001"`}, KindParam},
		{"repeated item", []string{schemeHMAC + " " + items + `,nonce="n0nce-0000000002"`}, KindParam},
		{"unknown item", []string{schemeHMAC + " " + items + `,realm="x"`}, KindParam},
		{"trailing comma", []string{schemeHMAC + " " + items + ","}, KindParam},
		{"unquoted", []string{schemeHMAC + " " + strings.ReplaceAll(items, `"`, "")}, KindParam},
		{"escape", []string{schemeHMAC + " " + strings.Replace(items, "AAAA", `A\"A`, 1)}, KindParam},
		{"junk after", []string{schemeHMAC + " " + items + "x"}, KindParam},
		{"short client id", []string{schemeHMAC + " " + strings.Replace(items, "1000000000000001", "1", 1)}, KindParam},
		{"short nonce", []string{schemeHMAC + " " + strings.Replace(items, "n0nce-0000000001", "n0nce-000000001", 1)}, KindParam},
		{"long nonce", []string{schemeHMAC + " " + strings.Replace(items, "n0nce-0000000001", strings.Repeat("n", 65), 1)}, KindParam},
		{"nonce charset", []string{schemeHMAC + " " + strings.Replace(items, "n0nce-0000000001", "n0nce+0000000001", 1)}, KindParam},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseAuthorization(tc.lines)
			if got := kindOf(err); got != tc.want {
				t.Errorf("parseAuthorization(%q) kind = %d (%v), want %d", tc.lines, got, err, tc.want)
			}
		})
	}
}

func kindOf(err error) Kind {
	if known, ok := errors.AsType[*Error](err); ok {
		return known.Kind
	}
	return 0
}

// TestCheckTimestamp_C04 tries clocks that lie and numbers that are not
// plain.
func TestCheckTimestamp_C04(t *testing.T) {
	t.Parallel()
	now := time.Unix(1795296000, 0)
	for _, tc := range []struct {
		given string
		ok    bool
	}{
		{"1795296000", true},
		{"1795295700", true},
		{"1795296300", true},
		{"1795295699", false},
		{"1795296301", false},
		{"1000000000", false},
		{" 1795296000", false},
		{"01795296000", false},
		{"+1795296000", false},
		{"-1795296000", false},
		{"1795296000.0", false},
		{"1e9", false},
		{"99999999999999999999", false},
		{"9223372036854775807", false},
		{"", false},
	} {
		if err := checkTimestamp(tc.given, now); (err == nil) != tc.ok {
			t.Errorf("checkTimestamp(%q) = %v, want accepted %t", tc.given, err, tc.ok)
		} else if err != nil && kindOf(err) != KindTimestamp {
			t.Errorf("checkTimestamp(%q) kind = %d, want KindTimestamp", tc.given, kindOf(err))
		}
	}
}

// TestSignatureMatches_C03_C19_H01 changes each signed part, signs with each
// live and each retired key, and sends signatures that are right for a while:
// they are compared as digests, in constant time.
func TestSignatureMatches_C03_C19_H01(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	next := NewSecret(strings.Repeat("n", 32))
	c := &Client{ID: vectorClient, Secrets: []Secret{NewSecret(vectorSecret), next}, PublicKeys: []ed25519.PublicKey{public}}
	parts := []string{schemeHMAC, vectorClient, "POST", vectorHost, "/v1/orders?a=1&b=2", vectorTime, "n0nce-0000000001", "{}"}
	text := func(p []string) []byte {
		return StringToSign(p[0], p[1], p[2], p[3], p[4], p[5], p[6], []byte(p[7]))
	}
	good := authorization{scheme: schemeHMAC, signature: SignHMAC(NewSecret(vectorSecret), text(parts))}
	if !signatureMatches(c, &good, text(parts)) {
		t.Fatal("the right signature is refused")
	}
	if a := (authorization{scheme: schemeHMAC, signature: SignHMAC(next, text(parts))}); !signatureMatches(c, &a, text(parts)) {
		t.Error("the second live secret is refused")
	}
	if a := (authorization{scheme: schemeHMAC, signature: SignHMAC(NewSecret(strings.Repeat("o", 32)), text(parts))}); signatureMatches(c, &a, text(parts)) {
		t.Error("a retired secret is accepted")
	}
	signed := base64.StdEncoding.EncodeToString(ed25519.Sign(private, text(parts)))
	if a := (authorization{scheme: schemeEd25519, signature: signed}); !signatureMatches(c, &a, text(parts)) {
		t.Error("the Ed25519 signature is refused")
	}
	for i, changed := range []string{"WXRELAY1-HMAC-SHA257", "1000000000000002", "PUT", "pay.example.com:8443", "/v1/orders?b=2&a=1", "1795296001", "n0nce-0000000002", "{ }"} {
		p := append([]string(nil), parts...)
		p[i] = changed
		if signatureMatches(c, &good, text(p)) {
			t.Errorf("part %d changed to %q is accepted", i, changed)
		}
	}
	for _, right := range []int{1, 16, 31, 42} {
		near := good.signature[:right] + strings.Repeat("A", 43-right) + "="
		if a := (authorization{scheme: schemeHMAC, signature: near}); signatureMatches(c, &a, text(parts)) {
			t.Errorf("signature right for %d characters is accepted", right)
		}
	}
	for _, bad := range []string{"", "=", good.signature[:43], good.signature + "A", strings.ToLower(good.signature), good.signature + "\n"} {
		if a := (authorization{scheme: schemeHMAC, signature: bad}); signatureMatches(c, &a, text(parts)) {
			t.Errorf("signature %q is accepted", bad)
		}
	}
}

// FuzzParseAuthorization: never panics, and what it accepts is what a strict
// rendering of the parts gives back.
func FuzzParseAuthorization(f *testing.F) {
	f.Add(schemeHMAC + ` client_id="1000000000000001",timestamp="1795296000",nonce="n0nce-0000000001",signature="AAAA"`)
	f.Add(schemeEd25519 + ` signature="A",nonce="n0nce-0000000001", timestamp="1",client_id="1000000000000001"`)
	f.Fuzz(func(t *testing.T, line string) {
		a, err := parseAuthorization([]string{line})
		if err != nil {
			return
		}
		again, err := parseAuthorization([]string{a.scheme + " client_id=" + strconv.Quote(a.clientID) + `,timestamp="` + a.timestamp + `",nonce=` + strconv.Quote(a.nonce) + `,signature="` + a.signature + `"`})
		if err != nil || again != a {
			t.Errorf("parse(%q) = %+v, rendered and parsed again %+v, %v", line, a, again, err)
		}
	})
}
