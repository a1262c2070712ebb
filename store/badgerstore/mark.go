package badgerstore

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

// marks remembers the head of each index whose head is removed all the time:
// the queues of the destinations, the open orders, the grants by expiry, and
// the tasks of each kind. Without them every scan would walk over the tombstones of what was
// removed since the last compaction, which took hundreds of milliseconds after
// 900 000 removals. With them finding due work costs no scan at all while the
// heads last, whatever waits behind them.
//
// Groups are numbered. When a group is committed, and before readers get its
// state, its index entries go into the marks (committed). A reader trusts a
// mark as far as the group that it sees allows, and otherwise scans; what it
// finds it notes, unless the index has changed since (saw).
type marks struct {
	mu     sync.Mutex // guards what follows and the fields of every mark
	queues map[string]*mark
}

// maxHead is how many entries of an index are remembered at most.
const maxHead = 32

// mark is what is known of one index. Entries are keys without the prefix.
//
// Every destination at which something waits has a mark, and one at which
// nothing waits has none, so that the marks are the list of destinations. The
// other indexes get theirs when they are first read or written, and keep it.
type mark struct {
	prefix string
	dest   *relay.Destination // whose queue it is; nil for other indexes

	// lows: where keys begin, the newest knowledge first. Readers of older
	// states need the older.
	lows [4]low

	// head is the first entries, all of them when whole, for readers that
	// see the group changed. It is replaced and never changed in place, as
	// readers hold it. An empty one that is not whole says nothing.
	head    []string
	whole   bool
	changed uint64 // last group that put or removed an entry
	put     uint64 // last group that put an entry
}

// low: no key is before it, for readers that see the group from. An empty one
// says nothing.
type low struct {
	key  string
	from uint64
}

func newMarks() *marks {
	return &marks{queues: map[string]*mark{}}
}

// queuePrefix returns the part of a key that names the index whose head is
// remembered; empty when the key is of none.
func queuePrefix(key []byte) []byte {
	switch key[0] {
	case prefixOpenOrder, prefixExpiring:
		return key[:1]
	case prefixTask:
		return key[:bytes.IndexByte(key, 0)+1]
	case prefixDue:
		return key[:duePrefixLen(key)]
	default:
		return nil
	}
}

// queue returns a copy of an index's mark; one that is not known says nothing.
func (ms *marks) queue(prefix []byte) mark {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if m := ms.queues[string(prefix)]; m != nil {
		return *m
	}
	return mark{prefix: string(prefix), changed: ^uint64(0)}
}

// destinations returns copies of all marks of the due index.
func (ms *marks) destinations() []mark {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	out := make([]mark, 0, len(ms.queues))
	for _, m := range ms.queues {
		if m.dest != nil {
			out = append(out, *m)
		}
	}
	return out
}

// committed notes the writes of a group. Readers must not have its state yet.
func (ms *marks) committed(writes map[string]write, group uint64) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for _, w := range writes {
		if m := ms.of(w, group); m == nil {
			continue
		} else if w.row == nil {
			m.removed(string(w.key), group)
			if m.whole && len(m.head) == 0 && m.dest != nil {
				delete(ms.queues, m.prefix)
			}
		} else {
			m.added(string(w.key), group)
		}
	}
}

// of returns the mark of the index that a write changes, nil when it is none.
func (ms *marks) of(w write, group uint64) *mark {
	prefix := queuePrefix(w.key)
	if len(prefix) == 0 {
		return nil
	}
	m := ms.queues[string(prefix)]
	switch {
	case m != nil:
		return m
	case prefix[0] != prefixDue:
		m = &mark{prefix: string(prefix)}
	case w.row != nil:
		d := parseDestination(prefix)
		m = &mark{prefix: string(prefix), dest: &d, whole: true}
		m.raise(string(w.key), group)
	default:
		return nil
	}
	ms.queues[m.prefix] = m
	return m
}

func (m *mark) added(key string, group uint64) {
	m.changed, m.put = group, group
	for i := range m.lows {
		if m.lows[i].key != "" {
			m.lows[i].key = min(m.lows[i].key, key)
		}
	}
	entry := key[len(m.prefix):]
	i, there := slices.BinarySearch(m.head, entry)
	if there || i == len(m.head) && !m.whole {
		return
	}
	head := make([]string, 0, len(m.head)+1)
	head = append(append(append(head, m.head[:i]...), entry), m.head[i:]...)
	if len(head) > maxHead {
		head, m.whole = head[:maxHead], false
	}
	m.head = head
}

