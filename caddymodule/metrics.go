package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wxrelay/wxrelay/relay"
)

// healthTimeout bounds how long a scrape waits for a store to say how it is.
const healthTimeout = time.Second

// The collectors are made once per process and registered on each
// configuration's registry, so that counters go on over a reload. Labels come
// from closed sets: never an order, a buyer, a path or an address.
var (
	notifications = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxrelay_notifications_total",
		Help: "Notifications posted to the relay, by outcome and, for those refused, by reason; outcome probe is WeChat testing whether signatures are checked.",
	}, []string{"outcome", "reason"})
	notificationSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "wxrelay_notification_duration_seconds",
		Help:    "Time from a notification to its answer; WeChat waits 5 seconds.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 4, 5},
	})
	messages = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxrelay_messages_total",
		Help: "Messages posted to accounts, by outcome: told, repeated, unheard (nobody subscribed), refused, unavailable.",
	}, []string{"outcome"})
	ordersCreated = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "wxrelay_orders_created_total",
		Help: "Orders made; the same order sent again does not count.",
	})
	refundsEnded = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxrelay_refunds_total",
		Help: "Refunds that came to their end, by who wanted them (client, case, console) and outcome (succeeded, failed, abnormal).",
	}, []string{"source", "outcome"})
	upstreamCalls = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxrelay_upstream_calls_total",
		Help: "Calls to WeChat, by operation and outcome.",
	}, []string{"operation", "outcome"})
	deliveryAttempts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxrelay_delivery_attempts_total",
		Help: "Attempts to tell a client, by what they led to and whether they were asked for by hand.",
	}, []string{"outcome", "manual"})
	deliveryLateness = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "wxrelay_delivery_lateness_seconds",
		Help:    "How much later than due attempts began.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 3600},
	})
	deliverySeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "wxrelay_delivery_duration_seconds",
		Help:    "How long attempts took.",
		Buckets: prometheus.DefBuckets,
	})
	deliveryTroubles = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxrelay_delivery_troubles_total",
		Help: "Conditions that kept deliveries from being made, by kind.",
	}, []string{"kind"})
	commitSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "wxrelay_store_commit_duration_seconds",
		Help:    "How long commits took until they were on stable storage.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	})
	commitRequests = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "wxrelay_store_commit_requests",
		Help:    "How many requests shared a commit.",
		Buckets: prometheus.ExponentialBuckets(1, 2, 10),
	})
	storeAlarms = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "wxrelay_store_alarms_total",
		Help: "Conditions of the store that an operator should look after; the log names them.",
	})
	storeProblems = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "wxrelay_store_damaged_rows",
		Help: "Rows that the latest daily check of the store found damaged or without their index entry.",
	})
)

// registerMetrics makes the collectors visible in one configuration's
// registry. Two apps cannot stand in one configuration, but a registry that
// knows the collectors already is no mistake.
func registerMetrics(registry prometheus.Registerer) error {
	for _, collector := range []prometheus.Collector{
		notifications, notificationSeconds, messages, ordersCreated, refundsEnded, upstreamCalls,
		tokenFetches, deliveryAttempts, deliveryLateness, deliverySeconds, deliveryTroubles,
		commitSeconds, commitRequests, storeAlarms, storeProblems,
		&openEngines,
	} {
		err := registry.Register(collector)
		if _, known := errors.AsType[prometheus.AlreadyRegisteredError](err); err != nil && !known {
			return fmt.Errorf("registering metrics: %w", err)
		}
	}
	return nil
}

// observer ties what the relay reports to the collectors.
func observer() relay.Observer {
	return relay.Observer{
		Notification: observeNotification,
		Message: func(outcome relay.MessageOutcome) {
			messages.WithLabelValues(string(outcome)).Inc()
		},
		Order: ordersCreated.Inc,
		Refund: func(source relay.RefundSource, outcome relay.RefundStatus) {
			refundsEnded.WithLabelValues(string(source), string(outcome)).Inc()
		},
		Upstream: func(op, outcome string) {
			upstreamCalls.WithLabelValues(op, outcome).Inc()
		},
		Token: func(account string, kind relay.TokenKind, outcome relay.TokenOutcome) {
			tokenFetches.WithLabelValues(account, string(kind), string(outcome)).Inc()
		},
		Dispatch: relay.DispatchObserver{
			Attempt: observeAttempt,
			Trouble: func(t relay.DispatchTrouble) {
				deliveryTroubles.WithLabelValues(string(t)).Inc()
			},
		},
	}
}

func observeNotification(label string, took time.Duration) {
	notificationSeconds.Observe(took.Seconds())
	switch label {
	case "settled", "repeated", "case", "unknown_order", "kept", "unavailable", "probe",
		"refund_settled", "refund_repeated", "refund_unknown", "refund_excessive":
		notifications.WithLabelValues(label, "").Inc()
	default:
		notifications.WithLabelValues("refused", label).Inc()
	}
}

