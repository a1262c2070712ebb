package payv3

import (
	"bufio"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

type signedVector struct {
	Headers     map[string]string
	Body        string
	Certificate string `json:"certificate_pem"`
	PublicKey   string `json:"public_key_pem"`
	APIv3Key    string `json:"apiv3_key"`
}

func (v signedVector) header() http.Header {
	h := http.Header{}
	for name, value := range v.Headers {
		h.Set(name, value)
	}
	return h
}

// ring returns a ring that knows the vector's key, and the time of signing.
func (v signedVector) ring(t *testing.T) (*KeyRing, time.Time) {
	t.Helper()
	at, ok := parseTimestamp(v.Headers[headerTimestamp])
	if !ok {
		t.Fatal("vector without time")
	}
	if v.Certificate != "" {
		c, err := ParseCertificate([]byte(v.Certificate))
		if err != nil {
			t.Fatal(err)
		}
		return newTestRing(t, KeyRingOptions{Certificates: true, Known: []*x509.Certificate{c}}), at
	}
	key, err := ParsePublicKey([]byte(v.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	id := v.Headers[headerSerial]
	return newTestRing(t, KeyRingOptions{PublicKeys: map[string]*rsa.PublicKey{id: key}}), at
}

// refuseTampered changes every signed part of a message that verifies.
func (v signedVector) refuseTampered(t *testing.T) {
	t.Helper()
	ring, at := v.ring(t)
	if serial, err := ring.Verify(t.Context(), v.header(), []byte(v.Body), at); err != nil || serial != v.Headers[headerSerial] {
		t.Fatalf("Verify = %q, %v", serial, err)
	}
	flips([]byte(v.Body), func(i int, changed []byte) {
		if _, err := ring.Verify(t.Context(), v.header(), changed, at); err == nil {
			t.Errorf("body changed at %d passes", i)
		}
	})
	for _, name := range []string{headerTimestamp, headerNonce, headerSignature, headerSerial} {
		flips([]byte(v.Headers[name]), func(i int, changed []byte) {
			h := v.header()
			h.Set(name, string(changed))
			if _, err := ring.Verify(t.Context(), h, []byte(v.Body), at); err == nil {
				t.Errorf("%s changed at %d passes", name, i)
			}
		})
	}
}

func TestVerifyResponseVector(t *testing.T) {
	t.Parallel()
	forEachVector(t, "v3_response", func(t *testing.T, v vector[signedVector, struct{ Valid bool }]) {
		t.Helper()
		v.Input.refuseTampered(t)
	})
}

// wantReason checks an error of Verify.
func wantReason(t *testing.T, err error, want VerifyReason) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("got %v, want success", err)
		}
		return
	}
	if e, ok := errors.AsType[*VerifyError](err); !ok || e.Reason != want {
		t.Errorf("got %v, want reason %q", err, want)
	}
}

