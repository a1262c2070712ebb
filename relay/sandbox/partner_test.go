package sandbox

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// partnerBody makes the body of a service provider's prepay call; changes
// replace or, with nil, remove members.
func partnerBody(t *testing.T, changes map[string]any) string {
	t.Helper()
	all := map[string]any{
		"appid": nil, "mchid": nil, "sp_appid": DefaultAppID, "sp_mchid": DefaultMchID, "sub_mchid": DefaultSubMchID,
	}
	maps.Copy(all, changes)
	return prepayBody(t, all)
}

// partner is a service provider's call.
func partner(method, path, body string) call {
	return call{method: method, target: "/v3/pay/partner/transactions/" + path, body: body}
}

// subQueryString names provider and sub merchant.
const subQueryString = "?sp_mchid=" + DefaultMchID + "&sub_mchid=" + DefaultSubMchID

// partnerTransactionOf decodes an order in the provider's form.
func partnerTransactionOf(t *testing.T, body []byte) transactionObject {
	t.Helper()
	var got transactionObject
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatalf("decoding %q: %v", body, err)
	}
	return got
}

func TestPartnerPayment(t *testing.T) {
	t.Parallel()
	sub, sp := OpenID(DefaultSubAppID, "hong"), OpenID(DefaultAppID, "hong")
	tests := map[string]struct {
		path    string
		changes map[string]any
		subApp  string
		sub     string // expected sub_openid
	}{
		"jsapi, sub_openid": {"jsapi", map[string]any{"sub_appid": DefaultSubAppID, "payer": map[string]any{"sub_openid": sub}}, DefaultSubAppID, sub},
		"jsapi, sp_openid":  {"jsapi", map[string]any{"payer": map[string]any{"sp_openid": sp}}, "", ""},
		"native":            {"native", nil, "", ""},
		"native, sub_appid": {"native", map[string]any{"sub_appid": DefaultSubAppID}, DefaultSubAppID, sub},
		"h5":                {"h5", map[string]any{"scene_info": h5Scene("203.0.113.7")}, "", ""},
		"app":               {"app", map[string]any{"sp_appid": DefaultMobileAppID}, "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := &merchantServer{statuses: []int{200}, since: time.Now()}
				s := newSandbox(t, Options{Now: time.Now, Transport: m})
				mustStatus(t, partner(http.MethodPost, test.path, partnerBody(t, test.changes)).now().send(t, s), http.StatusOK)
				r := httptest.NewRequest(http.MethodPost, "/sandbox/pay", strings.NewReader(`{"out_trade_no":"T00001"}`))
				r.AddCookie(&http.Cookie{Name: userCookie, Value: "hong"})
				s.ServeHTTP(httptest.NewRecorder(), r)
				synctest.Wait()

				w := partner(http.MethodGet, "out-trade-no/T00001"+subQueryString, "").now().send(t, s)
				mustStatus(t, w, http.StatusOK)
				got := partnerTransactionOf(t, w.Body.Bytes())
				if got.SPMchID != DefaultMchID || got.SubMchID != DefaultSubMchID || got.SubAppID != test.subApp || got.MchID+got.AppID != "" {
					t.Errorf("parties = %+v", got.parties)
				}
				if got.TradeState != "SUCCESS" || got.Payer.SubOpenID != test.sub || got.Payer.OpenID != "" ||
					got.Payer.SPOpenID != OpenID(got.SPAppID, "hong") {
					t.Errorf("transaction = %s", w.Body)
				}
				byID := partner(http.MethodGet, "id/"+got.TransactionID+subQueryString, "").now().send(t, s)
				if byID.Body.String() != w.Body.String() {
					t.Errorf("by id %s, by number %s", byID.Body, w.Body)
				}
				note := openedNote(t, m.seen()[0])
				if note.EventType != "TRANSACTION.SUCCESS" || string(note.Plaintext) != w.Body.String() {
					t.Errorf("told %s %s, want what the query says: %s", note.EventType, note.Plaintext, w.Body)
				}
			})
		})
	}
}

func TestPartnerPrepayRefuses(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	sub := map[string]any{"sub_openid": OpenID(DefaultSubAppID, "ming")}
	for name, test := range map[string]struct {
		changes map[string]any
		status  int
		code    string
		field   string
	}{
		"no sub merchant":          {map[string]any{"sub_mchid": nil}, 400, "PARAM_ERROR", "/sub_mchid"},
		"unknown sub merchant":     {map[string]any{"sub_mchid": "404"}, 403, "NO_AUTH", ""},
		"other provider":           {map[string]any{"sp_mchid": "1900000110"}, 400, "PARAM_ERROR", "/sp_mchid"},
		"names of a direct call":   {map[string]any{"appid": DefaultAppID}, 400, "PARAM_ERROR", "/appid"},
		"sub account of another":   {map[string]any{"sub_appid": DefaultAppID}, 400, "APPID_MCHID_NOT_MATCH", ""},
		"account of the sub":       {map[string]any{"sp_appid": DefaultSubAppID}, 400, "APPID_MCHID_NOT_MATCH", ""},
		"no payer":                 {map[string]any{"payer": nil}, 400, "PARAM_ERROR", "/payer"},
		"empty payer":              {map[string]any{"payer": map[string]any{}}, 400, "PARAM_ERROR", "/payer"},
		"sub_openid, no sub_appid": {map[string]any{"payer": sub}, 400, "PARAM_ERROR", "/sub_appid"},
		"two openids": {map[string]any{"sub_appid": DefaultSubAppID, "payer": map[string]any{
			"sub_openid": OpenID(DefaultSubAppID, "ming"), "sp_openid": OpenID(DefaultAppID, "ming"),
		}}, 400, "PARAM_ERROR", "/payer"},
		"openid of the provider": {map[string]any{
			"sub_appid": DefaultSubAppID, "payer": map[string]any{"sub_openid": OpenID(DefaultAppID, "ming")},
		}, 500, "OPENID_MISMATCH", ""},
		"unknown openid": {map[string]any{"payer": map[string]any{"sp_openid": "oNobody"}}, 400, "PARAM_ERROR", "/payer/sp_openid"},
	} {
		changes := map[string]any{"payer": map[string]any{"sp_openid": OpenID(DefaultAppID, "ming")}}
		maps.Copy(changes, test.changes)
		w := partner(http.MethodPost, "jsapi", partnerBody(t, changes)).send(t, s)
		e := errorOf(t, w)
		if w.Code != test.status || e.Code != test.code || test.field != "" && (e.Detail == nil || e.Detail.Field != test.field) {
			t.Errorf("%s: %d %s, want %d %s at %q", name, w.Code, w.Body, test.status, test.code, test.field)
		}
	}
}

