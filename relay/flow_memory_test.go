package relay

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"
	"weak"
)

// TestFlowsKeepNoRequest_J04: twenty thousand browsers may come with cookies
// and addresses as long as the server takes; their names alone stay.
func TestFlowsKeepNoRequest_J04(t *testing.T) {
	t.Parallel()
	var f flows
	at := time.Unix(1795296000, 0)
	request := strings.Repeat("x", 1<<20)
	kept := weak.Make(unsafe.StringData(request))
	if !f.put(flow{id: "state", browserID: request[:16], token: request[:22]}, at) {
		t.Fatal("the flow was refused")
	}
	if !f.put(flow{
		id: "login", browserID: request[:16], purpose: LoginForCode, redirectURI: request[:30], state: request[:40], scope: request[:11],
	}, at) {
		t.Fatal("the login was refused")
	}
	for range 3 {
		runtime.GC()
	}
	if kept.Value() != nil {
		t.Error("the request is kept")
	}
	if _, ok := f.get(strings.Repeat("x", 16), strings.Repeat("x", 22), at); !ok {
		t.Error("the flow was forgotten")
	}
	if _, ok := f.byState("login", at); !ok {
		t.Error("the login was forgotten")
	}
}

// TestFlowsOfOneBrowser_J04: a browser that a site sends round in circles
// leaves the room to others, and loses its own oldest trips.
func TestFlowsOfOneBrowser_J04(t *testing.T) {
	t.Parallel()
	var f flows
	at := time.Unix(1795296000, 0)
	name := func(i int) string { return "state-" + strconv.Itoa(i) }
	for i := range maxFlows + 1 {
		if !f.put(flow{id: name(i), browserID: "circling", purpose: LoginForTicket}, at) {
			t.Fatalf("trip %d was refused", i)
		}
	}
	if !f.put(flow{id: "other", browserID: "another", purpose: LoginForTicket}, at) {
		t.Error("another browser finds no room")
	}
	for i, want := range map[int]bool{maxFlows: true, maxFlows - maxBrowserFlows + 1: true, maxFlows - maxBrowserFlows: false, 0: false} {
		if _, ok := f.byState(name(i), at); ok != want {
			t.Errorf("trip %d of %d: known %t, want %t", i, maxFlows, ok, want)
		}
	}
	if n := f.logins.Len(); n != maxBrowserFlows+1 || len(f.byKey) != n || len(f.byID) != n || len(f.byBrowser) != 2 {
		t.Errorf("%d trips of %d browsers are kept, %d by key and %d by state", n, len(f.byBrowser), len(f.byKey), len(f.byID))
	}
	later := at.Add(flowLife)
	if !f.put(flow{id: "late", browserID: "late", purpose: LoginForTicket}, later) || f.logins.Len() != 1 || len(f.byBrowser) != 1 {
		t.Errorf("%d trips of %d browsers are kept when all but one are over", f.logins.Len(), len(f.byBrowser))
	}
}
