package badgerstore

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

// errSplitOfNobody says that money is shared which its order does not know of,
// so that it could be shared or refunded twice.
var errSplitOfNobody = fmt.Errorf("split row: %w: its order does not name it", relay.ErrCorrupt)

func (v *verifier) split(key, row []byte) error {
	v.report.Splits++
	s, err := store.DecodeSplit(row)
	if err := fits(err, key, appendSplitKey(nil, s.SplitKey)); err != nil {
		return err
	}
	if !s.DueAt.IsZero() {
		v.taskWant++
	}
	row, err = v.src.get(store.KindOrder, appendOrderKey(nil, relay.OrderKey{ClientID: s.ClientID, OrderNo: s.OrderNo}))
	if err != nil {
		return missingIsCorrupt(err)
	}
	o, err := store.DecodeOrder(row)
	if err == nil && !slices.Contains(o.Splits, s.OutOrderNo) {
		return errSplitOfNobody
	}
	return err
}

// splitsOf checks that each split that the order names is one of its own.
func (v *verifier) splitsOf(o *relay.Order) error {
	for _, no := range o.Splits {
		s, err := v.splitAt(relay.SplitKey{MchID: o.MchID, OutOrderNo: no})
		if err != nil {
			return err
		}
		if s.ClientID != o.ClientID || s.OrderNo != o.OrderNo {
			return errUnfit
		}
	}
	return nil
}

func (v *verifier) splitAt(k relay.SplitKey) (relay.Split, error) {
	row, err := v.src.get(store.KindSplit, appendSplitKey(nil, k))
	if err != nil {
		return relay.Split{}, missingIsCorrupt(err)
	}
	return store.DecodeSplit(row)
}

func (v *verifier) splitNo(key, row []byte) error {
	p, err := store.Open(store.KindIndex, row)
	if err != nil {
		return err
	}
	k, _ := parseSplitKey(p)
	s, err := v.splitAt(k)
	if err == nil && !bytes.Equal(key, appendSplitNoKey(nil, s.ClientID, s.SplitNo)) {
		return errUnfit
	}
	return err
}
