package badgerstore

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
	"github.com/wxrelay/wxrelay/store/storetest"
)

var (
	everyPayment = relay.PaymentKey{MchID: "m", OutTradeNo: "p"}
	everyRefund  = relay.RefundKey{MchID: "m", OutRefundNo: "r"}
	everySplit   = relay.SplitKey{MchID: "m", OutOrderNo: "s"}
	everyTally   = relay.TallyKey{Name: "n", Day: "2026-03-01"}
	everyGrant   = relay.GrantKey{Kind: relay.GrantTicket, Hash: "hash"}
	everyLent    = relay.TokenKey{AppID: "wx1", Kind: relay.TokenAccess}
)

// everyKind puts one record of each kind, all with their index entries, and
// refunds of two kinds: of an order, and of money that nobody knows.
func everyKind(t *testing.T, s *Store) {
	t.Helper()
	putOrders(t, s, 0, 1)
	var (
		o      relay.Order
		p      relay.Payment
		v      relay.Evidence
		a      relay.Attempt
		c      relay.Case
		r, odd relay.Refund
		payer  relay.Payer
		sp     relay.Split
		g      relay.Grant
		lent   relay.AccountToken
	)
	for i, r := range []any{&o, &p, &v, &a, &c, &r, &odd, &payer, &sp, &g, &lent} {
		storetest.Fill(r, i+10)
	}
	o.OrderKey, o.Token, o.Status = relay.OrderKey{ClientID: "c", OrderNo: "open"}, "open", relay.OrderPaying
	o.MchID, o.Refunds = everyRefund.MchID, []string{everyRefund.OutRefundNo}
	o.Splits = []string{everySplit.OutOrderNo}
	sp.SplitKey, sp.ClientID, sp.OrderNo, sp.SplitNo, sp.DueAt = everySplit, o.ClientID, o.OrderNo, "no", storetest.T0
	p.PaymentKey, p.AskAt = everyPayment, storetest.T0
	r.RefundKey, r.ClientID, r.OrderNo, r.RefundNo, r.DueAt = everyRefund, o.ClientID, o.OrderNo, "no", storetest.T0
	odd.ClientID, odd.OrderNo, odd.RefundNo, odd.DueAt = "", "", "", time.Time{}
	payer.OpenID = "payer"
	g.GrantKey, g.ExpiresAt, lent.TokenKey = everyGrant, storetest.T0, everyLent
	err := s.Update(t.Context(), func(tx relay.Tx) error {
		return errors.Join(tx.PutOrder(&o), tx.PutPayment(&p), tx.PutEvidence(&v), tx.AddAttempt(&a), tx.PutCase(&c),
			tx.PutRefund(&r), tx.PutRefund(&odd), tx.PutPayer(&payer), tx.PutTally(everyTally, 7), tx.PutSplit(&sp),
			tx.PutGrant(&g), tx.PutAccountToken(&lent), tx.ClaimNonce("c", "n", storetest.T0))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestVerifyCounts(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, small(t.TempDir()))
	everyKind(t, s)
	r := verified(t, s)
	want := Report{
		Orders: 2, Payments: 1, Evidence: 1, Events: 1, Deliveries: 1, Attempts: 1, Cases: 1, Nonces: 1,
		Refunds: 2, Splits: 1, Payers: 1, Tallies: 1, Grants: 1, AccountTokens: 1,
		Waiting: 1, Open: 1, Tasks: 3, Expiring: 1,
	}
	r.Examples = nil
	if !reflect.DeepEqual(*r, want) {
		t.Errorf("report: got %+v, want %+v", *r, want)
	}
}

// Each kind of damage is planted behind the store's back and must be found;
// reading the record says ErrCorrupt, never ErrNotFound.
func TestVerifyFinds(t *testing.T) {
	t.Parallel()
	order := relay.OrderKey{ClientID: "c", OrderNo: "0"}
	row := func(t *testing.T, s *Store, key []byte) []byte {
		t.Helper()
		sn := s.snapshots.acquire()
		defer s.snapshots.release(sn)
		b, err := (committed{sn.txn}).get(store.KindIndex, key)
		if err != nil {
			t.Fatalf("no row to damage: %v", err)
		}
		return b
	}
	delivery := appendDeliveryKey(nil, "evt_0")
	for _, c := range []struct {
		name   string
		damage func(*testing.T, *Store, *badger.Txn) error
		reads  func(relay.Reader) error // must be ErrCorrupt
	}{
		{"flipped order", func(t *testing.T, s *Store, txn *badger.Txn) error {
			b := row(t, s, appendOrderKey(nil, order))
			b[len(b)-1] ^= 1
			return txn.Set(appendOrderKey(nil, order), b)
		}, func(r relay.Reader) error { _, err := r.Order(order); return err }},
		{"order under another key", func(t *testing.T, s *Store, txn *badger.Txn) error {
			return txn.Set([]byte("oc\x00other"), row(t, s, appendOrderKey(nil, order)))
		}, nil},
		{"payment in an order's place", func(t *testing.T, _ *Store, txn *badger.Txn) error {
			b, err := store.EncodePayment(nil, &relay.Payment{AmountFen: 1})
			if err != nil {
				t.Fatal(err)
			}
			return txn.Set(appendOrderKey(nil, order), b)
		}, func(r relay.Reader) error { _, err := r.Order(order); return err }},
		{"delivery without its due entry", func(_ *testing.T, s *Store, txn *badger.Txn) error {
			m := s.marks.destinations()[0]
			return txn.Delete([]byte(m.prefix + m.head[0]))
		}, nil},
		{"due entry without its delivery", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Delete(delivery)
		}, nil},
		{"two due entries", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Set(appendDueKey(nil, relay.Destination{ClientID: "c", Origin: "https://a.example:443"}, storetest.T0, "evt_0"), nil)
		}, nil},
		{"event without its id", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Delete(appendEventIDKey(nil, "evt_0"))
		}, nil},
		{"id without its event", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Delete(appendEventKey(nil, "c", 1))
		}, func(r relay.Reader) error { _, err := r.Event("c", "evt_0"); return err }},
		{"token of nobody", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Delete(appendTokenKey(nil, "open"))
		}, nil},
		{"open order that is none", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Set(appendOpenKey(nil, storetest.T0, order), nil)
		}, nil},
		{"payment without its task", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Delete(taskOf(relay.TaskAskPayment, everyPayment.OutTradeNo, storetest.T0))
		}, nil},
		{"task without its payment", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Delete(appendPaymentKey(nil, everyPayment))
		}, nil},
		{"transaction of another payment", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			b, err := store.Seal(nil, store.KindIndex, []byte(everyPayment.OutTradeNo))
			return errors.Join(err, txn.Set(appendTransactionKey(nil, everyPayment.MchID, "other"), b))
		}, nil},
		{"task at another time", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			key := taskOf(relay.TaskAskPayment, everyPayment.OutTradeNo, storetest.T0)
			return errors.Join(txn.Delete(key), txn.Set(taskOf(relay.TaskAskPayment, everyPayment.OutTradeNo, storetest.T0.Add(1)), noRow))
		}, nil},
		{"task of another kind", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Set(taskOf("sweep", everyPayment.OutTradeNo, storetest.T0), noRow)
		}, nil},
		{"task that is cut short", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Set([]byte("gask_payment\x00cut"), noRow)
		}, func(r relay.Reader) error {
			_, err := r.Tasks(relay.TaskAskPayment, storetest.T0.Add(time.Hour), 9)
			return err
		}},
		{"task without a kind", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Set([]byte("gask"), noRow)
		}, nil},
		{"refund without its task", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Delete(taskOf(relay.TaskFollowRefund, everyRefund.OutRefundNo, storetest.T0))
		}, nil},
		{"refund without its number", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Delete(appendRefundNoKey(nil, "c", "no"))
		}, nil},
		{"number without its refund", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Delete(appendRefundKey(nil, everyRefund))
		}, nil},
		{"number of another refund", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			b, err := store.Seal(nil, store.KindIndex, appendRefundKey(nil, relay.RefundKey{MchID: "text-16003", OutRefundNo: "text-16004"})[1:])
			return errors.Join(err, txn.Set(appendRefundNoKey(nil, "c", "no"), b))
		}, nil},
		{"refund that its order does not name", func(t *testing.T, s *Store, txn *badger.Txn) error {
			return editOrder(t, s, txn, func(o *relay.Order) { o.Refunds = nil })
		}, nil},
		{"refund that is not there", func(t *testing.T, s *Store, txn *badger.Txn) error {
			return editOrder(t, s, txn, func(o *relay.Order) { o.Refunds = append(o.Refunds, "none") })
		}, nil},
		{"refund of another order", func(t *testing.T, s *Store, txn *badger.Txn) error {
			return editOrder(t, s, txn, func(o *relay.Order) { o.MchID, o.Refunds = "text-16003", []string{"text-16004"} })
		}, nil},
		{"split without its task", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Delete(taskOf(relay.TaskFollowSplit, everySplit.OutOrderNo, storetest.T0))
		}, nil},
		{"split without its number", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Delete(appendSplitNoKey(nil, "c", "no"))
		}, nil},
		{"number without its split", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Delete(appendSplitKey(nil, everySplit))
		}, nil},
		{"split that its order does not name", func(t *testing.T, s *Store, txn *badger.Txn) error {
			return editOrder(t, s, txn, func(o *relay.Order) { o.Splits = nil })
		}, nil},
		{"split that is not there", func(t *testing.T, s *Store, txn *badger.Txn) error {
			return editOrder(t, s, txn, func(o *relay.Order) { o.Splits = append(o.Splits, "none") })
		}, nil},
		{"flipped split", func(t *testing.T, s *Store, txn *badger.Txn) error {
			b := row(t, s, appendSplitKey(nil, everySplit))
			b[len(b)-1] ^= 1
			return txn.Set(appendSplitKey(nil, everySplit), b)
		}, func(r relay.Reader) error { _, err := r.Split(everySplit); return err }},
		{"flipped refund", func(t *testing.T, s *Store, txn *badger.Txn) error {
			b := row(t, s, appendRefundKey(nil, everyRefund))
			b[len(b)-1] ^= 1
			return txn.Set(appendRefundKey(nil, everyRefund), b)
		}, func(r relay.Reader) error { _, err := r.Refund(everyRefund); return err }},
		{"payer under another key", func(t *testing.T, s *Store, txn *badger.Txn) error {
			return txn.Set(appendPayerKey(nil, "other"), row(t, s, appendPayerKey(nil, "payer")))
		}, nil},
		{"flipped tally", func(t *testing.T, s *Store, txn *badger.Txn) error {
			b := row(t, s, appendTallyKey(nil, everyTally))
			b[len(b)-1] ^= 1
			return txn.Set(appendTallyKey(nil, everyTally), b)
		}, func(r relay.Reader) error { _, err := r.Tally(everyTally); return err }},
		{"grant without its expiry", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Delete(appendExpiringKey(nil, storetest.T0, everyGrant))
		}, nil},
		{"expiry without its grant", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Delete(appendGrantKey(nil, everyGrant))
		}, nil},
		{"expiry at another time", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return errors.Join(txn.Delete(appendExpiringKey(nil, storetest.T0, everyGrant)),
				txn.Set(appendExpiringKey(nil, storetest.T0.Add(1), everyGrant), noRow))
		}, nil},
		{"expiry that is cut short", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Set([]byte("wcut"), noRow)
		}, func(r relay.Reader) error {
			_, err := r.ExpiredGrants(storetest.T0.Add(time.Hour), 9)
			return err
		}},
		{"grant under another key", func(t *testing.T, s *Store, txn *badger.Txn) error {
			return txn.Set(appendGrantKey(nil, relay.GrantKey{Kind: relay.GrantCode, Hash: "hash"}), row(t, s, appendGrantKey(nil, everyGrant)))
		}, nil},
		{"flipped grant", func(t *testing.T, s *Store, txn *badger.Txn) error {
			b := row(t, s, appendGrantKey(nil, everyGrant))
			b[len(b)-1] ^= 1
			return txn.Set(appendGrantKey(nil, everyGrant), b)
		}, func(r relay.Reader) error { _, err := r.Grant(everyGrant); return err }},
		{"account's token under another key", func(t *testing.T, s *Store, txn *badger.Txn) error {
			return txn.Set(appendLentKey(nil, relay.TokenKey{AppID: "wx1", Kind: relay.TokenJSAPITicket}), row(t, s, appendLentKey(nil, everyLent)))
		}, nil},
		{"flipped account's token", func(t *testing.T, s *Store, txn *badger.Txn) error {
			b := row(t, s, appendLentKey(nil, everyLent))
			b[len(b)-1] ^= 1
			return txn.Set(appendLentKey(nil, everyLent), b)
		}, func(r relay.Reader) error { _, err := r.AccountToken(everyLent); return err }},
		{"damaged index", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Set(appendTokenKey(nil, "open"), []byte("nonsense"))
		}, func(r relay.Reader) error { _, err := r.OrderByToken("open"); return err }},
		{"foreign row", func(_ *testing.T, _ *Store, txn *badger.Txn) error {
			return txn.Set([]byte("zzz"), []byte("x"))
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := mustOpen(t, small(t.TempDir()))
			everyKind(t, s)
			if err := s.db.Update(func(txn *badger.Txn) error { return c.damage(t, s, txn) }); err != nil {
				t.Fatal(err)
			}
			s.snapshots.replace(s.db, s.snapshots.current.seq)
			r, err := s.Verify(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if r.Problems == 0 || r.Err() == nil {
				t.Errorf("Verify found nothing: %+v", r)
			}
			if c.reads == nil {
				return
			}
			if err := s.View(t.Context(), c.reads); !errors.Is(err, relay.ErrCorrupt) || errors.Is(err, relay.ErrNotFound) {
				t.Errorf("reading: got %v, want ErrCorrupt", err)
			}
		})
	}
}

