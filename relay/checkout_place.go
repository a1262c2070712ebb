package relay

import (
	"slices"
	"sync/atomic"
	"time"
)

// CheckoutNeed says where an order can be paid that cannot be paid where its
// page was opened.
type CheckoutNeed string

// The needs of a page with CheckoutWrongPlace.
const (
	NeedWeChat  CheckoutNeed = "wechat"  // inside WeChat
	NeedScreen  CheckoutNeed = "screen"  // with a phone, from another screen that shows the code
	NeedBrowser CheckoutNeed = "browser" // in the browser of a phone, outside WeChat
	NeedApp     CheckoutNeed = "app"     // in the shop's own app or mini-program
)

// place is what can be done where a page was opened: pay by trade, or go
// where need says.
type place struct {
	trade TradeType
	need  CheckoutNeed
}

// here lists, by surroundings, what is done when a trade type is possible;
// the first that is decides. WeChat pays by JSAPI and lets no H5 payment in,
// nor a code be read from a picture; a phone cannot scan its own screen; a
// mini-program's web view can do nothing but lead out.
var here = map[Surroundings][]place{
	SurroundWeChat:      {{trade: TradeJSAPI}, {TradeNative, NeedScreen}, {TradeH5, NeedBrowser}},
	SurroundMiniProgram: {{TradeJSAPI, NeedWeChat}, {TradeNative, NeedScreen}, {TradeH5, NeedBrowser}},
	SurroundPhone:       {{trade: TradeH5}, {TradeJSAPI, NeedWeChat}, {TradeNative, NeedScreen}},
	SurroundDesktop:     {{trade: TradeNative}, {TradeJSAPI, NeedWeChat}, {TradeH5, NeedBrowser}},
}

// placeFor picks the trade type for where a page was opened, or says where
// to go. Clients whose buyers pay in their own app or mini-program alone have
// no cashier. It reports false when a phone is in the right place, and WeChat
// cannot be asked for it.
func (s *Service) placeFor(where Surroundings, c *Client, m *merchant, payerIP string) (place, bool) {
	barred := false
	for _, p := range here[where] {
		switch {
		case !s.possible(p.trade, c, m):
		case p.trade == TradeH5 && p.need == "" && (payerIP == "" || m.noH5.is(s.rt.now())):
			barred = true // WeChat wants the phone's address, and gives its leave
		default:
			return p, true
		}
	}
	return place{need: NeedApp}, !barred
}

// possible reports whether the client may use a trade type and the merchant
// has the account for it.
func (s *Service) possible(t TradeType, c *Client, m *merchant) bool {
	if !slices.Contains(c.Allow, t) {
		return false
	}
	_, err := s.accountOf(c, m, tradeRules[t].kinds...)
	return err == nil
}

// noLeaveFor is how long a merchant whom WeChat does not let take H5 payments
// is not tried again.
const noLeaveFor = 10 * time.Minute

// noLeave remembers that WeChat refused a product to a merchant, so that its
// buyers are sent another way at once. The zero value refuses nothing.
type noLeave struct{ until atomic.Int64 }

func (n *noLeave) note(now time.Time) { n.until.Store(now.Add(noLeaveFor).Unix()) }

func (n *noLeave) is(now time.Time) bool { return now.Unix() < n.until.Load() }

// saysNoLeave reports whether a refusal is that WeChat does not let the
// merchant use the product at all.
func saysNoLeave(known *Error) bool {
	return known.Kind == KindUpstream && hasCode(&GatewayError{Code: known.UpstreamCode}, "NOAUTH")
}
