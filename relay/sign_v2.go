package relay

import "github.com/wxrelay/wxrelay/relay/wechat/payv2"

// V2SignType names the algorithm of a v2-style signature, spelled as WeChat
// spells it.
type V2SignType = payv2.SignType

// The algorithms of v2-style signatures.
const (
	V2SignHMACSHA256 = payv2.SignHMACSHA256
	V2SignMD5        = payv2.SignMD5
)

// SignV2 signs the fields by WeChat's v2 rule, see [payv2.Sign].
func SignV2(fields map[string]string, key Secret, signType V2SignType) string {
	return payv2.Sign(fields, key.Reveal(), signType)
}
