package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/wxrelay/wxrelay/internal/beijing"
	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
)

// Bounds of an order, contract section 4.
const (
	maxAmountFen      = 1_000_000_000
	maxDescription    = 512
	maxAttach         = 127
	maxOpenID         = 128
	maxAddress        = 1024
	maxDirectAddress  = 255 // WeChat's own bound of a notify address, v3.md section 9
	maxMetadata       = 4 << 10
	minExpiresIn      = 60
	maxExpiresIn      = 604_800
	defaultExpiresIn  = 7200
	checkoutTokenSize = 22
)

var defaultOrderNo = regexp.MustCompile(`^[0-9A-Za-z_-]{1,32}$`)

// CreateOrderRequest is the body of POST /v1/orders. Optional fields left
// out are zero or nil.
type CreateOrderRequest struct {
	OrderNo       string          `json:"order_no"`
	Amount        *int64          `json:"amount"` // fen
	Description   string          `json:"description"`
	Attach        string          `json:"attach"`
	NotifyURL     string          `json:"notify_url"`
	ReturnURL     string          `json:"return_url"`
	ExpiresIn     *int64          `json:"expires_in"` // seconds
	OpenID        string          `json:"openid"`
	ProfitSharing bool            `json:"profit_sharing"`
	Metadata      json.RawMessage `json:"metadata"`
}

// CreateOrder stores an order before it answers. The same order with the
// same content answers as before, with created false; other content is
// KindOrderConflict.
func (s *Service) CreateOrder(ctx context.Context, caller *Caller, req CreateOrderRequest) (v CreatedOrderView, created bool, err error) {
	o, err := s.newOrder(caller.Client, &req)
	if err != nil {
		return v, false, err
	}
	var stored Order // read only when Update says that it is done
	var made bool
	err = s.rt.store.Update(ctx, func(tx Tx) error {
		if err := s.claimNonce(tx, caller); err != nil {
			return err
		}
		old, err := tx.Order(o.OrderKey)
		switch {
		case errors.Is(err, ErrNotFound):
			stored, made = *o, true
			if err := countDay(tx, caller.Client, o); err != nil {
				return err
			}
			return tx.PutOrder(o)
		case err != nil:
			return err
		case !sameContent(&old, o):
			return refuse(KindOrderConflict, "order_no", "this order exists with other content; use a new order_no")
		}
		stored = old
		return nil
	})
	if err != nil {
		return v, false, outcome(err)
	}
	if made && s.rt.observe.Order != nil {
		s.rt.observe.Order()
	}
	return s.createdView(&stored), made, nil
}

// newOrder checks a request and fills in what it leaves out.
func (s *Service) newOrder(c *Client, req *CreateOrderRequest) (*Order, error) {
	for _, check := range []func(*Client, *CreateOrderRequest) *Error{
		checkOrderNo, checkAmount, checkTexts, checkExpiry, checkAddresses, checkMetadata, checkSharing,
	} {
		if refusal := check(c, req); refusal != nil {
			return nil, refusal
		}
	}
	if u, err := url.Parse(req.NotifyURL); err == nil && req.NotifyURL != "" && s.owns(u) {
		return nil, refuse(KindParam, "notify_url", "that is an address of the relay itself; give one of your site")
	}
	m, err := s.merchantOf(c)
	if err != nil {
		return nil, err
	}
	if req.ProfitSharing && !m.speaks(APIv3) {
		return nil, refusef(KindParam, "profit_sharing", "merchant %s has no APIv3 credentials, with which alone money is shared", m.Name)
	}
	if direct(c) && m.prefer == APIv2 && payv2.Ambiguous(req.Attach) {
		return nil, refuse(KindParam, "attach", "WeChat gets it with callback direct, and API v2 cannot carry & with a name and = behind it")
	}
	if c.Notify == NotifyWeChatV2 && payv2.Ambiguous(req.Attach) {
		return nil, refuse(KindParam, "attach", "notify wechat_v2 cannot carry & with a name and = behind it")
	}
	token, err := s.rt.random.token()
	if err != nil {
		return nil, err
	}
	now := s.rt.now().Truncate(time.Second)
	life := time.Duration(*req.ExpiresIn) * time.Second
	return &Order{
		OrderKey:      OrderKey{ClientID: c.ID, OrderNo: req.OrderNo},
		Token:         token,
		AmountFen:     *req.Amount,
		Description:   req.Description,
		Attach:        req.Attach,
		NotifyURL:     req.NotifyURL,
		ReturnURL:     req.ReturnURL,
		ExpiresIn:     life,
		OpenID:        req.OpenID,
		ProfitSharing: req.ProfitSharing,
		Metadata:      req.Metadata,
		MchID:         m.MchID,
		SubMchID:      m.SubMchID,
		Status:        OrderCreated,
		Version:       1,
		CreatedAt:     now,
		ExpiresAt:     now.Add(life),
	}, nil
}

// countDay adds an order to what its client asked for on this Beijing day,
// and refuses one that would exceed the client's limit. Orders that are never
// paid count too: the limit bounds what a leaked key can ask for.
func countDay(tx Tx, c *Client, o *Order) error {
	if c.DailyFen == 0 {
		return nil
	}
	key := TallyKey{Name: "client:" + c.ID, Day: beijing.Day(o.CreatedAt)}
	sum, err := tx.Tally(key)
	if err != nil {
		return err
	}
	if o.AmountFen > c.DailyFen-sum {
		return refusef(KindNoAuth, "amount", "this client may ask for at most %d fen a day, of which %d are left until midnight in Beijing", c.DailyFen, max(c.DailyFen-sum, 0))
	}
	return tx.PutTally(key, sum+o.AmountFen)
}

