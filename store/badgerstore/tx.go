package badgerstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

var (
	errIndexRow = fmt.Errorf("index row: %w: of an unexpected form", relay.ErrCorrupt)
	errDangling = fmt.Errorf("index row: %w: leads to no record", relay.ErrCorrupt)
	errTxOver   = errors.New("the transaction has ended")
)

// missingIsCorrupt is for a record that an index led to.
func missingIsCorrupt(err error) error {
	if errors.Is(err, relay.ErrNotFound) {
		return errDangling
	}
	return err
}

// tx implements relay.Tx for one request of a group.
type tx struct {
	reader
	over     *overlay
	eventSeq *uint64 // of the store, taken back when the request fails
	ended    bool
}

var (
	_ relay.Tx          = (*tx)(nil)
	_ relay.NonceReader = (*tx)(nil)
)

// check refuses to work after the request's end, and bad key parts.
func (t *tx) check(kind store.Kind, parts ...string) error {
	if t.ended {
		return errTxOver
	}
	return store.CheckKey(kind, parts...)
}

// noRow is the row of a key that says all.
var noRow = []byte{}

// putRecord stages the row that encode appends to the arena.
func putRecord[R any](t *tx, key []byte, r *R, encode func([]byte, *R) ([]byte, error)) error {
	a := t.over.space(minArena / 4)
	row, err := encode(a, r)
	if err != nil {
		return err
	}
	t.over.arena = row
	t.over.put(key, row[len(a):len(row):len(row)])
	return nil
}

// putIndex stages a key that leads to another row.
func (t *tx) putIndex(kind store.Kind, key, payload []byte) error {
	row, err := store.Seal(t.over.space(len(payload)+64), kind, payload)
	if err != nil {
		return err
	}
	from := len(t.over.arena)
	t.over.arena = row
	t.over.put(key, row[from:len(row):len(row)])
	return nil
}

