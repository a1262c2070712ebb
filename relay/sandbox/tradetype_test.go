package sandbox

import (
	"encoding/json"
	"net/http"
	"testing"
)

// app is a prepay call for APP.
func app(body string) call {
	return call{method: http.MethodPost, target: "/v3/pay/transactions/app", body: body}
}

func TestPrepayApp(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	w := app(prepayBody(t, map[string]any{"appid": DefaultMobileAppID})).send(t, s)
	mustStatus(t, w, http.StatusOK)
	var made map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || len(made) != 1 || made["prepay_id"] == "" {
		t.Errorf("reply = %s, want prepay_id alone", w.Body)
	}
	mustStatus(t, post(t, s, "/sandbox/pay", `{"prepay_id":"`+made["prepay_id"]+`"}`), http.StatusOK)
	got := transactionOf(t, query("T00001").send(t, s).Body.Bytes())
	if got.TradeType != "APP" || got.AppID != DefaultMobileAppID || got.Payer.OpenID != OpenID(DefaultMobileAppID, "ming") {
		t.Errorf("transaction = %+v", got)
	}
}

// Where a buyer can pay depends on the kind of the account.
func TestTradeTypesAndKindsOfAccounts(t *testing.T) {
	t.Parallel()
	accounts := map[AccountKind]string{
		OfficialAccount: DefaultAppID, MiniProgram: DefaultMiniProgramAppID, MobileApp: DefaultMobileAppID,
		WebsiteApp: DefaultWebsiteAppID, "": "wx0000000000000001",
	}
	wrong := map[string][]AccountKind{
		"jsapi":  {MobileApp, WebsiteApp},
		"app":    {OfficialAccount, MiniProgram, WebsiteApp},
		"native": nil,
		"h5":     nil,
	}
	for tradeType, refused := range wrong {
		for kind, appID := range accounts {
			s := newSandbox(t, Options{Accounts: []Account{{AppID: accounts[""], Secret: "x"}}})
			changes := map[string]any{"appid": appID}
			switch tradeType {
			case "jsapi":
				changes["payer"] = map[string]any{"openid": OpenID(appID, "ming")}
			case "h5":
				changes["scene_info"] = h5Scene("203.0.113.7")
			}
			w := call{method: http.MethodPost, target: "/v3/pay/transactions/" + tradeType, body: prepayBody(t, changes)}.send(t, s)
			want := http.StatusOK
			for _, k := range refused {
				if k == kind {
					want = http.StatusBadRequest
				}
			}
			if w.Code != want {
				t.Errorf("%s in an account of kind %q: %d, want %d: %s", tradeType, kind, w.Code, want, w.Body)
			}
			if want == http.StatusBadRequest && errorOf(t, w).Code != "INVALID_REQUEST" {
				t.Errorf("%s in an account of kind %q: %s", tradeType, kind, w.Body)
			}
		}
	}
}

// Another trade type under the same number is another request.
func TestSameNumberAnotherTradeType(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	mustStatus(t, native(prepayBody(t, nil)).send(t, s), http.StatusOK)
	w := h5(prepayBody(t, map[string]any{"scene_info": h5Scene("203.0.113.7")})).send(t, s)
	mustStatus(t, w, http.StatusBadRequest)
	if e := errorOf(t, w); e.Code != "INVALID_REQUEST" {
		t.Errorf("code = %s, want INVALID_REQUEST", e.Code)
	}
}

// A prepay id of another trade type opens no payment window.
func TestPaymentWindowIsForJSAPI(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	w := app(prepayBody(t, map[string]any{"appid": DefaultMobileAppID})).send(t, s)
	mustStatus(t, w, http.StatusOK)
	o, err := s.ledger.byOutTradeNo("T00001")
	if err != nil {
		t.Fatal(err)
	}
	if w := get(s, "/sandbox/jsapi?appId="+DefaultMobileAppID+"&package=prepay_id%3D"+o.PrepayID); w.Code != http.StatusBadRequest {
		t.Errorf("status = %d, want 400", w.Code)
	}
}
