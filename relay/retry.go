package relay

import "time"

const (
	// retryMaxGap is the longest pause that is kept between attempts which
	// are made up after downtime.
	retryMaxGap = 5 * time.Minute
	// retryMaxJitter and retryJitterShare bound how much later than planned
	// an attempt may be set, so that many receivers of one moment spread.
	retryMaxJitter   = 5 * time.Second
	retryJitterShare = 20 // one in twenty of the interval
)

// retryDue returns when the next attempt of the schedule is due after one of
// it ended in failure, and false when none is left. made counts the attempts
// of the schedule so far, the immediate one included.
//
// Attempt k is due at callback + offset[k], but not before the end of the one
// before it plus its gap: the distance of the two offsets, at most five
// minutes. So a long outage or a jump of the clock stretches the tail instead
// of firing what is overdue all at once (faults.md section 2). jitter, in
// 0..1, delays the planned time by its share of min(5 s, 5 %); where the gap
// decides there is none, because a gap begins at a random moment anyway.
//
// retryAfter is the pause that the receiver asked for, zero if none. It can
// only delay, and at most to the planned time of the attempt that follows
// (for the last one: to a gap of five minutes after its own), so that asking
// for patience never costs attempts.
func retryDue(callback time.Time, offsets []time.Duration, made int, ended time.Time, retryAfter time.Duration, jitter float64) (time.Time, bool) {
	if made < 1 || made > len(offsets) {
		return time.Time{}, false
	}
	k := made - 1
	distance := offsets[k]
	if k > 0 {
		distance -= offsets[k-1]
	}
	spread := time.Duration(jitter * float64(min(retryMaxJitter, distance/retryJitterShare)))
	due := laterOf(callback.Add(offsets[k]+spread), ended.Add(min(distance, retryMaxGap)))

	if retryAfter > 0 {
		latest := callback.Add(offsets[k] + retryMaxGap)
		if k+1 < len(offsets) {
			latest = callback.Add(offsets[k+1])
		}
		asked := ended.Add(retryAfter)
		if asked.After(latest) {
			asked = latest
		}
		due = laterOf(due, asked)
	}
	return due, true
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
