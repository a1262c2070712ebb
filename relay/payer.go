package relay

import "time"

// Payer is an openid that a login of this relay produced. WeChat gives one
// person another openid under each app id, so that an openid says by itself
// which app id it belongs to.
type Payer struct {
	OpenID string
	AppID  string
	SeenAt time.Time
	// Clients are the ids of the clients for which a login or a cashier page
	// produced it, sorted.
	Clients []string
}
