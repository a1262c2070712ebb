// Command bench measures the relay's paths over HTTP, each beside what it is
// to be compared with, in one run on one machine: only the ratios count. Its
// README says what runs beside what.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

// settings are the command's flags.
type settings struct {
	caddy       string
	dir         string
	connections int
	orders      int
	rounds      int
}

func main() {
	var s settings
	flag.StringVar(&s.caddy, "caddy", "", "server binary to measure; built from ./cmd/caddy when empty")
	flag.StringVar(&s.dir, "dir", "", "directory for the store, on the disk to measure; a temporary one when empty")
	flag.IntVar(&s.connections, "connections", 64, "connections at once")
	flag.IntVar(&s.orders, "orders", 6000, "orders to make and settle in each round")
	flag.IntVar(&s.rounds, "rounds", 3, "rounds, of which the median counts")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // nothing but the handler of signals is left behind
	}
}

// run measures everything and writes the table.
func run(ctx context.Context, s settings, out io.Writer) (err error) {
	if s.connections < 1 || s.orders < s.connections || s.rounds < 1 {
		return errors.New("connections and rounds must be positive, and orders no fewer than connections")
	}
	dir, err := os.MkdirTemp(s.dir, "wxrelay-bench")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	wechat, err := newWechat(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, wechat.close()) }()
	srv, err := startServer(ctx, s.caddy, dir, wechat)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()

	m := &measurement{settings: s, dir: dir, server: srv, wechat: wechat}
	for round := range s.rounds {
		if err := m.round(ctx, round); err != nil {
			return fmt.Errorf("round %d: %w", round+1, err)
		}
	}
	return m.report(out)
}
