package sandbox

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// certificateCall asks for the platform certificates.
func certificateCall() call { return call{method: http.MethodGet, target: "/v3/certificates"} }

// serialsOf opens every certificate of an answer and lists the serials.
func serialsOf(t *testing.T, body []byte) []string {
	t.Helper()
	var reply struct {
		Data []struct {
			SerialNo           string         `json:"serial_no"`
			EncryptCertificate payv3.Resource `json:"encrypt_certificate"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		t.Fatalf("decoding %q: %v", body, err)
	}
	cipher, err := payv3.NewCipher([]byte(DefaultAPIv3Key))
	if err != nil {
		t.Fatal(err)
	}
	var serials []string
	for _, entry := range reply.Data {
		text, err := cipher.Open(entry.EncryptCertificate)
		if err != nil {
			t.Fatalf("opening %s: %v", entry.SerialNo, err)
		}
		certificate, err := payv3.ParseCertificate(text)
		if err != nil || payv3.CertificateSerial(certificate) != entry.SerialNo {
			t.Errorf("certificate of %s does not fit: %v", entry.SerialNo, err)
		}
		serials = append(serials, entry.SerialNo)
	}
	return serials
}

func TestCertificatesRotate(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	steps := []struct {
		name   string
		listed int
		signer string
	}{
		{"before", 1, defaultPlatformSerial},
		{"announced", 2, defaultPlatformSerial},
		{"done", 2, rotatedPlatformSerial},
		{"done, again", 2, rotatedPlatformSerial},
	}
	for i, step := range steps {
		if i > 0 {
			mustStatus(t, post(t, s, "/sandbox/faults", `{"rotate_certificate":true}`), http.StatusOK)
		}
		w := certificateCall().send(t, s)
		mustStatus(t, w, http.StatusOK)
		if got := serialsOf(t, w.Body.Bytes()); len(got) != step.listed {
			t.Errorf("%s: listed %v, want %d", step.name, got, step.listed)
		}
		if serial, err := ring(t).Verify(t.Context(), w.Header(), w.Body.Bytes(), testNow); err != nil || serial != step.signer {
			t.Errorf("%s: signed with %s, %v, want %s", step.name, serial, err, step.signer)
		}
	}
}

func TestCertificatesOfAPublicKeyMerchant(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{Merchants: []Merchant{{
		MchID: "2", APIv3Key: []byte(DefaultAPIv3Key), PublicKeyOnly: true, AppIDs: []string{DefaultAppID},
		Certificates: []MerchantCertificate{{Serial: "2", PublicKey: &merchantKey().PublicKey}},
	}}})
	c := certificateCall()
	c.mchID, c.serial = "2", "2"
	w := c.send(t, s)
	mustStatus(t, w, http.StatusNotFound)
	if e := errorOf(t, w); e.Code != "RESOURCE_NOT_EXISTS" {
		t.Errorf("code = %s, want RESOURCE_NOT_EXISTS", e.Code)
	}
	c.header = http.Header{"Wechatpay-Serial": {defaultPlatformSerial}}
	mustStatus(t, c.send(t, s), http.StatusBadRequest)

	prepay := native(prepayBody(t, map[string]any{"mchid": "2"}))
	prepay.mchID, prepay.serial = "2", "2"
	w = prepay.send(t, s)
	mustStatus(t, w, http.StatusOK)
	if got := w.Header().Get("Wechatpay-Serial"); got != DefaultPublicKeyID {
		t.Errorf("signed with %s, want %s", got, DefaultPublicKeyID)
	}
}

func TestCertificatesTakeOnlyKnownQueries(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	for target, status := range map[string]int{
		"/v3/certificates?algorithm_type=RSA": 200,
		"/v3/certificates?algorithm_type=ALL": 200,
		"/v3/certificates?algorithm_type=SM2": 400,
		"/v3/certificates?a=b":                400,
		"/v3/certificates?algorithm_type=%zz": 400,
	} {
		c := certificateCall()
		c.target = target
		if w := c.send(t, s); w.Code != status {
			t.Errorf("%s: status = %d, want %d", target, w.Code, status)
		}
	}
}
