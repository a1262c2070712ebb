package payv3

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestNewClientNamesEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := NewClient(ClientOptions{
		MchID: "19000x", CertificateSerial: "XYZ", APIv3Key: APIv3Key("short-secret"), BaseURL: "wechat", BackupURL: "https://b/?q=1", AttemptTimeout: -1,
	})
	if err == nil {
		t.Fatal("NewClient succeeds")
	}
	for _, want := range []string{
		"merchant number", "certificate serial", "private key", "key ring", "APIv3 key has 12 bytes", "absolute http", "a query", "attempt timeout",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "short-secret") {
		t.Errorf("%v has the key", err)
	}
}

func TestNewClientDefaults(t *testing.T) {
	t.Parallel()
	c, err := NewClient(ClientOptions{
		MchID: testMchID, CertificateSerial: strings.ToLower(testSerial), PrivateKey: testKeys().merchant,
		APIv3Key: APIv3Key(testAPIv3Key), Keys: publicKeyRing(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.hosts.Len() != 2 || c.hosts.URL(0) != DefaultBaseURL || c.hosts.URL(1) != DefaultBackupURL || c.serial != testSerial ||
		c.attemptTimeout != DefaultAttemptTimeout || c.userAgent == "" || c.http == nil || c.now == nil || c.rand == nil {
		t.Errorf("got %+v", c)
	}
	c = newTestClient(t, func(o *ClientOptions) { o.BackupURL = "" })
	if c.hosts.Len() != 1 {
		t.Errorf("an own address without a backup has %d addresses", c.hosts.Len())
	}
}

// wechat plays WeChat for one call: it verifies the request like WeChat and
// answers with body.
func wechat(t *testing.T, method, target, wantBody string, status int, body string) *http.Client {
	t.Helper()
	p := publicKeyPlatform(t)
	return serve(func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if r.Method != method || r.URL.RequestURI() != target {
			t.Errorf("got %s %s, want %s %s", r.Method, r.URL.RequestURI(), method, target)
		}
		if string(got) != wantBody {
			t.Errorf("got body %s, want %s", got, wantBody)
		}
		if err := VerifyRequest(r.Method, r.URL.RequestURI(), r.Header.Get("Authorization"), got, &testKeys().merchant.PublicKey, testNow); err != nil {
			t.Error(err)
		}
		if a, err := ParseAuthorization(r.Header.Get("Authorization")); err != nil || a.MchID != testMchID || a.SerialNo != testSerial {
			t.Errorf("authorization %+v, %v", a, err)
		}
		h := r.Header
		if h.Get("Accept") != "application/json" || h.Get("User-Agent") != "wxrelay" || h.Get(headerSerial) != testPublicKey ||
			(h.Get("Content-Type") == "application/json") != (wantBody != "") {
			t.Errorf("headers %v", h)
		}
		reply(t, w, p, testPublicKey, status, body)
	})
}
