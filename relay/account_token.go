package relay

import "time"

// TokenKind is a kind of credential that WeChat lends to an account for some
// hours.
type TokenKind string

// The kinds of tokens (oauth.md sections 5 and 6).
const (
	TokenAccess      TokenKind = "access_token"
	TokenJSAPITicket TokenKind = "jsapi_ticket"
)

// TokenKey names one token of one account.
type TokenKey struct {
	AppID string
	Kind  TokenKind
}

// AccountToken is the token that an account has now, and who is fetching the
// next one. All nodes on one store share it.
type AccountToken struct {
	TokenKey
	Sealed     []byte    // the token itself; empty before the first
	ObtainedAt time.Time // when this value was first seen
	ExpiresAt  time.Time

	// Holder fetches the next one until LeaseUntil; others wait or use what is
	// there. Empty when nobody does.
	Holder     string
	LeaseUntil time.Time
}
