package payv3

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestAfterFailure(t *testing.T) {
	t.Parallel()
	system := &APIError{HTTPStatus: 500, Code: "SYSTEM_ERROR"}
	page := &APIError{HTTPStatus: 502}
	limited := &APIError{HTTPStatus: 429, retryAfter: 3 * time.Second}
	cut := &transportError{err: context.DeadlineExceeded}
	probe := &VerifyError{Reason: ReasonProbe}
	tests := []struct {
		name   string
		err    error
		tries  int
		probed bool
		want   nextTry
	}{
		{"system error", system, 1, false, nextTry{again: true, wait: firstWait}},
		{"system error again", system, 2, false, nextTry{again: true, wait: 2 * firstWait}},
		{"system error a third time", system, 3, false, nextTry{again: true, wait: 4 * firstWait}},
		{"system error at the end", system, maxTries, false, nextTry{}},
		{"wrapped", fmt.Errorf("x: %w", system), 1, false, nextTry{again: true, wait: firstWait}},
		{"page", page, 1, false, nextTry{again: true, switchHost: true, wait: firstWait}},
		{"limited asks for longer", limited, 1, false, nextTry{again: true, wait: 3 * time.Second}},
		{"limited asks for less", limited, 3, false, nextTry{again: true, wait: 4 * firstWait429}},
		{"no answer", cut, 1, false, nextTry{again: true, switchHost: true}},
		{"no answer again", cut, 2, false, nextTry{again: true, switchHost: true, wait: 2 * firstWait}},
		{"refusal", &APIError{HTTPStatus: 400, Code: "PARAM_ERROR"}, 1, false, nextTry{}},
		{"probe", probe, 1, false, nextTry{again: true}},
		{"second probe", probe, 2, true, nextTry{}},
		{"forged", &VerifyError{Reason: ReasonSignature}, 1, false, nextTry{}},
		{"anything else", errors.New("x"), 1, false, nextTry{}},
	}
	for _, tt := range tests {
		if got := afterFailure(tt.err, tt.tries, tt.probed); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}
