package payv3

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Partner is the merchant that a service provider acts for (v3.md section 9).
type Partner struct {
	SubMchID string // the merchant's number
	SubAppID string // its app, in which Payer.SubOpenID is known; may be empty
}

// SettleInfo freezes the money of a payment for profit sharing.
type SettleInfo struct {
	ProfitSharing bool `json:"profit_sharing"`
}

// StoreInfo is the shop that a payment happens in.
type StoreInfo struct {
	ID       string `json:"id"` // up to 32 bytes
	Name     string `json:"name,omitempty"`
	AreaCode string `json:"area_code,omitempty"`
	Address  string `json:"address,omitempty"`
}

// H5Info says from where outside WeChat a payment is begun.
type H5Info struct {
	Type        string `json:"type"` // iOS, Android or Wap
	AppName     string `json:"app_name,omitempty"`
	AppURL      string `json:"app_url,omitempty"`
	BundleID    string `json:"bundle_id,omitempty"`    // of an iOS app
	PackageName string `json:"package_name,omitempty"` // of an Android app
}

// SceneInfo describes where the payer is. H5 payments need it, with H5Info.
type SceneInfo struct {
	PayerClientIP string     `json:"payer_client_ip"` // the payer's real address
	DeviceID      string     `json:"device_id,omitempty"`
	StoreInfo     *StoreInfo `json:"store_info,omitempty"`
	H5Info        *H5Info    `json:"h5_info,omitempty"`
}

// PrepayRequest creates a payment (doc 4012791897 for JSAPI, 4012525171 for
// NATIVE, 4012525153 for H5, 4012525136 for APP). WeChat refuses unknown,
// null and empty members, so what is not given is left out. As it stands it
// is the body of a direct merchant's call; with a Partner, the client sends
// it as a [PartnerPrepayRequest].
type PrepayRequest struct {
	AppID       string      `json:"appid"`                 // a service provider's own with a Partner
	MchID       string      `json:"mchid"`                 // likewise
	Description string      `json:"description"`           // up to 127 bytes
	OutTradeNo  string      `json:"out_trade_no"`          // 6 to 32 of [0-9A-Za-z_|*-]
	TimeExpire  string      `json:"time_expire,omitempty"` // RFC 3339 with offset; only the first call of a number sets it
	Attach      string      `json:"attach,omitempty"`      // up to 128 bytes, echoed
	NotifyURL   string      `json:"notify_url"`            // public, without query
	Amount      Amount      `json:"amount"`
	Payer       *Payer      `json:"payer,omitempty"` // JSAPI only: OpenID, or SubOpenID of the Partner's app
	SceneInfo   *SceneInfo  `json:"scene_info,omitempty"`
	SettleInfo  *SettleInfo `json:"settle_info,omitempty"`
	Partner     *Partner    `json:"-"` // set by service providers
}

// PartnerPrepayRequest is the body of a service provider's call, where the
// names of merchants and apps differ.
type PartnerPrepayRequest struct {
	SPAppID     string      `json:"sp_appid"`
	SPMchID     string      `json:"sp_mchid"`
	SubAppID    string      `json:"sub_appid,omitempty"`
	SubMchID    string      `json:"sub_mchid"`
	Description string      `json:"description"`
	OutTradeNo  string      `json:"out_trade_no"` // unique over all merchants of the provider
	TimeExpire  string      `json:"time_expire,omitempty"`
	Attach      string      `json:"attach,omitempty"`
	NotifyURL   string      `json:"notify_url"`
	Amount      Amount      `json:"amount"`
	Payer       *Payer      `json:"payer,omitempty"` // SPOpenID or SubOpenID
	SceneInfo   *SceneInfo  `json:"scene_info,omitempty"`
	SettleInfo  *SettleInfo `json:"settle_info,omitempty"`
}

// prepayReply holds the one member that WeChat answers for the trade type.
type prepayReply struct {
	PrepayID string `json:"prepay_id"`
	CodeURL  string `json:"code_url"`
	H5URL    string `json:"h5_url"`
}

// PrepayJSAPI creates a payment for a page or mini-program inside WeChat and
// returns its prepay id, which lives for two hours.
func (c *Client) PrepayJSAPI(ctx context.Context, r *PrepayRequest) (prepayID string, err error) {
	reply, err := c.prepay(ctx, "jsapi", r)
	if err == nil && reply.PrepayID == "" {
		err = errors.New("prepay jsapi: answer has no prepay_id")
	}
	return reply.PrepayID, err
}

