package safehttp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
)

// Reason says in a few fixed words why there is no complete answer. Reasons
// hold no address, name or text of the peer, so they are safe to store and
// to show to the client.
type Reason string

// The reasons that Do reports.
const (
	ReasonAddress       Reason = "blocked address"       // the URL or the address it led to is not allowed
	ReasonNameUnknown   Reason = "name not found"        // the resolver knows no such host
	ReasonNameTimeout   Reason = "name lookup timeout"   // the resolver did not answer in time
	ReasonName          Reason = "name lookup failed"    // the resolver failed otherwise
	ReasonDialTimeout   Reason = "connect timeout"       // no connection within three seconds
	ReasonRefused       Reason = "refused"               // the port is closed
	ReasonUnreachable   Reason = "unreachable"           // no route to the host
	ReasonDial          Reason = "connect failed"        // no connection, otherwise
	ReasonTLS           Reason = "tls"                   // the handshake failed
	ReasonTLSTimeout    Reason = "tls timeout"           // the handshake took more than three seconds
	ReasonCertificate   Reason = "certificate"           // expired, for another name, or not trusted
	ReasonNoAnswer      Reason = "no answer in time"     // no complete header within five seconds
	ReasonTimeout       Reason = "timeout"               // ten seconds in all
	ReasonHeaders       Reason = "too many header bytes" // more than 16 KiB, or a flood of interim answers
	ReasonReset         Reason = "reset"                 // the peer cut the connection
	ReasonClosed        Reason = "closed without answer" // the peer ended the connection early
	ReasonCanceled      Reason = "canceled"              // our own side gave up
	ReasonProtocol      Reason = "not http"              // the answer cannot be read as HTTP
	reasonHeadersMarker        = "response headers exceeded"
	reasonInterimMarker        = "1xx informational responses"
)

// Error says why a request got no complete answer. Its text is the reason
// alone; the cause, which can hold addresses, is for errors.Is and for
// debugging.
type Error struct {
	Reason Reason
	Err    error
}

// Error returns the reason.
func (e *Error) Error() string { return string(e.Reason) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// errBlocked marks what the guard refused, through the layers of net and
// net/http.
var errBlocked = errors.New("address not allowed")

// classify finds the reason of a failed round trip. ctx is the context with
// the total deadline; parent the caller's.
func classify(parent, ctx context.Context, err error) *Error {
	return &Error{Reason: reasonOf(parent, ctx, err), Err: err}
}

func reasonOf(parent, ctx context.Context, err error) Reason {
	if errors.Is(err, errBlocked) {
		return ReasonAddress
	}
	if parent.Err() != nil && !errors.Is(parent.Err(), context.DeadlineExceeded) {
		return ReasonCanceled
	}
	if ctx.Err() != nil {
		return ReasonTimeout
	}
	if r := nameReason(err); r != "" {
		return r
	}
	if r := tlsReason(err); r != "" {
		return r
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return dialReason(op)
	}
	return answerReason(err)
}

func nameReason(err error) Reason {
	dns, ok := errors.AsType[*net.DNSError](err)
	switch {
	case !ok:
		return ""
	case dns.IsNotFound:
		return ReasonNameUnknown
	case dns.IsTimeout:
		return ReasonNameTimeout
	default:
		return ReasonName
	}
}

func tlsReason(err error) Reason {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return ReasonCertificate
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return ReasonCertificate
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return ReasonTLS
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return ReasonTLS
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "remote error" || op.Op == "local error") {
		return ReasonTLS
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "TLS handshake timeout"):
		return ReasonTLSTimeout
	case strings.Contains(text, "tls: "):
		return ReasonTLS
	default:
		return ""
	}
}

func dialReason(op *net.OpError) Reason {
	switch {
	case op.Timeout():
		return ReasonDialTimeout
	case errors.Is(op, syscall.ECONNREFUSED):
		return ReasonRefused
	case errors.Is(op, syscall.EHOSTUNREACH), errors.Is(op, syscall.ENETUNREACH):
		return ReasonUnreachable
	default:
		return ReasonDial
	}
}

func answerReason(err error) Reason {
	text := err.Error()
	if strings.Contains(text, reasonHeadersMarker) || strings.Contains(text, reasonInterimMarker) {
		return ReasonHeaders
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return ReasonNoAnswer
	}
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return ReasonReset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		strings.Contains(text, "server closed idle connection"):
		return ReasonClosed
	default:
		return ReasonProtocol
	}
}
