package relay

import (
	"crypto/md5" //nolint:gosec // the v2 rule knows MD5; which clients may use it is decided by their configuration
	"encoding/hex"
	"slices"
	"strings"
)

// V2SignType names the algorithm of a v2-style signature, spelled as WeChat
// spells it.
type V2SignType string

// The algorithms of v2-style signatures.
const (
	V2SignHMACSHA256 V2SignType = "HMAC-SHA256"
	V2SignMD5        V2SignType = "MD5"
)

// SignV2 signs the fields by WeChat's v2 rule: fields without a value and
// sign itself are left out, the others are sorted by the bytes of their names
// and joined raw as name=value with &, and the key is appended as a last
// field. The signature is upper-case hex. An unknown type gives the empty
// string, which equals no signature.
func SignV2(fields map[string]string, key Secret, signType V2SignType) string {
	text := v2SignText(fields)
	text = append(text, "&key="...)
	text = append(text, key.Reveal()...)
	var sum []byte
	switch signType {
	case V2SignHMACSHA256:
		sum = mac(key, text)
	case V2SignMD5:
		digest := md5.Sum(text) //nolint:gosec // see the import
		sum = digest[:]
	default:
		return ""
	}
	return strings.ToUpper(hex.EncodeToString(sum))
}

func v2SignText(fields map[string]string) []byte {
	names := make([]string, 0, len(fields))
	for name, value := range fields {
		if value != "" && name != "sign" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var text []byte
	for i, name := range names {
		if i > 0 {
			text = append(text, '&')
		}
		text = append(text, name...)
		text = append(text, '=')
		text = append(text, fields[name]...)
	}
	return text
}
