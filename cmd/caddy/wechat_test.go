package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/wxrelay/wxrelay/relay/sandbox"
)

// wechat is a sandbox in the test's own process: it outlives the servers
// that the test kills, as WeChat does, and the test sees what it sends.
type wechat struct {
	url  string
	line http.RoundTripper

	mu    sync.Mutex // guards what follows
	hold  bool       // notifications are kept and not sent
	sent  []*posted
	acked map[string]bool // ids of notifications that were answered 204
	other []string        // every other outcome
}

// posted is a notification as it was posted.
type posted struct {
	url    string
	header http.Header
	body   []byte
}

// newWechat starts a WeChat whose rhythm is shortened by scale.
func newWechat(t *testing.T, scale float64) *wechat {
	t.Helper()
	w := &wechat{acked: map[string]bool{}, line: &http.Transport{DisableKeepAlives: true}}
	box, err := sandbox.New(sandbox.Options{TimeScale: scale, Transport: w})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(box)
	w.url = front.URL
	t.Cleanup(func() {
		front.Close()
		if err := box.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// RoundTrip carries a notification to the relay and notes what it answered.
func (w *wechat) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	n := &posted{url: r.URL.String(), header: r.Header.Clone(), body: body}
	w.mu.Lock()
	w.sent = append(w.sent, n)
	hold := w.hold
	w.mu.Unlock()
	if hold {
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}
	again := r.Clone(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(body))
	response, err := w.line.RoundTrip(again)
	if err == nil && bytes.HasPrefix(body, []byte("<")) {
		err = acceptV2(response)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err != nil:
		w.other = append(w.other, err.Error())
	case response.StatusCode != http.StatusNoContent && response.StatusCode != http.StatusOK:
		w.other = append(w.other, response.Status)
	default:
		w.acked[n.id()] = true
	}
	return response, err
}

// acceptV2 judges the answer to an APIv2 notification, which says success in
// its body, and leaves the body to be read.
func acceptV2(response *http.Response) error {
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	const success = "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>"
	if response.StatusCode != http.StatusOK || string(body) != success {
		return fmt.Errorf("answered %s %q", response.Status, body)
	}
	return nil
}

// allTaken fails if the relay answered a notification by anything but
// success.
func (w *wechat) allTaken(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.other) > 0 {
		t.Errorf("WeChat was answered %q", w.other)
	}
}

func (n *posted) id() string {
	var v struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(n.body, &v)
	return v.ID
}

// send posts the notification once more, as it was.
func (n *posted) send(ctx context.Context, c *http.Client) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url, bytes.NewReader(n.body))
	if err != nil {
		return nil, err
	}
	r.Header = n.header.Clone()
	return send(c, r)
}

// holds makes WeChat keep its notifications from now on, or send them.
func (w *wechat) holds(yes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hold = yes
}

// captured waits for the first notification that WeChat has posted or kept.
func (w *wechat) captured(t *testing.T) *posted {
	t.Helper()
	var n *posted
	eventually(t, "a notification", func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.sent) == 0 {
			return errors.New("none yet")
		}
		n = w.sent[0]
		return nil
	})
	return n
}

// took reports whether the relay answered success to a notification.
func (w *wechat) took(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acked[id]
}

// merchantKeys are lines for the merchant main that name the sandbox's keys
// by file. A server without them derives the keys when it starts, which
// takes longer than everything else.
func merchantKeys(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	c := sandbox.DefaultCredentials()
	private, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(c.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	keep := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return `{
			api_v3 {
				key ` + sandbox.DefaultAPIv3Key + `
				certificate_serial ` + c.CertificateSerial + `
				private_key ` + keep("apiclient_key.pem", "PRIVATE KEY", private) + `
				public_key ` + c.PublicKeyID + ` ` + keep("pub_key.pem", "PUBLIC KEY", public) + `
			}
		}`
}

// certificateFile is the sandbox merchant's certificate as a file.
func certificateFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "apiclient_cert.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: sandbox.DefaultCredentials().Certificate.Raw}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
