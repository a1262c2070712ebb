package badgerstore

import (
	"errors"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

// Nonces lie in buckets as long as the window in which they count. One that
// still counts is in the bucket of now or the one before; the one after is
// asked too, because two requests that come at a bucket's end may be committed
// in the other order.

// NonceUsed reports whether ClaimNonce would refuse.
func (r *reader) NonceUsed(clientID, nonce string, now time.Time) (bool, error) {
	if hasZero(clientID) {
		return false, nil
	}
	var buf [keyRoom]byte
	b := nonceBucket(now)
	for _, bucket := range [...]int64{b, b - 1, b + 1} {
		row, err := r.src.get(store.KindNonce, appendNonceKey(buf[:0], bucket, clientID, nonce))
		if errors.Is(err, relay.ErrNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		p, err := store.Open(store.KindNonce, row)
		if err != nil {
			return false, err
		}
		if len(p) != 8 {
			return false, errIndexRow
		}
		if now.Sub(nanoTime(fromOrdered(p))) < relay.NonceWindow {
			return true, nil
		}
	}
	return false, nil
}

// sweepStep is how many forgotten nonces one group removes.
const sweepStep = 256

// nonceSweep removes the nonces of buckets that no longer count, a few with
// each group, once per bucket. Only the committer touches it.
type nonceSweep struct {
	done int64  // buckets up to here are empty
	low  []byte // where to go on
}

// step stages removals of nonces that are too old at now.
func (n *nonceSweep) step(src staged, now time.Time) error {
	last := nonceBucket(now) - 2
	if last <= n.done {
		return nil
	}
	var old [][]byte
	end := appendNonceBucket(nil, last+1)
	err := src.committed.scan([]byte{prefixNonce}, nil, n.low, func(key, _ []byte) (bool, error) {
		if string(key) >= string(end) {
			return false, nil
		}
		old = append(old, src.over.keep(key))
		return len(old) < sweepStep, nil
	})
	if err != nil {
		return err
	}
	for _, key := range old {
		src.over.put(key, nil)
	}
	if len(old) < sweepStep {
		n.done, n.low = last, end
	} else {
		n.low = append(n.low[:0], old[len(old)-1]...)
	}
	return nil
}
