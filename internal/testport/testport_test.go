package testport

import (
	"fmt"
	"net"
	"testing"
)

// TestFree: a server can listen on what was given, and nobody else is given
// it meanwhile.
func TestFree(t *testing.T) {
	t.Parallel()
	given := map[int]bool{}
	for range 500 {
		port := Free(t)
		if given[port] || port < lowest || port >= lowest+number {
			t.Fatalf("port %d is given, and was before: %t", port, given[port])
		}
		given[port] = true
	}
	for port := range given {
		if reserve(t, port) {
			t.Errorf("port %d can be reserved twice", port)
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatalf("no server can listen: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestReserveTaken: a port that somebody listens on is not given.
func TestReserveTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if port := l.Addr().(*net.TCPAddr).Port; reserve(t, port) {
		t.Errorf("port %d is reserved, where a server listens", port)
	}
}

// TestReserveEnds: what a test has reserved is free after it.
func TestReserveEnds(t *testing.T) {
	var port int
	t.Run("holder", func(t *testing.T) { port = Free(t) })
	if !reserve(t, port) {
		t.Errorf("port %d is still reserved", port)
	}
}