// sameContent compares what the client asked for. A field left out was
// filled with its default on both sides.
func sameContent(a, b *Order) bool {
	return a.AmountFen == b.AmountFen && a.Description == b.Description && a.Attach == b.Attach &&
		a.NotifyURL == b.NotifyURL && a.ReturnURL == b.ReturnURL && a.ExpiresIn == b.ExpiresIn &&
		a.OpenID == b.OpenID && a.ProfitSharing == b.ProfitSharing && bytes.Equal(a.Metadata, b.Metadata)
}

func checkOrderNo(c *Client, req *CreateOrderRequest) *Error {
	if !defaultOrderNo.MatchString(req.OrderNo) {
		return refuse(KindParam, "order_no", "1 to 32 characters of 0-9 A-Z a-z _ -")
	}
	if c.OrderNo != nil && !c.OrderNo.MatchString(req.OrderNo) {
		return refusef(KindParam, "order_no", "this client's order numbers match %s", c.OrderNo)
	}
	return nil
}

func checkAmount(c *Client, req *CreateOrderRequest) *Error {
	switch {
	case req.Amount == nil:
		return refuse(KindParam, "amount", "needed: integer fen")
	case *req.Amount < 1 || *req.Amount > maxAmountFen:
		return refuse(KindParam, "amount", "integer fen from 1 to 1000000000")
	case c.MaxAmountFen > 0 && *req.Amount > c.MaxAmountFen:
		return refusef(KindNoAuth, "amount", "this client may ask for at most %d fen per order", c.MaxAmountFen)
	}
	return nil
}

func checkTexts(_ *Client, req *CreateOrderRequest) *Error {
	switch {
	case req.Description == "" || len(req.Description) > maxDescription || !plainText(req.Description):
		return refuse(KindParam, "description", "1 to 512 bytes of UTF-8 without control characters")
	case len(req.Attach) > maxAttach || !plainText(req.Attach):
		return refuse(KindParam, "attach", "at most 127 bytes of UTF-8 without control characters")
	case len(req.OpenID) > maxOpenID || !onlyChars(req.OpenID, isURLSafe):
		return refuse(KindParam, "openid", "at most 128 characters of 0-9 A-Z a-z _ -")
	}
	return nil
}

// plainText refuses what could break out of a header, a log line or a page:
// control characters and the marks that reorder text (threats C13).
func plainText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
	})
}

func checkExpiry(_ *Client, req *CreateOrderRequest) *Error {
	if req.ExpiresIn == nil {
		req.ExpiresIn = new(int64(defaultExpiresIn))
	}
	if *req.ExpiresIn < minExpiresIn || *req.ExpiresIn > maxExpiresIn {
		return refuse(KindParam, "expires_in", "seconds from 60 to 604800")
	}
	return nil
}

func checkSharing(c *Client, req *CreateOrderRequest) *Error {
	if req.ProfitSharing && !c.AllowSharing {
		return refuse(KindNoAuth, "profit_sharing", "this client is not allowed profit_sharing")
	}
	return nil
}

func checkAddresses(c *Client, req *CreateOrderRequest) *Error {
	if req.NotifyURL == "" {
		req.NotifyURL = c.NotifyURL
	} else if req.NotifyURL != c.NotifyURL {
		if refusal := checkAddress(c, "notify_url", req.NotifyURL); refusal != nil {
			return refusal
		}
	}
	if direct(c) && len(req.NotifyURL) > maxDirectAddress {
		return refusef(KindParam, "notify_url", "at most %d bytes with callback direct, because WeChat takes no more", maxDirectAddress)
	}
	if req.ReturnURL == "" {
		return nil
	}
	return checkAddress(c, "return_url", req.ReturnURL)
}

// checkAddress allows a plain address on one of the client's origins. The
// address is parsed and its origin compared as a whole; it is never compared
// as a prefix (threats section D).
func checkAddress(c *Client, field, address string) *Error {
	origin, ok := originOf(address)
	if !ok {
		return refuse(KindParam, field, "an absolute http or https address of ASCII without user, query or fragment")
	}
	if !slices.Contains(c.AllowOrigins, origin) {
		return refuse(KindParam, field, "its origin is not among this client's allow_origin")
	}
	return nil
}

// originOf takes scheme, host and port of an address that clients may give.
func originOf(address string) (string, bool) {
	if len(address) > maxAddress || strings.ContainsAny(address, "\\?#@") || !onlyChars(address, isVisibleASCII) {
		return "", false
	}
	u, err := parseAbsolute(address) // as allow_origin was, so that the two compare
	if err != nil || !onlyChars(u.Path, isNoControl) {
		return "", false
	}
	return u.Scheme + "://" + u.Host, true
}

func isVisibleASCII(c byte) bool { return 0x21 <= c && c <= 0x7e }

func isNoControl(c byte) bool { return c >= 0x20 && c != 0x7f }

func checkMetadata(_ *Client, req *CreateOrderRequest) *Error {
	if len(req.Metadata) == 0 {
		req.Metadata = nil
		return nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, req.Metadata); err != nil || compact.Len() > maxMetadata || compact.Bytes()[0] != '{' {
		return refuse(KindParam, "metadata", "a JSON object of at most 4096 bytes")
	}
	req.Metadata = compact.Bytes()
	return nil
}
