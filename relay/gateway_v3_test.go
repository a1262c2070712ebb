package relay

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// WeChat's words on a refusal may quote what was sent; they stay out of the
// error, which is logged (threats H03).
func TestGatewayV3Told_H03(t *testing.T) {
	t.Parallel()
	var outcomes []string
	g := &gatewayV3{observe: func(op, outcome string) { outcomes = append(outcomes, op+" "+outcome) }}
	err := g.told("prepay", &payv3.APIError{
		Op: "prepay jsapi", HTTPStatus: 500, Code: "OPENID_MISMATCH", Message: "openid oMarker is of another app", RequestID: "08F78BB5-1",
	})
	refused, ok := errors.AsType[*GatewayError](err)
	if !ok || refused.Code != "OPENID_MISMATCH" || refused.Retryable {
		t.Errorf("told = %#v, want the refusal with its code, final", err)
	}
	if want := "prepay: WeChat answered 500 OPENID_MISMATCH (request id 08F78BB5-1)"; err.Error() != want {
		t.Errorf("told = %q, want %q", err, want)
	}
	if err := g.told("query", errors.New("reset")); err == nil || err.Error() != "query: reset" {
		t.Errorf("told = %v, want the failure of the query", err)
	}
	if err := g.told("close", nil); err != nil {
		t.Errorf("told = %v, want nothing", err)
	}
	if got, want := strings.Join(outcomes, ", "), "prepay refused, query failed, close ok"; got != want {
		t.Errorf("observed %s, want %s", got, want)
	}
}

func TestTransactionV3(t *testing.T) {
	t.Parallel()
	paid := func(change func(*payv3.Transaction)) *payv3.Transaction {
		p := &payv3.Transaction{
			AppID: "wx8888888888888888", MchID: "1900000109", OutTradeNo: "A000000001", TransactionID: "4200",
			TradeType: "NATIVE", TradeState: "SUCCESS", SuccessTime: "2026-11-22T13:20:00+08:00",
			Payer: &payv3.Payer{OpenID: "o1"}, Amount: &payv3.Amount{Total: 100, Currency: "CNY"},
		}
		change(p)
		return p
	}
	want := Transaction{
		MchID: "1900000109", AppID: "wx8888888888888888", OutTradeNo: "A000000001", TransactionID: "4200",
		TradeType: "NATIVE", State: TradeSuccess, TotalFen: 100, Currency: "CNY", OpenID: "o1",
		SuccessTime: time.Date(2026, 11, 22, 5, 20, 0, 0, time.UTC),
	}
	tests := []struct {
		name   string
		change func(*payv3.Transaction)
		want   func(*Transaction) // nil: refused
	}{
		{"paid", func(*payv3.Transaction) {}, func(*Transaction) {}},
		{"currency left out", func(p *payv3.Transaction) { p.Amount.Currency = "" }, func(*Transaction) {}},
		{"other currency", func(p *payv3.Transaction) { p.Amount.Currency = "USD" }, func(w *Transaction) { w.Currency = "USD" }},
		{"payer left out", func(p *payv3.Transaction) { p.Payer = nil }, func(w *Transaction) { w.OpenID = "" }},
		{"refunded since", func(p *payv3.Transaction) { p.TradeState = "REFUND" }, func(w *Transaction) { w.State = TradeRefund }},
		{"unpaid", func(p *payv3.Transaction) { p.TradeState, p.SuccessTime = "NOTPAY", "" }, func(w *Transaction) { w.State, w.SuccessTime = TradeNotPay, time.Time{} }},
		{"paid without time", func(p *payv3.Transaction) { p.SuccessTime = "" }, nil},
		{"paid without amount", func(p *payv3.Transaction) { p.Amount = nil }, nil},
		{"paid without number", func(p *payv3.Transaction) { p.TransactionID = "" }, nil},
		{"bank and attach", func(p *payv3.Transaction) { p.BankType, p.Attach, p.Amount.PayerTotal = "CMC", "x", 90 }, func(w *Transaction) { w.BankType, w.Attach, w.PayerFen = "CMC", "x", 90 }},
		{"provider's", func(p *payv3.Transaction) { p.SubMchID, p.Payer = "1900000209", &payv3.Payer{SPOpenID: "o2"} }, func(w *Transaction) { w.SubMchID, w.OpenID = "1900000209", "o2" }},
		{"provider's, in the merchant's app", func(p *payv3.Transaction) {
			p.SubMchID, p.SubAppID, p.Payer = "1900000209", "wx2", &payv3.Payer{SPOpenID: "o2", SubOpenID: "o3"}
		}, func(w *Transaction) { w.SubMchID, w.SubAppID, w.OpenID = "1900000209", "wx2", "o3" }},
		{"paid without our number", func(p *payv3.Transaction) { p.OutTradeNo = "" }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := transactionV3(paid(tt.change), []byte("raw"))
			if tt.want == nil {
				if err == nil {
					t.Errorf("transactionV3 = %+v, want an error", got)
				}
				return
			}
			w := want
			tt.want(&w)
			if err != nil || string(got.Raw) != "raw" {
				t.Fatalf("transactionV3 = %+v, %v", got, err)
			}
			got.Raw = nil
			if !reflect.DeepEqual(got, w) {
				t.Errorf("transactionV3 = %+v, want %+v", got, w)
			}
		})
	}
}
