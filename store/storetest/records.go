package storetest

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

// records is one record of each kind with all fields set.
type records struct {
	order    relay.Order
	payment  relay.Payment
	evidence relay.Evidence
	event    relay.Event
	delivery relay.Delivery
	attempt  relay.Attempt
	held     relay.Case
	refund   relay.Refund
	payer    relay.Payer
	split    relay.Split
	day      relay.TallyKey
	grant    relay.Grant
	lent     relay.AccountToken
}

func newRecords() *records {
	r := new(records)
	for i, p := range []any{&r.order, &r.payment, &r.evidence, &r.event, &r.delivery, &r.attempt, &r.held, &r.refund, &r.payer, &r.day, &r.split, &r.grant, &r.lent} {
		Fill(p, 10+i)
	}
	return r
}

func (r *records) put(tx relay.Tx) error {
	return all(tx.PutOrder(&r.order), tx.PutPayment(&r.payment), tx.PutEvidence(&r.evidence), tx.AddEvent(&r.event),
		tx.PutDelivery(&r.delivery), tx.AddAttempt(&r.attempt), tx.PutCase(&r.held),
		tx.PutRefund(&r.refund), tx.PutPayer(&r.payer), tx.PutTally(r.day, tallyOfRecords), tx.PutSplit(&r.split),
		tx.PutGrant(&r.grant), tx.PutAccountToken(&r.lent))
}

const tallyOfRecords = 1234

func (r *records) check(t *testing.T, rd relay.Reader) {
	t.Helper()
	same := func(what string, got any, err error, want any) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
		}
	}
	o, err := rd.Order(r.order.OrderKey)
	same("Order", o, err, r.order)
	k, err := rd.OrderByToken(r.order.Token)
	same("OrderByToken", k, err, r.order.OrderKey)
	p, err := rd.Payment(r.payment.PaymentKey)
	same("Payment", p, err, r.payment)
	pk, err := rd.PaymentByTransaction(r.payment.MchID, r.payment.TransactionID)
	same("PaymentByTransaction", pk, err, r.payment.PaymentKey)
	_, err = rd.PaymentByTransaction(r.payment.MchID, r.payment.OutTradeNo)
	wantIs(t, "PaymentByTransaction of none", err, relay.ErrNotFound)
	ev, err := rd.Evidence(r.evidence.Payment)
	same("Evidence", ev, err, []relay.Evidence{r.evidence})
	e, err := rd.Event(r.event.ClientID, r.event.ID)
	same("Event", e, err, r.event)
	es, err := rd.Events(r.event.ClientID, r.event.Seq-1, 10)
	same("Events", es, err, []relay.Event{r.event})
	d, err := rd.Delivery(r.delivery.EventID)
	same("Delivery", d, err, r.delivery)
	due, err := rd.Due(r.delivery.Destination(), 10)
	same("Due", due, err, []relay.DueItem{{EventID: r.delivery.EventID, DueAt: r.delivery.NextAt()}})
	as, err := rd.Attempts(r.attempt.EventID)
	same("Attempts", as, err, []relay.Attempt{r.attempt})
	c, err := rd.Case(r.held.ID)
	same("Case", c, err, r.held)
	c, err = rd.CaseOf(r.held.Kind, r.held.Payment)
	same("CaseOf", c, err, r.held)
	f, err := rd.Refund(r.refund.RefundKey)
	same("Refund", f, err, r.refund)
	fk, err := rd.RefundByNo(r.refund.ClientID, r.refund.RefundNo)
	same("RefundByNo", fk, err, r.refund.RefundKey)
	sp, err := rd.Split(r.split.SplitKey)
	same("Split", sp, err, r.split)
	sk, err := rd.SplitByNo(r.split.ClientID, r.split.SplitNo)
	same("SplitByNo", sk, err, r.split.SplitKey)
	y, err := rd.Payer(r.payer.OpenID)
	same("Payer", y, err, r.payer)
	g, err := rd.Grant(r.grant.GrantKey)
	same("Grant", g, err, r.grant)
	gks, err := rd.ExpiredGrants(r.grant.ExpiresAt, 10)
	same("ExpiredGrants", gks, err, []relay.GrantKey{r.grant.GrantKey})
	at, err := rd.AccountToken(r.lent.TokenKey)
	same("AccountToken", at, err, r.lent)
	fen, err := rd.Tally(r.day)
	same("Tally", fen, err, int64(tallyOfRecords))
	tasks, err := rd.Tasks(relay.TaskAskPayment, r.payment.AskAt, 10)
	same("Tasks of payments", tasks, err, []relay.Task{{MchID: r.payment.MchID, Number: r.payment.OutTradeNo, DueAt: r.payment.AskAt}})
	tasks, err = rd.Tasks(relay.TaskFollowRefund, r.refund.DueAt, 10)
	same("Tasks of refunds", tasks, err, []relay.Task{{MchID: r.refund.MchID, Number: r.refund.OutRefundNo, DueAt: r.refund.DueAt}})
	tasks, err = rd.Tasks(relay.TaskFollowSplit, r.split.DueAt, 10)
	same("Tasks of splits", tasks, err, []relay.Task{{MchID: r.split.MchID, Number: r.split.OutOrderNo, DueAt: r.split.DueAt}})
}

