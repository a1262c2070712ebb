package peers

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/wxrelay/wxrelay/relay/sandbox"
)

// wechat is a sandbox behind TLS, as a merchant's SDK expects it: it asks for
// the merchant's certificate and leaves it to each call to insist on one.
type wechat struct {
	*httptest.Server
}

func newWechat(t *testing.T) *wechat {
	t.Helper()
	box, err := sandbox.New(sandbox.Options{TimeScale: 1.0 / 100})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(box)
	front.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	front.StartTLS()
	t.Cleanup(func() {
		front.Close()
		if err := box.Close(); err != nil {
			t.Error(err)
		}
	})
	return &wechat{front}
}

// trust is what a client needs to believe the sandbox's own certificate.
func (w *wechat) trust() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(w.Certificate())
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// do asks one of the sandbox's own pages.
func (w *wechat) do(t *testing.T, path string, request any) {
	t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	response, err := w.Client().Post(w.URL+path, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if answer, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s = %d %s, %v", path, response.StatusCode, answer, err)
	}
}

// buyerPays lets the buyer pay an order.
func (w *wechat) buyerPays(t *testing.T, outTradeNo string) {
	t.Helper()
	w.do(t, "/sandbox/pay", map[string]string{"out_trade_no": outTradeNo})
}

// receiver is a merchant's notify address. Its answer is the SDK's.
type receiver struct {
	url  string
	came chan note
}

func newReceiver(t *testing.T, answer func(http.ResponseWriter)) *receiver {
	t.Helper()
	r := &receiver{came: make(chan note, 64)}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			t.Errorf("reading a notification: %v", err)
		}
		r.came <- note{request.Header.Clone(), body}
		answer(w)
	}))
	t.Cleanup(front.Close)
	r.url = front.URL + "/notify"
	return r
}

func (r *receiver) next(t *testing.T) *note {
	t.Helper()
	select {
	case n := <-r.came:
		return &n
	case <-t.Context().Done():
		t.Fatal("no notification came")
		return nil
	}
}

// request is the next notification as it came, for an SDK that reads it
// itself.
func (r *receiver) request(t *testing.T) *http.Request {
	t.Helper()
	request, err := r.next(t).request(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return request
}

// freshNonce is 26 letters and digits that were never used before.
func freshNonce() string { return rand.Text() }

// pemOf writes a key or certificate as merchants' files do.
func pemOf(t *testing.T, kind string, key any) string {
	t.Helper()
	der, ok := key.([]byte)
	if !ok {
		var err error
		if kind == "PUBLIC KEY" {
			der, err = x509.MarshalPKIXPublicKey(key)
		} else {
			der, err = x509.MarshalPKCS8PrivateKey(key)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
