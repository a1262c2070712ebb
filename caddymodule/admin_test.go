package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/wxrelay/wxrelay/internal/testport"
	"github.com/wxrelay/wxrelay/relay"
)

// withAdmin is a running Caddy whose admin endpoint listens at the address
// returned, with three cases in the relay's store.
func withAdmin(t *testing.T) string {
	t.Helper()
	s := newSetup(t)
	var config map[string]any
	if err := json.Unmarshal(s.json(t), &config); err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:" + strconv.Itoa(testport.Free(t))
	config["admin"] = map[string]any{"listen": address, "config": map[string]any{"persist": false}}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	if err := caddy.Load(text, true); err != nil {
		t.Fatalf("loading: %v", err)
	}
	ctx := caddy.ActiveContext()
	app, err := ctx.App("wxrelay")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	err = app.(*App).engine.store.Update(t.Context(), func(tx relay.Tx) error {
		var errs []error
		for i, status := range []relay.CaseStatus{relay.CaseHeld, relay.CaseHeld, relay.CaseRefunded} {
			no := strconv.Itoa(i)
			errs = append(errs, tx.PutCase(&relay.Case{
				ID: "case_" + no, Kind: relay.CaseUnknownOrder, Status: status, Payment: relay.PaymentKey{MchID: "1900000109", OutTradeNo: "T" + no},
				TransactionID: "42" + no, AmountFen: 105, Currency: relay.Currency, PaidAt: at, CreatedAt: at, Policy: relay.PolicyHold,
			}))
		}
		return errors.Join(errs...)
	})
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// TestAdminCases_H07_H08 walks the operator's endpoint: what it answers, and
// that a web page of another origin or host gets nothing.
func TestAdminCases_H07_H08(t *testing.T) {
	address := withAdmin(t)
	for _, c := range []struct {
		name, method, path, body string
		header                   [2]string
		status                   int
		contains                 string
	}{
		{"list", "GET", "/wxrelay/cases", "", [2]string{}, 200, `"id":"case_2"`},
		{"list of one state", "GET", "/wxrelay/cases?status=refunded", "", [2]string{}, 200, `{"cases":[{"id":"case_2"`},
		{"a page", "GET", "/wxrelay/cases?limit=1", "", [2]string{}, 200, `"next":"case_0","has_more":true`},
		{"the next page", "GET", "/wxrelay/cases?limit=1&after=case_1", "", [2]string{}, 200, `"id":"case_2"`},
		{"unknown state", "GET", "/wxrelay/cases?status=lost", "", [2]string{}, 400, "refunding"},
		{"limit of text", "GET", "/wxrelay/cases?limit=x", "", [2]string{}, 400, "limit"},
		{"limit too large", "GET", "/wxrelay/cases?limit=201", "", [2]string{}, 400, "limit"},
		{"one", "GET", "/wxrelay/cases/case_1", "", [2]string{}, 200, `"amount":105`},
		{"none", "GET", "/wxrelay/cases/case_9", "", [2]string{}, 404, "no such case"},
		{"no id", "GET", "/wxrelay/cases/", "", [2]string{}, 404, "address"},
		{"another verb", "POST", "/wxrelay/cases/case_1/forget", "{}", [2]string{}, 404, "address"},
		{"wrong method", "POST", "/wxrelay/cases", "", [2]string{}, 405, "GET"},
		{"resolve by GET", "GET", "/wxrelay/cases/case_1/resolve", "", [2]string{}, 405, "POST"},
		{"another origin", "POST", "/wxrelay/cases/case_1/resolve", `{"action":"dismiss","reason":"x"}`, [2]string{"Origin", "https://evil.example"}, 403, ""},
		{"another host", "POST", "/wxrelay/cases/case_1/resolve", `{"action":"dismiss","reason":"x"}`, [2]string{"Host", "evil.example"}, 403, ""},
		{"no reason", "POST", "/wxrelay/cases/case_1/resolve", `{"action":"dismiss"}`, [2]string{}, 400, "reason"},
		{"no action", "POST", "/wxrelay/cases/case_1/resolve", `{"reason":"x"}`, [2]string{}, 400, "action"},
		{"unknown name", "POST", "/wxrelay/cases/case_1/resolve", `{"action":"dismiss","reason":"x","amount":1}`, [2]string{}, 400, "body"},
		{"no body", "POST", "/wxrelay/cases/case_1/resolve", ``, [2]string{}, 400, "body"},
		{"unknown order refunded", "POST", "/wxrelay/cases/case_1/resolve", `{"action":"refund","reason":"x"}`, [2]string{}, 409, "console"},
		{"resolve none", "POST", "/wxrelay/cases/case_9/resolve", `{"action":"dismiss","reason":"x"}`, [2]string{}, 404, "no such case"},
		{"resolve", "POST", "/wxrelay/cases/case_1/resolve", `{"action":"dismiss","reason":"not ours","by":"ann"}`, [2]string{}, 200, `"resolved_by":"ann"`},
		{"resolve again", "POST", "/wxrelay/cases/case_1/resolve", `{"action":"dismiss","reason":"not ours","by":"ann"}`, [2]string{}, 200, `"status":"resolved"`},
		{"resolve otherwise", "POST", "/wxrelay/cases/case_1/resolve", `{"action":"dismiss","reason":"ours","by":"bob"}`, [2]string{}, 409, "resolved already"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+address+c.path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if c.header[0] == "Host" {
				r.Host = c.header[1]
			} else if c.header[0] != "" {
				r.Header.Set(c.header[0], c.header[1])
			}
			res, err := keepAlive.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			var body bytes.Buffer
			if _, err := body.ReadFrom(res.Body); err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != c.status || !strings.Contains(body.String(), c.contains) {
				t.Errorf("%s %s = %d %s, want %d with %q", c.method, c.path, res.StatusCode, &body, c.status, c.contains)
			}
		})
	}
}

// TestCaseCommand runs the commands of an operator against a running Caddy.
func TestCaseCommand(t *testing.T) {
	address := withAdmin(t)
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		cmd := caseCommand()
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs(append(args, "--address", address))
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	for _, c := range []struct {
		name string
		args []string
		fail bool
		want []string
	}{
		{"list", []string{"list"}, false, []string{"ID  ", "case_0  unknown_order  held", "1.05", "2026-11-22T08:00:00+08:00", "case_2"}},
		{"list of one state as JSON", []string{"list", "--status", "refunded", "--json"}, false, []string{`"id": "case_2"`}},
		{"show", []string{"show", "case_0"}, false, []string{"out_trade_no  T0", "transaction", "420"}},
		{"show none", []string{"show", "case_9"}, true, []string{"no such case"}},
		{"resolve without a reason", []string{"resolve", "case_0", "--action", "dismiss"}, true, []string{"reason"}},
		{"resolve", []string{"resolve", "case_0", "--action", "dismiss", "--reason", "not ours", "--by", "ann"}, false, []string{"resolved", "ann", "not ours"}},
		{"resolve otherwise", []string{"resolve", "case_0", "--action", "refund", "--reason", "x", "--by", "ann"}, true, []string{"resolved already"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := run(c.args...)
			if (err != nil) != c.fail {
				t.Errorf("%v = %v, want an error: %t", c.args, err, c.fail)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("%v shows\n%s\nwithout %q", c.args, out, want)
				}
			}
		})
	}
}

// TestAdminWithoutRelay: a Caddy without the app says so.
func TestAdminWithoutRelay(t *testing.T) {
	if _, _, err := running(); err == nil {
		t.Error("a relay runs in a Caddy that was not started")
	}
}
