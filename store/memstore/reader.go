package memstore

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

// data is every record and index. Records in the maps are never changed in
// place; a put replaces them.
type data struct {
	orders     map[relay.OrderKey]relay.Order
	tokens     map[string]relay.OrderKey
	open       []openOrder // sorted
	payments   map[relay.PaymentKey]relay.Payment
	evidence   map[relay.PaymentKey][]relay.Evidence // sorted by id
	events     map[string][]relay.Event              // of each client, by Seq
	eventByID  map[string]eventAt
	deliveries map[string]relay.Delivery
	attempts   map[string][]relay.Attempt // sorted by number
	waiting    map[relay.Destination][]waiting
	cases      map[string]relay.Case
	caseIDs    []string // sorted
	caseOf     map[caseKey]string
	byTrans    map[transaction]relay.PaymentKey
	refunds    map[relay.RefundKey]relay.Refund
	refundNos  map[refundNo]relay.RefundKey
	splits     map[relay.SplitKey]relay.Split
	splitNos   map[splitNo]relay.SplitKey
	payers     map[string]relay.Payer
	grants     map[relay.GrantKey]relay.Grant
	expiring   []expiring // sorted
	lent       map[relay.TokenKey]relay.AccountToken
	tallies    map[relay.TallyKey]int64
	tasks      map[relay.TaskKind][]task // sorted
	nonces     map[nonceKey]time.Time
	nonceSweep int64 // bucket up to which nonces were forgotten
	seq        uint64
}

type (
	eventAt struct {
		client string
		seq    uint64
	}
	caseKey struct {
		kind    relay.CaseKind
		payment relay.PaymentKey
	}
	nonceKey struct {
		client, nonce string
	}
	transaction struct {
		mchID, id string
	}
	refundNo struct {
		client, no string
	}
	splitNo struct {
		client, no string
	}
	task struct {
		due           int64
		mchID, number string
	}
	expiring struct {
		expires int64
		key     relay.GrantKey
	}
	openOrder struct {
		expires int64
		key     relay.OrderKey
	}
	waiting struct {
		due int64
		id  string
	}
)

func newData() data {
	return data{
		orders:     map[relay.OrderKey]relay.Order{},
		tokens:     map[string]relay.OrderKey{},
		payments:   map[relay.PaymentKey]relay.Payment{},
		evidence:   map[relay.PaymentKey][]relay.Evidence{},
		events:     map[string][]relay.Event{},
		eventByID:  map[string]eventAt{},
		deliveries: map[string]relay.Delivery{},
		attempts:   map[string][]relay.Attempt{},
		waiting:    map[relay.Destination][]waiting{},
		cases:      map[string]relay.Case{},
		caseOf:     map[caseKey]string{},
		byTrans:    map[transaction]relay.PaymentKey{},
		refunds:    map[relay.RefundKey]relay.Refund{},
		refundNos:  map[refundNo]relay.RefundKey{},
		splits:     map[relay.SplitKey]relay.Split{},
		splitNos:   map[splitNo]relay.SplitKey{},
		payers:     map[string]relay.Payer{},
		grants:     map[relay.GrantKey]relay.Grant{},
		lent:       map[relay.TokenKey]relay.AccountToken{},
		tallies:    map[relay.TallyKey]int64{},
		tasks:      map[relay.TaskKind][]task{},
		nonces:     map[nonceKey]time.Time{},
	}
}

func compareOpen(a, b openOrder) int {
	return cmp.Or(cmp.Compare(a.expires, b.expires),
		strings.Compare(a.key.ClientID, b.key.ClientID), strings.Compare(a.key.OrderNo, b.key.OrderNo))
}

func compareWaiting(a, b waiting) int {
	return cmp.Or(cmp.Compare(a.due, b.due), strings.Compare(a.id, b.id))
}

func compareTask(a, b task) int {
	return cmp.Or(cmp.Compare(a.due, b.due), strings.Compare(a.mchID, b.mchID), strings.Compare(a.number, b.number))
}

// reader implements relay.Reader. Slices are copied on the way out, so that a
// careless caller cannot reach the store's memory.
type reader struct{ *data }

func found[K comparable, V any](m map[K]V, k K) (V, error) {
	v, ok := m[k]
	if !ok {
		return v, relay.ErrNotFound
	}
	return v, nil
}

func (r reader) Order(k relay.OrderKey) (relay.Order, error) {
	o, err := found(r.orders, k)
	o.Metadata, o.Payments = bytes.Clone(o.Metadata), slices.Clone(o.Payments)
	o.Refunds, o.Splits = slices.Clone(o.Refunds), slices.Clone(o.Splits)
	return o, err
}

func (r reader) OrderByToken(token string) (relay.OrderKey, error) {
	return found(r.tokens, token)
}

func (r reader) OpenOrders(until time.Time, limit int) ([]relay.OrderKey, error) {
	var keys []relay.OrderKey
	for _, o := range r.open {
		if len(keys) >= limit || o.expires > until.UnixNano() {
			break
		}
		keys = append(keys, o.key)
	}
	return keys, nil
}

