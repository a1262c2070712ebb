package relay

import (
	"runtime"
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
	for range 3 {
		runtime.GC()
	}
	if kept.Value() != nil {
		t.Error("the request is kept")
	}
	if _, ok := f.get(strings.Repeat("x", 16), strings.Repeat("x", 22), at); !ok {
		t.Error("the flow was forgotten")
	}
}
