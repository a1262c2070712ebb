package payv3

import (
	"bytes"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"
)

func TestNewPlatformRefuses(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	certificate := newCertificate(t, 0x10, keys.platform, 0, nil, nil)
	tests := map[string][]PlatformKey{
		"no key":            nil,
		"no serial":         {{Private: keys.platform}},
		"no private key":    {{Serial: "10"}},
		"other serial":      {{Serial: "11", Private: keys.platform, Certificate: certificate}},
		"other certificate": {{Serial: "10", Private: keys.next, Certificate: certificate}},
		"twice":             {{Serial: "10", Private: keys.platform}, {Serial: "10", Private: keys.next}},
	}
	for name, list := range tests {
		if p, err := NewPlatform(PlatformOptions{Keys: list}); err == nil || p != nil {
			t.Errorf("%s: NewPlatform = %v, %v", name, p, err)
		}
	}
}

func TestPlatformSignHeaders(t *testing.T) {
	t.Parallel()
	p := publicKeyPlatform(t)
	h := http.Header{headerSignature: {"old", "old"}}
	if err := p.SignHeaders(h, testPublicKey, nil); err != nil {
		t.Fatal(err)
	}
	if len(h) != 5 || h.Get(headerSignatureType) != scheme || h.Get(headerSerial) != testPublicKey || h.Get(headerTimestamp) != "1795324800" {
		t.Errorf("headers %v", h)
	}
	if _, err := publicKeyRing(t).Verify(t.Context(), h, nil, testNow); err != nil {
		t.Errorf("an empty body does not verify: %v", err)
	}
	nonce := h.Get(headerNonce)
	if err := p.SignHeaders(h, testPublicKey, nil); err != nil || h.Get(headerNonce) == nonce {
		t.Errorf("nonce used twice, %v", err)
	}
	if err := p.SignHeaders(http.Header{}, "unknown", nil); err == nil {
		t.Error("signs with an unknown key")
	}
}

func TestPlatformNewNotification(t *testing.T) {
	t.Parallel()
	body, err := publicKeyPlatform(t).NewNotification(newTestCipher(t), "EV-1", EventTransactionSuccess, "transaction", "支付成功", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		ID           string
		CreateTime   string `json:"create_time"`
		ResourceType string `json:"resource_type"`
		EventType    string `json:"event_type"`
		Summary      string
		Resource     map[string]string
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != "EV-1" || got.CreateTime != "2026-11-22T13:20:00+08:00" || got.ResourceType != "encrypt-resource" ||
		got.EventType != "TRANSACTION.SUCCESS" || got.Summary != "支付成功" {
		t.Errorf("envelope %+v", got)
	}
	if r := got.Resource; r["original_type"] != "transaction" || r["algorithm"] != "AEAD_AES_256_GCM" ||
		r["associated_data"] != "transaction" || len(r["nonce"]) != 12 || r["ciphertext"] == "" || len(r) != 5 {
		t.Errorf("resource %v", r)
	}
}

// TestPlatformRandomnessFails: without randomness nothing is signed or
// encrypted, because a nonce must not repeat.
func TestPlatformRandomnessFails(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(t, 0x10, testKeys().platform, 0, nil, nil)
	p, err := NewPlatform(PlatformOptions{Keys: []PlatformKey{keyOf(certificate, testKeys().platform)}, Rand: bytes.NewReader(nil)})
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	if err := p.SignHeaders(h, "10", nil); err == nil || len(h) != 0 {
		t.Errorf("SignHeaders = %v, %v", h, err)
	}
	if body, err := p.NewNotification(newTestCipher(t), "1", "a", "b", "c", nil); err == nil || body != nil {
		t.Errorf("NewNotification = %s, %v", body, err)
	}
	if body, err := p.CertificatesReply(newTestCipher(t)); err == nil || body != nil {
		t.Errorf("CertificatesReply = %s, %v", body, err)
	}
}

func TestVerifyRequest(t *testing.T) {
	t.Parallel()
	const (
		method    = http.MethodPost
		target    = "/v3/pay/transactions/jsapi?a=b"
		timestamp = "1795324800"
		nonce     = "593BEC0C930BF1AFEB40B4A08C8FB242"
	)
	body := []byte("{}\n")
	key := testKeys().merchant
	signature, err := Sign(key, RequestMessage(method, target, timestamp, nonce, body))
	if err != nil {
		t.Fatal(err)
	}
	a := Authorization{MchID: testMchID, Nonce: nonce, Timestamp: timestamp, SerialNo: testSerial, Signature: signature}
	with := func(change func(*Authorization)) string {
		changed := a
		change(&changed)
		return changed.String()
	}
	tests := []struct {
		name, method, target, authorization string
		body                                []byte
		key                                 *rsa.PublicKey
		off                                 time.Duration
		want                                RequestFault
	}{
		{"good", method, target, a.String(), body, &key.PublicKey, 0, ""},
		{"late by 299 s", method, target, a.String(), body, &key.PublicKey, 299 * time.Second, ""},
		{"late by 300 s", method, target, a.String(), body, &key.PublicKey, 300 * time.Second, FaultTimestamp},
		{"early by 300 s", method, target, a.String(), body, &key.PublicKey, -300 * time.Second, FaultTimestamp},
		{"other method", http.MethodGet, target, a.String(), body, &key.PublicKey, 0, FaultSignature},
		{"other target", method, "/v3/pay/transactions/jsapi", a.String(), body, &key.PublicKey, 0, FaultSignature},
		{"other body", method, target, a.String(), []byte("{}"), &key.PublicKey, 0, FaultSignature},
		{"other key", method, target, a.String(), body, &testKeys().stranger.PublicKey, 0, FaultSignature},
		{"other nonce", method, target, with(func(a *Authorization) { a.Nonce = "1" }), body, &key.PublicKey, 0, FaultSignature},
		{"other time", method, target, with(func(a *Authorization) { a.Timestamp = "1795324801" }), body, &key.PublicKey, 0, FaultSignature},
		{"time with leading zero", method, target, with(func(a *Authorization) { a.Timestamp = "01795324800" }), body, &key.PublicKey, 0, FaultFormat},
		{"no header", method, target, "", body, &key.PublicKey, 0, FaultScheme},
		{"malformed", method, target, scheme + " mchid=1", body, &key.PublicKey, 0, FaultFormat},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := VerifyRequest(tt.method, tt.target, tt.authorization, tt.body, tt.key, testNow.Add(tt.off))
			if tt.want == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if e, ok := errors.AsType[*RequestError](err); !ok || e.Fault != tt.want {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