func (r reader) Payment(k relay.PaymentKey) (relay.Payment, error) {
	return found(r.payments, k)
}

func (r reader) Evidence(k relay.PaymentKey) ([]relay.Evidence, error) {
	list := slices.Clone(r.evidence[k])
	for i := range list {
		list[i].Plaintext = bytes.Clone(list[i].Plaintext)
	}
	return list, nil
}

func (r reader) Event(clientID, id string) (relay.Event, error) {
	at, err := found(r.eventByID, id)
	if err != nil {
		return relay.Event{}, err
	}
	if at.client != clientID {
		return relay.Event{}, relay.ErrNotFound
	}
	return r.eventsAfter(clientID, at.seq-1, 1)[0], nil
}

func (r reader) Events(clientID string, after uint64, limit int) ([]relay.Event, error) {
	return r.eventsAfter(clientID, after, limit), nil
}

func (r reader) eventsAfter(clientID string, after uint64, limit int) []relay.Event {
	list := r.events[clientID]
	i, _ := slices.BinarySearchFunc(list, after, func(e relay.Event, after uint64) int {
		if e.Seq > after {
			return 1
		}
		return -1
	})
	list = slices.Clone(list[i:min(len(list), i+max(limit, 0))])
	for i := range list {
		list[i].Body = bytes.Clone(list[i].Body)
	}
	return list
}

func (r reader) Delivery(eventID string) (relay.Delivery, error) {
	d, err := found(r.deliveries, eventID)
	d.Schedule, d.Payload = slices.Clone(d.Schedule), bytes.Clone(d.Payload)
	return d, err
}

func (r reader) Attempts(eventID string) ([]relay.Attempt, error) {
	list := slices.Clone(r.attempts[eventID])
	for i := range list {
		list[i].Answer = bytes.Clone(list[i].Answer)
	}
	return list, nil
}

func (r reader) Destinations(fn func(relay.Destination, time.Time) bool) error {
	ds := make([]relay.Destination, 0, len(r.waiting))
	for d := range r.waiting {
		ds = append(ds, d)
	}
	slices.SortFunc(ds, func(a, b relay.Destination) int {
		return cmp.Or(strings.Compare(a.ClientID, b.ClientID), strings.Compare(a.Origin, b.Origin))
	})
	for _, d := range ds {
		if !fn(d, nanoTime(r.waiting[d][0].due)) {
			break
		}
	}
	return nil
}

func (r reader) Due(d relay.Destination, limit int) ([]relay.DueItem, error) {
	var items []relay.DueItem
	for _, w := range r.waiting[d] {
		if len(items) >= limit {
			break
		}
		items = append(items, relay.DueItem{EventID: w.id, DueAt: nanoTime(w.due)})
	}
	return items, nil
}

func (r reader) Case(id string) (relay.Case, error) {
	return found(r.cases, id)
}

func (r reader) CaseOf(kind relay.CaseKind, k relay.PaymentKey) (relay.Case, error) {
	id, err := found(r.caseOf, caseKey{kind, k})
	if err != nil {
		return relay.Case{}, err
	}
	return r.Case(id)
}

func (r reader) Cases(after string, limit int) ([]relay.Case, error) {
	i, ok := slices.BinarySearch(r.caseIDs, after)
	if ok {
		i++
	}
	var list []relay.Case
	for _, id := range r.caseIDs[i:] {
		if len(list) >= limit {
			break
		}
		list = append(list, r.cases[id])
	}
	return list, nil
}

func (r reader) PaymentByTransaction(mchID, transactionID string) (relay.PaymentKey, error) {
	return found(r.byTrans, transaction{mchID, transactionID})
}

func (r reader) Refund(k relay.RefundKey) (relay.Refund, error) {
	return found(r.refunds, k)
}

func (r reader) RefundByNo(clientID, no string) (relay.RefundKey, error) {
	return found(r.refundNos, refundNo{clientID, no})
}

func (r reader) Payer(openID string) (relay.Payer, error) {
	p, err := found(r.payers, openID)
	p.Clients = slices.Clone(p.Clients)
	return p, err
}

func (r reader) Tally(k relay.TallyKey) (int64, error) {
	return r.tallies[k], nil
}

func (r reader) Tasks(kind relay.TaskKind, until time.Time, limit int) ([]relay.Task, error) {
	var tasks []relay.Task
	for _, t := range r.tasks[kind] {
		if len(tasks) >= limit || t.due > until.UnixNano() {
			break
		}
		tasks = append(tasks, relay.Task{MchID: t.mchID, Number: t.number, DueAt: nanoTime(t.due)})
	}
	return tasks, nil
}

// NonceUsed reports whether ClaimNonce would refuse.
func (r reader) NonceUsed(clientID, nonce string, now time.Time) (bool, error) {
	at, ok := r.nonces[nonceKey{clientID, nonce}]
	return ok && now.Sub(at) < relay.NonceWindow, nil
}

func nanoTime(n int64) time.Time { return time.Unix(0, n).UTC() }