func TestVerifyHeaders(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(http.Header)
		want   VerifyReason
	}{
		{"as sent", func(http.Header) {}, ""},
		{"without signature type", func(h http.Header) { h.Del(headerSignatureType) }, ""},
		{"B01 no signature", func(h http.Header) { h.Del(headerSignature) }, ReasonMissingHeader},
		{"B01 no serial", func(h http.Header) { h.Del(headerSerial) }, ReasonMissingHeader},
		{"B01 no timestamp", func(h http.Header) { h.Del(headerTimestamp) }, ReasonMissingHeader},
		{"B01 no nonce", func(h http.Header) { h.Del(headerNonce) }, ReasonMissingHeader},
		{"B01 empty signature", func(h http.Header) { h.Set(headerSignature, "") }, ReasonMissingHeader},
		{"B01 nothing", func(h http.Header) { clear(h) }, ReasonMissingHeader},
		{"B03 unknown public key", func(h http.Header) { h.Set(headerSerial, publicKeyPrefix+"1") }, ReasonUnknownSerial},
		{"B03 certificate in public-key mode", func(h http.Header) { h.Set(headerSerial, testSerial) }, ReasonUnknownSerial},
		{"B03 serial in lower case", func(h http.Header) { h.Set(headerSerial, strings.ToLower(testPublicKey)) }, ReasonUnknownSerial},
		{"B03 serial with a blank", func(h http.Header) { h.Set(headerSerial, testPublicKey+" ") }, ReasonMalformedHeader},
		{"B04 type NONE", func(h http.Header) { h.Set(headerSignatureType, "NONE") }, ReasonSignatureType},
		{"B04 type SM2", func(h http.Header) { h.Set(headerSignatureType, "WECHATPAY2-SM2-WITH-SM3") }, ReasonSignatureType},
		{"B04 type in lower case", func(h http.Header) { h.Set(headerSignatureType, strings.ToLower(scheme)) }, ReasonSignatureType},
		{"B04 empty type", func(h http.Header) { h.Set(headerSignatureType, "") }, ReasonSignatureType},
		{"B06 timestamp not decimal", func(h http.Header) { h.Set(headerTimestamp, "+"+h.Get(headerTimestamp)) }, ReasonTimestamp},
		{"B06 timestamp in milliseconds", func(h http.Header) { h.Set(headerTimestamp, h.Get(headerTimestamp)+"000") }, ReasonTimestamp},
		{"B07 probe", func(h http.Header) { h.Set(headerSignature, ProbePrefix+h.Get(headerSignature)) }, ReasonProbe},
		{"B07 probe, no base64", func(h http.Header) { h.Set(headerSignature, ProbePrefix+"%%%") }, ReasonProbe},
		{"B07 probe of an unknown key", func(h http.Header) {
			h.Set(headerSignature, ProbePrefix)
			h.Set(headerSerial, "ABCDEF")
		}, ReasonProbe},
		{"B16 signature twice, the second right", func(h http.Header) {
			h[headerSignature] = []string{"AAAA", h.Get(headerSignature)}
		}, ReasonRepeatedHeader},
		{"B16 signature twice, the first right", func(h http.Header) { h.Add(headerSignature, "AAAA") }, ReasonRepeatedHeader},
		{"B16 the same signature twice", func(h http.Header) { h.Add(headerSignature, h.Get(headerSignature)) }, ReasonRepeatedHeader},
		{"B16 serial twice", func(h http.Header) { h.Add(headerSerial, testPublicKey) }, ReasonRepeatedHeader},
		{"B16 timestamp twice", func(h http.Header) { h.Add(headerTimestamp, h.Get(headerTimestamp)) }, ReasonRepeatedHeader},
		{"B16 nonce twice", func(h http.Header) { h.Add(headerNonce, h.Get(headerNonce)) }, ReasonRepeatedHeader},
		{"B16 type twice", func(h http.Header) { h.Add(headerSignatureType, scheme) }, ReasonRepeatedHeader},
		{"nonce with a line feed", func(h http.Header) { h.Set(headerNonce, h.Get(headerNonce)+"\n") }, ReasonMalformedHeader},
		{"nonce of 1 KiB", func(h http.Header) { h.Set(headerNonce, strings.Repeat("n", 1024)) }, ReasonMalformedHeader},
		{"other nonce", func(h http.Header) { h.Set(headerNonce, "another") }, ReasonSignature},
		{"signature of another key", func(h http.Header) {
			s, _ := Sign(testKeys().stranger, ResponseMessage(h.Get(headerTimestamp), h.Get(headerNonce), []byte("body")))
			h.Set(headerSignature, s)
		}, ReasonSignature},
		{"signature not base64", func(h http.Header) { h.Set(headerSignature, "%%%") }, ReasonSignature},
	}
	ring := publicKeyRing(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			body := []byte("body")
			h := signed(t, publicKeyPlatform(t), testPublicKey, body)
			tt.change(h)
			serial, err := ring.Verify(t.Context(), h, body, testNow)
			wantReason(t, err, tt.want)
			if (serial == testPublicKey) != (tt.want == "") {
				t.Errorf("serial %q", serial)
			}
		})
	}
}

func TestVerifyWindow_B06(t *testing.T) {
	t.Parallel()
	ring := publicKeyRing(t)
	body := []byte("body")
	h := signed(t, publicKeyPlatform(t), testPublicKey, body)
	for _, tt := range []struct {
		off  time.Duration
		want VerifyReason
	}{
		{0, ""},
		{299 * time.Second, ""},
		{-299 * time.Second, ""},
		{300 * time.Second, ReasonTimestamp},
		{-300 * time.Second, ReasonTimestamp},
		{301 * time.Second, ReasonTimestamp},
		{-301 * time.Second, ReasonTimestamp},
		{100 * 365 * 24 * time.Hour, ReasonTimestamp},
	} {
		t.Run(tt.off.String(), func(t *testing.T) {
			t.Parallel()
			_, err := ring.Verify(t.Context(), h, body, testNow.Add(tt.off))
			wantReason(t, err, tt.want)
		})
	}
}