func observeAttempt(r relay.DispatchReport) {
	deliveryAttempts.WithLabelValues(string(r.Outcome), strconv.FormatBool(r.Manual)).Inc()
	deliverySeconds.Observe(r.Duration.Seconds())
	if !r.Manual {
		deliveryLateness.Observe(max(r.Lateness, 0).Seconds())
	}
}

func observeCommit(requests int, took time.Duration) {
	commitSeconds.Observe(took.Seconds())
	commitRequests.Observe(float64(requests))
}

// openEngines counts what is waiting in the open engines at the moment of a
// scrape.
var openEngines engineSet

// engineSet is a prometheus.Collector over engines.
type engineSet struct {
	mu      sync.Mutex // guards engines
	engines map[*engine]struct{}
}

var (
	destinationsDesc = prometheus.NewDesc("wxrelay_delivery_destinations",
		"Destinations at which deliveries wait or are under way.", nil, nil)
	failingDesc = prometheus.NewDesc("wxrelay_delivery_destinations_failing",
		"Destinations whose latest attempt failed.", nil, nil)
	inFlightDesc = prometheus.NewDesc("wxrelay_deliveries_in_flight",
		"Attempts under way.", nil, nil)
	unrecordedDesc = prometheus.NewDesc("wxrelay_deliveries_unrecorded",
		"Attempts made whose outcome the store does not take.", nil, nil)
	parkedDesc = prometheus.NewDesc("wxrelay_deliveries_parked",
		"Deliveries put aside because of damaged records or faults of the relay.", nil, nil)
	healthyDesc = prometheus.NewDesc("wxrelay_store_healthy",
		"1 when all open stores and workers are well, 0 otherwise.", nil, nil)
)

var (
	casesDesc = prometheus.NewDesc("wxrelay_cases",
		"Anomalies that hold or held money, by kind and state.", []string{"kind", "status"}, nil)
	caseMoneyDesc = prometheus.NewDesc("wxrelay_cases_fen",
		"The money of anomalies in fen, by kind and state; held waits for the operator.", []string{"kind", "status"}, nil)
)

// collectCases reports the cases of all open engines. A store that does not
// answer is reported by its health.
func collectCases(ctx context.Context, engines []*engine, metrics chan<- prometheus.Metric) {
	type label struct{ kind, status string }
	number, fen := map[label]float64{}, map[label]float64{}
	for _, e := range engines {
		counts, err := e.runtime.CountCases(ctx)
		if err != nil {
			continue
		}
		for _, c := range counts {
			l := label{string(c.Kind), string(c.Status)}
			number[l] += float64(c.Number)
			fen[l] += float64(c.Fen)
		}
	}
	for l := range number {
		metrics <- prometheus.MustNewConstMetric(casesDesc, prometheus.GaugeValue, number[l], l.kind, l.status)
		metrics <- prometheus.MustNewConstMetric(caseMoneyDesc, prometheus.GaugeValue, fen[l], l.kind, l.status)
	}
}

func (s *engineSet) add(e *engine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.engines == nil {
		s.engines = make(map[*engine]struct{})
	}
	s.engines[e] = struct{}{}
}

func (s *engineSet) remove(e *engine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.engines, e)
}

// Describe implements prometheus.Collector.
func (s *engineSet) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{destinationsDesc, failingDesc, inFlightDesc, unrecordedDesc, parkedDesc, healthyDesc, casesDesc, caseMoneyDesc, tokenObtainedDesc, tokenExpiresDesc, tokenRefusedDesc} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (s *engineSet) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), healthTimeout)
	defer cancel()
	var sum relay.DispatcherStats
	healthy := 1
	engines := s.list()
	collectCases(ctx, engines, metrics)
	collectTokens(engines, metrics)
	for _, e := range engines {
		stats := e.runtime.Deliveries()
		sum.Destinations += stats.Destinations
		sum.Failing += stats.Failing
		sum.InFlight += stats.InFlight
		sum.Unrecorded += stats.Unrecorded
		sum.Parked += stats.Parked
		if e.health(ctx) != nil {
			healthy = 0
		}
	}
	for _, gauge := range []struct {
		desc  *prometheus.Desc
		value int
	}{
		{destinationsDesc, sum.Destinations},
		{failingDesc, sum.Failing},
		{inFlightDesc, sum.InFlight},
		{unrecordedDesc, sum.Unrecorded},
		{parkedDesc, sum.Parked},
		{healthyDesc, healthy},
	} {
		metrics <- prometheus.MustNewConstMetric(gauge.desc, prometheus.GaugeValue, float64(gauge.value))
	}
}

// list copies the set, so that no store is asked under the lock.
func (s *engineSet) list() []*engine {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*engine, 0, len(s.engines))
	for e := range s.engines {
		list = append(list, e)
	}
	return list
}
