package sandbox

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestPrepayMakesAnOrder(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})

	w := native(prepayBody(t, nil)).send(t, s)
	mustStatus(t, w, http.StatusOK)
	var made struct {
		CodeURL  string `json:"code_url"`
		PrepayID string `json:"prepay_id"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || !strings.HasPrefix(made.CodeURL, "weixin://wxpay/bizpayurl?pr=SANDBOX") {
		t.Errorf("NATIVE answer = %s (%v), want a code that says SANDBOX", w.Body, err)
	}

	w = jsapi(prepayBody(t, map[string]any{"out_trade_no": "T00002", "payer": payer()})).send(t, s)
	mustStatus(t, w, http.StatusOK)
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || !strings.HasPrefix(made.PrepayID, "wx20261122120000") || len(made.PrepayID) > 64 {
		t.Errorf("JSAPI answer = %s (%v), want a prepay id with Beijing time", w.Body, err)
	}
}

func TestPrepayTakesEveryDocumentedField(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	body := prepayBody(t, map[string]any{
		"time_expire": "2026-11-22T14:00:00+08:00", "attach": "x&y=1", "goods_tag": "WXG", "support_fapiao": true,
		"out_trade_no": "a-Z_0|9*", "amount": map[string]any{"total": 1, "currency": "CNY"},
		"payer":       payer(),
		"detail":      map[string]any{"cost_price": 0, "invoice_id": "1", "goods_detail": []any{map[string]any{"merchant_goods_id": "1", "goods_name": "书", "quantity": 1, "unit_price": 1}}},
		"scene_info":  map[string]any{"payer_client_ip": "14.23.150.211", "device_id": "1", "store_info": map[string]any{"id": "1", "name": "店"}},
		"settle_info": map[string]any{"profit_sharing": false}, "limit_pay": []any{"no_credit"},
	})
	mustStatus(t, jsapi(body).send(t, s), http.StatusOK)
}

// One row per rule of v3.md 9 and 21.2.
func TestPrepayRefusesWrongParameters(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{Accounts: []Account{{AppID: "wx0000000000000002", Secret: "SANDBOX2"}}})
	with := func(name string, value any) string { return prepayBody(t, map[string]any{name: value}) }
	tests := map[string]struct {
		body  string
		field string
		issue string
	}{
		"not JSON":                    {`{"appid"`, "", "JSON"},
		"text behind":                 {prepayBody(t, nil) + "{}", "", "JSON"},
		"not UTF-8":                   {strings.Replace(prepayBody(t, nil), "一本书", "\xff", 1), "", "UTF-8"},
		"not an object":               {`[]`, "", "object"},
		"unknown field":               {with("extra", 1), "/extra", issueExtra},
		"unknown field inside":        {with("amount", map[string]any{"total": 1, "x/y": 1}), "/amount/x~1y", issueExtra},
		"repeated field":              {`{"mchid":"1","mchid":"1"}`, "/mchid", "twice"},
		"other case":                  {strings.Replace(prepayBody(t, nil), `"appid"`, `"AppID"`, 1), "/AppID", issueExtra},
		"null":                        {strings.Replace(prepayBody(t, nil), "{", `{"attach":null,`, 1), "/attach", "string"},
		"empty string":                {with("attach", ""), "/attach", "length"},
		"4-byte character":            {with("description", "书📖"), "/description", "four bytes"},
		"escaped 4-byte character":    {strings.Replace(prepayBody(t, nil), "一本书", `\ud83d\udcd6`, 1), "/description", "four bytes"},
		"4-byte character in a name":  {strings.Replace(prepayBody(t, nil), "{", `{"📖":1,`, 1), "/📖", issueExtra},
		"half a surrogate":            {strings.Replace(prepayBody(t, nil), "一本书", `\ud83d`, 1), "/description", "not valid"},
		"control character":           {with("description", "a\nb"), "/description", "control"},
		"too deep":                    {strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20), "", "deep"},
		"no appid":                    {with("appid", nil), "/appid", "missing"},
		"no mchid":                    {with("mchid", nil), "/mchid", "missing"},
		"other mchid":                 {with("mchid", "1900000110"), "/mchid", "signed"},
		"no description":              {with("description", nil), "/description", "missing"},
		"long description":            {with("description", strings.Repeat("a", 128)), "/description", "127"},
		"description not a string":    {with("description", 1), "/description", "string"},
		"no number":                   {with("out_trade_no", nil), "/out_trade_no", "missing"},
		"short number":                {with("out_trade_no", "12345"), "/out_trade_no", "6 to 32"},
		"long number":                 {with("out_trade_no", strings.Repeat("1", 33)), "/out_trade_no", "32"},
		"number with other character": {with("out_trade_no", "T0000/1"), "/out_trade_no", "6 to 32"},
		"long attach":                 {with("attach", strings.Repeat("a", 129)), "/attach", "128"},
		"long goods_tag":              {with("goods_tag", strings.Repeat("a", 33)), "/goods_tag", "32"},
		"support_fapiao not a bool":   {with("support_fapiao", "true"), "/support_fapiao", "boolean"},
		"no amount":                   {with("amount", nil), "/amount", "missing"},
		"amount not an object":        {with("amount", 1), "/amount", "object"},
		"no total":                    {with("amount", map[string]any{"currency": "CNY"}), "/amount/total", "missing"},
		"zero total":                  {with("amount", map[string]any{"total": 0}), "/amount/total", "at least 1"},
		"negative total":              {with("amount", map[string]any{"total": -1}), "/amount/total", "at least 1"},
		"total as text":               {with("amount", map[string]any{"total": "1"}), "/amount/total", "number"},
		"total with a fraction":       {with("amount", map[string]any{"total": json.Number("1.0")}), "/amount/total", "whole"},
		"total with an exponent":      {with("amount", map[string]any{"total": json.Number("1e2")}), "/amount/total", "whole"},
		"negative zero total":         {with("amount", map[string]any{"total": json.Number("-0")}), "/amount/total", "whole"},
		"total beyond 64 bits":        {with("amount", map[string]any{"total": json.Number("9223372036854775808")}), "/amount/total", "whole"},
		"other currency":              {with("amount", map[string]any{"total": 1, "currency": "XYZ"}), "/amount/currency", "Currency"},
		"time without offset":         {with("time_expire", "2026-11-22T14:00:00"), "/time_expire", "RFC 3339"},
		"time too far ahead":          {with("time_expire", "2027-11-22T14:00:00+08:00"), "/time_expire", "90 days"},
		"no notify_url":               {with("notify_url", nil), "/notify_url", "missing"},
		"long notify_url":             {with("notify_url", "http://127.0.0.1/"+strings.Repeat("a", 250)), "/notify_url", "255"},
		"relative notify_url":         {with("notify_url", "/notify"), "/notify_url", "full"},
		"other scheme":                {with("notify_url", "ftp://127.0.0.1/a"), "/notify_url", "full"},
		"notify_url with query":       {with("notify_url", "http://127.0.0.1/a?b=c"), "/notify_url", "query"},
		"notify_url with bare query":  {with("notify_url", "http://127.0.0.1/a?"), "/notify_url", "query"},
		"notify_url with fragment":    {with("notify_url", "http://127.0.0.1/a#b"), "/notify_url", "fragment"},
		"notify_url with user":        {with("notify_url", "http://u@127.0.0.1/a"), "/notify_url", "user"},
		"notify_url without path":     {with("notify_url", "http://127.0.0.1"), "/notify_url", "path"},
		"notify_url to the public":    {with("notify_url", "https://8.8.8.8/a"), "/notify_url", "loopback"},
		"notify_url to a cloud":       {with("notify_url", "http://169.254.169.254/a"), "/notify_url", "loopback"},
		"payer with NATIVE":           {with("payer", payer()), "/payer", issueExtra},
		"goods without quantity":      {with("detail", map[string]any{"goods_detail": []any{map[string]any{"merchant_goods_id": "1", "unit_price": 1}}}), "/detail/goods_detail/0/quantity", "missing"},
		"empty list of goods":         {with("detail", map[string]any{"goods_detail": []any{}}), "/detail/goods_detail", "items"},
		"scene without address":       {with("scene_info", map[string]any{"device_id": "1"}), "/scene_info/payer_client_ip", "missing"},
		"scene with a host name":      {with("scene_info", map[string]any{"payer_client_ip": "localhost"}), "/scene_info/payer_client_ip", "IP"},
		"settle_info with text":       {with("settle_info", map[string]any{"profit_sharing": "Y"}), "/settle_info/profit_sharing", "boolean"},
		"unknown limit_pay":           {with("limit_pay", []any{"no_money"}), "/limit_pay/0", "no_credit"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := native(test.body).send(t, s)
			mustStatus(t, w, http.StatusBadRequest)
			e := errorOf(t, w)
			if e.Code != "PARAM_ERROR" || e.Detail == nil || e.Detail.Location != "body" {
				t.Fatalf("refusal = %s, want PARAM_ERROR with a detail of the body", w.Body)
			}
			if test.field != "" && e.Detail.Field != test.field || !strings.Contains(e.Detail.Issue, test.issue) {
				t.Errorf("detail = %+v, want field %q and an issue with %q", e.Detail, test.field, test.issue)
			}
			if w.Header().Get("Wechatpay-Signature") != "" {
				t.Error("the refusal is signed")
			}
		})
	}
}

func TestPrepayChecksThePayer(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{Accounts: []Account{{AppID: "wx0000000000000002", Secret: "SANDBOX2", OpenIDs: []string{"oConfigured"}}}})
	tests := map[string]struct {
		changes map[string]any
		status  int
		code    string
	}{
		"missing":           {map[string]any{}, 400, "PARAM_ERROR"},
		"no openid":         {map[string]any{"payer": map[string]any{}}, 400, "PARAM_ERROR"},
		"nobody":            {map[string]any{"payer": map[string]any{"openid": "oNobody"}}, 400, "PARAM_ERROR"},
		"of another app id": {map[string]any{"payer": map[string]any{"openid": OpenID("wx0000000000000002", "ming")}}, 500, "OPENID_MISMATCH"},
		"known":             {map[string]any{"payer": payer()}, 200, ""},
		"configured":        {map[string]any{"appid": "wx0000000000000002", "out_trade_no": "T00009", "payer": map[string]any{"openid": "oConfigured"}}, 200, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := jsapi(prepayBody(t, test.changes)).send(t, s)
			mustStatus(t, w, test.status)
			if e := errorOf(t, w); e.Code != test.code {
				t.Errorf("code = %q, want %q", e.Code, test.code)
			}
		})
	}
}

func TestPrepayRefusesUnboundAppID(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{
		Accounts:  []Account{{AppID: "wx0000000000000002", Secret: "SANDBOX2"}},
		Merchants: []Merchant{{MchID: "2", AppIDs: []string{"wx0000000000000002"}}},
	})
	for _, appID := range []string{"wx0000000000000002", "wx404"} {
		w := native(prepayBody(t, map[string]any{"appid": appID})).send(t, s)
		mustStatus(t, w, http.StatusBadRequest)
		if e := errorOf(t, w); e.Code != "APPID_MCHID_NOT_MATCH" {
			t.Errorf("%s: code = %q, want APPID_MCHID_NOT_MATCH", appID, e.Code)
		}
	}
}

func TestPrepayAgain(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		before  func(*testing.T, *Sandbox)
		changes map[string]any
		status  int
		code    string
	}{
		"same content":        {nil, nil, 200, ""},
		"other order of keys": {nil, nil, 200, ""},
		"other time_expire":   {nil, map[string]any{"time_expire": "2026-11-22T14:00:00+08:00"}, 200, ""},
		"other amount":        {nil, map[string]any{"amount": map[string]any{"total": 101}}, 400, "INVALID_REQUEST"},
		"other description":   {nil, map[string]any{"description": "两本书"}, 400, "INVALID_REQUEST"},
		"other notify_url":    {nil, map[string]any{"notify_url": "http://127.0.0.1/other"}, 400, "INVALID_REQUEST"},
		"one field more":      {nil, map[string]any{"attach": "x"}, 400, "INVALID_REQUEST"},
		"paid": {func(t *testing.T, s *Sandbox) {
			mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001"}`), http.StatusOK)
		}, nil, 400, "ORDER_PAID"},
		"closed": {func(t *testing.T, s *Sandbox) {
			mustStatus(t, closing("T00001").send(t, s), http.StatusNoContent)
		}, nil, 400, "ORDER_CLOSED"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t, Options{})
			first := native(prepayBody(t, nil)).send(t, s)
			mustStatus(t, first, http.StatusOK)
			if test.before != nil {
				test.before(t, s)
			}
			again := native(prepayBody(t, test.changes)).send(t, s)
			mustStatus(t, again, test.status)
			if e := errorOf(t, again); e.Code != test.code {
				t.Errorf("code = %q, want %q", e.Code, test.code)
			}
			if test.status == 200 && first.Body.String() == again.Body.String() {
				t.Error("the repeat gave the old code again")
			}
		})
	}
}

