package relay

import (
	"net/http"
	"reflect"
	"testing"
)

func wireSplit(change func(*Split)) *Split {
	sp := &Split{
		SplitKey: SplitKey{MchID: "1900000109", OutOrderNo: "split0001"}, AppID: "wx1", TransactionID: "4200",
		Receivers: []SplitReceiver{{Type: ReceiverMerchant, Account: "1900000300", AmountFen: 30, Description: "part"}},
	}
	change(sp)
	return sp
}

// TestGatewayV3Split: what is stored of a split, and nothing else, is what
// WeChat reads, for direct merchants and for sub merchants of a provider.
func TestGatewayV3Split(t *testing.T) {
	t.Parallel()
	const (
		post   = "POST /v3/profitsharing/orders "
		get    = "GET /v3/profitsharing/orders/split0001?transaction_id=4200"
		middle = `"transaction_id":"4200","out_order_no":"split0001"`
		part   = `,"receivers":[{"type":"MERCHANT_ID","account":"1900000300","amount":30,"description":"part"}],"unfreeze_unsplit":`
		ended  = `{` + middle + `,"order_id":"3008","state":"FINISHED","receivers":[` +
			`{"type":"MERCHANT_ID","account":"1900000300","amount":30,"description":"part","result":"CLOSED","fail_reason":"NO_RELATION"}]}`
		open = `{` + middle + `,"order_id":"3008","state":"PROCESSING","receivers":[]}`
	)
	closed := SplitStatement{WeChatID: "3008", Finished: true, Receivers: []ReceiverStatement{
		{Type: ReceiverMerchant, Account: "1900000300", AmountFen: 30, Result: ShareClosed, FailReason: "NO_RELATION"},
	}}
	going := SplitStatement{WeChatID: "3008"}
	sub := func(sp *Split) { sp.SubMchID, sp.SubAppID = "1900000209", "wx9" }
	alone := func(sp *Split) { sp.Receivers, sp.Unfreeze, sp.Description = nil, true, "done" }
	tests := []struct {
		name            string
		change          func(*Split)
		query           bool
		request, answer string
		want            SplitStatement
	}{
		{"direct", func(*Split) {}, false, post + `{"appid":"wx1",` + middle + part + `false}`, open, going},
		{"rest unfrozen", func(sp *Split) { sp.Unfreeze = true }, false, post + `{"appid":"wx1",` + middle + part + `true}`, ended, closed},
		{"provider", sub, false, post + `{"sub_mchid":"1900000209","appid":"wx1","sub_appid":"wx9",` + middle + part + `false}`, ended, closed},
		{"unfreezing", alone, false, "POST /v3/profitsharing/orders/unfreeze {" + middle + `,"description":"done"}`, open, going},
		{
			"unfreezing for a sub merchant", func(sp *Split) { sub(sp); alone(sp) }, false,
			`POST /v3/profitsharing/orders/unfreeze {"sub_mchid":"1900000209",` + middle + `,"description":"done"}`, open, going,
		},
		{"asked", func(*Split) {}, true, get, ended, closed},
		{"asked for a sub merchant", sub, true, get + "&sub_mchid=1900000209", ended, closed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := wireGateway(t, tt.request, http.StatusOK, tt.answer)
			call := g.Split
			if tt.query {
				call = g.QuerySplit
			}
			if got, err := call(t.Context(), wireSplit(tt.change)); err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestGatewayV3Return(t *testing.T) {
	t.Parallel()
	reply := func(result string) string {
		return `{"order_id":"3008","out_order_no":"split0001","out_return_no":"return0001","return_id":"3009","return_mchid":"1900000300","amount":10,` +
			`"description":"back","result":"` + result + `","fail_reason":"TIME_OUT_CLOSED"}`
	}
	r := &SplitReturn{OutReturnNo: "return0001", Account: "1900000300", AmountFen: 10, Description: "back"}
	sub := wireSplit(func(sp *Split) { sp.SubMchID = "1900000209" })
	const body = `"out_order_no":"split0001","out_return_no":"return0001","return_mchid":"1900000300","amount":10,"description":"back"}`
	g := wireGateway(t, `POST /v3/profitsharing/return-orders {"sub_mchid":"1900000209",`+body, http.StatusOK, reply("PROCESSING"))
	if got, err := g.ReturnSplit(t.Context(), sub, r); err != nil || got.Status != ReturnProcessing || got.ReturnID != "3009" {
		t.Errorf("ReturnSplit = %+v, %v", got, err)
	}
	for word, want := range map[string]SplitReturnStatus{"PROCESSING": ReturnProcessing, "SUCCESS": ReturnSucceeded, "FAILED": ReturnFailed} {
		g := wireGateway(t, "GET /v3/profitsharing/return-orders/return0001?out_order_no=split0001&sub_mchid=1900000209", http.StatusOK, reply(word))
		if got, err := g.QueryReturn(t.Context(), sub, r); err != nil || got.Status != want || got.FailReason != "TIME_OUT_CLOSED" {
			t.Errorf("QueryReturn of %s = %+v, %v", word, got, err)
		}
	}
}

func TestGatewayV3Receivers(t *testing.T) {
	t.Parallel()
	r := &Receiver{SubMchID: "1900000209", SubAppID: "wx9", AppID: "wx1", Type: ReceiverSubOpenID, Account: "o1", RelationType: "CUSTOM", CustomRelation: "friend"}
	const head = `{"sub_mchid":"1900000209","appid":"wx1","sub_appid":"wx9","type":"PERSONAL_SUB_OPENID","account":"o1"`
	const echo = `{"type":"PERSONAL_SUB_OPENID","account":"o1"}`
	g := wireGateway(t, "POST /v3/profitsharing/receivers/add "+head+`,"relation_type":"CUSTOM","custom_relation":"friend"}`, http.StatusOK, echo)
	if err := g.AddReceiver(t.Context(), r); err != nil {
		t.Error(err)
	}
	g = wireGateway(t, "POST /v3/profitsharing/receivers/delete "+head+"}", http.StatusOK, echo)
	if err := g.DeleteReceiver(t.Context(), r); err != nil {
		t.Error(err)
	}
}
