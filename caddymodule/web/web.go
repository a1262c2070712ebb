// Package web is the relay's face to the network: it turns requests into
// calls of relay and what relay decides into answers. It knows net/http and
// no Caddy, so that it is tested by itself and could stand in any server.
//
// Begin with New. Handler.Match tells whether a path is the relay's, which a
// server asks of every request; Handler.ServeHTTP answers those that are.
// The routes are those of contract section 4 that exist so far.
//
// It promises that a body is read once and under a limit, that a signed
// request is checked in the order of contract section 3.4, that no answer
// depends on Host or X-Forwarded headers, that an answer never tells a cause,
// and that each refusal leaves one log line without bodies, queries, tokens
// or addresses of pages.
package web

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/pages"
)

// Options is what a Handler is made of.
type Options struct {
	// Service decides. Required.
	Service Service

	// PublicURL is the address at which browsers, clients and WeChat reach
	// the relay. Its path is cut off before routes are matched, and its
	// scheme decides how the browser's cookie is protected. Required.
	PublicURL *url.URL

	// Ready reports whether store and workers are well. Its error is shown
	// by the health page, so it names the failing part and nothing secret.
	// Required.
	Ready func(context.Context) error

	// NotifyKey is the relay's own key, whose public half anybody may read.
	// Nil when there is none.
	NotifyKey *relay.NotifyKey

	// Logger gets one line for each refused or failed request. Nil discards.
	Logger *slog.Logger

	// RequestID names a request in answers and in the log. The default is 16
	// random hexadecimal characters.
	RequestID func() string

	// ClientIP is the address that a request came from, for the log; behind
	// proxies only the server knows it. The default is the peer's address.
	ClientIP func(*http.Request) string

	// Now is the clock for deadlines of connections, time.Now by default.
	Now func() time.Time
}

// Handler answers the relay's paths. It is safe for concurrent use.
type Handler struct {
	service   Service
	ready     func(context.Context) error
	notifyKey *relay.NotifyKey
	pages     *pages.Pages
	logger    *slog.Logger
	requestID func() string
	clientIP  func(*http.Request) string
	now       func() time.Time
	origin    string // scheme and host of the public address
	prefix    string // its path without the last slash
	api       bool   // the paths of WeChat's server interface are the relay's
	cookie    cookieForm
	drained   chan struct{} // closed by Drain
	drain     func()
	gates     gates // open
}

// New makes the Handler of one configuration.
func New(o Options) (*Handler, error) {
	if o.Service == nil || o.PublicURL == nil || o.Ready == nil {
		return nil, errors.New("web needs a service, a public address and a health check")
	}
	prefix := routePrefix(o.PublicURL)
	p, err := pages.New(pages.Options{StaticPrefix: prefix + pages.DefaultStaticPrefix})
	if err != nil {
		return nil, err
	}
	h := &Handler{
		service:   o.Service,
		ready:     o.Ready,
		notifyKey: o.NotifyKey,
		pages:     p,
		logger:    o.Logger,
		requestID: o.RequestID,
		clientIP:  o.ClientIP,
		now:       o.Now,
		origin:    o.PublicURL.Scheme + "://" + o.PublicURL.Host,
		prefix:    prefix,
		api:       o.Service.OffersAPI(),
		cookie:    cookieFor(o.PublicURL),
		drained:   make(chan struct{}),
	}
	h.drain = sync.OnceFunc(func() { close(h.drained) })
	if h.logger == nil {
		h.logger = slog.New(slog.DiscardHandler)
	}
	if h.requestID == nil {
		h.requestID = randomRequestID
	}
	if h.clientIP == nil {
		h.clientIP = peerIP
	}
	if h.now == nil {
		h.now = time.Now
	}
	return h, nil
}

// Drain ends the live streams, whose pages then connect again and reach the
// next configuration. A server that stops or reloads calls it first, because
// it waits for open requests. Requests that come later are still answered.
func (h *Handler) Drain() { h.drain() }

func randomRequestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, and ends the program if it could
	return hex.EncodeToString(b[:])
}

func peerIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}
