package badgerstore

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

// reader implements relay.Reader and relay.NonceReader on a source.
type reader struct {
	src   source
	marks *marks
	seq   uint64 // last group that the source holds
}

var (
	_ relay.Reader      = (*reader)(nil)
	_ relay.NonceReader = (*reader)(nil)
)

// keyRoom is enough for the usual key; longer ones are allocated.
const keyRoom = 128

// Order reads an order.
func (r *reader) Order(k relay.OrderKey) (relay.Order, error) {
	var buf [keyRoom]byte
	row, err := r.src.get(store.KindOrder, appendOrderKey(buf[:0], k))
	if err != nil {
		return relay.Order{}, err
	}
	return store.DecodeOrder(row)
}

// OrderByToken finds the order of a cashier page.
func (r *reader) OrderByToken(token string) (relay.OrderKey, error) {
	var buf [keyRoom]byte
	row, err := r.src.get(store.KindIndex, appendTokenKey(buf[:0], token))
	if err != nil {
		return relay.OrderKey{}, err
	}
	p, err := store.Open(store.KindIndex, row)
	if err != nil {
		return relay.OrderKey{}, err
	}
	k, ok := parseOrderKey(p)
	if !ok {
		return relay.OrderKey{}, errIndexRow
	}
	return k, nil
}

// OpenOrders lists open orders that have run out, earliest first.
func (r *reader) OpenOrders(until time.Time, limit int) ([]relay.OrderKey, error) {
	if limit <= 0 {
		return nil, nil
	}
	entries, err := r.first(r.marks.queue([]byte{prefixOpenOrder}), limit, func(entry string) bool {
		return fromOrdered([]byte(entry[:8])) > until.UnixNano()
	})
	if len(entries) == 0 || err != nil {
		return nil, err
	}
	keys := make([]relay.OrderKey, 0, len(entries))
	for _, e := range entries {
		client, no, ok := strings.Cut(e[8:], "\x00")
		if !ok {
			return nil, errIndexRow
		}
		keys = append(keys, relay.OrderKey{ClientID: client, OrderNo: no})
	}
	return keys, nil
}

// Payment reads a payment.
func (r *reader) Payment(k relay.PaymentKey) (relay.Payment, error) {
	var buf [keyRoom]byte
	row, err := r.src.get(store.KindPayment, appendPaymentKey(buf[:0], k))
	if err != nil {
		return relay.Payment{}, err
	}
	return store.DecodePayment(row)
}

// Evidence lists what WeChat said of a payment, by id.
func (r *reader) Evidence(k relay.PaymentKey) ([]relay.Evidence, error) {
	if hasZero(k.MchID, k.OutTradeNo) {
		return nil, nil
	}
	return list(r.src, appendEvidencePrefix(nil, k), nil, noLimit, store.DecodeEvidence)
}

// Event finds an event of a client.
func (r *reader) Event(clientID, id string) (relay.Event, error) {
	var buf [keyRoom]byte
	row, err := r.src.get(store.KindIndex, appendEventIDKey(buf[:0], id))
	if err != nil {
		return relay.Event{}, err
	}
	p, err := store.Open(store.KindIndex, row)
	if err != nil {
		return relay.Event{}, err
	}
	if len(p) < 8 {
		return relay.Event{}, errIndexRow
	}
	if string(p[8:]) != clientID {
		return relay.Event{}, relay.ErrNotFound
	}
	row, err = r.src.get(store.KindEvent, appendEventKey(buf[:0], clientID, binary.BigEndian.Uint64(p)))
	if err != nil {
		return relay.Event{}, missingIsCorrupt(err)
	}
	return store.DecodeEvent(row)
}

// Events lists a client's events after a cursor.
func (r *reader) Events(clientID string, after uint64, limit int) ([]relay.Event, error) {
	if hasZero(clientID) || after == ^uint64(0) {
		return nil, nil
	}
	return list(r.src, appendEventPrefix(nil, clientID), appendEventKey(nil, clientID, after+1), limit, store.DecodeEvent)
}

// Delivery reads a delivery.
func (r *reader) Delivery(eventID string) (relay.Delivery, error) {
	var buf [keyRoom]byte
	row, err := r.src.get(store.KindDelivery, appendDeliveryKey(buf[:0], eventID))
	if err != nil {
		return relay.Delivery{}, err
	}
	return store.DecodeDelivery(row)
}

// Attempts lists the attempts of a delivery by number.
func (r *reader) Attempts(eventID string) ([]relay.Attempt, error) {
	if hasZero(eventID) {
		return nil, nil
	}
	return list(r.src, appendAttemptPrefix(nil, eventID), nil, noLimit, store.DecodeAttempt)
}

