package badgerstore

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

// errRefundOfNobody says that money goes back which its order does not know
// of, so that the order could be refunded twice.
var errRefundOfNobody = fmt.Errorf("refund row: %w: its order does not name it", relay.ErrCorrupt)

func (v *verifier) refund(key, row []byte) error {
	v.report.Refunds++
	r, err := store.DecodeRefund(row)
	if err := fits(err, key, appendRefundKey(nil, r.RefundKey)); err != nil {
		return err
	}
	if r.RefundNo != "" {
		v.refundNoWant++
	}
	if !r.DueAt.IsZero() {
		v.taskWant++
	}
	if r.OrderNo == "" {
		return nil
	}
	row, err = v.src.get(store.KindOrder, appendOrderKey(nil, relay.OrderKey{ClientID: r.ClientID, OrderNo: r.OrderNo}))
	if err != nil {
		return missingIsCorrupt(err)
	}
	o, err := store.DecodeOrder(row)
	if err == nil && !slices.Contains(o.Refunds, r.OutRefundNo) {
		return errRefundOfNobody
	}
	return err
}

// refundsOf checks that each refund that the order names is one of its own.
func (v *verifier) refundsOf(o *relay.Order) error {
	for _, no := range o.Refunds {
		r, err := v.refundAt(relay.RefundKey{MchID: o.MchID, OutRefundNo: no})
		if err != nil {
			return err
		}
		if r.ClientID != o.ClientID || r.OrderNo != o.OrderNo {
			return errUnfit
		}
	}
	return nil
}

func (v *verifier) refundAt(k relay.RefundKey) (relay.Refund, error) {
	row, err := v.src.get(store.KindRefund, appendRefundKey(nil, k))
	if err != nil {
		return relay.Refund{}, missingIsCorrupt(err)
	}
	return store.DecodeRefund(row)
}

func (v *verifier) refundNo(key, row []byte) error {
	p, err := store.Open(store.KindIndex, row)
	if err != nil {
		return err
	}
	k, _ := parseRefundKey(p)
	r, err := v.refundAt(k)
	if err == nil && !bytes.Equal(key, appendRefundNoKey(nil, r.ClientID, r.RefundNo)) {
		return errUnfit
	}
	return err
}

// task checks that the record is due when the index says so.
func (v *verifier) task(key []byte) error {
	prefix := queuePrefix(key)
	if len(prefix) == 0 {
		return errUnfit
	}
	task, ok := parseTask(string(key[len(prefix):]))
	if !ok {
		return errUnfit
	}
	want := task
	kind := relay.TaskKind(prefix[1 : len(prefix)-1])
	switch kind {
	case relay.TaskAskPayment:
		row, err := v.src.get(store.KindPayment, appendPaymentKey(nil, relay.PaymentKey{MchID: task.MchID, OutTradeNo: task.Number}))
		if err != nil {
			return missingIsCorrupt(err)
		}
		p, err := store.DecodePayment(row)
		if err != nil {
			return err
		}
		want.DueAt = p.AskAt
	case relay.TaskFollowRefund:
		r, err := v.refundAt(relay.RefundKey{MchID: task.MchID, OutRefundNo: task.Number})
		if err != nil {
			return err
		}
		want.DueAt = r.DueAt
	case relay.TaskFollowSplit:
		s, err := v.splitAt(relay.SplitKey{MchID: task.MchID, OutOrderNo: task.Number})
		if err != nil {
			return err
		}
		want.DueAt = s.DueAt
	default:
		return errUnfit
	}
	if want.DueAt.IsZero() || !bytes.Equal(key, appendTaskKey(nil, kind, want)) {
		return errUnfit
	}
	return nil
}
