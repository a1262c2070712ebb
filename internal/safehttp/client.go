// Package safehttp makes the requests whose addresses somebody else chose.
//
// A client of the relay names the address at which it wants to be told; a
// hostile one names an address inside the operator's network, a port that
// speaks another protocol, a host that never answers or that answers without
// end. [New] builds a [Client] that such an address cannot misuse: the
// address actually dialled is checked on every connection against one table
// of forbidden ranges, whatever the name resolved to before; redirects are
// results, not instructions; proxies of the environment are ignored; every
// wait and every read has a bound. Begin with [Client.CheckURL], which
// refuses at registration what can be refused then, and [Client.Do].
package safehttp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The bounds of one request.
const (
	TotalTimeout  = 10 * time.Second // from the call of Do to the end of the answer
	DialTimeout   = 3 * time.Second  // name lookup and connection
	TLSTimeout    = 3 * time.Second
	AnswerTimeout = 5 * time.Second // from the end of the request to the end of the header
	MaxBody       = 4 << 10         // bytes of the answer's body that are read
	MaxHeader     = 16 << 10        // bytes of the answer's header, interim answers included
)

// MarkerHeader is on every request that a Client sends. Incoming calls that
// carry it come from a relay, so paths that only clients call refuse them:
// two clients, or a client and the relay itself, cannot be made to call each
// other in a circle.
const MarkerHeader = "Wxrelay-Outgoing"

const (
	idlePerHost = 32
	idleInAll   = 1024
	idleTimeout = 30 * time.Second
	// maxFamily bounds the clients that Allowing keeps. Lists come from the
	// configuration, so more means that the configuration is reloaded often.
	maxFamily = 64
)

// Options set up a Client. The zero value guards with the defaults.
type Options struct {
	// Allow lists private networks that may be called all the same, on every
	// port. Empty by default.
	Allow []netip.Prefix
	// AllowPorts lists the ports that may be called on public hosts; 80 and
	// 443 when empty.
	AllowPorts []uint16
	// Deny says which addresses are the relay's own and must not be called.
	// It sees absolute http and https URLs with a plain host in lower case
	// without a final dot. Optional.
	Deny func(u *url.URL) bool
	// Resolver looks names up; the system's by default.
	Resolver *net.Resolver
	// RootCAs trusts certificates; the system's by default.
	RootCAs *x509.CertPool
	// UserAgent is sent with requests that set none.
	UserAgent string
}

// Client sends guarded requests. Make one with New; it may be used by many
// goroutines at once, and Close ends its idle connections.
type Client struct {
	shared    *family
	allow     []netip.Prefix
	transport *http.Transport
}

// family is the clients that differ only in their allowed networks. Each has
// a transport of its own, so that a connection made under one list is never
// used under another.
type family struct {
	options Options
	bounds  bounds

	mu      sync.Mutex // guards members and order
	members map[string]*Client
	order   []string // oldest first
}

// bounds are the timeouts; shorter in tests.
type bounds struct{ total, dial, tls, answer time.Duration }

// New returns a client with the options, which it copies.
func New(o Options) *Client {
	return newBounded(o, bounds{TotalTimeout, DialTimeout, TLSTimeout, AnswerTimeout})
}

func newBounded(o Options, b bounds) *Client {
	if len(o.AllowPorts) == 0 {
		o.AllowPorts = []uint16{80, 443}
	}
	f := &family{options: o, bounds: b, members: make(map[string]*Client)}
	return f.member(o.Allow)
}

// Allowing returns the client that may call the given networks in addition
// to those of the options. It shares no connection with clients of other
// lists; equal lists give the same client.
func (c *Client) Allowing(networks ...netip.Prefix) *Client {
	if len(networks) == 0 {
		return c.shared.member(c.shared.options.Allow)
	}
	all := append(append([]netip.Prefix(nil), c.shared.options.Allow...), networks...)
	return c.shared.member(all)
}

// Close ends the idle connections of the client and of all that Allowing
// made from it. Requests under way go on.
func (c *Client) Close() {
	c.shared.mu.Lock()
	defer c.shared.mu.Unlock()
	for _, m := range c.shared.members {
		m.transport.CloseIdleConnections()
	}
	c.transport.CloseIdleConnections()
}

