package badgerstore

import (
	"errors"
	"fmt"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

// Split reads a split.
func (r *reader) Split(k relay.SplitKey) (relay.Split, error) {
	var buf [keyRoom]byte
	row, err := r.src.get(store.KindSplit, appendSplitKey(buf[:0], k))
	if err != nil {
		return relay.Split{}, err
	}
	return store.DecodeSplit(row)
}

// SplitByNo finds a client's split by the client's own number.
func (r *reader) SplitByNo(clientID, splitNo string) (relay.SplitKey, error) {
	if hasZero(clientID) {
		return relay.SplitKey{}, relay.ErrNotFound
	}
	var buf [keyRoom]byte
	row, err := r.src.get(store.KindIndex, appendSplitNoKey(buf[:0], clientID, splitNo))
	if err != nil {
		return relay.SplitKey{}, err
	}
	p, err := store.Open(store.KindIndex, row)
	if err != nil {
		return relay.SplitKey{}, err
	}
	k, ok := parseSplitKey(p)
	if !ok {
		return relay.SplitKey{}, errIndexRow
	}
	return k, nil
}

// PutSplit keeps the split and its indexes. Its client and number never
// change.
func (t *tx) PutSplit(s *relay.Split) error {
	if err := t.check(store.KindSplit, s.MchID, s.OutOrderNo, s.ClientID, s.SplitNo); err != nil {
		return err
	}
	old, err := t.Split(s.SplitKey)
	there := err == nil
	if err != nil && !errors.Is(err, relay.ErrNotFound) {
		return err
	}
	holder, err := t.SplitByNo(s.ClientID, s.SplitNo)
	taken := err == nil
	if err != nil && !errors.Is(err, relay.ErrNotFound) {
		return err
	}
	if taken && holder != s.SplitKey || there && !taken {
		return fmt.Errorf("split number: %w", store.ErrExists)
	}
	var buf, noBuf [keyRoom]byte
	if !taken {
		no := appendSplitNoKey(noBuf[:0], s.ClientID, s.SplitNo)
		if err := t.putIndex(store.KindIndex, no, appendSplitKey(nil, s.SplitKey)[1:]); err != nil {
			return err
		}
	}
	t.moveTask(relay.TaskFollowSplit, relay.Task{MchID: s.MchID, Number: s.OutOrderNo}, old.DueAt, s.DueAt)
	return putRecord(t, appendSplitKey(buf[:0], s.SplitKey), s, store.EncodeSplit)
}
