package badgerstore

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

// source is a state of the store to read from. What get returns may be kept;
// what scan passes to fn may not. fn must not use the source.
//
// scan passes the rows under the prefix from start on, in order. Rows that
// are committed begin at low, says the caller: nothing before it is looked
// at.
type source interface {
	get(kind store.Kind, key []byte) ([]byte, error)
	scan(prefix, start, low []byte, fn visit) error
}

// visit is told of one row and returns whether it wants more.
type visit func(key, row []byte) (bool, error)

// committed reads what Badger holds at one moment.
type committed struct{ txn *badger.Txn }

func (c committed) get(kind store.Kind, key []byte) ([]byte, error) {
	item, err := c.txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, relay.ErrNotFound
	}
	if err != nil {
		return nil, engineError(kind, err)
	}
	return value(kind, item)
}

func value(kind store.Kind, item *badger.Item) ([]byte, error) {
	var row []byte
	err := item.Value(func(v []byte) error {
		row = v
		return nil
	})
	if err != nil {
		return nil, engineError(kind, err)
	}
	return row, nil
}

// engineError hides Badger's own text, which holds the key.
func engineError(kind store.Kind, err error) error {
	if cause := errors.Unwrap(err); cause != nil {
		return fmt.Errorf("%s row: %w: reading it: %w", kind, relay.ErrCorrupt, cause)
	}
	return fmt.Errorf("%s row: %w: the engine could not read it", kind, relay.ErrCorrupt)
}

func (c committed) scan(prefix, start, low []byte, fn visit) error {
	it := c.iterate(prefix)
	defer it.Close()
	for it.Seek(atLeast(low, atLeast(start, prefix))); it.Valid(); it.Next() {
		row, err := value(store.KindIndex, it.Item())
		if err != nil {
			return err
		}
		if more, err := fn(it.Item().Key(), row); err != nil || !more {
			return err
		}
	}
	return nil
}

func (c committed) iterate(prefix []byte) *badger.Iterator {
	return c.txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
}

func atLeast(start, prefix []byte) []byte {
	if bytes.Compare(start, prefix) < 0 {
		return prefix
	}
	return start
}

// staged reads what Badger holds as the requests of the running group have
// changed it.
type staged struct {
	committed
	over *overlay
}

func (s staged) get(kind store.Kind, key []byte) ([]byte, error) {
	if w, ok := s.over.rows[string(key)]; ok {
		if w.row == nil {
			return nil, relay.ErrNotFound
		}
		return w.row, nil
	}
	return s.committed.get(kind, key)
}

func (s staged) scan(prefix, start, low []byte, fn visit) error {
	keys := s.over.from(prefix, start)
	// own passes the staged rows before the given key, or all when it is nil.
	own := func(before []byte) (bool, error) {
		for len(keys) > 0 && (before == nil || keys[0] < string(before)) {
			w := s.over.rows[keys[0]]
			keys = keys[1:]
			if w.row == nil {
				continue
			}
			if more, err := fn(w.key, w.row); err != nil || !more {
				return false, err
			}
		}
		return true, nil
	}
	stopped := false
	err := s.committed.scan(prefix, start, low, func(key, row []byte) (bool, error) {
		more, err := own(key)
		if err == nil && more {
			if len(keys) > 0 && keys[0] == string(key) {
				return true, nil // the staged row comes in its place
			}
			more, err = fn(key, row)
		}
		stopped = !more
		return more, err
	})
	if err != nil || stopped {
		return err
	}
	_, err = own(nil)
	return err
}