func (f *family) member(networks []netip.Prefix) *Client {
	allow := plainNetworks(networks)
	var key strings.Builder
	for _, p := range allow {
		key.WriteString(p.String())
		key.WriteByte(' ')
	}

	f.mu.Lock()
	defer f.mu.Unlock()
	if c, ok := f.members[key.String()]; ok {
		return c
	}
	if len(f.order) == maxFamily {
		f.members[f.order[0]].transport.CloseIdleConnections()
		delete(f.members, f.order[0])
		f.order = f.order[1:]
	}
	c := &Client{shared: f, allow: allow}
	c.transport = c.newTransport()
	f.members[key.String()] = c
	f.order = append(f.order, key.String())
	return c
}

func (c *Client) newTransport() *http.Transport {
	dialer := &net.Dialer{
		Timeout:        c.shared.bounds.dial,
		KeepAlive:      30 * time.Second,
		Resolver:       c.shared.options.Resolver,
		ControlContext: c.checkDial,
	}
	return &http.Transport{
		Proxy:                  nil, // the environment must not lead requests astray
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: c.shared.options.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    c.shared.bounds.tls,
		ResponseHeaderTimeout:  c.shared.bounds.answer,
		MaxResponseHeaderBytes: MaxHeader,
		DisableCompression:     true, // nothing is unpacked, so nothing can explode
		MaxIdleConns:           idleInAll,
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        idleTimeout,
	}
}

// checkDial sees the address that is about to be connected to, after the
// resolver has answered, once for each address that is tried.
func (c *Client) checkDial(_ context.Context, network, address string, _ syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return errBlocked
	}
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return errBlocked
	}
	if err := c.checkAddr(target.Addr(), target.Port()); err != nil {
		return fmt.Errorf("%w: %w", errBlocked, err)
	}
	return nil
}

// Result is what a peer answered.
type Result struct {
	Status     int    // 0 when no answer came
	RetryAfter string // the header of that name, as sent
	Body       []byte // at most MaxBody bytes of the body, not unpacked
	Truncated  bool   // the body went on, or ended in an error
	Duration   time.Duration
}

// Do sends the request and reads the answer. A redirect is a result like any
// other. The request is sent once: it is not repeated on another connection
// after any of it was sent. When the error is not nil it is an *Error; the
// result still holds the status if the header came before the failure.
func (c *Client) Do(ctx context.Context, req *http.Request) (Result, error) {
	start := time.Now()
	res, err := c.do(ctx, req)
	res.Duration = time.Since(start)
	return res, err
}

func (c *Client) do(parent context.Context, req *http.Request) (Result, error) {
	if err := c.checkURL(req.URL); err != nil {
		return Result{}, &Error{Reason: ReasonAddress, Err: fmt.Errorf("%w: %w", errBlocked, err)}
	}
	ctx, cancel := context.WithTimeout(parent, c.shared.bounds.total)
	defer cancel()

	out := req.Clone(ctx)
	out.Header.Set(MarkerHeader, "1")
	if out.Header.Get("User-Agent") == "" && c.shared.options.UserAgent != "" {
		out.Header.Set("User-Agent", c.shared.options.UserAgent)
	}
	if out.Body == nil {
		out.Body = noReplay{}
	}
	resp, err := c.transport.RoundTrip(out)
	if err != nil {
		return Result{}, classify(parent, ctx, err)
	}
	defer resp.Body.Close()

	res := Result{Status: resp.StatusCode, RetryAfter: resp.Header.Get("Retry-After")}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if len(body) > MaxBody {
		body, res.Truncated = body[:MaxBody], true
	}
	res.Body = body
	if err != nil {
		res.Truncated = true
		return res, classify(parent, ctx, err)
	}
	return res, nil
}

// noReplay is the body of requests that have none. net/http repeats a GET by
// itself when a kept connection breaks under it, which the peer would see as
// a second attempt; it does not when there is a body that it cannot rewind,
// and it sends nothing for a body that turns out to be empty.
type noReplay struct{}

func (noReplay) Read([]byte) (int, error) { return 0, io.EOF }
func (noReplay) Close() error             { return nil }

// ReasonOf returns the reason of an error of Do, and "failed" for any other.
func ReasonOf(err error) Reason {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return "failed"
}
