package payv3

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestClientQuery(t *testing.T) {
	t.Parallel()
	const unpaid = `{"appid":"wxd678efh567hg6787","mchid":"1900000001","out_trade_no":"A000000001","trade_state":"NOTPAY","trade_state_desc":"未支付","promotion_detail":[]}`
	byNumber := func(c *Client) (*Transaction, []byte, error) {
		return c.TransactionByOutTradeNo(context.Background(), "A000000001", "")
	}
	byID := func(c *Client) (*Transaction, []byte, error) {
		return c.TransactionByID(context.Background(), "1217752501201407033233368018", "")
	}
	const numberTarget = "/v3/pay/transactions/out-trade-no/A000000001?mchid=1900000001"
	const idTarget = "/v3/pay/transactions/id/1217752501201407033233368018?mchid=1900000001"
	tests := []struct {
		name   string
		call   func(*Client) (*Transaction, []byte, error)
		target string
		answer string
		state  string // empty for an error
	}{
		{"paid", byNumber, numberTarget, goodTransaction, "SUCCESS"},
		{"paid, by id", byID, idTarget, goodTransaction, "SUCCESS"},
		{"unpaid", byNumber, numberTarget, unpaid, "NOTPAY"},
		{"refunded", byNumber, numberTarget, strings.Replace(goodTransaction, `"SUCCESS"`, `"REFUND"`, 1), "REFUND"},
		{"other number", byNumber, numberTarget, strings.Replace(goodTransaction, "A000000001", "A000000002", 1), ""},
		{"other id", byID, idTarget, strings.Replace(goodTransaction, "1217752501201407033233368018", "2", 1), ""},
		{"other merchant", byNumber, numberTarget, strings.Replace(goodTransaction, testMchID, "1900000002", 1), ""},
		{"paid without amount", byNumber, numberTarget, strings.Replace(unpaid, "NOTPAY", "SUCCESS", 1), ""},
		{"B15 duplicate", byNumber, numberTarget, strings.Replace(unpaid, `{`, `{"trade_state":"SUCCESS",`, 1), ""},
		{"no body", byNumber, numberTarget, ``, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newTestClient(t, func(o *ClientOptions) { o.HTTP = wechat(t, http.MethodGet, tt.target, "", 200, tt.answer) })
			got, raw, err := tt.call(c)
			if tt.state == "" {
				if err == nil || got != nil || raw != nil {
					t.Errorf("got %+v, %s, %v", got, raw, err)
				}
				return
			}
			if err != nil || got.TradeState != tt.state || string(raw) != tt.answer {
				t.Errorf("got %+v, %s, %v", got, raw, err)
			}
		})
	}
}

func TestClientClose(t *testing.T) {
	t.Parallel()
	const target = "/v3/pay/transactions/out-trade-no/A000000001/close"
	c := newTestClient(t, func(o *ClientOptions) { o.HTTP = wechat(t, http.MethodPost, target, `{"mchid":"1900000001"}`, 204, "") })
	if err := c.CloseTransaction(t.Context(), "A000000001", ""); err != nil {
		t.Error(err)
	}
}

// TestClientNumbers: a number must not turn into another address, and odd but
// legal ones must be signed as they are sent.
func TestClientNumbers(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, nil)
	for _, number := range []string{"", "12345", "..", "A00000/../x", "A00000?mchid=1", "A00000%2F", "A00000 1", "测试测试", strings.Repeat("1", 33)} {
		if _, _, err := c.TransactionByOutTradeNo(t.Context(), number, ""); !errors.Is(err, errOutTradeNo) {
			t.Errorf("query of %q: %v", number, err)
		}
		if err := c.CloseTransaction(t.Context(), number, ""); !errors.Is(err, errOutTradeNo) {
			t.Errorf("close of %q: %v", number, err)
		}
	}
	for _, id := range []string{"", "..", "1/2", "1?x", strings.Repeat("1", 33)} {
		if _, _, err := c.TransactionByID(t.Context(), id, ""); err == nil {
			t.Errorf("query of id %q succeeds", id)
		}
	}
	c = newTestClient(t, func(o *ClientOptions) {
		o.HTTP = wechat(t, http.MethodPost, "/v3/pay/transactions/out-trade-no/a_-%7C%2A9/close", `{"mchid":"1900000001"}`, 204, "")
	})
	if err := c.CloseTransaction(t.Context(), "a_-|*9", ""); err != nil {
		t.Error(err)
	}
}

const partnerTransaction = `{"sp_appid":"wxd678efh567hg6787","sp_mchid":"1900000001","sub_appid":"wx2","sub_mchid":"1900000209",` +
	`"out_trade_no":"A000000001","transaction_id":"1217752501201407033233368018","trade_type":"JSAPI","trade_state":"SUCCESS",` +
	`"bank_type":"CMC","attach":"x","success_time":"2018-06-08T10:34:56+08:00","payer":{"sp_openid":"o1","sub_openid":"o2"},` +
	`"amount":{"total":100,"currency":"CNY","payer_total":90,"payer_currency":"CNY"}}`