func taskOf(kind relay.TaskKind, number string, due time.Time) []byte {
	return appendTaskKey(nil, kind, relay.Task{MchID: "m", Number: number, DueAt: due})
}

// editOrder rewrites the open order behind the store's back.
func editOrder(t *testing.T, s *Store, txn *badger.Txn, edit func(*relay.Order)) error {
	t.Helper()
	var o relay.Order
	err := s.View(t.Context(), func(r relay.Reader) (err error) {
		o, err = r.Order(relay.OrderKey{ClientID: "c", OrderNo: "open"})
		return err
	})
	if err != nil {
		return err
	}
	edit(&o)
	b, err := store.EncodeOrder(nil, &o)
	return errors.Join(err, txn.Set(appendOrderKey(nil, o.OrderKey), b))
}

func TestVerifyEnds(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, small(t.TempDir()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Verify(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// Nonces that no longer count are removed, a few with each group.
func TestNonceSweep(t *testing.T) {
	t.Parallel()
	now := storetest.T0
	o := small(t.TempDir())
	o.Now = func() time.Time { return now }
	s := mustOpen(t, o)
	claim := func(from, to int) {
		t.Helper()
		err := s.Update(t.Context(), func(tx relay.Tx) error {
			for i := from; i < to; i++ {
				if err := tx.ClaimNonce("c", time.Duration(i).String(), now); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	claim(0, 3*sweepStep)
	for _, c := range []struct {
		later time.Duration
		want  int // nonces left, those of the sweeping groups included
	}{
		{relay.NonceWindow, 3*sweepStep + 1},         // may still count
		{2 * relay.NonceWindow, 2*sweepStep + 2},     // a group's share
		{2*relay.NonceWindow + 1, 1*sweepStep + 3},   // and another's
		{2*relay.NonceWindow + 2, 0*sweepStep + 4},   // the last
		{2*relay.NonceWindow + 3, 0*sweepStep + 5},   // nothing left
		{9*relay.NonceWindow + 10, 0*sweepStep + 1},  // all but the newest
		{10*relay.NonceWindow + 10, 0*sweepStep + 2}, // which still counts
	} {
		now = storetest.T0.Add(c.later)
		claim(int(c.later)+1e6, int(c.later)+1e6+1)
		if got := verified(t, s).Nonces; got != c.want {
			t.Errorf("after %v: got %d nonces, want %d", c.later, got, c.want)
		}
	}
}
