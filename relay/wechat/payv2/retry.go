package payv2

import (
	"errors"
	"time"
)

// Bounds of the repeats of one call. The caller's context bounds them too.
const (
	maxTries         = 4
	firstWait        = 200 * time.Millisecond
	firstWaitLimited = time.Second
)

// nextTry is what to do after a failed try.
type nextTry struct {
	again      bool
	switchHost bool
	wait       time.Duration // before jitter
}

// afterFailure decides whether a call is repeated (sections 4 and 18). Calls
// are repeated with the same business numbers and fields, so each is harmless
// to repeat. tries counts those made.
func afterFailure(err error, tries int) nextTry {
	if tries >= maxTries {
		return nextTry{}
	}
	backoff := firstWait << (tries - 1)
	if e, ok := errors.AsType[*APIError](err); ok {
		switch {
		case !e.Retryable() || e.muchLater():
			return nextTry{}
		case e.limited():
			return nextTry{again: true, wait: firstWaitLimited << (tries - 1)}
		default:
			return nextTry{again: true, switchHost: e.hostAtFault(), wait: backoff}
		}
	}
	if _, ok := errors.AsType[*transportError](err); ok {
		next := nextTry{again: true, switchHost: true, wait: backoff}
		if tries == 1 {
			next.wait = 0 // the other host has not failed yet
		}
		return next
	}
	return nextTry{}
}

// transportError is a try without a complete answer; whether WeChat did what
// was asked is unknown.
type transportError struct{ err error }

func (e *transportError) Error() string { return e.err.Error() }
func (e *transportError) Unwrap() error { return e.err }
