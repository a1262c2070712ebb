package caddymodule

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
)

// An engine goes on with loggers it made long ago; after a reload they write
// where the new configuration says, at its level, with what they carry.
func TestSwapHandlerFollowsTheNewestTarget(t *testing.T) {
	t.Parallel()
	var first, second bytes.Buffer
	h := newSwapHandler(slog.NewTextHandler(&first, nil))
	log := slog.New(h).With("store", "a").WithGroup("attempt").With("number", 3)
	log.Info("before")
	h.swap(slog.NewTextHandler(&second, &slog.HandlerOptions{Level: slog.LevelWarn}))
	log.Info("too quiet for the new target")
	log.Warn("after", "status", 500)

	if got := first.String(); !strings.Contains(got, "msg=before store=a attempt.number=3") || strings.Contains(got, "after") {
		t.Errorf("the first target got %q", got)
	}
	if got := second.String(); !strings.Contains(got, "msg=after store=a attempt.number=3 attempt.status=500") || strings.Contains(got, "quiet") {
		t.Errorf("the second target got %q", got)
	}
	if log.Enabled(context.Background(), slog.LevelInfo) {
		t.Error("the level of the first target still counts")
	}
}

func TestSwapHandlerDerivationsAreIndependent(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	base := slog.New(newSwapHandler(slog.NewTextHandler(&out, nil))).With("a", 1)
	b, c := base.With("b", 2), base.With("c", 3)
	b.Info("x")
	c.Info("y")
	if got := out.String(); !strings.Contains(got, "msg=x a=1 b=2\n") || !strings.Contains(got, "msg=y a=1 c=3\n") {
		t.Errorf("got %q", got)
	}
}
