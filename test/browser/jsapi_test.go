package browser

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/wxrelay/wxrelay/relay/pages"
)

// bridge is the stand-in for what WeChat's web view puts into a page. The
// test answers a call with answer(err_msg).
const bridge = `
	window.calls = [];
	window.WeixinJSBridge = { invoke: (name, values, done) => { calls.push({ name, values }); window.answer = (err_msg) => done({ err_msg }); } };
`

var inWeChat = device{width: 360, height: 740, mobile: true, language: "zh-CN", agent: weChatAgent}

func openJSAPI(t *testing.T, beforeLoad string) (*relayStandIn, *tab) {
	t.Helper()
	rl := newRelay(t, pages.Checkout{State: pages.StateWaitingJSAPI, JSAPI: invocation})
	tb := openTab(t, inWeChat)
	tb.beforeLoad(beforeLoad)
	tb.open(rl.page())
	return rl, tb
}

func TestJSAPISheetOpensWithTheValuesGiven(t *testing.T) {
	t.Parallel()
	_, tb := openJSAPI(t, bridge)
	tb.until(`calls.length === 1`)
	var call struct {
		Name   string            `json:"name"`
		Values map[string]string `json:"values"`
	}
	if err := json.Unmarshal([]byte(tb.text(`JSON.stringify(calls[0])`)), &call); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"appId": invocation.AppID, "timeStamp": invocation.TimeStamp, "nonceStr": invocation.NonceStr,
		"package": invocation.Package, "signType": invocation.SignType, "paySign": invocation.PaySign,
	}
	if call.Name != "getBrandWCPayRequest" || !reflect.DeepEqual(call.Values, want) {
		t.Errorf("WeChat was asked for %s with %v, want %v", call.Name, call.Values, want)
	}
	if !tb.truth(`document.getElementById('pay').disabled`) {
		t.Error("the button could open a second sheet")
	}
}

func TestJSAPIBuyerCancelsAndPaysAgain(t *testing.T) {
	t.Parallel()
	rl, tb := openJSAPI(t, bridge+handTimers)
	tb.until(`calls.length === 1`)
	if !tb.truth(`(answer('get_brand_wcpay_request:cancel'), true)`) {
		t.Fatal("no sheet to answer")
	}
	tb.untilState("cancelled")
	if got := tb.text(`document.getElementById('pay').textContent`); got != "重新支付" {
		t.Errorf("button says %q", got)
	}
	tb.keep("jsapi-cancelled-live")
	tb.run(chromedp.Click("#pay", chromedp.ByQuery))
	tb.until(`calls.length === 2`)
	tb.truth(`(answer('get_brand_wcpay_request:ok'), true)`)
	tb.untilState("confirming")
	rl.become(paid(rl))
	tb.untilState("paid")
}

// What the sheet reports is not believed: only the server says "paid".
func TestJSAPIOkIsNotBelieved(t *testing.T) {
	t.Parallel()
	rl, tb := openJSAPI(t, bridge)
	tb.until(`calls.length === 1`)
	tb.truth(`(answer('get_brand_wcpay_request:ok'), true)`)
	tb.untilState("confirming")
	rl.waitForPoll()
	tb.untilState("confirming")
	if tb.truth(`document.getElementById('pay').checkVisibility()`) {
		t.Error("the buyer is offered to pay twice")
	}
	if tb.truth(`document.getElementById('return').checkVisibility()`) {
		t.Error("the buyer is sent to the shop unpaid")
	}
	tb.keep("jsapi-confirming")
}

func TestJSAPIFailureIsTold(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"failure": "get_brand_wcpay_request:fail", "with a reason": "get_brand_wcpay_request:fail_no permission to execute",
		"nothing": "", "something like ok": "get_brand_wcpay_request:okay", "of another call": "other:ok",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, tb := openJSAPI(t, bridge)
			tb.until(`calls.length === 1`)
			tb.truth(`(answer('` + answer + `'), true)`)
			tb.untilState("failed")
			tb.until(`!document.getElementById('pay').disabled`)
		})
	}
}

func TestJSAPIBridgeThatBreaks(t *testing.T) {
	t.Parallel()
	_, tb := openJSAPI(t, `window.WeixinJSBridge = { invoke: () => { throw new Error('broken'); } };`)
	tb.untilState("failed")
}

func TestJSAPIBridgeComesLate(t *testing.T) {
	t.Parallel()
	_, tb := openJSAPI(t, "")
	tb.untilState("waiting_jsapi")
	if !tb.truth(`document.getElementById('pay').disabled`) {
		t.Error("the button works without a bridge")
	}
	tb.truth(`(() => { ` + bridge + ` return document.dispatchEvent(new Event('WeixinJSBridgeReady')); })()`)
	tb.until(`calls.length === 1`)
}

func TestJSAPIWithoutBridgeSaysSo(t *testing.T) {
	t.Parallel()
	_, tb := openJSAPI(t, "")
	tb.untilState("wrong_place")
	if got := tb.text(`document.getElementById('heading').textContent`); got != "请在微信中打开" {
		t.Errorf("heading says %q", got)
	}
	tb.truth(`(() => { ` + bridge + ` return document.dispatchEvent(new Event('WeixinJSBridgeReady')); })()`)
	tb.until(`calls.length === 1`)
	tb.untilState("waiting_jsapi")
}

// A page that was drawn as cancelled waits for the buyer.
func TestJSAPICancelledPageDoesNotOpenTheSheet(t *testing.T) {
	t.Parallel()
	rl := newRelay(t, pages.Checkout{State: pages.StateCancelled, JSAPI: invocation})
	tb := openTab(t, inWeChat)
	tb.beforeLoad(bridge)
	tb.open(rl.page())
	tb.until(`!document.getElementById('pay').disabled`)
	if got := tb.number(`calls.length`); got != 0 {
		t.Errorf("%v sheets opened by themselves", got)
	}
	tb.run(chromedp.Click("#pay", chromedp.ByQuery))
	tb.until(`calls.length === 1`)
}
