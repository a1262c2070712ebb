package memstore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

// tx implements relay.Tx on the live data and remembers how to take back what
// it did. Records go in through the encoding of persistent stores, which
// copies them and refuses what could not be kept.
type tx struct {
	reader
	undo []func()
}

func (t *tx) rollBack() {
	for _, f := range slices.Backward(t.undo) {
		f()
	}
}

// set changes one entry of a map.
func set[K comparable, V any](t *tx, m map[K]V, k K, v V) {
	old, had := m[k]
	t.undo = append(t.undo, func() {
		if had {
			m[k] = old
		} else {
			delete(m, k)
		}
	})
	m[k] = v
}

// unset removes one entry of a map.
func unset[K comparable, V any](t *tx, m map[K]V, k K) {
	if old, had := m[k]; had {
		t.undo = append(t.undo, func() { m[k] = old })
		delete(m, k)
	}
}

// insert puts v into a sorted list unless an equal one is there.
func insert[V any](list []V, v V, compare func(a, b V) int) []V {
	i, ok := slices.BinarySearchFunc(list, v, compare)
	if ok {
		return list
	}
	return slices.Insert(list, i, v)
}

func remove[V any](list []V, v V, compare func(a, b V) int) []V {
	if i, ok := slices.BinarySearchFunc(list, v, compare); ok {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// canonical gives the record as a persistent store would give it back.
func canonical[R any](r *R, encode func([]byte, *R) ([]byte, error), decode func([]byte) (R, error)) (R, error) {
	row, err := encode(nil, r)
	if err != nil {
		var zero R
		return zero, err
	}
	return decode(row)
}

// PutOrder keeps the order and its indexes.
func (t *tx) PutOrder(o *relay.Order) error {
	if err := store.CheckKey(store.KindOrder, o.ClientID, o.OrderNo); err != nil {
		return err
	}
	c, err := canonical(o, store.EncodeOrder, store.DecodeOrder)
	if err != nil {
		return err
	}
	old, had := t.orders[c.OrderKey]
	if k, ok := t.tokens[c.Token]; c.Token != "" && ok && k != c.OrderKey {
		return fmt.Errorf("order token: %w", store.ErrExists)
	}
	if had && old.Token != c.Token {
		unset(t, t.tokens, old.Token)
	}
	if c.Token != "" {
		set(t, t.tokens, c.Token, c.OrderKey)
	}
	if had && old.Status.Open() {
		t.closeOrder(openOrder{old.ExpiresAt.UnixNano(), old.OrderKey})
	}
	if c.Status.Open() {
		t.openOrder(openOrder{c.ExpiresAt.UnixNano(), c.OrderKey})
	}
	set(t, t.orders, c.OrderKey, c)
	return nil
}

func (t *tx) openOrder(o openOrder) {
	t.undo = append(t.undo, func() { t.open = remove(t.open, o, compareOpen) })
	t.open = insert(t.open, o, compareOpen)
}

func (t *tx) closeOrder(o openOrder) {
	t.undo = append(t.undo, func() { t.open = insert(t.open, o, compareOpen) })
	t.open = remove(t.open, o, compareOpen)
}

// PutPayment keeps the payment.
func (t *tx) PutPayment(p *relay.Payment) error {
	if err := store.CheckKey(store.KindPayment, p.MchID, p.OutTradeNo); err != nil {
		return err
	}
	c, err := canonical(p, store.EncodePayment, store.DecodePayment)
	if err != nil {
		return err
	}
	old := t.payments[c.PaymentKey]
	if c.TransactionID != "" && c.TransactionID != old.TransactionID {
		if err := store.CheckKey(store.KindPayment, c.MchID, c.TransactionID); err != nil {
			return err
		}
		set(t, t.byTrans, transaction{c.MchID, c.TransactionID}, c.PaymentKey)
	}
	t.moveTask(relay.TaskAskPayment, taskAt(old.AskAt, c.MchID, c.OutTradeNo), taskAt(c.AskAt, c.MchID, c.OutTradeNo))
	set(t, t.payments, c.PaymentKey, c)
	return nil
}

// taskAt is the entry of a record that is due at a time; nil for none.
func taskAt(due time.Time, mchID, number string) *task {
	if due.IsZero() {
		return nil
	}
	return &task{due.UnixNano(), mchID, number}
}

// moveTask replaces one entry of a task list by another.
func (t *tx) moveTask(kind relay.TaskKind, was, is *task) {
	if was != nil {
		t.undo = append(t.undo, func() { t.tasks[kind] = insert(t.tasks[kind], *was, compareTask) })
		t.tasks[kind] = remove(t.tasks[kind], *was, compareTask)
	}
	if is != nil {
		t.undo = append(t.undo, func() { t.tasks[kind] = remove(t.tasks[kind], *is, compareTask) })
		t.tasks[kind] = insert(t.tasks[kind], *is, compareTask)
	}
}

// PutRefund keeps the refund and its indexes.
func (t *tx) PutRefund(r *relay.Refund) error {
	if err := store.CheckKey(store.KindRefund, r.MchID, r.OutRefundNo); err != nil {
		return err
	}
	c, err := canonical(r, store.EncodeRefund, store.DecodeRefund)
	if err != nil {
		return err
	}
	old := t.refunds[c.RefundKey]
	if err := t.moveRefundNo(&old, &c); err != nil {
		return err
	}
	t.moveTask(relay.TaskFollowRefund, taskAt(old.DueAt, c.MchID, c.OutRefundNo), taskAt(c.DueAt, c.MchID, c.OutRefundNo))
	set(t, t.refunds, c.RefundKey, c)
	return nil
}

// moveRefundNo keeps the index by the client's own number.
func (t *tx) moveRefundNo(old, r *relay.Refund) error {
	no := refundNo{r.ClientID, r.RefundNo}
	if k, ok := t.refundNos[no]; ok && k != r.RefundKey {
		return fmt.Errorf("refund number: %w", store.ErrExists)
	}
	if r.RefundNo != "" {
		if err := store.CheckKey(store.KindRefund, r.ClientID, r.RefundNo); err != nil {
			return err
		}
	}
	if old.RefundNo != "" {
		unset(t, t.refundNos, refundNo{old.ClientID, old.RefundNo})
	}
	if r.RefundNo != "" {
		set(t, t.refundNos, no, r.RefundKey)
	}
	return nil
}

// PutPayer keeps the openid.
func (t *tx) PutPayer(p *relay.Payer) error {
	if err := store.CheckKey(store.KindPayer, p.OpenID); err != nil {
		return err
	}
	c, err := canonical(p, store.EncodePayer, store.DecodePayer)
	if err != nil {
		return err
	}
	set(t, t.payers, c.OpenID, c)
	return nil
}

// PutTally keeps the sum.
func (t *tx) PutTally(k relay.TallyKey, fen int64) error {
	if err := store.CheckKey(store.KindTally, k.Name, k.Day); err != nil {
		return err
	}
	if _, err := store.EncodeTally(nil, fen); err != nil {
		return err
	}
	set(t, t.tallies, k, fen)
	return nil
}

// PutEvidence keeps the evidence unless its id is there.
func (t *tx) PutEvidence(e *relay.Evidence) error {
	if err := store.CheckKey(store.KindEvidence, e.Payment.MchID, e.Payment.OutTradeNo, e.ID); err != nil {
		return err
	}
	c, err := canonical(e, store.EncodeEvidence, store.DecodeEvidence)
	if err != nil {
		return err
	}
	list := insert(slices.Clone(t.evidence[c.Payment]), c, func(a, b relay.Evidence) int { return strings.Compare(a.ID, b.ID) })
	set(t, t.evidence, c.Payment, list)
	return nil
}

// AddEvent keeps the event and gives it the next Seq.
func (t *tx) AddEvent(e *relay.Event) error {
	if err := store.CheckKey(store.KindEvent, e.ClientID, e.ID); err != nil {
		return err
	}
	if _, ok := t.eventByID[e.ID]; ok {
		return fmt.Errorf("event: %w", store.ErrExists)
	}
	c, err := canonical(e, store.EncodeEvent, store.DecodeEvent)
	if err != nil {
		return err
	}
	seq, given := t.seq, e.Seq
	t.undo = append(t.undo, func() { t.seq, e.Seq = seq, given })
	t.seq++
	c.Seq, e.Seq = t.seq, t.seq
	// Appending may share the array with the list that undo restores; that
	// list is shorter, so it does not see the new element.
	set(t, t.events, c.ClientID, append(t.events[c.ClientID], c))
	set(t, t.eventByID, c.ID, eventAt{c.ClientID, c.Seq})
	return nil
}

// PutDelivery keeps the delivery and its place in the due index.
func (t *tx) PutDelivery(d *relay.Delivery) error {
	if err := store.CheckKey(store.KindDelivery, d.EventID, d.ClientID, d.Destination().Origin); err != nil {
		return err
	}
	c, err := canonical(d, store.EncodeDelivery, store.DecodeDelivery)
	if err != nil {
		return err
	}
	if old, ok := t.deliveries[c.EventID]; ok {
		if due := old.NextAt(); !due.IsZero() {
			t.leave(old.Destination(), waiting{due.UnixNano(), old.EventID})
		}
	}
	if due := c.NextAt(); !due.IsZero() {
		t.wait(c.Destination(), waiting{due.UnixNano(), c.EventID})
	}
	set(t, t.deliveries, c.EventID, c)
	return nil
}

func (t *tx) wait(d relay.Destination, w waiting) {
	t.undo = append(t.undo, func() { t.waitingLess(d, w) })
	t.waiting[d] = insert(t.waiting[d], w, compareWaiting)
}

func (t *tx) leave(d relay.Destination, w waiting) {
	t.undo = append(t.undo, func() { t.waiting[d] = insert(t.waiting[d], w, compareWaiting) })
	t.waitingLess(d, w)
}

func (t *tx) waitingLess(d relay.Destination, w waiting) {
	list := remove(t.waiting[d], w, compareWaiting)
	if len(list) == 0 {
		delete(t.waiting, d)
		return
	}
	t.waiting[d] = list
}

// AddAttempt keeps the attempt under its number.
func (t *tx) AddAttempt(a *relay.Attempt) error {
	if err := store.CheckKey(store.KindAttempt, a.EventID); err != nil {
		return err
	}
	if a.Number < 0 {
		return fmt.Errorf("attempt number: %w", store.ErrKey)
	}
	c, err := canonical(a, store.EncodeAttempt, store.DecodeAttempt)
	if err != nil {
		return err
	}
	byNumber := func(a, b relay.Attempt) int { return cmp.Compare(a.Number, b.Number) }
	list := remove(slices.Clone(t.attempts[c.EventID]), c, byNumber)
	set(t, t.attempts, c.EventID, insert(list, c, byNumber))
	return nil
}

// PutCase keeps the case and its index.
func (t *tx) PutCase(k *relay.Case) error {
	if err := store.CheckKey(store.KindCase, k.ID, string(k.Kind), k.Payment.MchID, k.Payment.OutTradeNo); err != nil {
		return err
	}
	c, err := canonical(k, store.EncodeCase, store.DecodeCase)
	if err != nil {
		return err
	}
	if _, ok := t.cases[c.ID]; !ok {
		t.undo = append(t.undo, func() { t.caseIDs = remove(t.caseIDs, c.ID, strings.Compare) })
		t.caseIDs = insert(t.caseIDs, c.ID, strings.Compare)
	}
	set(t, t.caseOf, caseKey{c.Kind, c.Payment}, c.ID)
	set(t, t.cases, c.ID, c)
	return nil
}

// ClaimNonce remembers the nonce or refuses it.
func (t *tx) ClaimNonce(clientID, nonce string, now time.Time) error {
	if err := store.CheckKey(store.KindNonce, clientID, nonce); err != nil {
		return err
	}
	used, err := t.NonceUsed(clientID, nonce, now)
	if err != nil {
		return err
	}
	if used {
		return relay.ErrReplayed
	}
	t.forgetNonces(now)
	set(t, t.nonces, nonceKey{clientID, nonce}, now)
	return nil
}

// forgetNonces drops what is older than the window, once per window.
func (t *tx) forgetNonces(now time.Time) {
	bucket := now.UnixNano() / int64(relay.NonceWindow)
	if bucket <= t.nonceSweep {
		return
	}
	t.nonceSweep = bucket
	for k, at := range t.nonces {
		if now.Sub(at) >= relay.NonceWindow {
			unset(t, t.nonces, k)
		}
	}
}