// TestVerifyRawBody_B05: what another JSON writer would take for the same is
// not what was signed.
func TestVerifyRawBody_B05(t *testing.T) {
	t.Parallel()
	ring := publicKeyRing(t)
	body := `{"id":"1","summary":"支付成功"}`
	h := signed(t, publicKeyPlatform(t), testPublicKey, []byte(body))
	for name, changed := range map[string]string{
		"space added":    `{"id": "1","summary":"支付成功"}`,
		"keys reordered": `{"summary":"支付成功","id":"1"}`,
		"escaped":        `{"id":"1","summary":"\u652f\u4ed8\u6210\u529f"}`,
		"byte order":     "\ufeff" + body,
		"line feed":      body + "\n",
		"empty":          "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ring.Verify(t.Context(), h, []byte(changed), testNow)
			wantReason(t, err, ReasonSignature)
		})
	}
}

// TestVerifyNoSwitch_B02: nothing that a sender writes turns checking off.
func TestVerifyNoSwitch_B02(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, nil)
	_, body := signedNotification(t, EventTransactionSuccess, "transaction", goodTransaction)
	for name, value := range map[string]string{
		"Host": "localhost", "X-Forwarded-Host": "localhost", "X-Forwarded-For": "127.0.0.1", "X-Real-Ip": "127.0.0.1",
		"User-Agent": "Mozilla/4.0 (compatible; WeChat Pay)", "X-Debug": "1", "Wechatpay-Debug": "true", "Content-Type": "text/plain",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{name: {value}}
			if n, err := c.ParseNotification(t.Context(), h, body); err == nil || n != nil {
				t.Errorf("unsigned notification passes: %v", n)
			}
			forged := signed(t, newTestPlatform(t, PlatformKey{Serial: testPublicKey, Private: testKeys().stranger}), testPublicKey, body)
			forged[name] = []string{value}
			if n, err := c.ParseNotification(t.Context(), forged, body); err == nil || n != nil {
				t.Errorf("forged notification passes: %v", n)
			}
		})
	}
}

// TestVerifyRepeatedHeader_B16 sends two signature lines over a real
// connection, where a server could fold them into one.
func TestVerifyRepeatedHeader_B16(t *testing.T) {
	t.Parallel()
	ring := publicKeyRing(t)
	results := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			_, err = ring.Verify(r.Context(), r.Header, body, testNow)
		}
		results <- err
	}))
	t.Cleanup(server.Close)
	h := signed(t, publicKeyPlatform(t), testPublicKey, []byte("body"))
	send := func(lines string) error {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n"+
			"wechatpay-timestamp: %s\r\nWECHATPAY-NONCE: %s\r\nWechatpay-Serial: %s\r\n%s\r\nbody",
			h.Get(headerTimestamp), h.Get(headerNonce), h.Get(headerSerial), lines)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return <-results
	}
	right := "Wechatpay-Signature: " + h.Get(headerSignature) + "\r\n"
	wantReason(t, send(right), "")
	wantReason(t, send("Wechatpay-Signature: AAAA\r\n"+right), ReasonRepeatedHeader)
	wantReason(t, send(right+"wechatpay-signature: AAAA\r\n"), ReasonRepeatedHeader)
	wantReason(t, send(strings.ReplaceAll(right, ": ", ": AAAA, ")), ReasonSignature)
}

// FuzzVerify: no header makes the check panic or pass.
func FuzzVerify(f *testing.F) {
	ring := publicKeyRing(f)
	h := signed(f, publicKeyPlatform(f), testPublicKey, []byte("body"))
	good := [...]string{h.Get(headerTimestamp), h.Get(headerNonce), h.Get(headerSignature), h.Get(headerSerial)}
	f.Add(good[0], good[1], good[2], good[3], []byte("body"))
	f.Add(strconv.FormatInt(testNow.Unix(), 10), "n", ProbePrefix+"x", testPublicKey, []byte(""))
	f.Fuzz(func(t *testing.T, timestamp, nonce, signature, serial string, body []byte) {
		h := http.Header{headerTimestamp: {timestamp}, headerNonce: {nonce}, headerSignature: {signature}, headerSerial: {serial}}
		_, err := ring.Verify(context.Background(), h, body, testNow)
		if err == nil && ([...]string{timestamp, nonce, signature, serial} != good || string(body) != "body") {
			t.Fatalf("passes: %v %q", h, body)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	ring := publicKeyRing(b)
	body := []byte(strings.Repeat("x", 2048))
	h := signed(b, publicKeyPlatform(b), testPublicKey, body)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ring.Verify(b.Context(), h, body, testNow); err != nil {
			b.Fatal(err)
		}
	}
}
