package relay

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
)

// Refunds that somebody makes in WeChat's console come without a promise of a
// notification: the address for those is another setting of the console. They
// are in the bill of their day (v3.md section 14), which is there from about
// ten in the morning of the next.
const (
	billReadyAt = 10*time.Hour + 30*time.Minute // of the next Beijing day
	billDays    = 7                             // how far back a relay that was away reads
	billFirst   = time.Minute                   // after a configuration begins
	billPause   = time.Hour                     // between looks at whether a bill is due
	billCall    = 5 * time.Minute               // bound on one bill
	billSpacing = 250 * time.Millisecond        // between questions about refunds that a bill names
)

// refundBiller names all refunds of a Beijing day; APIv3 alone can be asked so.
// subMchID is that of a service provider's merchant, or empty.
type refundBiller interface {
	BilledRefunds(ctx context.Context, day time.Time, subMchID string) ([]BilledRefund, error)
}

// BilledRefund names a refund as a bill does.
type BilledRefund struct {
	OutRefundNo string
	OutTradeNo  string
}

// errBillNotReady says that WeChat is still making a bill.
var errBillNotReady = errors.New("WeChat is still making the bill")

// readBills looks for refunds of WeChat's console in a merchant's bills until
// ctx ends.
func (s *Service) readBills(ctx context.Context, m *merchant, g refundBiller) {
	wait := time.NewTimer(billFirst)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		for _, day := range billsDue(s.rt.now()) {
			err := s.readBill(ctx, m, g, day)
			if err == nil {
				continue
			}
			if ctx.Err() == nil && !errors.Is(err, errBillNotReady) {
				s.log.Warn("looking for refunds in a day's bill failed; trying again later",
					slog.String("merchant", m.Name), slog.String("day", beijing.Day(day)), slog.Any("error", err))
			}
			break
		}
		wait.Reset(billPause)
	}
}

// billsDue lists the days whose bills are there by now, oldest first.
func billsDue(now time.Time) []time.Time {
	newest := now.Add(-billReadyAt).In(beijing.Zone)
	days := make([]time.Time, 0, billDays)
	for back := billDays; back > 0; back-- {
		days = append(days, newest.AddDate(0, 0, -back))
	}
	return days
}

// readBill books what a day's bill names and the store does not, once. That
// it was read is kept as a tally of the day.
func (s *Service) readBill(ctx context.Context, m *merchant, g refundBiller, day time.Time) error {
	read := TallyKey{Name: "bill:" + m.MchID + ":" + m.SubMchID, Day: beijing.Day(day)}
	var done int64
	err := s.rt.store.View(ctx, func(r Reader) (err error) {
		done, err = r.Tally(read)
		return err
	})
	if err != nil || done > 0 {
		return err
	}
	call, cancel := context.WithTimeout(ctx, billCall)
	defer cancel()
	billed, err := g.BilledRefunds(call, day, m.SubMchID)
	if err != nil {
		return err
	}
	for i := range billed {
		if err := s.bookBilled(ctx, m, &billed[i]); err != nil {
			return err
		}
	}
	return s.rt.store.Update(ctx, func(tx Tx) error { return tx.PutTally(read, 1) })
}

// bookBilled asks about a refund that only the bill knows, and books the
// answer. Refunds of payments that are not ours are somebody else's.
func (s *Service) bookBilled(ctx context.Context, m *merchant, b *BilledRefund) error {
	st := RefundStatement{MchID: m.MchID, SubMchID: m.SubMchID, OutRefundNo: b.OutRefundNo, OutTradeNo: b.OutTradeNo}
	known, p, err := s.refundBefore(ctx, &st)
	if err != nil || known != nil || p == nil || p.SubMchID != m.SubMchID {
		return err
	}
	pause := time.NewTimer(billSpacing)
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-pause.C:
	}
	r := unknownRefund(b.OutRefundNo, p)
	said, err := m.gateway(r.API).QueryRefund(ctx, &r)
	if refused, ok := errors.AsType[*GatewayError](err); ok && saysNoRefund(refused) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = s.settleRefund(ctx, m, &said, refundEvidence(&said, s.rt.now()))
	if errors.Is(err, errForeignRefund) {
		return nil
	}
	return err
}
