package sandbox

import (
	"crypto/rsa"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// A merchant's client over real connections, in both key modes: it shares with
// a receiver whose name it encrypts, refunds, and reads the day's bill.
func TestWholeBooksOverTheWire(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]payv3.KeyRingOptions{
		"public key":   {PublicKeys: map[string]*rsa.PublicKey{DefaultPublicKeyID: DefaultCredentials().PublicKey}},
		"certificates": {Certificates: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := New(Options{})
			if err != nil {
				t.Fatalf("New: %v", err)
			}
			defer func() { _ = s.Close() }()
			wechat := httptest.NewServer(s)
			defer wechat.Close()
			client := peer(t, wechat.URL, keys)
			code, err := client.PrepayNative(t.Context(), &payv3.PrepayRequest{
				AppID: DefaultAppID, MchID: DefaultMchID, Description: "书,笔", OutTradeNo: "T00001",
				NotifyURL: "http://127.0.0.1:1/notify", Amount: payv3.Amount{Total: 1990, Currency: "CNY"},
				SettleInfo: &payv3.SettleInfo{ProfitSharing: true},
			})
			if err != nil {
				t.Fatalf("PrepayNative: %v", err)
			}
			mustStatus(t, post(t, s, "/sandbox/pay", `{"code_url":"`+code+`"}`), http.StatusOK)
			paid, _, err := client.TransactionByOutTradeNo(t.Context(), "T00001", "")
			if err != nil {
				t.Fatal(err)
			}
			day, err := paid.SucceededAt()
			if err != nil {
				t.Fatal(err)
			}

			receiver := &payv3.ReceiverRequest{AppID: DefaultAppID, Type: payv3.ReceiverMerchant, Account: partnerMchID, Name: "某某公司", RelationType: "PARTNER"}
			if err := client.AddReceiver(t.Context(), receiver); err != nil {
				t.Fatalf("AddReceiver: %v", err)
			}
			shared, err := client.ShareProfit(t.Context(), &payv3.ProfitSharingRequest{
				AppID: DefaultAppID, TransactionID: paid.TransactionID, OutOrderNo: "S1",
				Receivers: []payv3.ShareReceiver{{Type: payv3.ReceiverMerchant, Account: partnerMchID, Name: "某某公司", Amount: 100, Description: "分给合作方"}},
			})
			if err != nil || shared.OrderID == "" || len(shared.Receivers) != 1 {
				t.Fatalf("ShareProfit = %+v, %v", shared, err)
			}
			if left, err := client.UnsplitAmount(t.Context(), paid.TransactionID); err != nil || left != 1890 {
				t.Errorf("UnsplitAmount = %d, %v, want 1890", left, err)
			}
			refunded, _, err := client.Refund(t.Context(), &payv3.RefundRequest{
				OutTradeNo: "T00001", OutRefundNo: "R1", Amount: payv3.RefundRequestAmount{Refund: 90, Total: 1990, Currency: "CNY"},
			})
			if err != nil || refunded.Amount.Refund != 90 {
				t.Fatalf("Refund = %+v, %v", refunded, err)
			}

			rows, err := client.TradeBill(t.Context(), day, payv3.BillAll, "")
			if err != nil {
				t.Fatalf("TradeBill: %v", err)
			}
			var payments, refunds int
			for i := range rows {
				switch r := &rows[i]; {
				case r.TransactionID != paid.TransactionID || r.OutTradeNo != "T00001":
					t.Errorf("row %+v", r)
				case r.IsRefund():
					refunds++
					if r.OutRefundNo != "R1" || r.RefundFen != 90 {
						t.Errorf("refund %+v", r)
					}
				default:
					payments++
					if r.TotalFen != 1990 || !r.TradeTime.Equal(day) || r.TradeState != "SUCCESS" {
						t.Errorf("payment %+v, want it at %v", r, day)
					}
				}
			}
			if payments != 1 || refunds != 1 {
				t.Errorf("%d payments and %d refunds, want one each", payments, refunds)
			}
			if rows, err := client.TradeBill(t.Context(), day.AddDate(0, 0, -2), payv3.BillAll, ""); !errors.Is(err, payv3.ErrNoStatement) {
				t.Errorf("bill of a quiet day: %d rows, %v", len(rows), err)
			}
		})
	}
}
