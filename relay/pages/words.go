package pages

import "github.com/wxrelay/wxrelay/internal/language"

// said is what a state tells: a heading and a sentence or two.
type said struct {
	Title string `json:"title"`
	Lead  string `json:"lead"`
}

// words are all the words of one language.
type words struct {
	Cashier, Payee, For, Amount, OrderNo, TimeLeft, PayBefore, BeijingTime string

	QRLabel, QRLabelPage, Waiting                        string
	Pay, PayAgain, OpenWeChat, Return, Retry, Stay, Back string
	HavePaid                                             string
	Address, Copy                                        string
	NeedsScript, Offline, Advice, RequestID, Details     string

	Sandbox, SandboxLead, SandboxLink string

	States   map[State]said
	Needs    map[Need]said // StateWrongPlace by what is needed; NeedsWeChat is in States
	Messages map[MessageKind]said
	Script   scriptPhrases
}

// scriptPhrases are words that the script composes. {n} stands for a number.
type scriptPhrases struct {
	Day       string `json:"day"`
	LastCall  string `json:"last_call"`
	Returning string `json:"returning"`
	Copied    string `json:"copied"`
	Pay       string `json:"pay"`
	PayAgain  string `json:"pay_again"`
}

// scriptLanguage is what the script gets of a language.
type scriptLanguage struct {
	States  map[State]said `json:"states"`
	Phrases scriptPhrases  `json:"phrases"`
}

// scriptWords is the catalogue for the script, by lang attribute.
func scriptWords() map[string]scriptLanguage {
	all := make(map[string]scriptLanguage, len(catalogue))
	for lang, w := range catalogue {
		all[lang.Tag()] = scriptLanguage{States: w.States, Phrases: w.Script}
	}
	return all
}

var catalogue = map[language.Language]*words{language.Chinese: &chineseWords, language.English: &englishWords}

