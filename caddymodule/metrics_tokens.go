package caddymodule

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The accounts are those of the configuration, so that their names are a
// closed set too.
var (
	tokenFetches = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxrelay_account_token_fetches_total",
		Help: "Times that an account's token was asked for, by kind (access_token, jsapi_ticket) and outcome (renewed, unchanged, adopted from the store, refused, failed).",
	}, []string{"account", "kind", "outcome"})

	tokenObtainedDesc = prometheus.NewDesc("wxrelay_account_token_obtained_timestamp_seconds",
		"When the account's present token was first seen.", []string{"account", "kind"}, nil)
	tokenExpiresDesc = prometheus.NewDesc("wxrelay_account_token_expires_timestamp_seconds",
		"When the account's present token ends.", []string{"account", "kind"}, nil)
	tokenRefusedDesc = prometheus.NewDesc("wxrelay_account_address_refused_timestamp_seconds",
		"When WeChat last refused the relay's address (40164), until it gives a token again; 0 when it does not. The log names the address to add to the account's IP list.",
		[]string{"account"}, nil)
)

// collectTokens reports the accounts' tokens of all open engines, of one
// account in several the newest.
func collectTokens(engines []*engine, metrics chan<- prometheus.Metric) {
	type label struct{ account, kind string }
	obtained, expires := map[label]time.Time{}, map[label]time.Time{}
	refused := map[string]time.Time{}
	for _, e := range engines {
		for _, t := range e.runtime.Tokens() {
			l := label{t.Account, string(t.Kind)}
			if t.ObtainedAt.After(obtained[l]) {
				obtained[l], expires[l] = t.ObtainedAt, t.ExpiresAt
			}
			refused[t.Account] = later(refused[t.Account], t.IPRefusedAt)
		}
	}
	for l, at := range obtained {
		metrics <- prometheus.MustNewConstMetric(tokenObtainedDesc, prometheus.GaugeValue, seconds(at), l.account, l.kind)
		metrics <- prometheus.MustNewConstMetric(tokenExpiresDesc, prometheus.GaugeValue, seconds(expires[l]), l.account, l.kind)
	}
	for account, at := range refused {
		metrics <- prometheus.MustNewConstMetric(tokenRefusedDesc, prometheus.GaugeValue, seconds(at), account)
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// seconds is a moment as metrics have it; 0 for none.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
