package relay

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"time"
	"unicode/utf8"
)

// Bounds of sharing, WeChat's own (v3.md section 16).
const (
	splitNotBefore    = time.Minute
	splitNotAfter     = 30 * 24 * time.Hour
	returnNotAfter    = 180 * 24 * time.Hour
	maxSplits         = 50
	maxReceivers      = 50
	maxReceiverText   = 80  // bytes of a description
	maxReceiverName   = 100 // bytes; encrypted, 214 are the most
	maxReceiverID     = 64
	maxCustomRelation = 10 // characters
	// maxSplitRecords and maxReturns bound what one order and one split hold.
	maxSplitRecords = 200
	maxReturns      = 50
	// unfreezeText is what WeChat is told of an unfreezing when the client says
	// nothing: "sharing has ended".
	unfreezeText = "分账已完成"
)

var splitNumber = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

// SplitRequest is the body of POST /v1/orders/{order_no}/profit-sharing.
type SplitRequest struct {
	SplitNo     string                 `json:"split_no"`
	Receivers   []SplitReceiverRequest `json:"receivers"`
	Unfreeze    bool                   `json:"unfreeze"`
	Description string                 `json:"description"`
}

// SplitReceiverRequest is one receiver in it.
type SplitReceiverRequest struct {
	Type        ReceiverType `json:"type"`
	Account     string       `json:"account"`
	Name        string       `json:"name"`
	Amount      int64        `json:"amount"`
	Description string       `json:"description"`
}

// check refuses what WeChat would, before anything is stored.
func (req *SplitRequest) check() error {
	if !splitNumber.MatchString(req.SplitNo) || req.SplitNo == receiversWord {
		return refuse(KindParam, "split_no", "1 to 64 characters of 0-9 A-Z a-z _ -")
	}
	if len(req.Receivers) == 0 && !req.Unfreeze {
		return refuse(KindParam, "receivers", "needed, or unfreeze true")
	}
	if len(req.Receivers) > maxReceivers {
		return refusef(KindParam, "receivers", "at most %d", maxReceivers)
	}
	if len(req.Receivers) > 0 && req.Description != "" {
		return refuse(KindParam, "description", "used by an unfreezing without receivers alone; each receiver has its own")
	}
	if req.Description != "" && !shareText(req.Description, maxReceiverText) {
		return refuse(KindParam, "description", "at most 80 bytes of UTF-8 without control characters or emoji")
	}
	seen := make(map[string]bool, len(req.Receivers))
	for i := range req.Receivers {
		r := &req.Receivers[i]
		if err := r.check(fmt.Sprintf("receivers[%d].", i)); err != nil {
			return err
		}
		who := string(r.Type) + " " + r.Account
		if seen[who] {
			return refuse(KindParam, fmt.Sprintf("receivers[%d].account", i), "is there twice; WeChat Pay takes each receiver once")
		}
		seen[who] = true
	}
	return nil
}

func (r *SplitReceiverRequest) check(at string) error {
	if err := checkReceiver(at, r.Type, r.Account, r.Name); err != nil {
		return err
	}
	if r.Amount < 1 || r.Amount > maxAmountFen {
		return refuse(KindParam, at+"amount", "integer fen, 1 or more")
	}
	if !shareText(r.Description, maxReceiverText) {
		return refuse(KindParam, at+"description", "1 to 80 bytes of UTF-8 without control characters or emoji")
	}
	return nil
}

