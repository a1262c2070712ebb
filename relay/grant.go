package relay

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// GrantKind says what a text that the relay handed out is good for.
type GrantKind string

// The kinds of grants.
const (
	GrantTicket       GrantKind = "ticket"        // GET /login; redeemed once
	GrantCode         GrantKind = "code"          // GET /connect/oauth2/authorize; redeemed once
	GrantUserToken    GrantKind = "user_token"    // GET /sns/oauth2/access_token
	GrantRefreshToken GrantKind = "refresh_token" // GET /sns/oauth2/access_token
	GrantMiniSession  GrantKind = "mini_session"  // POST /v1/mini-program/sessions
)

// GrantKey names a grant by the text that was handed out, which itself is kept
// nowhere (threats E12).
type GrantKey struct {
	Kind GrantKind
	Hash string // SHA-256 of the text, 64 lower hex digits
}

// grantHash is the hash under which a text is known after it was handed out.
// The text has 128 random bits, so that a plain hash says nothing of it.
func grantHash(text string) string { return digestOf(text) }

// digestOf stands for a text that is kept nowhere: its SHA-256 in lower hex.
func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Grant is what the relay remembers of a text that it handed out to a client
// or to its user, and takes back until ExpiresAt.
type Grant struct {
	GrantKey
	ClientID  string
	AppID     string // the account's
	User      LoginUser
	Sealed    []byte // a mini-program's session key, sealed; empty otherwise
	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    time.Time  // of what is redeemed once; zero before
	Gave      []GrantKey // what was handed out for it, and ends with it
}

// LoginUser is who logged in, as WeChat tells the account. An openid belongs
// to one app id; UnionID is empty unless the account belongs to an Open
// Platform account; Nickname and AvatarURL are known after consent alone.
type LoginUser struct {
	OpenID    string
	UnionID   string
	Scope     string // as WeChat granted it, such as "snsapi_base"
	Nickname  string
	AvatarURL string
}
