// Package payv2 speaks WeChat Pay's APIv2, the XML protocol, as a merchant and
// as WeChat.
//
// A merchant begins with [NewClient], whose methods call WeChat and whose
// [Client.ParseNotification] reads what WeChat posts. The other end of the
// wire is [VerifyRequest] with [SignedReply], [NewPaymentNotification] and
// [NewRefundNotification]; a simulator of WeChat and anybody who must notify
// like WeChat build on them.
//
// The package promises: a body is parsed once, strictly, and the very fields
// that were signed are the ones that are used; nothing is believed before its
// signature was verified over all received fields; and no error text holds a
// body, a key, a signature or an openid. Refund notifications carry no
// signature at all (v2.md section 12): what they say is to be confirmed by a
// query. The package keeps no product rules: whether a transaction settles an
// order is decided elsewhere.
//
// Section numbers in comments are those of v2.md, the project's digest of
// pay.weixin.qq.com/wiki/doc/api.
package payv2

// Values of the two result fields (section 2).
const (
	codeSuccess = "SUCCESS"
	codeFail    = "FAIL"
)

// Currency is the only currency that this package orders.
const Currency = "CNY"
