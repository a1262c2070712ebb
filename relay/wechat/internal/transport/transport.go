// Package transport has what every call to WeChat needs of HTTP: a client
// that stays where it was sent, bounded reading, waits that end with the
// context, and texts that are fit for a log.
package transport

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// DefaultAttemptTimeout is how long one try of a call may take.
const DefaultAttemptTimeout = 5 * time.Second

// maxAnswerHeader bounds an answer's headers, in bytes.
const maxAnswerHeader = 64 << 10

// NewClient returns a copy of the given client, or a client of its own for
// nil, that follows no redirect and keeps no cookie: either would leave the
// host that a call with signatures or secrets was meant for.
func NewClient(given *http.Client) *http.Client {
	if given == nil {
		given = NewCertifiedClient(nil)
	}
	c := *given
	c.Jar = nil
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// NewCertifiedClient returns a client that shows the certificate to WeChat,
// or none for nil.
func NewCertifiedClient(certificate *tls.Certificate) *http.Client {
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    DefaultAttemptTimeout,
		MaxResponseHeaderBytes: maxAnswerHeader,
	}
	if certificate != nil {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*certificate}}
	}
	return &http.Client{Transport: t}
}

// CheckBaseURL says what an address lacks so that a path can be appended.
func CheckBaseURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("not an absolute http or https address")
	}
	if u.User != nil || strings.ContainsAny(s, "?#") || strings.HasSuffix(s, "/") {
		return errors.New("has user info, a query, a fragment or a final slash")
	}
	return nil
}

// TooLongError says that an answer exceeds its limit.
type TooLongError struct {
	Limit int64 // in bytes
}

// Error names the limit.
func (e *TooLongError) Error() string { return fmt.Sprintf("answer is longer than %d bytes", e.Limit) }

// ReadAll reads r to its end. More than limit bytes are a *TooLongError.
func ReadAll(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading answer: %w", err)
	}
	if int64(len(body)) > limit {
		return nil, &TooLongError{Limit: limit}
	}
	return body, nil
}

// WithoutURL unwraps the error of an HTTP client, whose text has the address
// with its query.
func WithoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// Jitter lengthens a wait by up to its half, so that callers who failed
// together do not come back together.
func Jitter(random io.Reader, wait time.Duration) time.Duration {
	var b [2]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return wait
	}
	return wait + wait/2*time.Duration(binary.BigEndian.Uint16(b[:]))/(1<<16)
}

// Pause waits for d. It reports false when the context ends before that, and
// at once when it is sure to.
func Pause(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// LogText makes a peer's text fit for a log: printable characters only, cut
// to n bytes at the border of a character.
func LogText(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