func TestPrepayAgainWithOtherTradeType(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	mustStatus(t, native(prepayBody(t, nil)).send(t, s), http.StatusOK)
	w := jsapi(prepayBody(t, map[string]any{"payer": payer()})).send(t, s)
	mustStatus(t, w, http.StatusBadRequest)
	if e := errorOf(t, w); e.Code != "INVALID_REQUEST" {
		t.Errorf("code = %q, want INVALID_REQUEST", e.Code)
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		timeExpire string
		want       time.Time
	}{
		"not given":         {"", testNow.Add(7 * 24 * time.Hour)},
		"given":             {"2026-11-22T12:30:00+08:00", testNow.Add(30 * time.Minute)},
		"under one minute":  {"2026-11-22T12:00:10+08:00", testNow.Add(time.Minute)},
		"in the past":       {"2026-11-22T11:00:00+08:00", testNow.Add(time.Minute)},
		"ninety days ahead": {"2027-02-20T12:00:00+08:00", testNow.Add(90 * 24 * time.Hour)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t, Options{})
			got, err := s.expiry(test.timeExpire)
			if err != nil || !got.Equal(test.want) {
				t.Errorf("expiry(%q) = %v, %v, want %v", test.timeExpire, got, err, test.want)
			}
		})
	}
}

func TestNotifyURLMayBePublicWhenAllowed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		raw         string
		allowPublic bool
		refused     bool
	}{
		"loopback":           {"http://127.0.0.1:8080/n", false, false},
		"loopback, IPv6":     {"http://[::1]/n", false, false},
		"private":            {"https://192.168.1.2/n", false, false},
		"name":               {"https://pay.localhost/n", false, false},
		"public":             {"https://8.8.8.8/n", false, true},
		"public, allowed":    {"https://8.8.8.8/n", true, false},
		"mapped public":      {"https://[::ffff:8.8.8.8]/n", false, true},
		"link local":         {"http://[fe80::1]/n", true, true},
		"everywhere":         {"http://0.0.0.0/n", true, true},
		"cloud, though open": {"http://169.254.169.254/n", true, true},
	}
	for name, test := range tests {
		if issue := notifyURLIssue(test.raw, test.allowPublic); (issue != "") != test.refused {
			t.Errorf("%s: notifyURLIssue(%q, %v) = %q, want refused %v", name, test.raw, test.allowPublic, issue, test.refused)
		}
	}
}
