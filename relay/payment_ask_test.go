package relay

import (
	"testing"
	"time"
)

func TestNextAskFollowsTheSchedule(t *testing.T) {
	t.Parallel()
	created := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	h := time.Hour
	for _, c := range []struct {
		name   string
		age    time.Duration
		life   time.Duration
		direct bool
		status PaymentStatus
		want   time.Duration // from creation; 0: never
	}{
		{name: "at creation", life: 2 * h, want: time.Minute},
		{name: "a moment of the schedule is over", age: time.Minute, life: 2 * h, want: 5 * time.Minute},
		{name: "between two moments", age: 7 * time.Minute, life: 2 * h, want: 15 * time.Minute},
		{name: "late", age: 20 * time.Minute, life: 2 * h, want: h},
		{name: "the next one is after expiry", age: h, life: 2 * h},
		{name: "the next one is at expiry", age: h, life: 6 * h},
		{name: "after downtime, one question", age: 30 * h, life: 168 * h, want: 48 * h},
		{name: "daily", age: 6 * h, life: 168 * h, want: 24 * h},
		{name: "daily again", age: 24 * h, life: 168 * h, want: 48 * h},
		{name: "clock set back", age: -h, life: 2 * h, want: time.Minute},
		{name: "direct, at creation", direct: true, life: 2 * h, want: 15 * time.Second},
		{name: "direct, later", direct: true, age: 2 * time.Minute, life: 2 * h, want: 3 * time.Minute},
		{name: "direct, daily", direct: true, age: 7 * h, life: 168 * h, want: 24 * h},
		{name: "pending", status: PaymentPending, life: 2 * h, want: time.Minute},
		{name: "paid", status: PaymentPaid, life: 2 * h},
		{name: "closed", status: PaymentClosed, life: 2 * h},
		{name: "failed", status: PaymentFailed, life: 2 * h},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := Payment{Status: PaymentCreated, CreatedAt: created, ExpiresAt: created.Add(c.life)}
			if c.status != "" {
				p.Status = c.status
			}
			got := nextAsk(&p, created.Add(c.age), c.direct)
			var want time.Time
			if c.want != 0 {
				want = created.Add(c.want)
			}
			if !got.Equal(want) {
				t.Errorf("age %v, life %v: asks at %v, want %v", c.age, c.life, got, want)
			}
		})
	}
}
