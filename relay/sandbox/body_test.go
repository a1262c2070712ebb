package sandbox

import (
	"encoding/json"
	"testing"

	"github.com/wxrelay/wxrelay/internal/strictjson"
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
		`{"out_trade_no":"T00001","out_refund_no":"R1","amount":{"refund":1,"total":2,"currency":"CNY","from":[{"account":"AVAILABLE","amount":1}]}}`,
		`{"out_refund_no":"R1","type":"USER_BANK_CARD","bank_type":"X","bank_account":"a","real_name":"b"}`,
		`{"appid":"wx1","transaction_id":"1","out_order_no":"S1","unfreeze_unsplit":true,"receivers":[{"type":"MERCHANT_ID","account":"1","amount":1,"description":"x"}]}`,
		`{"out_order_no":"S1","out_return_no":"B1","return_mchid":"1","amount":1,"description":"x"}`,
		`{"appid":"wx1","type":"PERSONAL_OPENID","account":"o","relation_type":"CUSTOM","custom_relation":"x"}`,
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
		decodesWhatPasses(t, value, body, &refundRules, new(refundRequest))
		decodesWhatPasses(t, value, body, &mendRules, new(mendRequest))
		decodesWhatPasses(t, value, body, &shareRules, new(shareRequest))
		decodesWhatPasses(t, value, body, &returnRules, new(returnRequest))
		decodesWhatPasses(t, value, body, &addReceiverRules, new(receiverObject))
		decodesWhatPasses(t, value, body, prepayRules(tradeH5, provider), new(prepayRequest))
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

// decodesWhatPasses makes sure that a body which passes its rules decodes.
func decodesWhatPasses(t *testing.T, value *strictjson.Value, body []byte, rules *rule, into any) {
	t.Helper()
	if rules.validate(value, "") != nil {
		return
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Errorf("%q passed the rules of %T, but: %v", body, into, err)
	}
}
