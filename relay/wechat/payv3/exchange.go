package payv3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/internal/transport"
)

// maxAnswer bounds an answer, in bytes. The longest is a list of certificates,
// about 10 KiB.
const maxAnswer = 256 << 10

// call is one request to WeChat, repeated byte for byte when it must be.
type call struct {
	op     string
	method string
	target string // path and query, escaped
	body   []byte
	serial string // key that WeChat shall sign with; empty for the ring's choice
	// verify replaces the ring's check of a success answer.
	verify func(h http.Header, body []byte) error
	// file says that the answer is a file, which is long and not signed
	// (v3.md section 14); the caller checks its hash.
	file bool
}

// limits are the size and the time that an answer may take.
func (c *Client) limits(cl call) (size int64, timeout time.Duration) {
	if cl.file {
		return MaxBill, billTimeout
	}
	return maxAnswer, c.attemptTimeout
}

// do makes a call, repeating it at either host where that may help, and
// returns the verified body of a success.
func (c *Client) do(ctx context.Context, cl call) ([]byte, error) {
	host := c.hosts.First(c.now())
	probed := false
	for tries := 1; ; tries++ {
		body, err := c.attempt(ctx, cl, host, tries)
		if err == nil {
			return body, nil
		}
		next := afterFailure(err, tries, probed)
		if next.switchHost && !errors.Is(err, context.Canceled) {
			host = c.hosts.Failed(host, c.now())
		}
		if e, ok := errors.AsType[*VerifyError](err); ok {
			probed = probed || e.Reason == ReasonProbe
		}
		if !next.again || ctx.Err() != nil || !transport.Pause(ctx, transport.Jitter(c.rand, next.wait)) {
			if refused, ok := errors.AsType[*APIError](err); ok {
				refused.Repeat = tries > 1
				return nil, err // names the call itself
			}
			return nil, fmt.Errorf("%s: giving up after %d tries: %w", cl.op, tries, err)
		}
	}
}

// attempt makes one try with a fresh nonce and time, and reports it.
func (c *Client) attempt(ctx context.Context, cl call, host, try int) ([]byte, error) {
	_, timeout := c.limits(cl)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := c.request(ctx, cl, c.hosts.URL(host))
	if err != nil {
		return nil, err
	}
	start := c.now()
	status, body, err := c.exchange(ctx, cl, req)
	if c.hooks.AttemptDone != nil {
		c.hooks.AttemptDone(Attempt{
			Op: cl.op, Host: req.URL.Host, Try: try, HTTPStatus: status, Duration: c.now().Sub(start), Err: err,
		})
	}
	return body, err
}

// request builds and signs one try.
func (c *Client) request(ctx context.Context, cl call, base string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, cl.method, base+cl.target, bytes.NewReader(cl.body))
	if err != nil {
		return nil, errors.New("building request: address is malformed")
	}
	nonce, err := newNonce(c.rand, 32)
	if err != nil {
		return nil, err
	}
	timestamp := strconv.FormatInt(c.now().Unix(), 10)
	// What is signed is what the request line will say, from the request itself.
	signature, err := Sign(c.privateKey, RequestMessage(cl.method, req.URL.RequestURI(), timestamp, nonce, cl.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", Authorization{
		MchID: c.mchID, Nonce: nonce, Timestamp: timestamp, SerialNo: c.serial, Signature: signature,
	}.String())
	req.Header.Set("Accept", "application/json")
	if cl.file {
		req.Header.Set("Accept", "*/*")
	}
	// A compressed answer could grow without bound; none is long but files,
	// whose own compression the caller undoes.
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", c.userAgent)
	if len(cl.body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	serial := cl.serial
	if serial == "" {
		serial = c.keys.requestSerial
	}
	if serial != "" {
		req.Header.Set(headerSerial, serial)
	}
	return req, nil
}

// exchange sends a request and judges the answer.
func (c *Client) exchange(ctx context.Context, cl call, req *http.Request) (status int, body []byte, err error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, &transportError{err: transport.WithoutURL(err)}
	}
	defer resp.Body.Close()
	size, _ := c.limits(cl)
	body, err = transport.ReadAll(resp.Body, size)
	if _, ok := errors.AsType[*transport.TooLongError](err); ok {
		return resp.StatusCode, nil, err
	} else if err != nil {
		return 0, nil, &transportError{err: err}
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		return resp.StatusCode, nil, newAPIError(cl.op, resp.StatusCode, resp.Header, body)
	}
	if err := c.believe(ctx, cl, resp.Header, body); err != nil {
		return resp.StatusCode, nil, err
	}
	return resp.StatusCode, body, nil
}

// believe verifies a success. Without a right signature it is taken for
// forged (threats B08 and B09).
func (c *Client) believe(ctx context.Context, cl call, h http.Header, body []byte) (err error) {
	switch {
	case cl.file:
		return nil
	case cl.verify != nil:
		err = cl.verify(h, body)
	default:
		_, err = c.keys.Verify(ctx, h, body, c.now())
	}
	if e, ok := errors.AsType[*VerifyError](err); ok && c.hooks.AnswerRefused != nil {
		c.hooks.AnswerRefused(cl.op, e.Reason)
	}
	return err
}
