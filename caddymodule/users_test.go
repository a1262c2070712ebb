package caddymodule

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestDrainWaitsForUsers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var u users
		for range 2 {
			if !u.enter() {
				t.Fatal("nobody gets in")
			}
		}
		drained := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			drained <- u.drain(ctx)
		}()
		synctest.Wait()
		if u.enter() {
			t.Error("a user got in during the drain")
		}
		u.leave()
		synctest.Wait()
		select {
		case err := <-drained:
			t.Fatalf("drained with one user left: %v", err)
		default:
		}
		u.leave()
		if err := <-drained; err != nil {
			t.Errorf("drain: %v", err)
		}
	})
}

func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var u users
		u.enter()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := u.drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("drain: %v, want the deadline", err)
		}
		if waited := time.Since(began); waited != time.Minute {
			t.Errorf("waited %v, want a minute", waited)
		}
		u.leave() // who leaves late meets no panic
		if err := u.drain(t.Context()); err != nil {
			t.Errorf("a second drain: %v", err)
		}
	})
}

func TestDrainOfNobody(t *testing.T) {
	t.Parallel()
	var u users
	if err := u.drain(t.Context()); err != nil {
		t.Errorf("drain: %v", err)
	}
	if u.enter() {
		t.Error("a user got in after the drain")
	}
}
