package relay

import (
	"context"
	"sync"
	"time"
)

// CaseRecord is an anomaly as the operator reads it.
type CaseRecord struct {
	CaseView
	ClientID   string `json:"client_id,omitempty"` // absent for money of an unknown order
	OrderNo    string `json:"order_no,omitempty"`
	MchID      string `json:"mch_id"`
	AppID      string `json:"app_id,omitempty"`
	Currency   string `json:"currency"`
	PaidAt     string `json:"paid_at"`
	ResolvedBy string `json:"resolved_by,omitempty"`
}

// Record is the case as the operator reads it.
func (c *Case) Record() CaseRecord {
	return CaseRecord{
		CaseView:   *caseView(c),
		ClientID:   c.Order.ClientID,
		OrderNo:    c.Order.OrderNo,
		MchID:      c.Payment.MchID,
		AppID:      c.AppID,
		Currency:   c.Currency,
		PaidAt:     stamp(c.PaidAt),
		ResolvedBy: c.ResolvedBy,
	}
}

// CaseCount is how many cases of one kind are in one state, and their money.
type CaseCount struct {
	Kind   CaseKind
	Status CaseStatus
	Number int
	Fen    int64
}

// caseCountLife is how long a count of the cases is used again: it reads all
// of them, and whoever scrapes metrics may do so often.
const caseCountLife = 15 * time.Second

// caseCounts remembers the latest count.
type caseCounts struct {
	mu     sync.Mutex // guards all below
	at     time.Time
	counts []CaseCount
}

// CountCases counts the anomalies, for metrics.
func (rt *Runtime) CountCases(ctx context.Context) ([]CaseCount, error) {
	rt.counted.mu.Lock()
	defer rt.counted.mu.Unlock() // held over the reading, so that scrapes share one
	now := rt.now()
	if age := now.Sub(rt.counted.at); rt.counted.counts != nil && age >= 0 && age < caseCountLife {
		return rt.counted.counts, nil
	}
	sums := map[CaseCount]CaseCount{}
	for after, more := "", true; more; {
		var some []Case
		err := rt.store.View(ctx, func(r Reader) (err error) {
			some, err = r.Cases(after, caseStep)
			return err
		})
		if err != nil {
			return nil, err
		}
		for i := range some {
			c := &some[i]
			key := CaseCount{Kind: c.Kind, Status: c.Status}
			sum := sums[key]
			sums[key] = CaseCount{Kind: c.Kind, Status: c.Status, Number: sum.Number + 1, Fen: sum.Fen + c.AmountFen}
			after = c.ID
		}
		more = len(some) == caseStep
	}
	counts := make([]CaseCount, 0, len(sums))
	for _, sum := range sums {
		counts = append(counts, sum)
	}
	rt.counted.at, rt.counted.counts = now, counts
	return counts, nil
}