func testRecords(t *testing.T, b Backend) {
	s, r := b.Open(t), newRecords()
	update(t, s, func(tx relay.Tx) error {
		if err := r.put(tx); err != nil {
			return err
		}
		r.check(t, tx)
		return nil
	})
	view(t, s, func(rd relay.Reader) error { r.check(t, rd); return nil })
}

func testRecordsSurviveReopen(t *testing.T, b Backend) {
	s, r := b.Open(t), newRecords()
	update(t, s, r.put)
	s = b.Reopen(t, s)
	view(t, s, func(rd relay.Reader) error { r.check(t, rd); return nil })
}

func testNotFound(t *testing.T, b Backend) {
	s := b.Open(t)
	check := func(rd relay.Reader) error {
		_, err := rd.Order(relay.OrderKey{ClientID: "c", OrderNo: "none"})
		wantIs(t, "Order", err, relay.ErrNotFound)
		_, err = rd.OrderByToken("none")
		wantIs(t, "OrderByToken", err, relay.ErrNotFound)
		_, err = rd.Payment(relay.PaymentKey{MchID: "m", OutTradeNo: "none"})
		wantIs(t, "Payment", err, relay.ErrNotFound)
		_, err = rd.Event("c", "none")
		wantIs(t, "Event", err, relay.ErrNotFound)
		_, err = rd.Delivery("none")
		wantIs(t, "Delivery", err, relay.ErrNotFound)
		_, err = rd.Case("none")
		wantIs(t, "Case", err, relay.ErrNotFound)
		_, err = rd.CaseOf(relay.CaseDuplicatePayment, relay.PaymentKey{MchID: "m", OutTradeNo: "none"})
		wantIs(t, "CaseOf", err, relay.ErrNotFound)
		_, err = rd.Refund(refundKey("none"))
		wantIs(t, "Refund", err, relay.ErrNotFound)
		_, err = rd.RefundByNo("c", "none")
		wantIs(t, "RefundByNo", err, relay.ErrNotFound)
		_, err = rd.Split(splitKey("none"))
		wantIs(t, "Split", err, relay.ErrNotFound)
		_, err = rd.SplitByNo("c", "none")
		wantIs(t, "SplitByNo", err, relay.ErrNotFound)
		_, err = rd.Payer("none")
		wantIs(t, "Payer", err, relay.ErrNotFound)
		_, err = rd.Grant(relay.GrantKey{Kind: relay.GrantTicket, Hash: "none"})
		wantIs(t, "Grant", err, relay.ErrNotFound)
		_, err = rd.AccountToken(relay.TokenKey{AppID: "wx1", Kind: relay.TokenAccess})
		wantIs(t, "AccountToken", err, relay.ErrNotFound)
		ev, err := rd.Evidence(relay.PaymentKey{MchID: "m", OutTradeNo: "none"})
		es, err2 := rd.Events("c", 0, 10)
		as, err3 := rd.Attempts("none")
		cs, err4 := rd.Cases("", 10)
		due, err5 := rd.Due(relay.Destination{ClientID: "c", Origin: "https://none:443"}, 10)
		open, err6 := rd.OpenOrders(T0, 10)
		if n := len(ev) + len(es) + len(as) + len(cs) + len(due) + len(open); n > 0 {
			t.Errorf("lists of an empty store have %d elements, want none", n)
		}
		return errors.Join(err, err2, err3, err4, err5, err6, rd.Destinations(func(d relay.Destination, _ time.Time) bool {
			t.Errorf("Destinations of an empty store: got %v", d)
			return true
		}))
	}
	update(t, s, func(tx relay.Tx) error { return check(tx) })
	view(t, s, check)
}

