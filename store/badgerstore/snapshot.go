package badgerstore

import (
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// snapshots keeps the newest committed state open for reading. Opening a
// Badger transaction waits for the commit that is under way, so readers would
// hang behind a slow disk; sharing this one they never wait. It also keeps
// readers from rows whose commit failed.
type snapshots struct {
	mu      sync.Mutex // guards what follows
	current *snapshot
}

type snapshot struct {
	txn  *badger.Txn
	seq  uint64 // last group in it
	refs int    // readers, and one for being current
}

// replace makes the state after group seq the current one. Only the committer
// calls it, with no commit under way.
func (ss *snapshots) replace(db *badger.DB, seq uint64) {
	next := &snapshot{txn: db.NewTransaction(false), seq: seq, refs: 1}
	ss.mu.Lock()
	old := ss.current
	ss.current = next
	ss.mu.Unlock()
	if old != nil {
		ss.release(old)
	}
}

func (ss *snapshots) acquire() *snapshot {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.current.refs++
	return ss.current
}

func (ss *snapshots) release(sn *snapshot) {
	ss.mu.Lock()
	sn.refs--
	last := sn.refs == 0
	ss.mu.Unlock()
	if last {
		sn.txn.Discard()
	}
}

// close gives up the current state.
func (ss *snapshots) close() {
	ss.mu.Lock()
	old := ss.current
	ss.mu.Unlock()
	if old != nil {
		ss.release(old)
	}
}
