package relay

import (
	"context"
	"slices"
)

// wish is how somebody wants to pay an order.
type wish struct {
	client  *Client
	order   OrderKey
	trade   TradeType
	openID  string
	payerIP string // of the buyer; empty when it is not known
	account string // name; empty: the client's

	// Found by choosePayer: what WeChat is told under, and where the buyer is.
	appID, subAppID, payerAppID string
}

// tradeRule is what a way to pay needs (v3.md section 9).
type tradeRule struct {
	kinds   []AccountKind // of the account that the buyer pays in, the best first
	openID  bool
	payerIP bool
}

var tradeRules = map[TradeType]tradeRule{
	TradeJSAPI:       {kinds: []AccountKind{AccountOfficial}, openID: true},
	TradeMiniProgram: {kinds: []AccountKind{AccountMiniProgram}, openID: true},
	TradeApp:         {kinds: []AccountKind{AccountMobileApp}},
	// A code or a link is paid from anywhere: any app id of the merchant will
	// do, and the official account is the one whose name buyers know.
	TradeNative: {kinds: []AccountKind{AccountOfficial, AccountMiniProgram, AccountMobileApp}},
	TradeH5:     {kinds: []AccountKind{AccountOfficial, AccountMiniProgram, AccountMobileApp}, payerIP: true},
}

// checkWish refuses what the client may not do, before anything is stored.
func (s *Service) checkWish(w *wish) error {
	rule, known := tradeRules[w.trade]
	switch {
	case !known:
		return refuse(KindParam, "trade_type", "jsapi, native, h5, app or mini_program")
	case !slices.Contains(w.client.Allow, w.trade):
		return refusef(KindNoAuth, "trade_type", "this client is not allowed %s", w.trade)
	case rule.openID && (w.openID == "" || len(w.openID) > maxOpenID || !onlyChars(w.openID, isURLSafe)):
		return refusef(KindParam, "openid", "needed for %s: the buyer's openid under the account", w.trade)
	case !rule.openID && w.openID != "":
		return refusef(KindParam, "openid", "not used by %s; leave it out", w.trade)
	case rule.payerIP && w.payerIP == "":
		return refusef(KindParam, "payer_ip", "needed for %s: the address of the buyer's phone", w.trade)
	}
	return nil
}

// choosePayer finds the account that the buyer pays in, among those of the
// order's merchant, and checks that the openid is one of it. Merchant, app id
// and openid have to fit before WeChat is called, because WeChat's own words
// do not say which of the three was wrong.
func (s *Service) choosePayer(ctx context.Context, w *wish, m *merchant) error {
	rule := tradeRules[w.trade]
	a, err := s.payingAccount(w, m, rule.kinds)
	if err != nil {
		return err
	}
	w.payerAppID, w.appID = a.AppID, a.AppID
	if m.SubMchID != "" {
		w.forSubMerchant(m, rule, s.ownApp(m))
	}
	if !rule.openID {
		return nil
	}
	return s.checkPayer(ctx, w.client, w.openID, w.payerAppID)
}

// forSubMerchant tells the app ids of a service provider's payment: its own
// always, and the sub merchant's unless the buyer pays in an app of the
// provider, where the openid would be of the wrong one (v3.md section 9).
func (w *wish) forSubMerchant(m *merchant, rule tradeRule, own string) {
	if w.payerAppID == m.SubAppID {
		w.appID = own
	}
	inOwnApp := w.payerAppID != m.SubAppID && (rule.openID || w.trade == TradeApp)
	if m.SubAppID != "" && !inOwnApp {
		w.subAppID, w.payerAppID = m.SubAppID, m.SubAppID
	}
}

// ownApp is the app id of the merchant itself: that of its first account
// which is not the sub merchant's, for whom a service provider collects.
func (s *Service) ownApp(m *merchant) string {
	for _, name := range m.Accounts {
		if a := s.accounts[name]; a != nil && a.AppID != m.SubAppID {
			return a.AppID
		}
	}
	return "" // no valid configuration
}

// payingAccount finds the account whose app id the payment carries.
func (s *Service) payingAccount(w *wish, m *merchant, kinds []AccountKind) (*Account, error) {
	if w.account == "" {
		return s.accountOf(w.client, m, kinds...)
	}
	a := s.accounts[w.account]
	switch {
	case a == nil || !slices.Contains(m.Accounts, w.account):
		return nil, refusef(KindParam, "account", "not an account bound to merchant %s", m.Name)
	case !slices.Contains(kinds, a.Kind):
		return nil, refusef(KindParam, "account", "%s is of kind %s, but %s needs %s", a.Name, a.Kind, w.trade, kinds[0])
	}
	return a, nil
}
