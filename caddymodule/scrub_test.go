package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/store/badgerstore"
)

// checked is a store whose rows are as the test says.
type checked struct {
	problems []int // of each check
	err      error
	checks   int
}

func (c *checked) Verify(ctx context.Context) (*badgerstore.Report, error) {
	if c.checks++; c.checks > len(c.problems) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	r := &badgerstore.Report{Problems: c.problems[c.checks-1]}
	if r.Problems > 0 {
		r.Examples = []error{errors.New("a row without its twin")}
	}
	return r, c.err
}

// TestScrub: the store is checked an hour after the start and daily, damage
// is told, and stopping does not wait for a check to end.
func TestScrub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var told []int
		store := &checked{problems: []int{0, 3}}
		s := startScrub(store, slog.New(slog.NewTextHandler(&log, nil)), func(n int) { told = append(told, n) })
		<-time.After(scrubFirst - time.Second)
		if store.checks != 0 {
			t.Errorf("%d checks before the first hour, want none", store.checks)
		}
		<-time.After(2 * time.Second)
		<-time.After(scrubEvery)
		<-time.After(scrubEvery) // the third hangs until it is stopped
		s.stop()
		if store.checks != 3 || len(told) != 2 || told[0] != 0 || told[1] != 3 {
			t.Errorf("%d checks told %v, want 3 telling [0 3]", store.checks, told)
		}
		if text := log.String(); strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, "a row without its twin") {
			t.Errorf("log = %s, want one error with its example", text)
		}
	})
}