// Orders of a sub merchant are found, closed and refunded under its number
// only, and share the provider's numbers.
func TestPartnerOrdersBelongToTheSubMerchant(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{Merchants: []Merchant{{
		MchID: DefaultMchID, APIv3Key: []byte(DefaultAPIv3Key), AppIDs: []string{DefaultAppID},
		Certificates: []MerchantCertificate{{Serial: DefaultCertificateSerial, PublicKey: &merchantKey().PublicKey}},
		SubMerchants: []SubMerchant{{MchID: DefaultSubMchID}, {MchID: "77"}},
	}}})
	mustStatus(t, partner(http.MethodPost, "native", partnerBody(t, nil)).send(t, s), http.StatusOK)
	path := "out-trade-no/T00001"
	otherSub := "?sp_mchid=" + DefaultMchID + "&sub_mchid=77"
	for name, c := range map[string]call{
		"as a direct order":    query("T00001"),
		"another sub merchant": partner(http.MethodGet, path+otherSub, ""),
		"closed by another":    partner(http.MethodPost, path+"/close", `{"sp_mchid":"`+DefaultMchID+`","sub_mchid":"77"}`),
		"closed directly":      closing("T00001"),
	} {
		w := c.send(t, s)
		if e := errorOf(t, w); w.Code != http.StatusNotFound || e.Code != "ORDER_NOT_EXIST" {
			t.Errorf("%s: %d %s, want 404 ORDER_NOT_EXIST", name, w.Code, w.Body)
		}
	}
	for name, c := range map[string]call{
		"query without sub merchant": partner(http.MethodGet, path+"?sp_mchid="+DefaultMchID, ""),
		"query of a direct merchant": partner(http.MethodGet, path+"?mchid="+DefaultMchID, ""),
		"other provider":             partner(http.MethodGet, path+"?sp_mchid=2&sub_mchid="+DefaultSubMchID, ""),
		"close without sub merchant": partner(http.MethodPost, path+"/close", `{"sp_mchid":"`+DefaultMchID+`"}`),
		"number of another order":    native(prepayBody(t, nil)),
	} {
		if w := c.send(t, s); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", name, w.Code)
		}
	}
	mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001"}`), http.StatusOK)
	mustStatus(t, refunding(refundBody(t, "R1", 10, nil)).send(t, s), http.StatusNotFound)
	mustStatus(t, refunding(refundBody(t, "R1", 10, map[string]any{"sub_mchid": "77"})).send(t, s), http.StatusNotFound)
	mustStatus(t, refunding(refundBody(t, "R1", 10, map[string]any{"sub_mchid": DefaultSubMchID})).send(t, s), http.StatusOK)
	mustStatus(t, refundQuery("R1").send(t, s), http.StatusNotFound)
	mustStatus(t, refundQuery("R1?sub_mchid="+DefaultSubMchID).send(t, s), http.StatusOK)
}

func TestPartnerClose(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	mustStatus(t, partner(http.MethodPost, "native", partnerBody(t, nil)).send(t, s), http.StatusOK)
	body := `{"sp_mchid":"` + DefaultMchID + `","sub_mchid":"` + DefaultSubMchID + `"}`
	mustStatus(t, partner(http.MethodPost, "out-trade-no/T00001/close", body).send(t, s), http.StatusNoContent)
}

// A refund of a sub merchant's order is told in the provider's form.
func TestPartnerRefundNotification(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &merchantServer{statuses: []int{200}, since: time.Now()}
		s := newSandbox(t, Options{Now: time.Now, Transport: m})
		mustStatus(t, partner(http.MethodPost, "native", partnerBody(t, nil)).now().send(t, s), http.StatusOK)
		mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001"}`), http.StatusOK)
		refundOf(t, refunding(refundBody(t, "R1", 10, map[string]any{"sub_mchid": DefaultSubMchID})).now().send(t, s))
		after(2 * time.Second)
		_, content := noticeOf(t, m.seen()[1])
		if content.parties != (parties{SPMchID: DefaultMchID, SubMchID: DefaultSubMchID}) {
			t.Errorf("parties = %+v", content.parties)
		}
	})
}