// A part of a key with a zero byte could pass for two parts.
func testBadKeys(t *testing.T, b Backend) {
	s := b.Open(t)
	for _, bad := range []string{"", "a\x00b", strings.Repeat("x", store.MaxKeyPart+1)} {
		update(t, s, func(tx relay.Tx) error {
			r := newRecords()
			r.order.OrderNo, r.payment.MchID, r.evidence.ID, r.event.ID = bad, bad, bad, bad
			r.delivery.EventID, r.attempt.EventID, r.held.ID = bad, bad, bad
			r.refund.OutRefundNo, r.payer.OpenID, r.day.Name, r.split.OutOrderNo = bad, bad, bad, bad
			r.grant.Hash, r.lent.AppID = bad, bad
			wantIs(t, "PutOrder", tx.PutOrder(&r.order), store.ErrKey)
			wantIs(t, "PutPayment", tx.PutPayment(&r.payment), store.ErrKey)
			wantIs(t, "PutEvidence", tx.PutEvidence(&r.evidence), store.ErrKey)
			wantIs(t, "AddEvent", tx.AddEvent(&r.event), store.ErrKey)
			wantIs(t, "PutDelivery", tx.PutDelivery(&r.delivery), store.ErrKey)
			wantIs(t, "AddAttempt", tx.AddAttempt(&r.attempt), store.ErrKey)
			wantIs(t, "PutCase", tx.PutCase(&r.held), store.ErrKey)
			wantIs(t, "PutRefund", tx.PutRefund(&r.refund), store.ErrKey)
			wantIs(t, "PutSplit", tx.PutSplit(&r.split), store.ErrKey)
			wantIs(t, "PutPayer", tx.PutPayer(&r.payer), store.ErrKey)
			wantIs(t, "PutTally", tx.PutTally(r.day, 1), store.ErrKey)
			wantIs(t, "PutTally of a day", tx.PutTally(relay.TallyKey{Name: "n", Day: bad}, 1), store.ErrKey)
			wantIs(t, "PutGrant", tx.PutGrant(&r.grant), store.ErrKey)
			wantIs(t, "DropGrant", tx.DropGrant(r.grant.GrantKey), store.ErrKey)
			wantIs(t, "PutAccountToken", tx.PutAccountToken(&r.lent), store.ErrKey)
			wantIs(t, "ClaimNonce", tx.ClaimNonce("c", bad, T0), store.ErrKey)
			return nil
		})
	}
	// Reads with such a part find nothing, not another key's rows.
	update(t, s, func(tx relay.Tx) error {
		e, ev := event("c", "1"), newRecords().evidence
		ev.Payment, ev.ID = relay.PaymentKey{MchID: "m", OutTradeNo: "o"}, "id"
		return all(tx.AddEvent(e), tx.PutEvidence(&ev))
	})
	view(t, s, func(rd relay.Reader) error {
		es, err := rd.Events("c\x00\x00", 0, 10)
		ev, err2 := rd.Evidence(relay.PaymentKey{MchID: "m\x00o", OutTradeNo: "id"})
		if len(es)+len(ev) > 0 {
			t.Errorf("crafted keys: got %d rows, want none", len(es)+len(ev))
		}
		return errors.Join(err, err2)
	})
}

