package web

import (
	"net/netip"
	"sync"
)

const (
	// maxUploads bounds how many bodies larger than maxBody are on their way
	// at a time: of all clients that have shown a token, and apart from them
	// of all senders who have not shown yet that they are clients.
	maxUploads = 16
	// maxUploadsEach bounds those of one sender among them, so that a few who
	// send slowly do not keep the others out (threats G08, J02).
	maxUploadsEach = 4
)

// uploadGate counts bodies on their way. The zero value is open.
type uploadGate struct {
	mu    sync.Mutex // guards all below
	total int
	by    map[string]int // sender to how many; none of zero
}

// enter lets one body in and returns how it leaves, or nil when there are too
// many.
func (g *uploadGate) enter(sender string) (leave func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.total >= maxUploads || g.by[sender] >= maxUploadsEach {
		return nil
	}
	if g.by == nil {
		g.by = map[string]int{}
	}
	g.total++
	g.by[sender]++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.total--
		if g.by[sender]--; g.by[sender] == 0 {
			delete(g.by, sender)
		}
	}
}

// enterUpload lets the body of this request in: as its client's when that is
// known, or else as one from its address.
func (x *exchange) enterUpload() (leave func()) {
	if x.clientID != "" {
		return x.clientUploads.enter(x.clientID)
	}
	return x.uploads.enter(neighbours(x.clientIP(x.r)))
}

// neighbours names who shares an address: of version 6, whoever has one has
// all of its /64.
func neighbours(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return ""
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return ""
	}
	return prefix.String()
}