var chineseWords = words{
	Cashier: "收银台", Payee: "收款方", For: "商品", Amount: "订单金额", OrderNo: "订单号",
	TimeLeft: "剩余支付时间", PayBefore: "请于此时间前支付", BeijingTime: "北京时间",
	QRLabel: "微信支付二维码", QRLabelPage: "本页地址的二维码", Waiting: "等待付款",
	Pay: "立即支付", PayAgain: "重新支付", OpenWeChat: "打开微信支付", Return: "返回商家", Retry: "重试", Stay: "留在此页", Back: "返回",
	HavePaid: "我已完成支付",
	Address:  "本页地址", Copy: "复制",
	NeedsScript: "在微信内支付需要启用 JavaScript。",
	Offline:     "网络不稳定，正在重新连接…",
	Advice:      "付款前请核对收款方与金额，本页不会索要密码或验证码。",
	RequestID:   "请求编号", Details: "详细信息",
	Sandbox: "沙箱 SANDBOX", SandboxLead: "测试环境，不会产生真实扣款 · no real money", SandboxLink: "打开沙箱手机",
	States: map[State]said{
		StateWaitingNative: {"微信扫码支付", "打开微信「扫一扫」，扫描二维码付款。\n付款后本页会自动更新。"},
		StateWaitingJSAPI:  {"微信支付", "核对收款方与金额，然后在微信中完成支付。"},
		StateWaitingH5:     {"微信支付", "点按下方按钮打开微信付款，完成后回到本页，结果会自动更新。"},
		StateReturned:      {"支付完成了吗？", "正在等待微信确认，结果会自动更新。\n如尚未付款，可重新打开微信支付，不会重复扣款。"},
		StateCancelled:     {"支付已取消", "尚未扣款。\n您可以重新支付，订单在到期前一直有效。"},
		StatePaid:          {"支付成功", "款项已确认收到。"},
		StateRefunded:      {"订单已退款", "此订单的款项已退回，到账时间以微信支付通知为准。"},
		StateExpired:       {"订单已过期", "已超过支付时间，不能再付款。\n请返回商家重新下单。"},
		StateClosed:        {"订单已关闭", "商家已关闭此订单，不能再付款。\n如有疑问，请联系商家。"},
		StateWrongPlace:    {"请在微信中打开", "此订单只能在微信内支付。\n请用微信「扫一扫」打开本页，或复制地址发到微信后打开。"},
		StateUnavailable:   {"暂时无法支付", "支付服务暂时不可用，尚未扣款。\n请稍后重试。"},
		stateConfirming:    {"正在确认支付结果", "微信已完成操作，正在等待到账确认。\n请勿重复支付。"},
		stateFailed:        {"未能打开微信支付", "尚未扣款。\n请重试；若仍不成功，请关闭本页后从商家重新进入。"},
		stateChecking:      {"正在核对订单", "支付时间已到，正在核对结果。\n请不要再付款。"},
	},
	Needs: map[Need]said{
		NeedsOtherScreen: {"请换一个屏幕打开", "此订单需要用微信「扫一扫」拍摄二维码付款，长按识别无效。\n请在电脑或另一部设备上打开本页，再用手机扫码。"},
		NeedsBrowser:     {"请在手机浏览器中打开", "此订单需要在手机自带的浏览器中支付。\n在微信中请点右上角「···」选择「在浏览器打开」；在电脑上请用手机相机扫码，或把地址发到手机打开。"},
		NeedsApp:         {"请在商家的 App 或小程序中支付", "此订单不能在网页上付款。\n请回到商家的 App 或微信小程序，打开订单后支付。"},
	},
	Messages: map[MessageKind]said{
		MessageOrderNotFound:  {"找不到这个订单", "链接可能不完整，或订单已被清除。\n请返回商家重新打开。"},
		MessageLinkRefused:    {"链接无效", "此链接不完整、已被改动或已超过有效时间。\n订单没有任何变化，请返回商家重新打开。"},
		MessageBadRequest:     {"地址不正确", "打开的地址缺少内容或格式有误。\n请返回原来的网站再试一次。"},
		MessageLoginRefused:   {"无法登录", "此网站没有获准使用这里的微信登录。\n请联系该网站。"},
		MessageLoginExpired:   {"登录已失效", "这次登录已使用过、已超时，或不是在此浏览器中发起的。\n请返回原来的网站重新登录。"},
		MessageLoginCancelled: {"登录已取消", "您没有同意授权，未向网站提供任何信息。"},
		MessageLoginFailed:    {"登录没有成功", "微信没有确认这次登录。\n请返回原来的网站再试一次。"},
		MessageSnapshot:       {"请使用完整服务", "微信以受限方式打开了本页，\n因此无法确认您的身份。\n请点按页面底部的「使用完整服务」，\n或点按下方按钮重新登录。"},
		MessageOpenInWeChat:   {"请在微信中打开", "此登录只能在微信内进行。\n请把链接发到微信后打开。"},
		MessageTooMany:        {"访问过于频繁", "请稍等片刻再试。"},
		MessageUnavailable:    {"服务暂时不可用", "请稍后重试。\n尚未完成的订单不会丢失。"},
		MessageNotAllowed:     {"不支持的请求", "请用浏览器直接打开此地址。"},
	},
	Script: scriptPhrases{
		Day: "{n} 天", LastCall: "剩余支付时间不足一分钟", Returning: "{n} 秒后自动返回商家",
		Copied: "已复制", Pay: "立即支付", PayAgain: "重新支付",
	},
}