func testRowTooLong(t *testing.T, b Backend) {
	s := b.Open(t)
	e := event("c", "long")
	e.Body = make([]byte, store.MaxRow)
	err := s.Update(t.Context(), func(tx relay.Tx) error { return tx.AddEvent(e) })
	if _, ok := errors.AsType[*store.RowTooLongError](err); !ok {
		t.Errorf("Update: got %v, want a RowTooLongError", err)
	}
	e.Body = make([]byte, store.MaxRow-512)
	update(t, s, func(tx relay.Tx) error { return tx.AddEvent(e) })
}

func testCallersKeepTheirMemory(t *testing.T, b Backend) {
	s, r := b.Open(t), newRecords()
	update(t, s, func(tx relay.Tx) error {
		if err := r.put(tx); err != nil {
			return err
		}
		scribble(r)
		return nil
	})
	view(t, s, func(rd relay.Reader) error {
		o, err := rd.Order(r.order.OrderKey)
		es, err2 := rd.Events(r.event.ClientID, 0, 1)
		d, err3 := rd.Delivery(r.delivery.EventID)
		sp, err4 := rd.Split(r.split.SplitKey)
		g, err5 := rd.Grant(r.grant.GrantKey)
		y, err6 := rd.Payer(r.payer.OpenID)
		at, err7 := rd.AccountToken(r.lent.TokenKey)
		if err := errors.Join(err, err2, err3, err4, err5, err6, err7); err != nil {
			return err
		}
		if g.Sealed[0] == '!' || g.Gave[0].Hash == "scribbled" || y.Clients[0] == "scribbled" || at.Sealed[0] == '!' {
			t.Errorf("what logins leave changed with its caller's memory: %+v %+v %+v", g, y, at)
		}
		if o.Splits[0] == "scribbled" || sp.Receivers[0].Account == "scribbled" || sp.Returns[0].Account == "scribbled" {
			t.Errorf("a split changed with its caller's memory: %v %+v", o.Splits, sp)
		}
		if o.Payments[0] == "scribbled" || o.Refunds[0] == "scribbled" || d.Payload[0] == '!' || o.Metadata[0] == '!' || es[0].Body[0] == '!' || d.Schedule[0] == -1 {
			t.Errorf("a record changed with its caller's memory: %+v %s %+v", o, es[0].Body, d)
		}
		return nil
	})
}

func scribble(r *records) {
	r.order.Payments[0], r.order.Metadata[0], r.event.Body[0], r.delivery.Schedule[0] = "scribbled", '!', '!', -1
	r.evidence.Plaintext[0], r.attempt.Answer[0] = '!', '!'
	r.grant.Sealed[0], r.lent.Sealed[0], r.payer.Clients[0], r.grant.Gave[0].Hash = '!', '!', "scribbled", "scribbled"
	r.order.Refunds[0], r.delivery.Payload[0] = "scribbled", '!'
	r.order.Splits[0], r.split.Receivers[0].Account, r.split.Returns[0].Account = "scribbled", "scribbled", "scribbled"
}

func testToken(t *testing.T, b Backend) {
	s := b.Open(t)
	one, two := order("c", "1"), order("c", "2")
	update(t, s, func(tx relay.Tx) error { return tx.PutOrder(one) })
	two.Token = one.Token
	err := s.Update(t.Context(), func(tx relay.Tx) error { return tx.PutOrder(two) })
	wantIs(t, "PutOrder with another's token", err, store.ErrExists)
	old := one.Token
	one.Token = "another"
	update(t, s, func(tx relay.Tx) error { return tx.PutOrder(one) })
	view(t, s, func(rd relay.Reader) error {
		_, err := rd.OrderByToken(old)
		wantIs(t, "OrderByToken of the old token", err, relay.ErrNotFound)
		k, err := rd.OrderByToken("another")
		wantEqual(t, "OrderByToken", k, one.OrderKey)
		return err
	})
}

