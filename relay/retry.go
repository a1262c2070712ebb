package relay

import (
	"errors"
	"fmt"
	"time"
)

const (
	// maxScheduleLen bounds the entries of a schedule.
	maxScheduleLen = 100
	// maxScheduleOffset bounds its last entry.
	maxScheduleOffset = 30 * 24 * time.Hour

	// retryMaxGap is the longest pause that is kept between attempts which
	// are made up after downtime.
	retryMaxGap = 5 * time.Minute
	// retryMaxJitter and retryJitterShare bound how much later than planned
	// an attempt may be set, so that many receivers of one moment spread.
	retryMaxJitter   = 5 * time.Second
	retryJitterShare = 20 // one in twenty of the interval
)

// DefaultSchedule returns the offsets, from WeChat's callback, of the
// attempts after the immediate first one: thirteen, over 24 hours (contract
// section 7).
func DefaultSchedule() []time.Duration {
	return []time.Duration{
		time.Minute, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute, 5 * time.Minute,
		10 * time.Minute, 20 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 5 * time.Hour, 12 * time.Hour, 24 * time.Hour,
	}
}

// ValidateSchedule checks the offsets of a schedule: 1 to 100 of them, the
// first at least a second, each at least a second above the one before, none
// above 30 days. It reports all mistakes at once.
func ValidateSchedule(offsets []time.Duration) error {
	var errs []error
	if len(offsets) == 0 || len(offsets) > maxScheduleLen {
		errs = append(errs, fmt.Errorf("%d offsets, want 1 to %d", len(offsets), maxScheduleLen))
	}
	var before time.Duration
	for i, o := range offsets {
		switch {
		case o > maxScheduleOffset:
			errs = append(errs, fmt.Errorf("offset %d is %v, want at most %v", i+1, o, maxScheduleOffset))
		case o-before < time.Second:
			errs = append(errs, fmt.Errorf("offset %d is %v, want at least 1s above %v; offsets count from WeChat's callback", i+1, o, before))
		}
		before = o
	}
	return errors.Join(errs...)
}

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