func (m *mark) removed(key string, group uint64) {
	m.changed = group
	i, there := slices.BinarySearch(m.head, key[len(m.prefix):])
	switch {
	case !there:
	case i == 0:
		if m.head = m.head[1:]; len(m.head) == 0 && !m.whole {
			m.raise(key, group)
		}
	default:
		m.head = slices.Concat(m.head[:i], m.head[i+1:])
	}
}

// raise notes that no key is before the given one.
func (m *mark) raise(key string, group uint64) {
	if key <= m.lows[0].key {
		return
	}
	copy(m.lows[1:], m.lows[:])
	m.lows[0] = low{key, group}
}

// saw notes what a reader who sees the group found at the start of an index:
// its first entries, or all.
func (ms *marks) saw(prefix string, entries []string, all bool, group uint64) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	m := ms.queues[prefix]
	if m == nil && prefix[0] != prefixDue {
		// Nothing has been written here since the start.
		m = &mark{prefix: prefix}
		ms.queues[prefix] = m
	}
	if m == nil || m.put > group {
		return
	}
	if len(entries) == 0 && m.dest != nil {
		delete(ms.queues, prefix)
		return
	}
	if len(entries) > 0 {
		m.raise(prefix+entries[0], group)
	}
	if m.changed > group {
		return
	}
	m.whole = all && len(entries) <= maxHead
	m.head = slices.Clone(entries[:min(len(entries), maxHead)])
}

// start is where a reader who sees the group begins to scan.
func (m *mark) start(group uint64) []byte {
	for _, l := range m.lows {
		if l.key != "" && l.from <= group {
			return []byte(l.key)
		}
	}
	return nil
}

// known tells whether a reader who sees the group may trust the head.
func (m *mark) known(group uint64) bool {
	return m.changed <= group && (m.whole || len(m.head) > 0)
}

// first lists up to limit entries from the start of an index, and ends before
// the first that stop, if there is one, is true of.
func (r *reader) first(m mark, limit int, stop func(entry string) bool) ([]string, error) {
	settled := r.settled(m.prefix)
	until := func(entries []string) int {
		n := 0
		for n < min(limit, len(entries)) && (stop == nil || !stop(entries[n])) {
			n++
		}
		return n
	}
	if settled && m.known(r.seq) {
		if n := until(m.head); n < len(m.head) || n >= limit || m.whole {
			return m.head[:n], nil
		}
	}
	want := limit
	if settled {
		want = max(limit, maxHead)
	}
	var entries []string
	all := true
	err := r.src.scan([]byte(m.prefix), nil, m.start(r.seq), func(key, _ []byte) (bool, error) {
		entry := string(key[len(m.prefix):])
		if len(entries) == want || len(entries) >= maxHead && stop != nil && stop(entry) {
			all = false
			return false, nil
		}
		entries = append(entries, entry)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	if settled {
		r.marks.saw(m.prefix, entries, all, r.seq)
	}
	return entries[:until(entries)], nil
}

// Destinations calls fn for each destination at which a delivery waits.
func (r *reader) Destinations(fn func(relay.Destination, time.Time) bool) error {
	known := r.withStaged(r.marks.destinations())
	for i := range known {
		head, err := r.first(known[i], 1, nil)
		if err != nil {
			return err
		}
		if len(head) > 0 && !fn(*known[i].dest, nanoTime(fromOrdered([]byte(head[0][:8])))) {
			return nil
		}
	}
	return nil
}

// settled tells whether all that the reader sees under a prefix is committed:
// then a head may be used, and what a scan shows may be remembered. A reader
// inside a group must do neither once the group has staged a change there.
func (r *reader) settled(prefix string) bool {
	s, ok := r.src.(staged)
	return !ok || len(s.over.from([]byte(prefix), nil)) == 0
}

// withStaged adds the destinations that only the running group knows.
func (r *reader) withStaged(known []mark) []mark {
	s, ok := r.src.(staged)
	if !ok {
		return known
	}
	there := make(map[string]bool, len(known))
	for i := range known {
		there[known[i].prefix] = true
	}
	for _, k := range s.over.from([]byte{prefixDue}, nil) {
		n := duePrefixLen([]byte(k))
		if n == 0 || there[k[:n]] {
			continue
		}
		there[k[:n]] = true
		d := parseDestination([]byte(k[:n]))
		known = append(known, mark{prefix: k[:n], dest: &d, changed: ^uint64(0)})
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
		d := parseDestination(prefix)
		ms.queues[string(prefix)] = &mark{
			prefix: string(prefix), dest: &d, lows: [4]low{{string(key), group}},
			head: []string{string(key[n:])}, changed: group, put: group,
		}
		// The destination ends with a zero byte; a one comes after all of it.
		it.Seek(append(bytes.Clone(prefix[:n-1]), 1))
	}
}
