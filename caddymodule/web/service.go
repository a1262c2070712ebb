package web

import (
	"context"
	"net/url"

	"github.com/wxrelay/wxrelay/relay"
)

// Service is what the routes need of a relay.Service, in the groups in which
// they use it.
type Service interface {
	Authenticator
	Orders
	Refunds
	Sharing
	Events
	Cashier
	Logins
	CodeRelay
	ServerAPI
	Notified
	Messages
	MiniPrograms
	Pages
}

// Authenticator checks signed requests.
type Authenticator interface {
	Authenticate(req relay.SignedRequest) (*relay.Caller, error)
	AuthenticateV2(req relay.CompatRequest) (*relay.Caller, error)
	CheckNonce(ctx context.Context, c *relay.Caller) error
}

// Orders is the clients' way to be paid.
type Orders interface {
	CreateOrder(ctx context.Context, c *relay.Caller, req relay.CreateOrderRequest) (v relay.CreatedOrderView, created bool, err error)
	Order(ctx context.Context, c *relay.Caller, orderNo string, refresh bool) (relay.OrderView, error)
	CreatePayment(ctx context.Context, c *relay.Caller, orderNo string, req relay.CreatePaymentRequest) (v relay.PaymentInvocation, created bool, err error)
	CloseOrder(ctx context.Context, c *relay.Caller, orderNo string) (relay.OrderView, error)
}

// Refunds is the clients' way to give money back.
type Refunds interface {
	CreateRefund(ctx context.Context, c *relay.Caller, orderNo string, req relay.CreateRefundRequest) (v relay.RefundView, created bool, err error)
	Refund(ctx context.Context, c *relay.Caller, refundNo string, refresh bool) (relay.RefundView, error)
}

// Sharing is the clients' way to give parts of what they were paid to others.
type Sharing interface {
	CreateSplit(ctx context.Context, c *relay.Caller, orderNo string, req relay.SplitRequest) (v relay.SplitView, created bool, err error)
	Split(ctx context.Context, c *relay.Caller, splitNo string, refresh bool) (relay.SplitView, error)
	ReturnSplit(ctx context.Context, c *relay.Caller, splitNo string, req relay.SplitReturnRequest) (v relay.SplitReturnView, created bool, err error)
	AddReceiver(ctx context.Context, c *relay.Caller, req relay.ReceiverRequest) (relay.ReceiverView, error)
	DeleteReceiver(ctx context.Context, c *relay.Caller, req relay.ReceiverRequest) (relay.ReceiverView, error)
}

// Events is the clients' way to learn what happened without being told.
type Events interface {
	Events(ctx context.Context, c *relay.Caller, after string, limit int) (relay.EventPage, error)
	Event(ctx context.Context, c *relay.Caller, id string) (relay.EventView, error)
	Deliver(ctx context.Context, c *relay.Caller, id string) (relay.EventView, error)
}

// Cashier is what a buyer's browser sees.
type Cashier interface {
	// Sandbox reports whether no real money moves, which every page says.
	Sandbox() bool
	Checkout(ctx context.Context, req relay.CheckoutRequest) (relay.CheckoutResult, error)
	CheckoutStatus(ctx context.Context, token string) (relay.CheckoutStatus, error)
	WatchCheckout(ctx context.Context, token string) (changed <-chan struct{}, stop func(), err error)
	CheckoutCode(ctx context.Context, token string) (codeURL string, err error)
}

// Logins sends browsers to WeChat and tells sites who came back.
type Logins interface {
	BeginLogin(ctx context.Context, req relay.LoginRequest) (relay.LoginStart, error)
	LoginCallback(ctx context.Context, cb relay.LoginCallback) (redirectTo string, err error)
	RedeemTicket(ctx context.Context, c *relay.Caller, ticket string) (relay.TicketView, error)
}

// CodeRelay plays WeChat's own calls to sites that logged their users in at
// WeChat itself before.
type CodeRelay interface {
	AuthenticateSecret(id, secret string) (*relay.Caller, error)
	RedeemCode(ctx context.Context, c *relay.Caller, code string) (relay.UserToken, error)
	RefreshUserToken(ctx context.Context, clientID, refreshToken string) (relay.UserToken, error)
	UserOf(ctx context.Context, accessToken, openID string) (relay.LoginUser, error)
	CheckUserToken(ctx context.Context, accessToken, openID string) error
}

// ServerAPI is WeChat's server interface in the name of an account.
type ServerAPI interface {
	// OffersAPI reports whether any client may use it.
	OffersAPI() bool
	APIToken(ctx context.Context, c *relay.Caller, path string) (relay.APIToken, error)
	AuthenticateAPIToken(token string) (*relay.Caller, error)
	CallAPI(ctx context.Context, c *relay.Caller, req relay.APIRequest) (relay.APIAnswer, error)
}

// Notified takes what WeChat tells.
type Notified interface {
	Notify(ctx context.Context, merchantName string, n relay.RawNotification) error
}

// MiniPrograms is the clients' way to know the users of their mini-programs.
type MiniPrograms interface {
	CreateMiniSession(ctx context.Context, c *relay.Caller, req relay.MiniSessionRequest) (relay.MiniSessionView, error)
	DecryptMiniData(ctx context.Context, c *relay.Caller, sessionID string, req relay.MiniDataRequest) (relay.MiniDataView, error)
	VerifyMiniData(ctx context.Context, c *relay.Caller, sessionID string, req relay.MiniSignatureRequest) (relay.MiniSignatureView, error)
}

// Messages takes what WeChat pushes to an account.
type Messages interface {
	CheckMessages(account string, query url.Values) (echo string, err error)
	TakeMessage(ctx context.Context, account string, query url.Values, body []byte) error
}

// Pages lets pages call WeChat's JS-SDK.
type Pages interface {
	SignPage(ctx context.Context, c *relay.Caller, pageURL string) (relay.PageSignature, error)
	SignOwnPage(ctx context.Context, req relay.OwnPageRequest) (relay.PageSignature, error)
	AllowsOrigin(origin string) bool
}
