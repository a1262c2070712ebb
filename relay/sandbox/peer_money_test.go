package sandbox

import (
	"crypto/rsa"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// wiredMerchant is a merchant's client of a sandbox over real connections,
// whose notifications arrive in told.
type wiredMerchant struct {
	*payv3.Client
	box       *Sandbox
	notifyURL string
	told      chan *payv3.Notification
}

// wired starts sandbox and merchant.
func wired(t *testing.T) *wiredMerchant {
	t.Helper()
	s, err := New(Options{TimeScale: 0.001})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	wechat := httptest.NewServer(s)
	t.Cleanup(wechat.Close)
	public := map[string]*rsa.PublicKey{DefaultPublicKeyID: DefaultCredentials().PublicKey}
	m := &wiredMerchant{
		Client: peer(t, wechat.URL, payv3.KeyRingOptions{PublicKeys: public}), box: s, told: make(chan *payv3.Notification, 10),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the notification: %v", err)
		}
		note, err := m.ParseNotification(r.Context(), r.Header, body)
		if err != nil {
			t.Errorf("ParseNotification: %v", err)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		m.told <- note
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	m.notifyURL = server.URL + "/notify"
	return m
}

// request is a prepay request of 1000 fen.
func (m *wiredMerchant) request(appID string) *payv3.PrepayRequest {
	return &payv3.PrepayRequest{
		AppID: appID, MchID: DefaultMchID, Description: "一本书", OutTradeNo: "T00001", NotifyURL: m.notifyURL,
		Amount: payv3.Amount{Total: 1000, Currency: "CNY"},
	}
}

// Every trade type, for a merchant itself and for a sub merchant, from order
// to refund, as the relay's own client sees it.
func TestEveryTradeTypeOverTheWire(t *testing.T) {
	t.Parallel()
	sub := &payv3.Partner{SubMchID: DefaultSubMchID, SubAppID: DefaultSubAppID}
	order := map[string]func(*testing.T, *wiredMerchant, *payv3.PrepayRequest) error{
		"JSAPI": func(t *testing.T, m *wiredMerchant, r *payv3.PrepayRequest) error {
			r.Payer = &payv3.Payer{OpenID: OpenID(r.AppID, "hong")}
			if r.Partner != nil {
				r.Payer = &payv3.Payer{SubOpenID: OpenID(DefaultSubAppID, "hong")}
			}
			_, err := m.PrepayJSAPI(t.Context(), r)
			return err
		},
		"NATIVE": func(t *testing.T, m *wiredMerchant, r *payv3.PrepayRequest) error {
			_, err := m.PrepayNative(t.Context(), r)
			return err
		},
		"MWEB": func(t *testing.T, m *wiredMerchant, r *payv3.PrepayRequest) error {
			r.SceneInfo = &payv3.SceneInfo{PayerClientIP: "203.0.113.7", H5Info: &payv3.H5Info{Type: "Wap"}}
			raw, err := m.PrepayH5(t.Context(), r)
			if u, wrong := url.Parse(raw); wrong != nil || u.Path != h5Path {
				t.Errorf("h5_url = %q", raw)
			}
			return err
		},
		"APP": func(t *testing.T, m *wiredMerchant, r *payv3.PrepayRequest) error {
			_, err := m.PrepayApp(t.Context(), r)
			return err
		},
	}
	tests := map[string]struct {
		tradeType, appID string
		partner          *payv3.Partner
	}{
		"JSAPI":              {"JSAPI", DefaultAppID, nil},
		"mini-program":       {"JSAPI", DefaultMiniProgramAppID, nil},
		"NATIVE":             {"NATIVE", DefaultAppID, nil},
		"H5":                 {"MWEB", DefaultAppID, nil},
		"APP":                {"APP", DefaultMobileAppID, nil},
		"JSAPI for a sub":    {"JSAPI", DefaultAppID, sub},
		"NATIVE for a sub":   {"NATIVE", DefaultAppID, sub},
		"H5 for a sub":       {"MWEB", DefaultAppID, sub},
		"APP for a sub":      {"APP", DefaultMobileAppID, &payv3.Partner{SubMchID: DefaultSubMchID}},
		"NATIVE, no sub app": {"NATIVE", DefaultAppID, &payv3.Partner{SubMchID: DefaultSubMchID}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := wired(t)
			r := m.request(test.appID)
			r.Partner = test.partner
			subMchID := ""
			if r.Partner != nil {
				subMchID = r.Partner.SubMchID
			}
			if err := order[test.tradeType](t, m, r); err != nil {
				t.Fatalf("prepay: %v", err)
			}
			mustStatus(t, post(t, m.box, "/sandbox/pay", `{"out_trade_no":"T00001"}`), http.StatusOK)
			paid, err := (<-m.told).Transaction()
			if err != nil || paid.TradeType != test.tradeType || paid.AppID != test.appID || paid.SubMchID != subMchID || paid.Amount.Total != 1000 {
				t.Fatalf("told %+v, %v", paid, err)
			}
			asked, _, err := m.TransactionByOutTradeNo(t.Context(), "T00001", subMchID)
			if err != nil || asked.TransactionID != paid.TransactionID {
				t.Errorf("query = %+v, %v", asked, err)
			}
			refund := &payv3.RefundRequest{
				SubMchID: subMchID, OutTradeNo: "T00001", OutRefundNo: "R1",
				Amount: payv3.RefundRequestAmount{Refund: 300, Total: 1000, Currency: "CNY"},
			}
			if made, _, err := m.Refund(t.Context(), refund); err != nil || made.Status != payv3.RefundProcessing {
				t.Fatalf("refund = %+v, %v", made, err)
			}
			notice, err := (<-m.told).Refund()
			if err != nil || notice.OutRefundNo != "R1" || notice.Status != payv3.RefundSuccess || notice.Amount.Refund != 300 || notice.SubMchID != subMchID {
				t.Fatalf("told %+v, %v", notice, err)
			}
			if got, _, err := m.RefundByOutRefundNo(t.Context(), "R1", subMchID); err != nil || got.Status != payv3.RefundSuccess {
				t.Errorf("refund query = %+v, %v", got, err)
			}
			day, err := paid.SucceededAt()
			if err != nil {
				t.Fatal(err)
			}
			rows, err := m.TradeBill(t.Context(), day, payv3.BillAll, subMchID)
			if err != nil || len(rows) != 2 || rows[0].TotalFen != 1000 || rows[0].IsRefund() || !rows[1].IsRefund() ||
				rows[1].RefundFen != 300 || rows[1].OutRefundNo != "R1" || rows[0].SubMchID != subMchID {
				t.Errorf("bill = %+v, %v", rows, err)
			}
		})
	}
}

// Sharing over the wire: receiver, share, return, unfreeze.
func TestProfitSharingOverTheWire(t *testing.T) {
	t.Parallel()
	m := wired(t)
	r := m.request(DefaultAppID)
	r.SettleInfo = &payv3.SettleInfo{ProfitSharing: true}
	if _, err := m.PrepayNative(t.Context(), r); err != nil {
		t.Fatalf("prepay: %v", err)
	}
	id := resultOf(t, post(t, m.box, "/sandbox/pay", `{"out_trade_no":"T00001"}`)).TransactionID
	receiver := &payv3.ReceiverRequest{
		AppID: DefaultAppID, Type: payv3.ReceiverMerchant, Account: partnerMchID, Name: "某某公司", RelationType: "PARTNER",
	}
	if err := m.AddReceiver(t.Context(), receiver); err != nil {
		t.Fatalf("AddReceiver: %v", err)
	}
	share := &payv3.ProfitSharingRequest{
		AppID: DefaultAppID, TransactionID: id, OutOrderNo: "S1",
		Receivers: []payv3.ShareReceiver{{Type: payv3.ReceiverMerchant, Account: partnerMchID, Name: "某某公司", Amount: 200, Description: "分给合作方"}},
	}
	for range 2 { // the name is encrypted anew, and it is the same share
		if got, err := m.ShareProfit(t.Context(), share); err != nil || got.OrderID == "" {
			t.Fatalf("ShareProfit = %+v, %v", got, err)
		}
	}
	m.box.notifier.group.Wait()
	if got, err := m.ProfitSharingByOutOrderNo(t.Context(), id, "S1", ""); err != nil || got.State != payv3.ShareFinished || got.Receivers[0].Result != payv3.ShareSuccess {
		t.Errorf("share = %+v, %v", got, err)
	}
	back := &payv3.ShareReturnRequest{OutOrderNo: "S1", OutReturnNo: "B1", ReturnMchID: partnerMchID, Amount: 200, Description: "退回"}
	if got, err := m.ReturnShare(t.Context(), back); err != nil || got.ReturnID == "" {
		t.Fatalf("ReturnShare = %+v, %v", got, err)
	}
	m.box.notifier.group.Wait()
	if got, err := m.ShareReturnByOutReturnNo(t.Context(), "S1", "B1", ""); err != nil || got.Result != payv3.ReturnSuccess {
		t.Errorf("return = %+v, %v", got, err)
	}
	if left, err := m.UnsplitAmount(t.Context(), id); err != nil || left != 800 {
		t.Errorf("UnsplitAmount = %d, %v, want 800", left, err)
	}
	if got, err := m.UnfreezeProfit(t.Context(), id, "U1", "完结", ""); err != nil || got.OrderID == "" {
		t.Errorf("UnfreezeProfit = %+v, %v", got, err)
	}
	if left, err := m.UnsplitAmount(t.Context(), id); err != nil || left != 0 {
		t.Errorf("UnsplitAmount = %d, %v, want 0", left, err)
	}
	if ratio, err := m.MaxShareRatio(t.Context(), DefaultSubMchID); err != nil || ratio != standardRatio {
		t.Errorf("MaxShareRatio = %d, %v", ratio, err)
	}
	if err := m.DeleteReceiver(t.Context(), receiver); err != nil {
		t.Errorf("DeleteReceiver: %v", err)
	}
}