// PrepayNative creates a payment that is begun by scanning a code and returns
// the code's content, which lives for two hours.
func (c *Client) PrepayNative(ctx context.Context, r *PrepayRequest) (codeURL string, err error) {
	reply, err := c.prepay(ctx, "native", r)
	if err == nil && reply.CodeURL == "" {
		err = errors.New("prepay native: answer has no code_url")
	}
	return reply.CodeURL, err
}

// PrepayH5 creates a payment for a phone browser outside WeChat and returns
// the address to send it to. The address lives for five minutes, is for one
// user, and must be reached by a link from a page of the registered domain.
func (c *Client) PrepayH5(ctx context.Context, r *PrepayRequest) (h5URL string, err error) {
	if r.SceneInfo == nil || r.SceneInfo.PayerClientIP == "" || r.SceneInfo.H5Info == nil {
		return "", errors.New("prepay h5: scene_info with payer_client_ip and h5_info is missing")
	}
	reply, err := c.prepay(ctx, "h5", r)
	if err == nil && reply.H5URL == "" {
		err = errors.New("prepay h5: answer has no h5_url")
	}
	return reply.H5URL, err
}

// PrepayApp creates a payment that a native app begins and returns its prepay
// id, which lives for two hours.
func (c *Client) PrepayApp(ctx context.Context, r *PrepayRequest) (prepayID string, err error) {
	reply, err := c.prepay(ctx, "app", r)
	if err == nil && reply.PrepayID == "" {
		err = errors.New("prepay app: answer has no prepay_id")
	}
	return reply.PrepayID, err
}

func (c *Client) prepay(ctx context.Context, kind string, r *PrepayRequest) (prepayReply, error) {
	op := "prepay " + kind
	if r.MchID != c.mchID {
		return prepayReply{}, fmt.Errorf("%s: request is for another merchant", op)
	}
	body, err := r.body()
	if err != nil {
		return prepayReply{}, fmt.Errorf("%s: %w", op, err)
	}
	target := transactionsPath(r.Partner != nil) + "/" + kind
	answer, err := c.do(ctx, call{op: op, method: http.MethodPost, target: target, body: body})
	if err != nil {
		return prepayReply{}, err
	}
	var reply prepayReply
	if err := decodePeer(answer, &reply); err != nil {
		return prepayReply{}, fmt.Errorf("%s: %w", op, err)
	}
	return reply, nil
}

// body is the request in the form of its kind of merchant. A payer named in
// the other form would be an unknown member to WeChat.
func (r *PrepayRequest) body() ([]byte, error) {
	if r.Partner == nil {
		if p := r.Payer; p != nil && (p.OpenID == "" || p.SPOpenID != "" || p.SubOpenID != "") {
			return nil, errors.New("payer of a direct merchant is an openid alone")
		}
		return json.Marshal(r)
	}
	if r.Partner.SubMchID == "" {
		return nil, errors.New("sub_mchid is missing")
	}
	payer, err := r.partnerPayer()
	if err != nil {
		return nil, err
	}
	return json.Marshal(PartnerPrepayRequest{
		SPAppID:     r.AppID,
		SPMchID:     r.MchID,
		SubAppID:    r.Partner.SubAppID,
		SubMchID:    r.Partner.SubMchID,
		Description: r.Description,
		OutTradeNo:  r.OutTradeNo,
		TimeExpire:  r.TimeExpire,
		Attach:      r.Attach,
		NotifyURL:   r.NotifyURL,
		Amount:      r.Amount,
		Payer:       payer,
		SceneInfo:   r.SceneInfo,
		SettleInfo:  r.SettleInfo,
	})
}

// partnerPayer names the payer as the provider's API does: by the provider's
// app or by the sub merchant's, not by both.
func (r *PrepayRequest) partnerPayer() (*Payer, error) {
	if r.Payer == nil {
		return nil, nil
	}
	p := Payer{SPOpenID: r.Payer.OpenID, SubOpenID: r.Payer.SubOpenID}
	if r.Payer.SPOpenID != "" {
		p.SPOpenID = r.Payer.SPOpenID
	}
	switch {
	case p.SubOpenID != "" && r.Partner.SubAppID == "":
		return nil, errors.New("sub_openid needs sub_appid")
	case (p.SPOpenID == "") == (p.SubOpenID == ""):
		return nil, errors.New("payer is one of openid and sub_openid")
	}
	return &p, nil
}

// transactionsPath is where the calls about payments live.
func transactionsPath(partner bool) string {
	if partner {
		return "/v3/pay/partner/transactions"
	}
	return "/v3/pay/transactions"
}
