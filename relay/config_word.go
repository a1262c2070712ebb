package relay

import "fmt"

// The words of an allow list that are no trade types.
const (
	allowRefund  = "refund"
	allowSharing = "profit_sharing"
)

// AllTradeTypes are what a client may use when nothing else is said.
func AllTradeTypes() []TradeType {
	return []TradeType{TradeJSAPI, TradeNative, TradeH5, TradeApp, TradeMiniProgram}
}

// Allowance is what a client's allow list says.
type Allowance struct {
	Trades  []TradeType
	Refund  bool
	Sharing bool // profit_sharing
}

// ParseAllow reads an allow list. Without any trade type in it, the client
// gets all of them beside what is named, because refunds alone are of no use.
func ParseAllow(words []string) (Allowance, error) {
	var a Allowance
	for _, word := range words {
		switch word {
		case allowRefund:
			a.Refund = true
		case allowSharing:
			a.Sharing = true
		default:
			t, err := ParseTradeType(word)
			if err != nil {
				return Allowance{}, err
			}
			a.Trades = append(a.Trades, t)
		}
	}
	if len(a.Trades) == 0 {
		a.Trades = AllTradeTypes()
	}
	return a, nil
}

// CheckAllow refuses words that no allow list may hold.
func CheckAllow(word string) error {
	_, err := ParseAllow([]string{word})
	return err
}

// ParseTradeType reads a way to pay.
func ParseTradeType(s string) (TradeType, error) {
	switch t := TradeType(s); t {
	case TradeJSAPI, TradeNative, TradeH5, TradeApp, TradeMiniProgram:
		return t, nil
	default:
		return "", fmt.Errorf("unrecognized trade type %q; known are jsapi, native, h5, app, mini_program, and refund and profit_sharing beside them", s)
	}
}

// ParseNotifyFormat reads the form in which a client is told.
func ParseNotifyFormat(s string) (NotifyFormat, error) {
	switch f := NotifyFormat(s); f {
	case NotifyStandard, NotifyGet, NotifyWeChatV2, NotifyWeChatV3:
		return f, nil
	default:
		return "", fmt.Errorf("unrecognized notify format %q; known are standard, get, wechat_v2 and wechat_v3", s)
	}
}

// ParseAccountKind reads the kind of an account.
func ParseAccountKind(s string) (AccountKind, error) {
	switch k := AccountKind(s); k {
	case AccountOfficial, AccountMiniProgram, AccountMobileApp, AccountWebsiteApp:
		return k, nil
	default:
		return "", fmt.Errorf("unrecognized kind %q; known are official_account, mini_program, mobile_app and website_app", s)
	}
}

// ParseAPI reads the protocol generation that a merchant prefers.
func ParseAPI(s string) (API, error) {
	switch s {
	case "api_v3":
		return APIv3, nil
	case "api_v2":
		return APIv2, nil
	default:
		return "", fmt.Errorf("unrecognized protocol generation %q; known are api_v3 and api_v2", s)
	}
}

// ParseSignType reads the algorithm of APIv2 signatures.
func ParseSignType(s string) (V2SignType, error) {
	switch t := V2SignType(s); t {
	case V2SignMD5, V2SignHMACSHA256:
		return t, nil
	default:
		return "", fmt.Errorf("unrecognized sign type %q; known are MD5 and HMAC-SHA256", s)
	}
}

// ParsePolicy reads what happens to the money of a case.
func ParsePolicy(s string) (CasePolicy, error) {
	switch p := CasePolicy(s); p {
	case PolicyHold, PolicyRefund:
		return p, nil
	default:
		return "", fmt.Errorf("unrecognized policy %q; known are refund and hold", s)
	}
}

// ParseCallback reads whom WeChat notifies of a client's payments.
func ParseCallback(s string) (CallbackMode, error) {
	switch m := CallbackMode(s); m {
	case CallbackRelay, CallbackDirect:
		return m, nil
	default:
		return "", fmt.Errorf("unrecognized callback %q; known are relay and direct", s)
	}
}

// ParseCompat reads which v2-style signatures a client may use.
func ParseCompat(s string) (CompatMode, error) {
	switch m := CompatMode(s); m {
	case CompatHMAC, CompatMD5:
		return m, nil
	default:
		return "", fmt.Errorf("unrecognized v2 algorithm %q; known are hmac and md5", s)
	}
}

// ParseOpenIDPolicy reads which openids a client may name.
func ParseOpenIDPolicy(s string) (OpenIDPolicy, error) {
	switch p := OpenIDPolicy(s); p {
	case OpenIDUnborrowed, OpenIDIssued:
		return p, nil
	default:
		return "", fmt.Errorf("unrecognized openid policy %q; known are issued and unborrowed", s)
	}
}
