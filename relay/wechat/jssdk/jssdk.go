// Package jssdk signs the addresses of pages for WeChat's JS-SDK, whose
// wx.config wants to see that the page belongs to the account.
//
// Begin with [ParsePage], which takes the address that a browser names, and
// hand the page to [Sign]. Which pages may be signed is the caller's part, by
// [Page.Origin]: a signature makes WeChat trust the page in the account's name.
//
// Section numbers in comments are those of oauth.md, the project's digest of
// WeChat's documents.
package jssdk

import (
	"crypto/sha1" //nolint:gosec // WeChat's JS-SDK knows nothing else
	"encoding/hex"
	"strconv"
)

// Sign signs a page with the account's jsapi ticket (section 6). The result
// goes to wx.config as signature, beside the same nonceStr and timestamp, which
// is in seconds.
func Sign(ticket, nonceStr string, timestamp int64, page Page) string {
	sum := sha1.Sum([]byte(signText(ticket, nonceStr, timestamp, page))) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

// signText joins the four fields raw, in the order of their names. The address
// is the last, so that nothing in it can pass for another field.
func signText(ticket, nonceStr string, timestamp int64, page Page) string {
	return "jsapi_ticket=" + ticket + "&noncestr=" + nonceStr +
		"&timestamp=" + strconv.FormatInt(timestamp, 10) + "&url=" + page.url
}
