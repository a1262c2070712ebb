package memstore

import (
	"fmt"
	"slices"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

func (r reader) Split(k relay.SplitKey) (relay.Split, error) {
	s, err := found(r.splits, k)
	s.Receivers, s.Returns = slices.Clone(s.Receivers), slices.Clone(s.Returns)
	return s, err
}

func (r reader) SplitByNo(clientID, no string) (relay.SplitKey, error) {
	return found(r.splitNos, splitNo{clientID, no})
}

// PutSplit keeps the split and its indexes. Its client and number never
// change.
func (t *tx) PutSplit(s *relay.Split) error {
	if err := store.CheckKey(store.KindSplit, s.MchID, s.OutOrderNo, s.ClientID, s.SplitNo); err != nil {
		return err
	}
	c, err := canonical(s, store.EncodeSplit, store.DecodeSplit)
	if err != nil {
		return err
	}
	old, there := t.splits[c.SplitKey]
	no := splitNo{c.ClientID, c.SplitNo}
	if k, taken := t.splitNos[no]; taken && k != c.SplitKey || there && !taken {
		return fmt.Errorf("split number: %w", store.ErrExists)
	}
	set(t, t.splitNos, no, c.SplitKey)
	t.moveTask(relay.TaskFollowSplit, taskAt(old.DueAt, c.MchID, c.OutOrderNo), taskAt(c.DueAt, c.MchID, c.OutOrderNo))
	set(t, t.splits, c.SplitKey, c)
	return nil
}
