package relay

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// compatLinkNames are the parameters of the second handshake in its v2-style
// form, contract sections 3.3 and 4.
var compatLinkNames = [...]string{"order_no", "amount", "client_id", "timestamp", "nonce_str", "sign_type", "sign"}

// compatLink reports whether the second handshake of a client that may sign
// v2-style came in that form.
func compatLink(c *Client, rawQuery string) bool {
	return c.Compat != "" && !strings.Contains("&"+rawQuery, "&sig=") && strings.Contains("&"+rawQuery, "&sign=")
}

// verifyCompatLink checks the second handshake in its v2-style form. Unlike
// the signature of a signed link, this one does not cover the address; it
// names the order, of which a client has one.
func verifyCompatLink(c *Client, o *Order, rawQuery string, now time.Time) error {
	fields, err := parseCompatLink(rawQuery)
	if err != nil {
		return err
	}
	a, err := parseCompat(fields)
	if err != nil {
		return err
	}
	if err := checkTimestamp(a.timestamp, now); err != nil {
		return err
	}
	if !compatMatches(c, &a, fields) {
		return refuse(KindSign, "sign", "the link's signature is wrong")
	}
	if err := checkCompat(c, a.signType, false); err != nil {
		return err
	}
	if a.clientID != o.ClientID || fields["order_no"] != o.OrderNo || fields["amount"] != strconv.FormatInt(o.AmountFen, 10) {
		return refuse(KindSign, "", "the link is for another order or amount")
	}
	return nil
}

// parseCompatLink takes known names only, each once and with a value.
func parseCompatLink(rawQuery string) (map[string]string, error) {
	fields := make(map[string]string, len(compatLinkNames))
	for pair := range strings.SplitSeq(rawQuery, "&") {
		name, raw, _ := strings.Cut(pair, "=")
		value, err := url.QueryUnescape(raw)
		if err != nil || value == "" || fields[name] != "" || !slices.Contains(compatLinkNames[:], name) {
			return nil, refuse(KindParam, "", "the link has a parameter that is unknown, repeated, empty or malformed")
		}
		fields[name] = value
	}
	return fields, nil
}
