package web

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxUploads bounds how many bodies larger than maxBody are on their way
	// at a time: of all clients that have shown a token, and apart from them
	// of all senders who have not shown yet that they are clients.
	maxUploads = 16
	// maxUploadsEach bounds those of one sender among them, so that a few who
	// send slowly do not keep the others out (threats G08, J02).
	maxUploadsEach = 4
	// maxCallsEach bounds the calls of WeChat's server interface that one
	// client has under way: each answer, which may be a picture, is in memory
	// until the client has read it. Further ones wait for up to callWait.
	maxCallsEach = 32
	callWait     = 10 * time.Second
)

// gates bound what is under way at a time.
type gates struct {
	uploads, clientUploads gate
	calls                  queue
}

// gate counts bodies on their way. The zero value is open.
type gate struct {
	mu    sync.Mutex // guards all below
	total int
	by    map[string]int // sender to how many; none of zero
}

// enter lets one in and returns how it leaves, or nil when there are too many.
func (g *gate) enter(sender string) (leave func()) {
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

// queue lets clients' calls through, so many of each at a time. The zero value
// is empty.
type queue struct {
	mu sync.Mutex // guards by
	by map[string]chan struct{}
}

// enter waits for the client's turn and returns how its call leaves, or nil
// when it waited too long.
func (q *queue) enter(ctx context.Context, clientID string) (leave func()) {
	q.mu.Lock()
	slots := q.by[clientID]
	if slots == nil {
		slots = make(chan struct{}, maxCallsEach)
		if q.by == nil {
			q.by = map[string]chan struct{}{}
		}
		q.by[clientID] = slots // there are as many as clients in the configuration
	}
	q.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	select {
	case slots <- struct{}{}:
		return func() { <-slots }
	case <-ctx.Done():
		return nil
	}
}

// enterUpload lets the body of this request in: as its client's when that is
// known, or else as one from its address.
func (x *exchange) enterUpload() (leave func()) {
	if x.clientID != "" {
		return x.gates.clientUploads.enter(x.clientID)
	}
	return x.gates.uploads.enter(neighbours(x.clientIP(x.r)))
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
