package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
)

// slowBody blocks until it is let go.
type slowBody struct{ begun, release chan struct{} }

func (b slowBody) Read([]byte) (int, error) {
	b.begun <- struct{}{}
	<-b.release
	return 0, errors.New("gone")
}

// TestUploadsAreBounded_J02_G08: large bodies take a bounded part of the
// memory. Those who have shown nothing yet and send slowly keep out neither
// clients that have shown a token, nor, from one address, other addresses; and
// one client keeps out no other.
func TestUploadsAreBounded_J02_G08(t *testing.T) {
	t.Parallel()
	service := &fakeService{}
	service.callAPI = func(relay.APIRequest) (relay.APIAnswer, error) { return relay.APIAnswer{Status: 200}, nil }
	f := newFace(t, service)
	b := slowBody{make(chan struct{}), make(chan struct{})}
	send := func(from, query string, body slowBody) int {
		r := httptest.NewRequest(http.MethodPost, "/cgi-bin/media/upload"+query, body)
		r.RemoteAddr, r.ContentLength = from+":1", -1
		if query == "" {
			r.Header.Set("Authorization", signedHeader)
		}
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		return w.Code
	}
	var slow sync.WaitGroup
	begin := func(from, query string) {
		slow.Go(func() { send(from, query, b) })
		<-b.begun
	}
	const token, full = "?access_token=a1", http.StatusServiceUnavailable
	for range maxUploadsEach {
		begin("[2001:db8::1]", "")
		begin("192.0.2.7", token)
	}
	if got := send("[2001:db8::2:3]", "", b); got != full {
		t.Errorf("one more from the same network: %d", got)
	}
	if got := send("192.0.2.8", token, b); got != full {
		t.Errorf("one more of the same client: %d", got)
	}
	for i := maxUploadsEach; i < maxUploads; i++ {
		begin(fmt.Sprintf("192.0.2.%d", i), "")
	}
	if got := send("192.0.2.100", "", b); got != full {
		t.Errorf("one more of a stranger: %d", got)
	}
	if w := f.do(t, "POST", "/cgi-bin/media/upload?access_token=b1", strings.Repeat("x", 100_000)); w.Code != 200 || len(service.paths) != 1 {
		t.Errorf("another client: %d %s", w.Code, w.Body)
	}
	close(b.release)
	slow.Wait()
	if w := f.do(t, "POST", "/cgi-bin/media/upload", strings.Repeat("x", 100_000), "Authorization", signedHeader); w.Code != 200 || len(service.paths) != 2 {
		t.Errorf("later: %d %s", w.Code, w.Body)
	}
	if len(f.uploads.by)+len(f.clientUploads.by)+f.uploads.total+f.clientUploads.total != 0 {
		t.Error("a body that ended is counted")
	}
}

func TestNeighbours(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::/64", "fe80::1%eth0": "fe80::/64", "": "", "x": "",
	} {
		if got := neighbours(ip); got != want {
			t.Errorf("%s: %q, want %q", ip, got, want)
		}
	}
}
