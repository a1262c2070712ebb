package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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
	for _, g := range []*gate{&f.gates.uploads, &f.gates.clientUploads} {
		if len(g.by) != 0 || g.total != 0 {
			t.Errorf("what ended is counted: %d of %v", g.total, g.by)
		}
	}
}

// TestCallsAreBounded_G08: the answers to one client's calls take a bounded part
// of the memory; its calls that hang hold up its own and nobody else's.
func TestCallsAreBounded_G08(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const each = 1100 * time.Millisecond // callWait is no multiple of it
		service := &fakeService{}
		var atOnce, most atomic.Int32
		service.callAPI = func(relay.APIRequest) (relay.APIAnswer, error) {
			most.Store(max(most.Load(), atOnce.Add(1)))
			defer atOnce.Add(-1)
			time.Sleep(each)
			return relay.APIAnswer{Status: 200, Body: []byte("{}")}, nil
		}
		f := newFace(t, service)
		call := func(token string) string {
			return f.do(t, "GET", "/cgi-bin/media/get?access_token="+token, "").Body.String()
		}
		var calls sync.WaitGroup
		begin := time.Now()
		for range 3 * maxCallsEach {
			calls.Go(func() {
				if got := call("a1"); got != "{}" {
					t.Errorf("after %s: %s", time.Since(begin), got)
				}
			})
		}
		synctest.Wait()
		if got := call("b1"); got != "{}" || time.Since(begin) != each {
			t.Errorf("another client waits for %s: %s", time.Since(begin), got)
		}
		calls.Wait()
		if n := most.Load(); n > maxCallsEach+1 || time.Since(begin) != 3*each {
			t.Errorf("%d at once, done after %s", n, time.Since(begin))
		}
		for range 11 * maxCallsEach {
			calls.Go(func() { call("a1") })
		}
		synctest.Wait()
		if got := call("a1"); !strings.Contains(got, `{"errcode":45011,`) {
			t.Errorf("who waits for long gets %s", got)
		}
		calls.Wait()
	})
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
