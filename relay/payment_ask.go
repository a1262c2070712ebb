package relay

import "time"

// When WeChat is asked about an unpaid payment, counted from its creation;
// after the last one daily, until the payment expires and its order's close
// asks for the last time (issue part 5, faults.md section 1). WeChat does not
// promise that a notification ever arrives.
var (
	askOffsets = []time.Duration{
		time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour,
	}
	// WeChat tells a client in direct mode itself: asking is the only way in
	// which the relay learns, so it begins sooner.
	askOffsetsDirect = []time.Duration{
		15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 3 * time.Minute,
		5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 6 * time.Hour,
	}
)

// askDaily is the pace after the last offset.
const askDaily = 24 * time.Hour

// nextAsk is when WeChat is asked next about a payment, after now; zero when
// the payment is not live or expires before. What was missed while the relay
// was down is not made up: one question tells the same as ten.
func nextAsk(p *Payment, now time.Time, direct bool) time.Time {
	if !p.Live() {
		return time.Time{}
	}
	at := p.CreatedAt.Add(nextOffset(now.Sub(p.CreatedAt), direct))
	if !at.Before(p.ExpiresAt) {
		return time.Time{}
	}
	return at
}

// nextOffset is the first moment of the schedule after a payment's age.
func nextOffset(age time.Duration, direct bool) time.Duration {
	offsets := askOffsets
	if direct {
		offsets = askOffsetsDirect
	}
	for _, offset := range offsets {
		if offset > age {
			return offset
		}
	}
	return age.Truncate(askDaily) + askDaily
}

// nextAsk is when WeChat is asked next about a payment by how its client is
// told.
func (s *Service) nextAsk(p *Payment, now time.Time) time.Time {
	return nextAsk(p, now, direct(s.clients[p.Order.ClientID]))
}
