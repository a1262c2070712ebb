package relay

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// linkText builds the text of contract section 3.2 that a signed link's sig
// covers.
func linkText(clientID, host, path, rawQuery string) []byte {
	return joinLines(schemeURL, clientID, "GET", host, path, rawQuery)
}

// SignLink returns the sig of an address for a browser: host, path and raw
// query as the browser sends them, without sig itself.
func SignLink(secret Secret, clientID, host, path, rawQuery string) string {
	return base64.RawURLEncoding.EncodeToString(mac(secret, linkText(clientID, host, path, rawQuery)))
}

// linkParams are the parameters of the second handshake, contract section 4.
type linkParams struct {
	clientID, timestamp, nonce, orderNo, amount string
}

// parseLink reads the query of a signed checkout link: known names, each
// exactly once, sig last. What the signature covers is everything before
// "&sig=".
func parseLink(rawQuery string) (p linkParams, signed, sig string, err error) {
	cut := strings.LastIndex(rawQuery, "&sig=")
	if cut < 0 {
		return p, "", "", refuse(KindSign, "sig", "the link is not signed; sig must be its last parameter")
	}
	signed, sig = rawQuery[:cut], rawQuery[cut+len("&sig="):]
	for pair := range strings.SplitSeq(signed, "&") {
		name, raw, _ := strings.Cut(pair, "=")
		place := p.place(name)
		value, uerr := url.QueryUnescape(raw)
		if place == nil || *place != "" || value == "" || uerr != nil {
			return linkParams{}, "", "", refuse(KindParam, "", "the link has a parameter that is unknown, repeated, empty or malformed")
		}
		*place = value
	}
	if p.clientID == "" || p.timestamp == "" || p.orderNo == "" || p.amount == "" || !validNonce(p.nonce) {
		return linkParams{}, "", "", refuse(KindParam, "", "the link needs order_no, amount, client_id, timestamp, nonce and sig")
	}
	return p, signed, sig, nil
}

func (p *linkParams) place(name string) *string {
	switch name {
	case "client_id":
		return &p.clientID
	case "timestamp":
		return &p.timestamp
	case "nonce":
		return &p.nonce
	case "order_no":
		return &p.orderNo
	case "amount":
		return &p.amount
	default:
		return nil
	}
}

// verifyCheckoutLink checks the second handshake: the browser's address must
// be signed by the order's client, fresh, and name this very order and
// amount.
func verifyCheckoutLink(c *Client, o *Order, host, target string, now time.Time) error {
	path, rawQuery, _ := strings.Cut(target, "?")
	if compatLink(c, rawQuery) {
		return verifyCompatLink(c, o, rawQuery, now)
	}
	p, signed, sig, err := parseLink(rawQuery)
	if err != nil {
		return err
	}
	if err := checkTimestamp(p.timestamp, now); err != nil {
		return err
	}
	if !macMatches(c.Secrets, linkText(c.ID, host, path, signed), decodeExact(base64.RawURLEncoding, sig)) {
		return refuse(KindSign, "sig", "the link's signature is wrong")
	}
	if p.clientID != o.ClientID || p.orderNo != o.OrderNo || p.amount != strconv.FormatInt(o.AmountFen, 10) {
		return refuse(KindSign, "", "the link is for another order or amount")
	}
	return nil
}

// returnLink is the buyer's way back to the shop: the order's return address
// with its outcome, signed with the client's notify secret (contract section
// 5). It is empty when the order has no return address.
func returnLink(c *Client, o *Order, now time.Time, nonce string) string {
	if o.ReturnURL == "" || len(c.NotifySecrets) == 0 {
		return ""
	}
	u, err := url.Parse(o.ReturnURL)
	if err != nil {
		return ""
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	query := "client_id=" + o.ClientID +
		"&order_no=" + url.QueryEscape(o.OrderNo) +
		"&status=" + string(o.Status) +
		"&amount=" + strconv.FormatInt(o.AmountFen, 10) +
		"&timestamp=" + strconv.FormatInt(now.Unix(), 10) +
		"&nonce=" + nonce
	sig := SignLink(c.NotifySecrets[0], c.ID, hostOf(u), path, query)
	return u.Scheme + "://" + u.Host + path + "?" + query + "&sig=" + sig
}

// hostOf is an address's host as signatures spell it: lower case, with the
// port only where it is not the scheme's own.
func hostOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "https":
		return strings.TrimSuffix(host, ":443")
	case "http":
		return strings.TrimSuffix(host, ":80")
	default:
		return host
	}
}
