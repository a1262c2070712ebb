package message

import (
	"crypto/cipher"
	"errors"
	"net/url"
	"strings"
	"testing"
)

// raw encrypts whole blocks as they are.
func raw(tb testing.TB, plain string) string {
	tb.Helper()
	c := testCipher(tb, testKey, testAppID)
	data := []byte(plain)
	cipher.NewCBCEncrypter(c.block, c.iv).CryptBlocks(data, data)
	return encoding.EncodeToString(data)
}

// padded adds PKCS#7 of 32 bytes.
func padded(s string) string {
	n := paddingBlock - len(s)%paddingBlock
	return s + strings.Repeat(string(rune(n)), n)
}

func TestCipherOpen(t *testing.T) {
	t.Parallel()
	const random = "0123456789abcdef"
	tests := []struct {
		name, encrypt string
		want          string // "-" for refused
	}{
		{"message", raw(t, padded(random+"\x00\x00\x00\x02hi"+testAppID)), "hi"},
		{"no message", raw(t, padded(random+"\x00\x00\x00\x00"+testAppID)), ""},
		{"whole block of padding", raw(t, padded(random+"\x00\x00\x00\x1a"+strings.Repeat("m", 26)+testAppID)), strings.Repeat("m", 26)},
		{"nothing", "", "-"},
		{"no base64", "****", "-"},
		{"half a block", "AAAAAAAAAAA=", "-"},
		{"length too short", raw(t, padded(random+"\x00\x00\x00\x01hi"+testAppID)), "-"},
		{"length too long", raw(t, padded(random+"\x00\x00\x00\x03hi"+testAppID)), "-"},
		{"length far too long", raw(t, padded(random+"\xff\xff\xff\xffhi"+testAppID)), "-"},
		{"no account", raw(t, padded(random+"\x00\x00\x00\x02hi")), "-"},
		{"other account", raw(t, padded(random+"\x00\x00\x00\x02hiwx0000000000000000")), "-"},
		{"too short for a length", raw(t, padded(random+"\x00")), "-"},
		{"padding alone", raw(t, padded("")), "-"},
		{"padding 0", raw(t, strings.Repeat("\x00", 32)), "-"},
		{"padding 33", raw(t, strings.Repeat("!", 64)), "-"},
		{"padding longer than the text", raw(t, strings.Repeat("\x20", 16)), "-"},
		{"padding uneven", raw(t, padded(random + "\x00\x00\x00\x02hi" + testAppID)[:62]+"\x17\x18"), "-"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := testCipher(t, testKey, testAppID).Open(tt.encrypt)
			if tt.want == "-" {
				if err != ErrEncryption || got != nil { //nolint:errorlint // the very error, nothing around it
					t.Errorf("got %q, %v", got, err)
				}
				return
			}
			if err != nil || string(got) != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestSealOpens(t *testing.T) {
	t.Parallel()
	c := testCipher(t, testKey, testAppID)
	for n := range 70 {
		want := strings.Repeat("m", n)
		sealed, err := c.Seal(randomness(), []byte(want))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Open(sealed); err != nil || string(got) != want {
			t.Errorf("%d bytes: got %q, %v", n, got, err)
		}
	}
}

// FuzzCipherOpen: what opens seals to something that opens alike.
func FuzzCipherOpen(f *testing.F) {
	f.Add(raw(f, padded("0123456789abcdef\x00\x00\x00\x02hi"+testAppID)))
	f.Add("AAAAAAAAAAAAAAAAAAAAAA==")
	f.Fuzz(func(t *testing.T, encrypt string) {
		c := testCipher(t, testKey, testAppID)
		got, err := c.Open(encrypt)
		if err != nil {
			if got != nil || !errors.Is(err, ErrEncryption) {
				t.Fatalf("got %q, %v", got, err)
			}
			return
		}
		sealed, err := c.Seal(randomness(), got)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := c.Open(sealed); err != nil || string(again) != string(got) {
			t.Fatalf("got %q, then %q, %v", got, again, err)
		}
	})
}

// FuzzOpen: a body that anybody posts is refused, whatever it is, and one that
// is signed is read or refused.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(textXML))
	f.Add([]byte(textJSON))
	f.Add(encrypted(f, textXML).Body)
	f.Add([]byte(`<xml><Encrypt><![CDATA[x]]></Encrypt></xml>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		stranger := Query{Signature: strings.Repeat("0", 40), Timestamp: testTime, Nonce: testNonce, EncryptType: "aes", MsgSignature: strings.Repeat("0", 40)}
		if m, err := receiver(t, testKey).Open(stranger, body); err == nil || m != nil {
			t.Fatalf("a stranger's %q is read", body)
		}
		m, err := receiver(t, "").Open(NewPush(testToken, testTime, testNonce, body).Query, body)
		if (err == nil) == (m == nil) {
			t.Fatalf("got %v, %v", m, err)
		}
		if m != nil && (m.FromUserName == "" || m.ToUserName == "" || m.MsgType == "" || m.CreateTime.IsZero() || string(m.Raw) != string(body)) {
			t.Fatalf("%q reads as %+v", body, m)
		}
	})
}

// FuzzParseQuery: parameters that are taken say the same when written again.
func FuzzParseQuery(f *testing.F) {
	f.Add("signature=a&timestamp=1&nonce=2&echostr=3")
	f.Add("timestamp=1&nonce=2&encrypt_type=aes&msg_signature=b&signature=")
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		q, err := ParseQuery(values)
		if err != nil {
			if q != (Query{}) {
				t.Fatal("something is returned with an error")
			}
			return
		}
		if again, err := ParseQuery(q.Values()); err != nil || again != q {
			t.Fatalf("%q reads as %+v, then as %+v, %v", query, q, again, err)
		}
	})
}