func TestClientQueryPartner(t *testing.T) {
	t.Parallel()
	const sub = "1900000209"
	const byNumber = "/v3/pay/partner/transactions/out-trade-no/A000000001?sp_mchid=1900000001&sub_mchid=1900000209"
	const byID = "/v3/pay/partner/transactions/id/1217752501201407033233368018?sp_mchid=1900000001&sub_mchid=1900000209"
	answering := func(target, answer string) *Client {
		return newTestClient(t, func(o *ClientOptions) { o.HTTP = wechat(t, http.MethodGet, target, "", 200, answer) })
	}
	for _, tt := range []struct {
		name string
		ask  func() (*Transaction, []byte, error)
	}{
		{"by number", func() (*Transaction, []byte, error) {
			return answering(byNumber, partnerTransaction).TransactionByOutTradeNo(t.Context(), "A000000001", sub)
		}},
		{"by id", func() (*Transaction, []byte, error) {
			return answering(byID, partnerTransaction).TransactionByID(t.Context(), "1217752501201407033233368018", sub)
		}},
	} {
		got, raw, err := tt.ask()
		if err != nil || string(raw) != partnerTransaction {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got.AppID != "wxd678efh567hg6787" || got.MchID != testMchID || got.SubAppID != "wx2" || got.SubMchID != sub ||
			got.Amount.PayerTotal != 90 || got.BankType != "CMC" || got.Attach != "x" {
			t.Errorf("%s: got %+v", tt.name, got)
		}
		if openID, subOpenID := got.PayerOpenID(); openID != "o1" || subOpenID != "o2" {
			t.Errorf("%s: payer %q, %q", tt.name, openID, subOpenID)
		}
		if again, err := json.Marshal(got); err != nil || string(again) != partnerTransaction {
			t.Errorf("%s: marshals to %s, %v", tt.name, again, err)
		}
	}
	// An answer in the other form, or about another merchant, is about somebody
	// else's money.
	for name, answer := range map[string]string{
		"direct form":        goodTransaction,
		"other sub merchant": strings.Replace(partnerTransaction, sub, "1900000208", 1),
		"other provider":     strings.Replace(partnerTransaction, testMchID, "1900000002", 1),
		"both forms":         strings.Replace(partnerTransaction, "{", `{"mchid":"1900000001",`, 1),
		"no sub merchant":    strings.Replace(partnerTransaction, `"sub_mchid":"1900000209",`, "", 1),
	} {
		if got, raw, err := answering(byNumber, answer).TransactionByOutTradeNo(t.Context(), "A000000001", sub); err == nil || got != nil || raw != nil {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	const direct = "/v3/pay/transactions/out-trade-no/A000000001?mchid=1900000001"
	if got, _, err := answering(direct, partnerTransaction).TransactionByOutTradeNo(t.Context(), "A000000001", ""); err == nil {
		t.Errorf("partner form for a direct merchant: got %+v", got)
	}
	c := newTestClient(t, nil)
	for _, bad := range []string{"x", "1&mchid=2", strings.Repeat("1", 33)} {
		if _, _, err := c.TransactionByOutTradeNo(t.Context(), "A000000001", bad); !errors.Is(err, errSubMchID) {
			t.Errorf("query for %q: %v", bad, err)
		}
		if err := c.CloseTransaction(t.Context(), "A000000001", bad); !errors.Is(err, errSubMchID) {
			t.Errorf("close for %q: %v", bad, err)
		}
	}
}

func TestClientClosePartner(t *testing.T) {
	t.Parallel()
	const target = "/v3/pay/partner/transactions/out-trade-no/A000000001/close"
	c := newTestClient(t, func(o *ClientOptions) {
		o.HTTP = wechat(t, http.MethodPost, target, `{"sp_mchid":"1900000001","sub_mchid":"1900000209"}`, 204, "")
	})
	if err := c.CloseTransaction(t.Context(), "A000000001", "1900000209"); err != nil {
		t.Error(err)
	}
}

func TestTransactionMarshalDirect(t *testing.T) {
	t.Parallel()
	const want = `{"appid":"wx1","mchid":"1900000001","out_trade_no":"A000000001","trade_state":"NOTPAY"}`
	got, err := json.Marshal(&Transaction{AppID: "wx1", MchID: testMchID, OutTradeNo: "A000000001", TradeState: "NOTPAY"})
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if openID, sub := (&Transaction{Payer: &Payer{OpenID: "o"}}).PayerOpenID(); openID != "o" || sub != "" {
		t.Errorf("payer %q, %q", openID, sub)
	}
	if openID, sub := (&Transaction{}).PayerOpenID(); openID != "" || sub != "" {
		t.Errorf("nobody is %q, %q", openID, sub)
	}
}

func TestTransactionSucceededAt(t *testing.T) {
	t.Parallel()
	want := time.Date(2018, 6, 8, 2, 34, 56, 0, time.UTC)
	for _, s := range []string{"2018-06-08T10:34:56+08:00", "2018-06-08T02:34:56Z", "2018-06-08T10:34:56.000+08:00"} {
		got, err := (&Transaction{SuccessTime: s}).SucceededAt()
		if err != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "20180608103456", "2018-06-08 10:34:56", "2018-06-08T10:34:56", "marker"} {
		got, err := (&Transaction{SuccessTime: s}).SucceededAt()
		if err == nil || !got.IsZero() || strings.Contains(err.Error(), "marker") {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
}
