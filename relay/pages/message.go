package pages

import (
	"net/http"
	"time"

	"github.com/wxrelay/wxrelay/internal/language"
)

// MessageKind says which plain words a message page uses.
type MessageKind string

// The messages that a visitor can meet.
const (
	MessageOrderNotFound  MessageKind = "order_not_found"    // no order has this address
	MessageLinkRefused    MessageKind = "link_refused"       // a signed link that is wrong, changed or too old
	MessageBadRequest     MessageKind = "bad_request"        // an address with missing or malformed parts
	MessageLoginRefused   MessageKind = "login_refused"      // a login that the site may not ask for, or unknown site
	MessageLoginExpired   MessageKind = "login_expired"      // a callback without, or with a stale, login of this browser
	MessageLoginCancelled MessageKind = "login_cancelled"    // the visitor said no at WeChat
	MessageLoginFailed    MessageKind = "login_failed"       // WeChat refused or did not answer
	MessageSnapshot       MessageKind = "snapshot"           // WeChat's limited view, whose user is nobody
	MessageOpenInWeChat   MessageKind = "open_in_wechat"     // a login that works inside WeChat only
	MessageTooMany        MessageKind = "too_many"           // too many requests
	MessageUnavailable    MessageKind = "unavailable"        // out of order for now
	MessageNotAllowed     MessageKind = "method_not_allowed" // a request that no browser makes by itself
)

// Message is a page that tells one thing.
type Message struct {
	Kind MessageKind

	// Detail is shown below the words, as text: what a developer needs in
	// order to find the mistake. It must hold no secret and no query.
	Detail string

	RequestID string // shown for support; may be empty

	// BackURL, if set, is offered as a link; absolute http or https.
	BackURL string

	// AgainURL, if set, is offered as the way to log in once more.
	AgainURL string

	// ReloadAfter, if set, is when the page loads itself again.
	ReloadAfter time.Duration

	// Test and SandboxURL are as in Checkout.
	Test       bool
	SandboxURL string
}

type messageView struct {
	layoutView
	Detail   string
	BackURL  string
	AgainURL string
	Again    string
	Reload   int64 // seconds
	Retry    bool
}

// WriteMessage answers r with a message page in the visitor's language and
// the HTTP status given. A kind that it does not know is told as
// MessageUnavailable: an error page must not fail for want of words.
func (p *Pages) WriteMessage(w http.ResponseWriter, r *http.Request, status int, m Message) error {
	lang := language.Of(r)
	words := catalogue[lang]
	said, ok := words.Messages[m.Kind]
	if !ok {
		m.Kind = MessageUnavailable
		said = words.Messages[m.Kind]
	}
	return p.write(w, r, status, "message.html", lang, &messageView{
		layoutView: layoutView{
			Lang: lang.Tag(), Words: words, Heading: said.Title, Lead: said.Lead, State: State(m.Kind),
			Test: m.Test, SandboxURL: webAddress(m.SandboxURL), RequestID: plain(m.RequestID, maxName),
		},
		Detail:   plain(m.Detail, maxDetail),
		BackURL:  webAddress(m.BackURL),
		AgainURL: webAddress(m.AgainURL),
		Again:    loginCatalogue[lang].Again,
		Reload:   int64(m.ReloadAfter / time.Second),
		Retry:    m.Kind == MessageUnavailable || m.Kind == MessageTooMany,
	})
}
