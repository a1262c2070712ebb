package badgerstore

import (
	"bytes"
	"sync"
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

// marks remembers, for each index whose head is removed all the time, from
// where on it can hold anything. Without them every scan would walk over the
// tombstones of what was removed since the last compaction, which took
// hundreds of milliseconds after 900 000 removals. It also keeps the list of
// destinations, so that finding due work costs no scan.
//
// Groups are numbered. Before a group is committed its index entries go into
// the marks (stage), which can only make them more careful; readers raise a
// mark to the first entry that they saw, unless a group put something there
// after what they can see.
type marks struct {
	mu    sync.Mutex // guards what follows and the fields of every mark
	dests map[string]*mark
	open  *mark
}

// mark is what is known of one index.
type mark struct {
	prefix string
	dest   relay.Destination // of the due index

	// low: no entry is before it, for readers that see the group from; empty
	// when nothing is known.
	low  string
	from uint64
	// exact: low is an entry, for readers that see the group changed.
	exact   bool
	changed uint64 // last group that put or removed an entry
	put     uint64 // last group that put an entry
}

func newMarks() *marks {
	return &marks{dests: map[string]*mark{}, open: &mark{prefix: string(prefixOpenOrder)}}
}

func (ms *marks) openOrders() mark {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	return *ms.open
}

// destination returns a copy of the mark; one that is not known says nothing.
func (ms *marks) destination(prefix []byte) mark {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if m := ms.dests[string(prefix)]; m != nil {
		return *m
	}
	return mark{prefix: string(prefix), from: ^uint64(0)}
}

// destinations returns copies of all marks of the due index.
func (ms *marks) destinations() []mark {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	out := make([]mark, 0, len(ms.dests))
	for _, m := range ms.dests {
		out = append(out, *m)
	}
	return out
}

// stage notes a write of the group that is about to be committed. Whether
// the group succeeds does not matter: readers that do not see it do not trust
// what it changed.
func (ms *marks) stage(w write, group uint64) {
	var m *mark
	switch w.key[0] {
	case prefixDue:
		n := duePrefixLen(w.key)
		if m = ms.dests[string(w.key[:n])]; m == nil {
			if w.row == nil {
				return
			}
			m = &mark{prefix: string(w.key[:n]), dest: parseDestination(w.key[:n]), low: string(w.key), from: group}
			ms.dests[m.prefix] = m
		}
	case prefixOpenOrder:
		m = ms.open
	default:
		return
	}
	m.changed = group
	if w.row == nil {
		m.exact = m.exact && m.low != string(w.key)
		return
	}
	m.put = group
	if m.low != "" && string(w.key) <= m.low {
		m.low, m.exact = string(w.key), true
	}
}

// stageAll notes all writes of a group.
func (ms *marks) stageAll(writes map[string]write, group uint64) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for _, w := range writes {
		ms.stage(w, group)
	}
}

// saw notes what a reader who sees the group found first in an index: first
// is nil when there was nothing.
func (ms *marks) saw(prefix string, first []byte, group uint64) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	m := ms.dests[prefix]
	if prefix == ms.open.prefix {
		m = ms.open
	}
	if m == nil || m.put > group || m.from > group {
		return
	}
	if first == nil && m != ms.open {
		delete(ms.dests, prefix)
		return
	}
	if first == nil {
		first = []byte{prefixOpenOrder + 1} // beyond all entries
	}
	m.low, m.from, m.exact = string(first), group, m.changed <= group && len(first) > 1
}

// start is where a reader who sees the group begins to scan.
func (m *mark) start(group uint64) []byte {
	if m.from > group || m.low == "" {
		return []byte(m.prefix)
	}
	return []byte(m.low)
}

// scanMarked passes the keys of an index to fn until it returns false, and
// remembers where the index begins.
func (r *reader) scanMarked(m mark, limit int, fn func(key []byte) bool) error {
	if limit <= 0 {
		return nil
	}
	any := false
	err := r.src.scan([]byte(m.prefix), nil, m.start(r.seq), func(key, _ []byte) (bool, error) {
		if !any {
			any = true
			r.remember(m, key)
		}
		return fn(key), nil
	})
	if err == nil && !any {
		r.remember(m, nil)
	}
	return err
}

func (r *reader) remember(m mark, first []byte) {
	if !r.live || (first != nil && m.exact && m.low == string(first)) {
		return
	}
	r.marks.saw(m.prefix, first, r.seq)
}

// Destinations calls fn for each destination at which a delivery waits.
func (r *reader) Destinations(fn func(relay.Destination, time.Time) bool) error {
	known := r.marks.destinations()
	if !r.live {
		known = r.withStaged(known)
	}
	for i := range known {
		m := &known[i]
		due, ok := m.earliest(r.seq)
		if !ok {
			if err := r.scanMarked(*m, 1, func(key []byte) bool {
				due, ok = fromOrdered(key[len(m.prefix):]), true
				return false
			}); err != nil {
				return err
			}
		}
		if ok && !fn(m.dest, nanoTime(due)) {
			return nil
		}
	}
	return nil
}

// earliest is the due time of the first entry, if it is known to a reader
// who sees the group.
func (m *mark) earliest(group uint64) (int64, bool) {
	if !m.exact || m.changed > group || m.from > group {
		return 0, false
	}
	return fromOrdered([]byte(m.low[len(m.prefix):])), true
}

// withStaged adds the destinations of the running group and forgets what is
// known of those that it touched.
func (r *reader) withStaged(known []mark) []mark {
	s, ok := r.src.(staged)
	if !ok {
		return known
	}
	touched := map[string]bool{}
	for _, k := range s.over.from([]byte{prefixDue}, nil) {
		if n := duePrefixLen([]byte(k)); n > 0 {
			touched[k[:n]] = true
		}
	}
	for i := range known {
		if touched[known[i].prefix] {
			known[i].exact = false
			delete(touched, known[i].prefix)
		}
	}
	for p := range touched {
		known = append(known, mark{prefix: p, dest: parseDestination([]byte(p)), from: ^uint64(0)})
	}
	return known
}

// load fills the marks of an opened store: one seek for each destination.
func (ms *marks) load(src committed, group uint64) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	it := src.iterate([]byte{prefixDue})
	defer it.Close()
	for it.Seek([]byte{prefixDue}); it.Valid(); {
		key := it.Item().KeyCopy(nil)
		n := duePrefixLen(key)
		if n == 0 {
			it.Next()
			continue
		}
		prefix := key[:n]
		ms.dests[string(prefix)] = &mark{
			prefix: string(prefix), dest: parseDestination(prefix),
			low: string(key), from: group, exact: true, changed: group, put: group,
		}
		// The destination ends with a zero byte; a one comes after all of it.
		it.Seek(append(bytes.Clone(prefix[:n-1]), 1))
	}
	ms.open.from, ms.open.put, ms.open.changed = group, group, group
}
