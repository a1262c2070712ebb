package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// testSameAsModel runs one random history against the store and against
// memstore, with failing transactions and restarts, and compares all answers.
func testSameAsModel(t *testing.T, b Backend) {
	s, model := b.Open(t), relay.Store(memstore.New())
	for step := range 150 {
		if step%50 == 49 {
			s = b.Reopen(t, s)
		}
		seed := uint64(step)
		change := func(tx relay.Tx) error { return randomChange(rand.New(rand.NewPCG(seed, 3)), tx) }
		err, want := s.Update(t.Context(), change), model.Update(t.Context(), change)
		if (err == nil) != (want == nil) || errors.Is(err, errRefused) != errors.Is(want, errRefused) {
			t.Fatalf("step %d: got %v, want %v", step, err, want)
		}
		if step%3 > 0 {
			continue
		}
		var got, expected []any
		view(t, s, func(rd relay.Reader) error { got = everything(t, rd); return nil })
		view(t, model, func(rd relay.Reader) error { expected = everything(t, rd); return nil })
		if !reflect.DeepEqual(got, expected) {
			for i := range min(len(got), len(expected)) {
				wantEqual(t, fmt.Sprint("answer ", i), got[i], expected[i])
			}
			t.Fatalf("step %d: the store and the model differ", step)
		}
	}
}

const modelSize = 6 // records of each kind

func randomChange(rng *rand.Rand, tx relay.Tx) error {
	for range 1 + rng.IntN(5) {
		n := rng.IntN(modelSize)
		client, no := fmt.Sprint("c", n%2), fmt.Sprint("n", n)
		at := T0.Add(time.Duration(rng.IntN(1000)) * time.Second)
		var err error
		switch rng.IntN(16) {
		case 0:
			o := order(client, no)
			o.Status = []relay.OrderStatus{relay.OrderCreated, relay.OrderPaying, relay.OrderPaid, relay.OrderClosed}[rng.IntN(4)]
			o.ExpiresAt, o.Token = at, fmt.Sprint("token", n, rng.IntN(2))
			err = tx.PutOrder(o)
		case 1:
			p := new(relay.Payment)
			Fill(p, rng.IntN(100))
			p.PaymentKey, p.AskAt = relay.PaymentKey{MchID: "m", OutTradeNo: no}, sometimes(rng, at)
			err = tx.PutPayment(p)
		case 2:
			e := &relay.Evidence{Payment: relay.PaymentKey{MchID: "m", OutTradeNo: no}, ID: fmt.Sprint(rng.IntN(4)), ReceivedAt: at}
			err = tx.PutEvidence(e)
		case 3:
			e := event(client, fmt.Sprint("evt_", rng.IntN(1000)))
			_, there := tx.Event(client, e.ID)
			if _, other := tx.Event(fmt.Sprint("c", 1-n%2), e.ID); there != nil && other != nil {
				err = tx.AddEvent(e)
			}
		case 4, 5:
			d := delivery(client, no, fmt.Sprintf("https://site%d.example/", rng.IntN(3)), at)
			if rng.IntN(3) == 0 {
				d.DueAt = time.Time{}
			}
			if rng.IntN(3) == 0 {
				d.ManualDueAt = T0.Add(time.Duration(rng.IntN(1000)) * time.Second)
			}
			err = tx.PutDelivery(d)
		case 6:
			err = tx.AddAttempt(&relay.Attempt{EventID: no, Number: rng.IntN(4), StartedAt: at})
		case 7:
			c := &relay.Case{ID: fmt.Sprint("case_", n), Kind: relay.CasePaidAfterClose, Payment: relay.PaymentKey{MchID: "m", OutTradeNo: no}, SeenAt: at}
			err = tx.PutCase(c)
		case 8:
			r := refund(no, client, fmt.Sprint("no", rng.IntN(2*modelSize))) // sometimes another's
			r.DueAt, r.AmountFen = sometimes(rng, at), int64(rng.IntN(100))
			if rng.IntN(4) == 0 {
				r.RefundNo = ""
			}
			err = tx.PutRefund(r)
		case 9:
			err = tx.PutPayer(&relay.Payer{OpenID: no, AppID: client, SeenAt: at})
		case 10:
			err = tx.PutTally(relay.TallyKey{Name: client, Day: no}, int64(rng.IntN(100)-1)) // sometimes refused
		case 11:
			sp := split(no, client, fmt.Sprint("no", rng.IntN(2*modelSize))) // sometimes another's
			sp.DueAt, sp.Calls = sometimes(rng, at), rng.IntN(100)
			err = tx.PutSplit(sp)
		case 12, 13:
			g := grant(no, at)
			g.ClientID, g.UsedAt = client, sometimes(rng, at)
			err = tx.PutGrant(g)
		case 14:
			err = tx.DropGrant(grantKey(no))
		case 15:
			err = tx.PutAccountToken(&relay.AccountToken{TokenKey: relay.TokenKey{AppID: no, Kind: relay.TokenAccess}, Holder: client, LeaseUntil: sometimes(rng, at)})
		}
		if err != nil {
			return err
		}
	}
	if rng.IntN(4) == 0 {
		return errRefused
	}
	return nil
}

