package relay

import "strings"

// Surroundings are where a page is opened, as far as it decides how to pay.
type Surroundings int

// The surroundings of contract section 5.
const (
	SurroundDesktop Surroundings = iota
	SurroundPhone
	SurroundWeChat
	SurroundMiniProgram // the web view of a mini-program, which cannot pay
)

// SurroundingsOf reads a User-Agent header. It is the browser's own word and
// decides about convenience alone, never about money. WeChat's desktop client
// (WindowsWechat, MacWechat) names itself MicroMessenger as well and can pay
// by JSAPI.
func SurroundingsOf(userAgent string) Surroundings {
	ua := strings.ToLower(userAgent)
	switch {
	case strings.Contains(ua, "micromessenger/") && strings.Contains(ua, "miniprogram"):
		return SurroundMiniProgram
	case strings.Contains(ua, "micromessenger/"):
		return SurroundWeChat
	case strings.Contains(ua, "iphone"), strings.Contains(ua, "ipod"),
		strings.Contains(ua, "android"), strings.Contains(ua, "harmonyos"), strings.Contains(ua, "mobile"):
		return SurroundPhone
	default:
		return SurroundDesktop
	}
}
