package sandbox

import (
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// appOrder creates an APP order and returns its prepay id.
func appOrder(t *testing.T, s *Sandbox) string {
	t.Helper()
	mustStatus(t, app(prepayBody(t, map[string]any{"appid": DefaultMobileAppID})).send(t, s), http.StatusOK)
	o, err := s.ledger.byOutTradeNo("T00001")
	if err != nil {
		t.Fatal(err)
	}
	return o.PrepayID
}

// appValues signs the seven values of a prepay id.
func appValues(t *testing.T, prepayID string) payv3.APPInvocation {
	t.Helper()
	c := DefaultCredentials()
	client, err := payv3.NewClient(payv3.ClientOptions{
		MchID: c.MchID, CertificateSerial: c.CertificateSerial, PrivateKey: c.PrivateKey, APIv3Key: c.APIv3Key, Keys: ring(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := client.InvokeAPP(DefaultMobileAppID, prepayID)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// appBody encodes the values for POST /sandbox/app.
func appBody(t *testing.T, v payv3.APPInvocation, more map[string]any) string {
	t.Helper()
	body := map[string]any{
		"appid": v.AppID, "partnerid": v.PartnerID, "prepayid": v.PrepayID, "package": v.Package,
		"noncestr": v.NonceStr, "timestamp": v.TimeStamp, "sign": v.Sign,
	}
	maps.Copy(body, more)
	return jsonOf(t, body)
}

func TestAppPays(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	v := appValues(t, appOrder(t, s))
	if got := resultOf(t, post(t, s, "/sandbox/app", appBody(t, v, map[string]any{"outcome": "cancel"}))); got.TradeState != "NOTPAY" {
		t.Errorf("after cancel: %+v", got)
	}
	got := resultOf(t, post(t, s, "/sandbox/app", appBody(t, v, nil)))
	if got.TradeState != "SUCCESS" || got.OpenID != OpenID(DefaultMobileAppID, "ming") {
		t.Errorf("after payment: %+v", got)
	}
	mustStatus(t, post(t, s, "/sandbox/app", appBody(t, v, nil)), http.StatusConflict)
}

// An order of APIv2 is opened with its own algorithm.
func TestAppPaysV2(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct {
		signType payv2.SignType
		status   int
	}{
		"the order's algorithm": {payv2.SignHMACSHA256, http.StatusOK},
		"another algorithm":     {payv2.SignMD5, http.StatusBadRequest},
	} {
		s := newSandbox(t, Options{})
		if _, err := s.ledger.prepare(order{
			orderKey: orderKey{MchID: DefaultMchID, OutTradeNo: "T00001"}, API: apiV2, SignType: payv2.SignHMACSHA256,
			AppID: DefaultMobileAppID, TradeType: tradeApp, NotifyURL: "http://127.0.0.1/n", TotalFen: 1, ExpiresAt: testNow.Add(time.Hour),
		}); err != nil {
			t.Fatal(err)
		}
		o, err := s.ledger.byOutTradeNo("T00001")
		if err != nil {
			t.Fatal(err)
		}
		v := payv3.APPInvocation{
			AppID: DefaultMobileAppID, PartnerID: DefaultMchID, PrepayID: o.PrepayID, Package: "Sign=WXPay", NonceStr: "n", TimeStamp: "1795296000",
		}
		v.Sign = payv2.Sign(payv2.Message{
			"appid": v.AppID, "partnerid": v.PartnerID, "prepayid": v.PrepayID, "package": v.Package, "noncestr": v.NonceStr, "timestamp": v.TimeStamp,
		}, []byte(DefaultAPIv2Key), change.signType)
		if w := post(t, s, "/sandbox/app", appBody(t, v, nil)); w.Code != change.status {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, change.status)
		}
	}
}

func TestAppRefuses(t *testing.T) {
	t.Parallel()
	clock := newClock(testNow)
	s := newSandbox(t, Options{Now: clock.now})
	v := appValues(t, appOrder(t, s))
	for name, change := range map[string]map[string]any{
		"other app id":     {"appid": DefaultAppID},
		"other partner":    {"partnerid": DefaultSubMchID},
		"other prepay id":  {"prepayid": "wx1"},
		"prefixed id":      {"prepayid": "prepay_id=" + v.PrepayID},
		"other package":    {"package": "prepay_id=" + v.PrepayID},
		"other nonce":      {"noncestr": "x"},
		"other time":       {"timestamp": "1"},
		"no signature":     {"sign": ""},
		"unknown member":   {"signType": "RSA"},
		"nonsense outcome": {"outcome": "maybe"},
	} {
		if w := post(t, s, "/sandbox/app", appBody(t, v, change)); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", name, w.Code)
		}
	}
	clock.set(testNow.Add(prepayLife))
	mustStatus(t, post(t, s, "/sandbox/app", appBody(t, v, nil)), http.StatusBadRequest)
	if got, _ := s.ledger.byOutTradeNo("T00001"); got.State != stateNotPay {
		t.Errorf("state = %s", got.State)
	}
}
