package relay

// WeChatCode is an errcode of WeChat's own calls, in which the relay answers
// the sites that speak them (oauth.md section 8). Zero is no refusal.
type WeChatCode int

// The codes that the relay gives.
const (
	WeChatBusy                WeChatCode = -1
	WeChatInvalidToken        WeChatCode = 40001 // also one that is not the latest
	WeChatInvalidGrantType    WeChatCode = 40002
	WeChatInvalidOpenID       WeChatCode = 40003
	WeChatInvalidCode         WeChatCode = 40029
	WeChatInvalidRefreshToken WeChatCode = 40030
	WeChatInvalidParameter    WeChatCode = 40035
	WeChatInvalidSecret       WeChatCode = 40125
	WeChatCodeUsed            WeChatCode = 40163
	WeChatMissingToken        WeChatCode = 41001
	WeChatMissingAppID        WeChatCode = 41002
	WeChatMissingRefreshToken WeChatCode = 41003
	WeChatMissingSecret       WeChatCode = 41004
	WeChatMissingCode         WeChatCode = 41008
	WeChatMissingOpenID       WeChatCode = 41009
	WeChatTokenExpired        WeChatCode = 42001
	WeChatRefreshTokenExpired WeChatCode = 42002
	WeChatCodeExpired         WeChatCode = 42003
	WeChatNeedsGET            WeChatCode = 43001
	WeChatNeedsPOST           WeChatCode = 43002
	WeChatTooMany             WeChatCode = 45011 // per minute
	WeChatUnauthorized        WeChatCode = 48001 // the scope or the grant is too small
)

// refuseAsWeChat refuses a call of WeChat's own with the code that WeChat
// would give and with words like its own.
func refuseAsWeChat(code WeChatCode, message string) *Error {
	return &Error{Kind: KindParam, WeChatCode: code, Message: message}
}