// exists tells whether a key is there.
func (t *tx) exists(kind store.Kind, key []byte) (bool, error) {
	_, err := t.src.get(kind, key)
	if errors.Is(err, relay.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// PutOrder keeps the order and its indexes.
func (t *tx) PutOrder(o *relay.Order) error {
	if err := t.check(store.KindOrder, o.ClientID, o.OrderNo); err != nil {
		return err
	}
	old, err := t.Order(o.OrderKey)
	if err != nil && !errors.Is(err, relay.ErrNotFound) {
		return err
	}
	had := err == nil
	if err := t.moveToken(&old, o); err != nil {
		return err
	}
	var buf [keyRoom]byte
	wasOpen, isOpen := had && old.Status.Open(), o.Status.Open()
	stays := wasOpen && isOpen && old.ExpiresAt.Equal(o.ExpiresAt)
	if wasOpen && !stays {
		t.over.put(appendOpenKey(buf[:0], old.ExpiresAt, o.OrderKey), nil)
	}
	if isOpen && !stays {
		t.over.put(appendOpenKey(buf[:0], o.ExpiresAt, o.OrderKey), noRow)
	}
	return putRecord(t, appendOrderKey(buf[:0], o.OrderKey), o, store.EncodeOrder)
}

// moveToken keeps the token's index when the order's token is new. old is
// zero when the order is.
func (t *tx) moveToken(old, o *relay.Order) error {
	if old.Token == o.Token {
		return nil
	}
	var buf [keyRoom]byte
	if old.Token != "" {
		t.over.put(appendTokenKey(buf[:0], old.Token), nil)
	}
	if o.Token == "" {
		return nil
	}
	if err := t.check(store.KindOrder, o.Token); err != nil {
		return err
	}
	key := appendTokenKey(buf[:0], o.Token)
	taken, err := t.exists(store.KindIndex, key)
	if err != nil {
		return err
	}
	if taken {
		return fmt.Errorf("order token: %w", store.ErrExists)
	}
	return t.putIndex(store.KindIndex, key, appendOrderKey(nil, o.OrderKey)[1:])
}

// PutPayment keeps the payment.
func (t *tx) PutPayment(p *relay.Payment) error {
	if err := t.check(store.KindPayment, p.MchID, p.OutTradeNo); err != nil {
		return err
	}
	old, err := t.Payment(p.PaymentKey)
	if err != nil && !errors.Is(err, relay.ErrNotFound) {
		return err
	}
	if err := t.indexTransaction(&old, p); err != nil {
		return err
	}
	t.moveTask(relay.TaskAskPayment, relay.Task{MchID: p.MchID, Number: p.OutTradeNo}, old.AskAt, p.AskAt)
	var buf [keyRoom]byte
	return putRecord(t, appendPaymentKey(buf[:0], p.PaymentKey), p, store.EncodePayment)
}

// moveTask takes a record's task from one due time to another; zero is none.
func (t *tx) moveTask(kind relay.TaskKind, task relay.Task, was, is time.Time) {
	if was.Equal(is) {
		return
	}
	var buf [keyRoom]byte
	if task.DueAt = was; !was.IsZero() {
		t.over.put(appendTaskKey(buf[:0], kind, task), nil)
	}
	if task.DueAt = is; !is.IsZero() {
		t.over.put(appendTaskKey(buf[:0], kind, task), noRow)
	}
}

// PutRefund keeps the refund and its indexes.
func (t *tx) PutRefund(r *relay.Refund) error {
	if err := t.check(store.KindRefund, r.MchID, r.OutRefundNo); err != nil {
		return err
	}
	old, err := t.Refund(r.RefundKey)
	if err != nil && !errors.Is(err, relay.ErrNotFound) {
		return err
	}
	if err := t.moveRefundNo(&old, r); err != nil {
		return err
	}
	t.moveTask(relay.TaskFollowRefund, relay.Task{MchID: r.MchID, Number: r.OutRefundNo}, old.DueAt, r.DueAt)
	var buf [keyRoom]byte
	return putRecord(t, appendRefundKey(buf[:0], r.RefundKey), r, store.EncodeRefund)
}

// moveRefundNo keeps the index by the client's own number when it is new. old
// is zero when the refund is.
func (t *tx) moveRefundNo(old, r *relay.Refund) error {
	if old.ClientID == r.ClientID && old.RefundNo == r.RefundNo {
		return nil
	}
	var buf, wasBuf [keyRoom]byte
	if r.RefundNo != "" {
		if err := t.check(store.KindRefund, r.ClientID, r.RefundNo); err != nil {
			return err
		}
		key := appendRefundNoKey(buf[:0], r.ClientID, r.RefundNo)
		taken, err := t.exists(store.KindIndex, key)
		if err != nil {
			return err
		}
		if taken {
			return fmt.Errorf("refund number: %w", store.ErrExists)
		}
		if err := t.putIndex(store.KindIndex, key, appendRefundKey(nil, r.RefundKey)[1:]); err != nil {
			return err
		}
	}
	if old.RefundNo != "" {
		t.over.put(appendRefundNoKey(wasBuf[:0], old.ClientID, old.RefundNo), nil)
	}
	return nil
}

// PutPayer keeps the openid.
func (t *tx) PutPayer(p *relay.Payer) error {
	if err := t.check(store.KindPayer, p.OpenID); err != nil {
		return err
	}
	var buf [keyRoom]byte
	return putRecord(t, appendPayerKey(buf[:0], p.OpenID), p, store.EncodePayer)
}

// PutTally keeps the sum.
func (t *tx) PutTally(k relay.TallyKey, fen int64) error {
	if err := t.check(store.KindTally, k.Name, k.Day); err != nil {
		return err
	}
	var buf [keyRoom]byte
	return putRecord(t, appendTallyKey(buf[:0], k), &fen, func(dst []byte, fen *int64) ([]byte, error) { return store.EncodeTally(dst, *fen) })
}

// PutEvidence keeps the evidence unless its id is there.
func (t *tx) PutEvidence(e *relay.Evidence) error {
	if err := t.check(store.KindEvidence, e.Payment.MchID, e.Payment.OutTradeNo, e.ID); err != nil {
		return err
	}
	var buf [keyRoom]byte
	key := append(appendEvidencePrefix(buf[:0], e.Payment), e.ID...)
	there, err := t.exists(store.KindEvidence, key)
	if err != nil || there {
		return err
	}
	return putRecord(t, key, e, store.EncodeEvidence)
}

// AddEvent keeps the event and gives it the next Seq.
func (t *tx) AddEvent(e *relay.Event) error {
	if err := t.check(store.KindEvent, e.ClientID, e.ID); err != nil {
		return err
	}
	var buf, idBuf [keyRoom]byte
	idKey := appendEventIDKey(idBuf[:0], e.ID)
	there, err := t.exists(store.KindIndex, idKey)
	if err != nil {
		return err
	}
	if there {
		return fmt.Errorf("event: %w", store.ErrExists)
	}
	e.Seq = *t.eventSeq + 1
	if err := putRecord(t, appendEventKey(buf[:0], e.ClientID, e.Seq), e, store.EncodeEvent); err != nil {
		return err
	}
	*t.eventSeq = e.Seq
	return t.putIndex(store.KindIndex, idKey, append(binary.BigEndian.AppendUint64(buf[:0], e.Seq), e.ClientID...))
}

// PutDelivery keeps the delivery and its place in the due index.
func (t *tx) PutDelivery(d *relay.Delivery) error {
	dest := d.Destination()
	if err := t.check(store.KindDelivery, d.EventID, d.ClientID, dest.Origin); err != nil {
		return err
	}
	old, err := t.Delivery(d.EventID)
	if err != nil && !errors.Is(err, relay.ErrNotFound) {
		return err
	}
	var was, is []byte
	var wasBuf, isBuf [keyRoom]byte
	if at := old.NextAt(); err == nil && !at.IsZero() {
		was = appendDueKey(wasBuf[:0], old.Destination(), at, old.EventID)
	}
	if at := d.NextAt(); !at.IsZero() {
		is = appendDueKey(isBuf[:0], dest, at, d.EventID)
	}
	if string(was) != string(is) {
		if was != nil {
			t.over.put(was, nil)
		}
		if is != nil {
			t.over.put(is, noRow)
		}
	}
	return putRecord(t, appendDeliveryKey(wasBuf[:0], d.EventID), d, store.EncodeDelivery)
}

// AddAttempt keeps the attempt under its number.
func (t *tx) AddAttempt(a *relay.Attempt) error {
	if err := t.check(store.KindAttempt, a.EventID); err != nil {
		return err
	}
	var buf [keyRoom]byte
	return putRecord(t, appendAttemptKey(buf[:0], a.EventID, a.Number), a, store.EncodeAttempt)
}

// PutCase keeps the case and its index.
func (t *tx) PutCase(c *relay.Case) error {
	if err := t.check(store.KindCase, c.ID, string(c.Kind), c.Payment.MchID, c.Payment.OutTradeNo); err != nil {
		return err
	}
	var buf [keyRoom]byte
	if err := t.putIndex(store.KindIndex, appendCaseOfKey(buf[:0], c.Kind, c.Payment), []byte(c.ID)); err != nil {
		return err
	}
	return putRecord(t, appendCaseKey(buf[:0], c.ID), c, store.EncodeCase)
}

// ClaimNonce remembers the nonce or refuses it.
func (t *tx) ClaimNonce(clientID, nonce string, now time.Time) error {
	if err := t.check(store.KindNonce, clientID, nonce); err != nil {
		return err
	}
	used, err := t.NonceUsed(clientID, nonce, now)
	if err != nil {
		return err
	}
	if used {
		return relay.ErrReplayed
	}
	var buf, val [keyRoom]byte
	return t.putIndex(store.KindNonce, appendNonceKey(buf[:0], nonceBucket(now), clientID, nonce), ordered(val[:0], now.UnixNano()))
}
