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

func TestCompatPins(t *testing.T) {
	t.Parallel()
	var p compatPins
	at := time.Unix(1795296000, 0)
	for _, step := range []struct {
		name, client, nonce, call string
		after                     time.Duration
		want                      bool
	}{
		{"new", "a", "n", "GET /x", 0, true},
		{"the same call", "a", "n", "GET /x", 0, true},
		{"another call", "a", "n", "GET /y", 659 * time.Second, false},
		{"another nonce", "a", "m", "GET /y", 0, true},
		{"another client", "b", "n", "GET /y", 0, true},
		{"forgotten when no signature of then is fresh", "a", "n", "GET /y", 660 * time.Second, true},
	} {
		if got := p.pin(step.client, step.nonce, step.call, at.Add(step.after)); got != step.want {
			t.Errorf("%s: %t, want %t", step.name, got, step.want)
		}
	}
}

// TestCompatPinsKeepNoRequest_J03: a client may make its addresses as long as
// the server takes them; nothing of them stays but what is compared.
func TestCompatPinsKeepNoRequest_J03(t *testing.T) {
	t.Parallel()
	var p compatPins
	at := time.Unix(1795296000, 0)
	target := strings.Repeat("x", 1<<20)
	kept := weak.Make(unsafe.StringData(target))
	if !p.pin("a", target[:32], "GET /v1/orders/"+target, at) || !p.pin("a", target[:33], target, at) {
		t.Fatal("a new nonce was refused")
	}
	for range 3 {
		runtime.GC()
	}
	if kept.Value() != nil {
		t.Error("the address is kept")
	}
	if p.pin("a", strings.Repeat("x", 32), "GET /y", at) {
		t.Error("the pin was forgotten")
	}
}

// TestCompatPinsAreBounded_J03: a flood forgets the oldest and nothing else.
func TestCompatPinsAreBounded_J03(t *testing.T) {
	t.Parallel()
	var p compatPins
	at := time.Unix(1795296000, 0)
	for i := range maxCompatPins + 10 {
		p.pin("a", strconv.Itoa(i), "GET /x", at)
	}
	if len(p.byKey) != maxCompatPins || p.order.Len() != maxCompatPins {
		t.Errorf("%d pins in %d places, want %d", len(p.byKey), p.order.Len(), maxCompatPins)
	}
	if p.pin("a", strconv.Itoa(maxCompatPins), "GET /y", at) {
		t.Error("a young pin was forgotten")
	}
}
