package caddymodule

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
)

// swapHandler is a slog.Handler whose target can be changed while loggers
// made of it are in use. An engine logs through it, so that after a reload it
// writes where the newest configuration says and not where the first one did.
type swapHandler struct {
	target *atomic.Pointer[slog.Handler] // shared by everything derived
	derive []func(slog.Handler) slog.Handler
}

func newSwapHandler(target slog.Handler) *swapHandler {
	h := &swapHandler{target: new(atomic.Pointer[slog.Handler])}
	h.swap(target)
	return h
}

// swap changes the target of h and of everything derived from it.
func (h *swapHandler) swap(target slog.Handler) { h.target.Store(&target) }

// current is the target with the attributes and groups of this handler.
func (h *swapHandler) current() slog.Handler {
	target := *h.target.Load()
	for _, derive := range h.derive {
		target = derive(target)
	}
	return target
}

// Enabled implements slog.Handler.
func (h *swapHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return (*h.target.Load()).Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *swapHandler) Handle(ctx context.Context, r slog.Record) error {
	return h.current().Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *swapHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func(t slog.Handler) slog.Handler { return t.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (h *swapHandler) WithGroup(name string) slog.Handler {
	return h.with(func(t slog.Handler) slog.Handler { return t.WithGroup(name) })
}

func (h *swapHandler) with(derive func(slog.Handler) slog.Handler) slog.Handler {
	return &swapHandler{target: h.target, derive: append(slices.Clip(h.derive), derive)}
}