var englishWords = words{
	Cashier: "Checkout", Payee: "Pay to", For: "For", Amount: "Amount", OrderNo: "Order number",
	TimeLeft: "Time left to pay", PayBefore: "Pay before", BeijingTime: "Beijing time",
	QRLabel: "WeChat Pay QR code", QRLabelPage: "QR code of this page's address", Waiting: "Waiting for payment",
	Pay: "Pay now", PayAgain: "Pay again", OpenWeChat: "Open WeChat to pay", Return: "Return to the shop", Retry: "Try again", Stay: "Stay here", Back: "Go back",
	HavePaid: "I have paid",
	Address:  "Address of this page", Copy: "Copy",
	NeedsScript: "Paying inside WeChat needs JavaScript.",
	Offline:     "The connection is unsteady. Reconnecting…",
	Advice:      "Check payee and amount before you pay. This page never asks for a password or code.",
	RequestID:   "Request number", Details: "Details",
	Sandbox: "沙箱 SANDBOX", SandboxLead: "Test system · no real money", SandboxLink: "Open the sandbox phone",
	States: map[State]said{
		StateWaitingNative: {"Scan to pay with WeChat", "Open WeChat, choose Scan and point it at the code. This page updates by itself once you have paid."},
		StateWaitingJSAPI:  {"WeChat Pay", "Check payee and amount, then complete the payment in WeChat."},
		StateWaitingH5:     {"WeChat Pay", "The button below opens WeChat to pay. Come back here afterwards: the result appears by itself."},
		StateReturned:      {"Have you paid?", "We are waiting for WeChat's confirmation; the result appears by itself. If you have not paid yet, open WeChat again: you are never charged twice."},
		StateCancelled:     {"Payment cancelled", "Nothing has been charged. You can pay again as long as the order is open."},
		StatePaid:          {"Payment successful", "Your payment has been received."},
		StateRefunded:      {"Order refunded", "The money for this order has been sent back. WeChat Pay tells you when it arrives."},
		StateExpired:       {"Order expired", "The time to pay is over and the order can no longer be paid. Please place a new order at the shop."},
		StateClosed:        {"Order closed", "The shop has closed this order and it can no longer be paid. If in doubt, please ask the shop."},
		StateWrongPlace:    {"Please open in WeChat", "This order can only be paid inside WeChat. Scan the code with WeChat, or copy the address and open it there."},
		StateUnavailable:   {"Payment is unavailable", "The payment service cannot be reached right now. Nothing has been charged. Please try again in a moment."},
		stateConfirming:    {"Confirming your payment", "WeChat is done and we are waiting for the confirmation. Please do not pay again."},
		stateFailed:        {"WeChat Pay did not open", "Nothing has been charged. Try again; if that fails, close this page and come back from the shop."},
		stateChecking:      {"Checking the order", "The time to pay is over and we are checking the result. Please do not pay any more."},
	},
	Needs: map[Need]said{
		NeedsOtherScreen: {"Please use another screen", "This order is paid by scanning a code with WeChat's camera; a long press does not work. Open this page on a computer or another device, then scan it with your phone."},
		NeedsBrowser:     {"Please open in your phone's browser", "This order is paid in the browser of a phone. In WeChat, tap ··· at the top and choose Open in Browser; on a computer, scan the code with your phone's camera or send the address to your phone."},
		NeedsApp:         {"Please pay in the shop's app", "This order cannot be paid on a web page. Please go back to the shop's own app or its WeChat mini-program, open the order there and pay."},
	},
	Messages: map[MessageKind]said{
		MessageOrderNotFound:  {"Order not found", "The link may be incomplete, or the order is gone. Please open it again from the shop."},
		MessageLinkRefused:    {"This link is not valid", "It is incomplete, has been changed or is too old. The order is unchanged. Please open it again from the shop."},
		MessageBadRequest:     {"This address is not right", "Something is missing from the address or malformed. Please go back to the site and try again."},
		MessageLoginRefused:   {"Login is not possible", "The site is not allowed to use this WeChat login. Please tell the site."},
		MessageLoginExpired:   {"This login is over", "It was used already, took too long, or was begun in another browser. Please go back to the site and log in again."},
		MessageLoginCancelled: {"Login cancelled", "You did not agree, so the site was told nothing about you."},
		MessageLoginFailed:    {"Login did not succeed", "WeChat did not confirm this login. Please go back to the site and try again."},
		MessageSnapshot:       {"Please use the full service", "WeChat has opened this page in a limited view and does not say who you are. Tap Use Full Service at the bottom, or log in again with the button below."},
		MessageOpenInWeChat:   {"Please open in WeChat", "This login works inside WeChat only. Send yourself the link in WeChat and open it there."},
		MessageTooMany:        {"Too many requests", "Please wait a moment and try again."},
		MessageUnavailable:    {"Service unavailable", "Please try again in a moment. Orders in progress are not lost."},
		MessageNotAllowed:     {"Request not supported", "Please open this address in a browser."},
	},
	Script: scriptPhrases{
		Day: "{n} d", LastCall: "Less than a minute left to pay", Returning: "Returning to the shop in {n} s",
		Copied: "Copied", Pay: "Pay now", PayAgain: "Pay again",
	},
}
