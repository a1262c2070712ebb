package badgerstore

import (
	"bytes"
	"slices"
	"strings"
)

// overlay is what the requests of one group wrote and Badger does not have
// yet. A request that fails takes back its own part, in reverse order. Only
// the committer touches it.
type overlay struct {
	rows  map[string]write
	size  int // bytes of keys and rows
	undo  []undoStep
	arena []byte // where rows and keys are written, chunk after chunk

	// sorted lists the keys once a request has scanned; before that nobody
	// pays for the order.
	sorted  []string
	ordered bool
}

// write is a row to be put, or to be deleted when row is nil.
type write struct {
	key, row []byte
}

type undoStep struct {
	key string
	old write // zero when the key was not there
	had bool
}

const (
	minArena = 4 << 10
	maxArena = 1 << 20
)

func newOverlay() *overlay {
	return &overlay{rows: map[string]write{}}
}

// reset forgets everything. The last transaction has ended, so Badger holds
// no row any more and the arena is used again.
func (o *overlay) reset() {
	clear(o.rows)
	clear(o.undo)
	clear(o.sorted)
	o.undo, o.sorted, o.ordered = o.undo[:0], o.sorted[:0], false
	o.size, o.arena = 0, o.arena[:0]
}

// space returns the arena with room for at least n more bytes.
func (o *overlay) space(n int) []byte {
	if cap(o.arena)-len(o.arena) < n {
		o.arena = make([]byte, 0, max(n, minArena, min(2*cap(o.arena), maxArena)))
	}
	return o.arena
}

// keep copies b into the arena.
func (o *overlay) keep(b []byte) []byte {
	a := append(o.space(len(b)), b...)
	from := len(o.arena)
	o.arena = a
	return a[from:len(a):len(a)]
}

// put stages a row, or a deletion when row is nil. It copies the key and
// keeps the row.
func (o *overlay) put(key, row []byte) {
	old, had := o.rows[string(key)]
	if had {
		key = old.key
	} else {
		key = o.keep(key)
	}
	k := string(key)
	o.undo = append(o.undo, undoStep{k, old, had})
	o.rows[k] = write{key, row}
	o.size += len(row) - len(old.row)
	if !had {
		o.size += len(key)
		if o.ordered {
			i, _ := slices.BinarySearch(o.sorted, k)
			o.sorted = slices.Insert(o.sorted, i, k)
		}
	}
}

// accept makes what was put so far final for this group.
func (o *overlay) accept() {
	clear(o.undo)
	o.undo = o.undo[:0]
}

// rollBack takes back what was put since accept.
func (o *overlay) rollBack() {
	for _, u := range slices.Backward(o.undo) {
		o.size += len(u.old.row) - len(o.rows[u.key].row)
		if u.had {
			o.rows[u.key] = u.old
			continue
		}
		o.size -= len(u.key)
		delete(o.rows, u.key)
		if o.ordered {
			if i, ok := slices.BinarySearch(o.sorted, u.key); ok {
				o.sorted = slices.Delete(o.sorted, i, i+1)
			}
		}
	}
	o.accept()
}

// from lists the staged keys at or after start that have the prefix, in
// order.
func (o *overlay) from(prefix, start []byte) []string {
	if len(o.rows) == 0 {
		return nil
	}
	if !o.ordered {
		for k := range o.rows {
			o.sorted = append(o.sorted, k)
		}
		slices.Sort(o.sorted)
		o.ordered = true
	}
	if bytes.Compare(start, prefix) < 0 {
		start = prefix
	}
	i, _ := slices.BinarySearchFunc(o.sorted, start, func(k string, b []byte) int { return strings.Compare(k, string(b)) })
	j := i
	for j < len(o.sorted) && strings.HasPrefix(o.sorted[j], string(prefix)) {
		j++
	}
	return o.sorted[i:j]
}