func testOpenOrders(t *testing.T, b Backend) {
	s := b.Open(t)
	put := func(no string, status relay.OrderStatus, expires time.Time) {
		t.Helper()
		o := order("c", no)
		o.Status, o.ExpiresAt = status, expires
		update(t, s, func(tx relay.Tx) error { return tx.PutOrder(o) })
	}
	want := func(until time.Time, limit int, nos ...string) {
		t.Helper()
		check := func(rd relay.Reader) error {
			keys, err := rd.OpenOrders(until, limit)
			var got []string
			for _, k := range keys {
				got = append(got, k.OrderNo)
			}
			wantEqual(t, "OpenOrders", got, nos)
			return err
		}
		view(t, s, check)
		update(t, s, func(tx relay.Tx) error { return check(tx) })
	}
	at := func(m int) time.Time { return T0.Add(time.Duration(m) * time.Minute) }
	want(at(99), 9)
	put("late", relay.OrderCreated, at(30))
	put("early", relay.OrderPaying, at(10))
	put("paid", relay.OrderPaid, at(5))
	want(at(99), 9, "early", "late")
	want(at(99), 1, "early")
	want(at(10), 9, "early")
	want(at(9), 9)
	want(at(99), 0)
	put("early", relay.OrderPaid, at(10))
	want(at(99), 9, "late")
	put("late", relay.OrderPaying, at(40)) // moves
	want(at(39), 9)
	want(at(40), 9, "late")
	put("late", relay.OrderClosed, at(40))
	want(at(99), 9)
	put("first", relay.OrderCreated, at(1)) // before all that was there
	want(at(99), 9, "first")
}

func testEvidence(t *testing.T, b Backend) {
	s := b.Open(t)
	k := relay.PaymentKey{MchID: "m", OutTradeNo: "1"}
	put := func(id, text string) {
		t.Helper()
		update(t, s, func(tx relay.Tx) error {
			return tx.PutEvidence(&relay.Evidence{Payment: k, ID: id, Plaintext: []byte(text)})
		})
	}
	put("b", "first")
	put("a", "other")
	put("b", "second")
	view(t, s, func(rd relay.Reader) error {
		ev, err := rd.Evidence(k)
		wantEqual(t, "Evidence", ev, []relay.Evidence{
			{Payment: k, ID: "a", Plaintext: []byte("other")}, {Payment: k, ID: "b", Plaintext: []byte("first")},
		})
		return err
	})
}

func testCases(t *testing.T, b Backend) {
	s := b.Open(t)
	k := relay.PaymentKey{MchID: "m", OutTradeNo: "1"}
	for i, id := range []string{"case_c", "case_a", "case_b"} {
		c := relay.Case{ID: id, Kind: relay.CaseKind("kind-" + id), Payment: k, AmountFen: int64(i)}
		update(t, s, func(tx relay.Tx) error { return tx.PutCase(&c) })
	}
	view(t, s, func(rd relay.Reader) error {
		ids := func(after string, limit int) (got []string) {
			cs, err := rd.Cases(after, limit)
			if err != nil {
				t.Errorf("Cases: %v", err)
			}
			for _, c := range cs {
				got = append(got, c.ID)
			}
			return got
		}
		wantEqual(t, "Cases", ids("", 9), []string{"case_a", "case_b", "case_c"})
		wantEqual(t, "Cases after a", ids("case_a", 1), []string{"case_b"})
		wantEqual(t, "Cases after c", ids("case_c", 9), []string(nil))
		c, err := rd.CaseOf("kind-case_b", k)
		wantEqual(t, "CaseOf", c.ID, "case_b")
		return err
	})
}

func testAttempts(t *testing.T, b Backend) {
	s := b.Open(t)
	for _, n := range []int{2, 1, 300, 10} {
		update(t, s, func(tx relay.Tx) error { return tx.AddAttempt(&relay.Attempt{EventID: "e", Number: n}) })
	}
	update(t, s, func(tx relay.Tx) error { return tx.AddAttempt(&relay.Attempt{EventID: "e2", Number: 1}) })
	view(t, s, func(rd relay.Reader) error {
		as, err := rd.Attempts("e")
		var got []int
		for _, a := range as {
			got = append(got, a.Number)
		}
		wantEqual(t, "Attempts", got, []int{1, 2, 10, 300})
		return err
	})
}
