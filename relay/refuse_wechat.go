package relay

// refuseAsWeChat refuses a call of WeChat's own with the code that WeChat
// would give (package errcode) and with words like its own.
func refuseAsWeChat(code int, message string) *Error {
	return &Error{Kind: KindParam, WeChatCode: code, Message: message}
}
