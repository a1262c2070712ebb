// Package testport finds ports for servers that tests start by their
// configuration, and that therefore cannot listen on port 0. Only tests use
// it.
package testport

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"
)

// Ports are taken from below those that systems give out by themselves
// (Linux begins at 32768, others at 49152): a port that was free a moment ago
// would else become another test's listener, or the near end of a connection,
// before the server comes to it.
const (
	lowest = 20000
	number = 10000
)

// steps counts the ports that this process has tried. Each is tried once, so
// that what a server has left behind is in no other server's way.
var steps atomic.Int64

// Free is a port that nobody listens on, and that no other caller gets before
// the test has ended, in no process of this machine.
func Free(t testing.TB) int {
	t.Helper()
	for range number {
		port := lowest + (os.Getpid()*97+int(steps.Add(1)))%number
		if reserve(t, port) {
			return port
		}
	}
	t.Fatalf("%d ports in a row are taken", number)
	return 0
}

// reserve takes a port for the test. The reservation is the port's UDP half,
// which is in nobody's way and which the system gives back when the process
// dies.
func reserve(t testing.TB, port int) bool {
	t.Helper()
	var config net.ListenConfig
	held, err := config.ListenPacket(t.Context(), "udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	// On every address, for servers listen on several.
	l, err := config.Listen(t.Context(), "tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		_ = held.Close()
		return false
	}
	t.Cleanup(func() { _ = held.Close() })
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return true
}
