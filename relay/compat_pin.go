package relay

import (
	"container/list"
	"crypto/sha256"
	"strings"
	"sync"
	"time"
)

// Bounds of what is remembered about v2-style signatures: as long as one may
// be presented again, and as many as three clients send at the default rate.
const (
	compatPinLife = 660 * time.Second
	maxCompatPins = 100_000
)

// compatPins remembers for which call each v2-style signature was used
// first. The v2 rule covers neither method nor path, and reads use up no
// nonce: without this, whoever sees the address of a signed read could close
// another order with it.
type compatPins struct {
	mu    sync.Mutex // guards all below
	byKey map[compatPinKey]*list.Element
	order list.List // of *compatPin, oldest first
}

type compatPinKey struct{ clientID, nonce string }

type compatPin struct {
	key     compatPinKey
	call    [sha256.Size]byte // its hash: a client may make its paths as long as the server takes them
	expires time.Time
}

// pin reports whether the nonce is new or was used for the same call.
func (p *compatPins) pin(clientID, nonce, call string, now time.Time) bool {
	hash := sha256.Sum256([]byte(call))
	p.mu.Lock()
	defer p.mu.Unlock()
	for e := p.order.Front(); e != nil && (!e.Value.(*compatPin).expires.After(now) || p.order.Len() >= maxCompatPins); e = p.order.Front() {
		delete(p.byKey, p.order.Remove(e).(*compatPin).key)
	}
	key := compatPinKey{clientID, nonce}
	if e := p.byKey[key]; e != nil {
		return e.Value.(*compatPin).call == hash
	}
	if p.byKey == nil {
		p.byKey = map[compatPinKey]*list.Element{}
	}
	key.nonce = strings.Clone(nonce) // not the whole request of which it is a part
	p.byKey[key] = p.order.PushBack(&compatPin{key: key, call: hash, expires: now.Add(compatPinLife)})
	return true
}
