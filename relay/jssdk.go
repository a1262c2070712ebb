package relay

import (
	"context"
	"slices"

	"github.com/wxrelay/wxrelay/relay/wechat/jssdk"
)

// PageSignature lets one page call WeChat's JS-SDK: what wx.config takes, under
// WeChat's own names, and the address for which it holds.
type PageSignature struct {
	AppID     string `json:"appId"`
	Timestamp int64  `json:"timestamp"`
	NonceStr  string `json:"nonceStr"`
	Signature string `json:"signature"`
	URL       string `json:"url"`
}

// OwnPageRequest is a page that asks for its own signature. Its browser says
// where it lies; whoever makes that up gets what no other page can use.
type OwnPageRequest struct {
	URL      string
	Origin   string // from the browser
	ClientID string // which client's account signs, where several have the origin; may be empty
}

// SignPage signs a page for its client's server. Pages of other origins than
// the client's are refused: the account would vouch for them.
func (s *Service) SignPage(ctx context.Context, caller *Caller, pageURL string) (PageSignature, error) {
	p, err := parsePage(pageURL)
	if err != nil {
		return PageSignature{}, err
	}
	if !slices.Contains(caller.Client.AllowOrigins, p.Origin()) {
		return PageSignature{}, refuse(KindNoAuth, "url", "is not of an origin that is allowed to this client")
	}
	account, err := s.accountOfKind(caller.Client, "", AccountOfficial)
	if err != nil {
		return PageSignature{}, err
	}
	return s.signPage(ctx, account, p)
}

// SignOwnPage signs a page for itself. Such requests carry no signature and
// have a rate limit apart from that of the client's server, so that visitors
// cannot use that up.
func (s *Service) SignOwnPage(ctx context.Context, req OwnPageRequest) (PageSignature, error) {
	client, account, err := s.pageClient(req.Origin, req.ClientID)
	if err != nil {
		return PageSignature{}, err
	}
	if !s.rt.limits.allow("pages of "+client.ID, client.Rate, s.rt.now()) {
		return PageSignature{}, refuse(KindRate, "", "too many pages ask at once; try again in a moment")
	}
	p, err := parsePage(req.URL)
	if err != nil {
		return PageSignature{}, err
	}
	if p.Origin() != req.Origin {
		return PageSignature{}, refuse(KindNoAuth, "url", "is not of the page that asks")
	}
	return s.signPage(ctx, account, p)
}

// AllowsOrigin reports whether pages of an origin, as browsers spell it, may
// ask for their signature.
func (s *Service) AllowsOrigin(origin string) bool {
	return slices.ContainsFunc(s.cfg.Clients, func(c *Client) bool { return slices.Contains(c.AllowOrigins, origin) })
}

// pageClient finds whose page it is. Where several clients have the origin and
// their accounts differ, the page must say whose it is.
func (s *Service) pageClient(origin, clientID string) (client *Client, account *Account, err error) {
	err = refuse(KindNoAuth, "", "pages of this origin may not ask")
	for _, c := range s.cfg.Clients {
		if !slices.Contains(c.AllowOrigins, origin) || (clientID != "" && c.ID != clientID) {
			continue
		}
		a, none := s.accountOfKind(c, "", AccountOfficial)
		switch {
		case none != nil && client == nil:
			err = none
		case none != nil, a == account:
		case client != nil:
			return nil, nil, refuse(KindParam, "client_id", "several clients have pages of this origin; say whose this is")
		default:
			client, account, err = c, a, nil
		}
	}
	return client, account, err
}

func (s *Service) signPage(ctx context.Context, a *Account, p jssdk.Page) (PageSignature, error) {
	ticket, err := s.jsTicket(ctx, a)
	if err != nil {
		return PageSignature{}, err
	}
	nonce, err := s.rt.random.state()
	if err != nil {
		return PageSignature{}, err
	}
	signed := PageSignature{AppID: a.AppID, Timestamp: s.rt.now().Unix(), NonceStr: nonce, URL: p.URL()}
	signed.Signature = jssdk.Sign(string(ticket.Reveal()), signed.NonceStr, signed.Timestamp, p)
	return signed, nil
}

// parsePage reads the address of a page as its browser has it.
func parsePage(address string) (jssdk.Page, error) {
	p, err := jssdk.ParsePage(address)
	if err != nil {
		return p, &Error{Kind: KindParam, Field: "url", Message: "must be the page's location.href, escaped once: absolute, at most 2048 bytes", Err: err}
	}
	return p, nil
}
