package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"
)

// measurement collects what the rounds found.
type measurement struct {
	settings
	dir    string
	server *server
	wechat *wechat

	plain, passed, created, settled, repeated, stored []result
}

// round measures every path once.
func (m *measurement) round(ctx context.Context, round int) error {
	bare := 5 * m.orders
	for _, step := range []struct {
		into *[]result
		n    int
		call func(ctx context.Context, worker, i int) error
	}{
		{&m.plain, bare, m.server.get(m.server.plainURL)},
		{&m.passed, bare, m.server.get(m.server.relayURL)},
	} {
		r, err := m.load(ctx, step.n, step.call)
		if err != nil {
			return err
		}
		*step.into = append(*step.into, r)
	}

	created, err := m.load(ctx, m.orders, func(ctx context.Context, _, i int) error {
		return m.server.createOrder(ctx, orderNo(round, i))
	})
	if err != nil {
		return fmt.Errorf("creating orders: %w", err)
	}
	m.created = append(m.created, created)
	notifications := make([]notification, m.orders)
	if _, err := m.load(ctx, m.orders, func(ctx context.Context, _, i int) error {
		outTradeNo, err := m.server.createPayment(ctx, orderNo(round, i))
		if err != nil {
			return err
		}
		notifications[i], err = m.wechat.notification(outTradeNo)
		return err
	}); err != nil {
		return fmt.Errorf("preparing payments: %w", err)
	}
	for _, into := range []*[]result{&m.settled, &m.repeated} { // the same again changes nothing
		r, err := m.load(ctx, m.orders, func(ctx context.Context, _, i int) error {
			return m.server.notify(ctx, &notifications[i])
		})
		if err != nil {
			return fmt.Errorf("notifying: %w", err)
		}
		*into = append(*into, r)
	}
	stored, err := storeAlone(ctx, filepath.Join(m.dir, fmt.Sprintf("alone%d", round)), m.connections, m.orders)
	if err != nil {
		return fmt.Errorf("measuring the store: %w", err)
	}
	m.stored = append(m.stored, stored)
	return nil
}

func orderNo(round, i int) string { return fmt.Sprintf("R%dN%d", round, i) }

// load spreads n calls over the connections and takes the server's processor
// time beside.
func (m *measurement) load(ctx context.Context, n int, call func(ctx context.Context, worker, i int) error) (result, error) {
	before := m.server.cpu()
	r, err := spread(ctx, m.connections, n, call)
	r.cpu = m.server.cpu() - before
	return r, err
}

// report writes the medians and the ratios of budgets P1, P4 and P5.
func (m *measurement) report(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%d connections, median of %d rounds\t per second\t p50\t p99\t server CPU each\t\n", m.connections, m.rounds)
	for _, line := range []struct {
		name    string
		results []result
	}{
		{"plain Caddy, respond", m.plain},
		{"respond behind wxrelay (P4)", m.passed},
		{"order created (P5)", m.created},
		{"notification settled (P1)", m.settled},
		{"the same notification again", m.repeated},
		{"store alone, the same rows", m.stored},
	} {
		r := median(line.results)
		fmt.Fprintf(w, "%s\t %.0f\t %s\t %s\t %s\t\n", line.name, r.rate(), r.p50.Round(10*time.Microsecond), r.p99.Round(10*time.Microsecond), r.cpuEach())
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	bound := 1 / (1/median(m.repeated).rate() + 1/median(m.stored).rate())
	_, err := fmt.Fprintf(out, "\nP1: settled / (1/(1/again + 1/store)) = %.2f\nP4: CPU behind wxrelay / plain = %.3f\nP5: orders created / notifications settled = %.2f\nanonymous memory of the server: %d MiB\n",
		median(m.settled).rate()/bound,
		float64(median(m.passed).cpuEach())/float64(max(median(m.plain).cpuEach(), 1)),
		median(m.created).rate()/median(m.settled).rate(),
		m.server.memory()>>20)
	return err
}

// median is the result with the middle rate.
func median(results []result) result {
	sorted := slices.SortedFunc(slices.Values(results), func(a, b result) int {
		if a.rate() < b.rate() {
			return -1
		}
		return 1
	})
	return sorted[len(sorted)/2]
}