// sometimes is the time, or in one of three cases none.
func sometimes(rng *rand.Rand, at time.Time) time.Time {
	if rng.IntN(3) == 0 {
		return time.Time{}
	}
	return at
}

// everything reads all that a history can have made.
func everything(t *testing.T, rd relay.Reader) []any {
	t.Helper()
	var out []any
	keep := func(v any, err error) {
		out = append(out, v, errors.Is(err, relay.ErrNotFound))
		if err != nil && !errors.Is(err, relay.ErrNotFound) {
			t.Errorf("reading: %v", err)
		}
	}
	for n := range modelSize {
		client, no := fmt.Sprint("c", n%2), fmt.Sprint("n", n)
		key := relay.PaymentKey{MchID: "m", OutTradeNo: no}
		o, err := rd.Order(relay.OrderKey{ClientID: client, OrderNo: no})
		keep(o, err)
		for v := range 2 {
			k, err := rd.OrderByToken(fmt.Sprint("token", n, v))
			keep(k, err)
		}
		p, err := rd.Payment(key)
		keep(p, err)
		ev, err := rd.Evidence(key)
		keep(ev, err)
		d, err := rd.Delivery(no)
		keep(d, err)
		as, err := rd.Attempts(no)
		keep(as, err)
		c, err := rd.CaseOf(relay.CasePaidAfterClose, key)
		keep(c, err)
		r, err := rd.Refund(refundKey(no))
		keep(r, err)
		sp, err := rd.Split(splitKey(no))
		keep(sp, err)
		y, err := rd.Payer(no)
		keep(y, err)
		g, err := rd.Grant(grantKey(no))
		keep(g, err)
		at, err := rd.AccountToken(relay.TokenKey{AppID: no, Kind: relay.TokenAccess})
		keep(at, err)
		fen, err := rd.Tally(relay.TallyKey{Name: client, Day: no})
		keep(fen, err)
	}
	for n := range 2 * 2 * modelSize {
		k, err := rd.RefundByNo(fmt.Sprint("c", n%2), fmt.Sprint("no", n/2))
		keep(k, err)
		sk, err := rd.SplitByNo(fmt.Sprint("c", n%2), fmt.Sprint("no", n/2))
		keep(sk, err)
	}
	for _, client := range []string{"c0", "c1"} {
		es, err := rd.Events(client, 0, 1000)
		keep(es, err)
		for _, e := range es {
			e, err := rd.Event(client, e.ID)
			keep(e, err)
		}
	}
	for _, until := range []int{0, 500, 1000} {
		ks, err := rd.OpenOrders(T0.Add(time.Duration(until)*time.Second), 4)
		keep(ks, err)
		gs, err := rd.ExpiredGrants(T0.Add(time.Duration(until)*time.Second), 4)
		keep(gs, err)
		for _, kind := range []relay.TaskKind{relay.TaskAskPayment, relay.TaskFollowRefund, relay.TaskFollowSplit} {
			tasks, err := rd.Tasks(kind, T0.Add(time.Duration(until)*time.Second), 4)
			keep(tasks, err)
		}
	}
	cs, err := rd.Cases("", 1000)
	keep(cs, err)
	keep(queues(t, rd), nil)
	return out
}
