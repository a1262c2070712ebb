package sandbox

import (
	"encoding/json"
	"testing"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// A repeat of a request is the same one however its JSON is written.
func TestCanonicalForgetsSpelling(t *testing.T) {
	t.Parallel()
	const first = `{"a":"x","time_expire":"1","n":{"y":[1,true,null],"x":""}}`
	tests := map[string]struct {
		other string
		same  bool
	}{
		"order and blanks":    {`{ "n": {"x":"", "y":[1, true,null]}, "a":"x"}`, true},
		"escapes":             {`{"\u0061":"\u0078","n":{"y":[1,true,null],"x":""}}`, true},
		"left out at the top": {`{"a":"x","time_expire":"2","n":{"y":[1,true,null],"x":""}}`, true},
		"other text":          {`{"a":"X","n":{"y":[1,true,null],"x":""}}`, false},
		"other item":          {`{"a":"x","n":{"y":[1,true],"x":""}}`, false},
		"text for number":     {`{"a":"x","n":{"y":["1",true,null],"x":""}}`, false},
		"member missing":      {`{"a":"x","n":{"y":[1,true,null]}}`, false},
	}
	want := canonicalOf(t, first)
	for name, test := range tests {
		if got := canonicalOf(t, test.other); (got == want) != test.same {
			t.Errorf("%s: %s is %s, and %s is %s; want the same: %v", name, first, want, test.other, got, test.same)
		}
	}
}

func canonicalOf(t *testing.T, body string) string {
	t.Helper()
	tree, wrong := parseStrict([]byte(body))
	if wrong != nil {
		t.Fatal(wrong)
	}
	return canonical(tree, "time_expire")
}

// An error comes alone, and what passes the rules can be decoded.
func FuzzParseStrict(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":[1,"x",null,true,{"b":-0.5e3}]}`, `{"a":1,"a":2}`, `"\ud83d"`, `[[[[]]]]`, `1`,
		`{"appid":"wx8888888888888888","mchid":"1900000109","description":"d","out_trade_no":"T00001",` +
			`"notify_url":"http://127.0.0.1/n","amount":{"total":1},"payer":{"openid":"o"},"limit_pay":["no_debit"]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		value, wrong := parseStrict(body)
		if wrong != nil {
			if value != nil {
				t.Error("an error came with a value")
			}
			return
		}
		if prepayRules(tradeJSAPI, direct).validate(value, "") != nil {
			return
		}
		var request payv3.PrepayRequest
		if err := json.Unmarshal(body, &request); err != nil {
			t.Errorf("%q passed the rules, but: %v", body, err)
		}
		if text := value.Member("out_trade_no").Text; request.OutTradeNo != text {
			t.Errorf("%q is number %q to the rules and %q to the ledger", body, text, request.OutTradeNo)
		}
	})
}