// checkReceiver refuses what names nobody.
func checkReceiver(at string, kind ReceiverType, account, name string) error {
	switch kind {
	case ReceiverMerchant:
		if len(account) > 32 || account == "" || !onlyChars(account, isDigit) {
			return refuse(KindParam, at+"account", "a merchant number: up to 32 digits")
		}
	case ReceiverOpenID, ReceiverSubOpenID:
		if len(account) > maxReceiverID || account == "" || !onlyChars(account, isURLSafe) {
			return refuse(KindParam, at+"account", "an openid: up to 64 characters of 0-9 A-Z a-z _ -")
		}
	default:
		return refuse(KindParam, at+"type", "merchant_id, personal_openid or personal_sub_openid")
	}
	if name != "" && !shareText(name, maxReceiverName) {
		return refuse(KindParam, at+"name", "at most 100 bytes of UTF-8 without control characters or emoji")
	}
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// shareText is text that WeChat takes: it refuses four-byte characters
// (v3.md section 2).
func shareText(s string, maxLen int) bool {
	if s == "" || len(s) > maxLen || !plainText(s) {
		return false
	}
	for _, r := range s {
		if utf8.RuneLen(r) > 3 {
			return false
		}
	}
	return true
}

// digest is what two requests for the same thing have in common. It stands in
// the store instead of receivers' names.
func digest[R any](orderNo string, req *R) (string, error) {
	text, err := json.Marshal(req)
	if err != nil {
		return "", fmt.Errorf("encoding request: %w", err)
	}
	sum := sha256.Sum256(append([]byte(orderNo+"\n"), text...))
	return hex.EncodeToString(sum[:]), nil
}

// sharable refuses a split of an order by its state and WeChat's times.
func sharable(o *Order, now time.Time) error {
	switch {
	case !o.ProfitSharing:
		return refuse(KindOrderConflict, "", "the order was not made with profit_sharing")
	case !o.Status.Settled():
		return refuse(KindOrderConflict, "", "the order is not paid")
	case now.Before(o.PaidAt.Add(splitNotBefore)):
		return &Error{Kind: KindOrderConflict, Message: "WeChat Pay shares no sooner than one minute after the payment; ask again then"}
	case now.After(o.PaidAt.Add(splitNotAfter)):
		return refuse(KindOrderConflict, "", "WeChat Pay shares within 30 days of the payment; the money is the merchant's since")
	}
	return nil
}

// shares is what the splits of a payment took and gave back.
type shares struct {
	taken    int64 // got by receivers or on its way to them, ever
	returned int64
	count    int  // splits that WeChat did not refuse
	ended    bool // what is left was unfrozen
}

// sharesOf adds up the splits of a payment.
func sharesOf(r SplitReader, p *Payment, o *Order) (sum shares, err error) {
	for _, no := range o.Splits {
		sp, err := r.Split(SplitKey{MchID: p.MchID, OutOrderNo: no})
		if err != nil {
			return sum, err
		}
		if sp.OutTradeNo != p.OutTradeNo || sp.Status == SplitFailed {
			continue
		}
		sum.count++
		sum.taken += sp.SharedFen()
		sum.returned += sp.ReturnedFen()
		sum.ended = sum.ended || sp.Unfreeze
	}
	return sum, nil
}

// left refuses a split of more than nobody has yet.
func (sum *shares) left(p *Payment, o *Order, wanted int64) error {
	switch {
	case sum.ended:
		return refuse(KindOrderConflict, "", "the sharing of this order has ended: what was left is the merchant's")
	case sum.count >= maxSplits || len(o.Splits) >= maxSplitRecords:
		return refusef(KindOrderConflict, "", "WeChat Pay takes at most %d splits of one order", maxSplits)
	}
	if free := p.PaidFen - p.ReservedFen - sum.taken; wanted > free {
		return refusef(KindAmountExceeded, "receivers", "at most %d fen are left to share", max(free, 0))
	}
	return nil
}

// checkUnshared refuses to refund what receivers have: WeChat would take it
// from the merchant alone, or refuse (v3.md section 16).
func checkUnshared(r SplitReader, p *Payment, o *Order, refundFen int64) error {
	if o == nil || len(o.Splits) == 0 {
		return nil
	}
	sum, err := sharesOf(r, p, o)
	if err != nil {
		return err
	}
	free := p.PaidFen - p.ReservedFen - (sum.taken - sum.returned)
	if refundFen > free {
		return refusef(KindAmountExceeded, "amount", "return %d fen from the receivers first: they have part of this order's money", refundFen-free)
	}
	return nil
}

// sharing is the power of a client's merchant to share.
func (s *Service) sharing(c *Client, m *merchant) (SharingGateway, error) {
	if !c.AllowSharing {
		return nil, refuse(KindNoAuth, "profit_sharing", "this client is not allowed profit_sharing")
	}
	g, ok := m.connections[APIv3].gateway.(SharingGateway)
	if !ok {
		return nil, refusef(KindNoAuth, "profit_sharing", "merchant %s cannot share: it has no api_v3", m.Name)
	}
	return g, nil
}
