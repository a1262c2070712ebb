package payv2

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
)

func TestNewClientNamesEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := NewClient(ClientOptions{
		MchID: "19000x", Key: []byte("short-secret"), PreviousKey: []byte(""), SignType: "SHA1", BaseURL: "wechat", BackupURL: "https://b/?q=1", AttemptTimeout: -1,
	})
	if err == nil {
		t.Fatal("NewClient succeeds")
	}
	for _, want := range []string{
		"merchant number", "APIv2 key has 12 bytes", "previous APIv2 key has 0 bytes", "signature type", "absolute http", "a query", "attempt timeout",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "short-secret") {
		t.Errorf("%v has the key", err)
	}
}

// TestNewClientKey_A03: without a key there is no client that could verify
// anything with it.
func TestNewClientKey_A03(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", testKey[1:], testKey + "0"} {
		if _, err := NewClient(ClientOptions{MchID: testMchID, Key: []byte(key)}); err == nil {
			t.Errorf("a key of %d bytes is taken", len(key))
		}
	}
}

func TestNewClientDefaults(t *testing.T) {
	t.Parallel()
	c, err := NewClient(ClientOptions{MchID: testMchID, Key: []byte(testKey)})
	if err != nil {
		t.Fatal(err)
	}
	if c.signType != SignMD5 || c.hosts.Len() != 2 || c.hosts.URL(0) != DefaultBaseURL || c.hosts.URL(1) != DefaultBackupURL ||
		c.attemptTimeout != DefaultAttemptTimeout || c.userAgent == "" || c.plain == nil || c.certified != nil || c.now == nil || c.rand == nil {
		t.Errorf("got %+v", c)
	}
}

// TestNewClientCertificate: the certificate is shown by its own client alone.
func TestNewClientCertificate(t *testing.T) {
	t.Parallel()
	c, err := NewClient(ClientOptions{MchID: testMchID, Key: []byte(testKey), Certificate: &tls.Certificate{Certificate: [][]byte{[]byte("x")}}})
	if err != nil {
		t.Fatal(err)
	}
	plain, ok1 := c.plain.Transport.(*http.Transport)
	certified, ok2 := c.certified.Transport.(*http.Transport)
	if !ok1 || !ok2 || plain.TLSClientConfig != nil || len(certified.TLSClientConfig.Certificates) != 1 {
		t.Error("the certificate is shown by the wrong client")
	}
}