// Due lists what waits at a destination, in due order.
func (r *reader) Due(d relay.Destination, limit int) ([]relay.DueItem, error) {
	if limit <= 0 || hasZero(d.ClientID, d.Origin) {
		return nil, nil
	}
	var buf [keyRoom]byte
	entries, err := r.first(r.marks.queue(appendDuePrefix(buf[:0], d)), limit, nil)
	if len(entries) == 0 || err != nil {
		return nil, err
	}
	items := make([]relay.DueItem, 0, len(entries))
	for _, e := range entries {
		items = append(items, relay.DueItem{EventID: e[8:], DueAt: nanoTime(fromOrdered([]byte(e[:8])))})
	}
	return items, nil
}

// Case reads an anomaly.
func (r *reader) Case(id string) (relay.Case, error) {
	var buf [keyRoom]byte
	row, err := r.src.get(store.KindCase, appendCaseKey(buf[:0], id))
	if err != nil {
		return relay.Case{}, err
	}
	return store.DecodeCase(row)
}

// CaseOf finds the case of one kind that a payment made.
func (r *reader) CaseOf(kind relay.CaseKind, k relay.PaymentKey) (relay.Case, error) {
	var buf [keyRoom]byte
	row, err := r.src.get(store.KindIndex, appendCaseOfKey(buf[:0], kind, k))
	if err != nil {
		return relay.Case{}, err
	}
	id, err := store.Open(store.KindIndex, row)
	if err != nil {
		return relay.Case{}, err
	}
	c, err := r.Case(string(id))
	return c, missingIsCorrupt(err)
}

// Cases lists anomalies by id.
func (r *reader) Cases(after string, limit int) ([]relay.Case, error) {
	var start []byte
	if after != "" {
		start = append(appendCaseKey(nil, after), 0)
	}
	return list(r.src, []byte{prefixCase}, start, limit, store.DecodeCase)
}

// Refund reads a refund.
func (r *reader) Refund(k relay.RefundKey) (relay.Refund, error) {
	var buf [keyRoom]byte
	row, err := r.src.get(store.KindRefund, appendRefundKey(buf[:0], k))
	if err != nil {
		return relay.Refund{}, err
	}
	return store.DecodeRefund(row)
}

// RefundByNo finds a client's refund by the client's own number.
func (r *reader) RefundByNo(clientID, refundNo string) (relay.RefundKey, error) {
	if hasZero(clientID) {
		return relay.RefundKey{}, relay.ErrNotFound
	}
	var buf [keyRoom]byte
	row, err := r.src.get(store.KindIndex, appendRefundNoKey(buf[:0], clientID, refundNo))
	if err != nil {
		return relay.RefundKey{}, err
	}
	p, err := store.Open(store.KindIndex, row)
	if err != nil {
		return relay.RefundKey{}, err
	}
	k, ok := parseRefundKey(p)
	if !ok {
		return relay.RefundKey{}, errIndexRow
	}
	return k, nil
}

// Payer reads whose openid one is.
func (r *reader) Payer(openID string) (relay.Payer, error) {
	var buf [keyRoom]byte
	row, err := r.src.get(store.KindPayer, appendPayerKey(buf[:0], openID))
	if err != nil {
		return relay.Payer{}, err
	}
	return store.DecodePayer(row)
}

// Tally reads a sum.
func (r *reader) Tally(k relay.TallyKey) (int64, error) {
	if hasZero(k.Name) {
		return 0, nil
	}
	var buf [keyRoom]byte
	row, err := r.src.get(store.KindTally, appendTallyKey(buf[:0], k))
	if errors.Is(err, relay.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return store.DecodeTally(row)
}

// Tasks lists due work, earliest first.
func (r *reader) Tasks(kind relay.TaskKind, until time.Time, limit int) ([]relay.Task, error) {
	if limit <= 0 || hasZero(string(kind)) {
		return nil, nil
	}
	var buf [keyRoom]byte
	entries, err := r.first(r.marks.queue(appendTaskPrefix(buf[:0], kind)), limit, func(entry string) bool {
		return len(entry) >= 8 && fromOrdered([]byte(entry[:8])) > until.UnixNano()
	})
	if len(entries) == 0 || err != nil {
		return nil, err
	}
	tasks := make([]relay.Task, 0, len(entries))
	for _, e := range entries {
		task, ok := parseTask(e)
		if !ok {
			return nil, errIndexRow
		}
		tasks = append(tasks, task)
	}
	return tasks, nil
}

const noLimit = 1 << 30

// list decodes up to limit rows under the prefix, from start on.
func list[R any](src source, prefix, start []byte, limit int, decode func([]byte) (R, error)) ([]R, error) {
	if limit <= 0 {
		return nil, nil
	}
	var out []R
	err := src.scan(prefix, start, nil, func(_, row []byte) (bool, error) {
		v, err := decode(row)
		if err != nil {
			return false, err
		}
		out = append(out, v)
		return len(out) < limit, nil
	})
	return out, err
}

// hasZero tells a text that no key holds, so that it cannot be taken for
// another key's parts.
func hasZero(parts ...string) bool {
	for _, p := range parts {
		if strings.IndexByte(p, 0) >= 0 {
			return true
		}
	}
	return false
}
