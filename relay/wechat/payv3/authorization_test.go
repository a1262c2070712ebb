package payv3

import (
	"errors"
	"strings"
	"testing"
	"time"
)

type authorizationVector struct {
	Schema    string
	MchID     string `json:"mchid"`
	Nonce     string `json:"nonce_str"`
	Timestamp string
	SerialNo  string `json:"serial_no"`
	Signature string
}

func TestAuthorization(t *testing.T) {
	t.Parallel()
	forEachVector(t, "v3_authorization", func(t *testing.T, v vector[authorizationVector, struct{ Header string }]) {
		t.Helper()
		a := Authorization{
			MchID: v.Input.MchID, Nonce: v.Input.Nonce, Timestamp: v.Input.Timestamp,
			SerialNo: v.Input.SerialNo, Signature: v.Input.Signature,
		}
		if v.Input.Schema != scheme { // a mock's; only its form counts
			if got := a.render(v.Input.Schema); got != v.Expected.Header {
				t.Errorf("render = %q, want %q", got, v.Expected.Header)
			}
			return
		}
		// The order of the items is free.
		if got, err := ParseAuthorization(v.Expected.Header); err != nil || got != a {
			t.Errorf("ParseAuthorization(%q) = %+v, %v, want %+v", v.Expected.Header, got, err, a)
		}
		if got, err := ParseAuthorization(a.String()); err != nil || got != a {
			t.Errorf("ParseAuthorization(%q) = %+v, %v, want %+v", a.String(), got, err, a)
		}
	})
}

const goodAuthorization = scheme + ` mchid="1900000001",nonce_str="593BEC0C930BF1AFEB40B4A08C8FB242",` +
	`timestamp="1554208460",serial_no="5157F09EFDC096DE15EBE81A47057A7232F1B8E1",signature="ab+/cd=="`

func TestParseAuthorizationRefuses(t *testing.T) {
	t.Parallel()
	replace := func(from, to string) string { return strings.Replace(goodAuthorization, from, to, 1) }
	tests := []struct {
		name, header string
		want         error
	}{
		{"empty", "", ErrAuthorizationScheme},
		{"other scheme", replace("RSA2048", "RSA4096"), ErrAuthorizationScheme},
		{"SM2", replace(scheme, "WECHATPAY2-SM2-WITH-SM3"), ErrAuthorizationScheme},
		{"lower case", strings.ToLower(goodAuthorization), ErrAuthorizationScheme},
		{"scheme alone", scheme, ErrAuthorizationFormat},
		{"scheme and blank", scheme + " ", ErrAuthorizationFormat},
		{"two blanks", replace(" ", "  "), ErrAuthorizationFormat},
		{"blank after comma", replace(`",nonce`, `", nonce`), ErrAuthorizationFormat},
		{"trailing comma", goodAuthorization + ",", ErrAuthorizationFormat},
		{"doubled comma", replace(`",nonce`, `",,nonce`), ErrAuthorizationFormat},
		{"no comma", replace(`",nonce`, `"nonce`), ErrAuthorizationFormat},
		{"no quotes", replace(`"1900000001"`, `1900000001`), ErrAuthorizationFormat},
		{"open quote", strings.TrimSuffix(goodAuthorization, `"`), ErrAuthorizationFormat},
		{"trailing text", goodAuthorization + " ", ErrAuthorizationFormat},
		{"item missing", replace(`timestamp="1554208460",`, ``), ErrAuthorizationFormat},
		{"item empty", replace(`"1900000001"`, `""`), ErrAuthorizationFormat},
		{"item twice", replace(`nonce_str=`, `mchid="1900000001",nonce_str=`), ErrAuthorizationFormat},
		{"unknown item", goodAuthorization + `,x="y"`, ErrAuthorizationFormat},
		{"item name in upper case", replace("mchid", "MCHID"), ErrAuthorizationFormat},
		{"merchant not digits", replace("1900000001", "190000000a"), ErrAuthorizationFormat},
		{"nonce of 33", replace("593BEC", "0593BEC"), ErrAuthorizationFormat},
		{"nonce with a dash", replace("593BEC", "593-EC"), ErrAuthorizationFormat},
		{"timestamp signed", replace("1554208460", "+155420846"), ErrAuthorizationFormat},
		{"signature not base64", replace("ab+/", "ab-_"), ErrAuthorizationFormat},
		{"line feed in value", replace("1900000001", "1900\n00001"), ErrAuthorizationFormat},
	}
	if _, err := ParseAuthorization(goodAuthorization); err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, err := ParseAuthorization(tt.header); !errors.Is(err, tt.want) || got != (Authorization{}) {
				t.Errorf("ParseAuthorization(%q) = %+v, %v, want %v", tt.header, got, err, tt.want)
			}
		})
	}
}

func TestParseTimestamp_B06(t *testing.T) {
	t.Parallel()
	if at, ok := parseTimestamp("1554208460"); !ok || !at.Equal(time.Unix(1554208460, 0)) {
		t.Errorf("parseTimestamp = %v, %t", at, ok)
	}
	for _, s := range []string{
		"", "0", "01554208460", "+1554208460", "-1554208460", " 1554208460", "1554208460 ", "1554208460.0", "1.5e9",
		"0x5ca36d8c", "1_554_208_460", "１５５４２０８４６０", "1554208460000000", "now",
	} {
		if at, ok := parseTimestamp(s); ok {
			t.Errorf("parseTimestamp(%q) = %v, want a refusal", s, at)
		}
	}
}

// FuzzParseAuthorization: what parses renders to the same content, and an
// error returns nothing.
func FuzzParseAuthorization(f *testing.F) {
	f.Add(goodAuthorization)
	f.Add(scheme + ` mchid="1",serial_no="5",timestamp="4",nonce_str="2",signature="3"`)
	f.Add(scheme + ` mchid="1",,`)
	f.Fuzz(func(t *testing.T, header string) {
		a, err := ParseAuthorization(header)
		if err != nil {
			if a != (Authorization{}) {
				t.Fatalf("error %v with %+v", err, a)
			}
			return
		}
		again, err := ParseAuthorization(a.String())
		if err != nil || again != a || len(a.String()) != len(header) {
			t.Fatalf("%q renders as %q: %+v, %v", header, a.String(), again, err)
		}
	})
}
