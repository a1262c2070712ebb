package payv2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"

	"github.com/wxrelay/wxrelay/relay/wechat/internal/transport"
)

// maxAnswer bounds an answer, in bytes. The longest lists 20 refunds.
const maxAnswer = 256 << 10

// call is one request to WeChat, repeated with the same business fields when
// it must be.
type call struct {
	op        string
	path      string
	certified bool // shows the merchant's certificate
	fields    Message
}

// do makes a call, repeating it at either host where that may help, and
// returns the verified fields of a success.
func (c *Client) do(ctx context.Context, cl call) (Message, error) {
	if cl.certified && c.certified == nil {
		return nil, fmt.Errorf("%s: %w", cl.op, ErrNoCertificate)
	}
	if cl.fields[fieldAppID] == "" {
		return nil, fmt.Errorf("%s: app id is missing", cl.op)
	}
	if err := cl.fields.checkSignable(); err != nil {
		return nil, fmt.Errorf("%s: %w", cl.op, err)
	}
	host := c.hosts.First(c.now())
	for tries := 1; ; tries++ {
		answer, err := c.attempt(ctx, cl, host, tries)
		if err == nil {
			return answer, nil
		}
		next := afterFailure(err, tries)
		if next.switchHost && !errors.Is(err, context.Canceled) {
			host = c.hosts.Failed(host, c.now())
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

// attempt makes one try with a fresh nonce, and reports it.
func (c *Client) attempt(ctx context.Context, cl call, host, try int) (Message, error) {
	timeout := c.attemptTimeout
	if cl.certified {
		timeout *= 2 // refunds take WeChat longer (section 4)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := c.request(ctx, cl, c.hosts.URL(host))
	if err != nil {
		return nil, err
	}
	start := c.now()
	status, answer, err := c.exchange(cl, req)
	if c.hooks.AttemptDone != nil {
		c.hooks.AttemptDone(Attempt{
			Op: cl.op, Host: req.URL.Host, Try: try, HTTPStatus: status, Duration: c.now().Sub(start), Err: err,
		})
	}
	return answer, err
}

// request builds and signs one try.
func (c *Client) request(ctx context.Context, cl call, base string) (*http.Request, error) {
	m := maps.Clone(cl.fields)
	m[fieldMchID] = c.mchID
	if c.signType != SignMD5 {
		m[fieldSignType] = string(c.signType) // MD5 is what absence means (section 3)
	}
	if err := m.sign(c.key, c.signType, c.rand); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+cl.path, bytes.NewReader(m.Encode()))
	if err != nil {
		return nil, errors.New("building request: address is malformed")
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	req.Header.Set("Accept", "text/xml")
	// A compressed answer could grow without bound; none is long.
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", c.userAgent)
	return req, nil
}

// exchange sends a request and judges the answer.
func (c *Client) exchange(cl call, req *http.Request) (status int, answer Message, err error) {
	client := c.plain
	if cl.certified {
		client = c.certified
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, &transportError{err: transport.WithoutURL(err)}
	}
	defer resp.Body.Close()
	body, err := transport.ReadAll(resp.Body, maxAnswer)
	if _, ok := errors.AsType[*transport.TooLongError](err); ok {
		return resp.StatusCode, nil, err
	} else if err != nil {
		return 0, nil, &transportError{err: err}
	}
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode, nil, &APIError{Op: cl.op, HTTPStatus: resp.StatusCode}
	}
	answer, err = c.judge(cl, body)
	return resp.StatusCode, answer, err
}

// judge goes through the layers of an answer in their order (section 2): the
// communication, which is unsigned when it failed, then the signature, then
// whose answer it is, then the business.
func (c *Client) judge(cl call, body []byte) (Message, error) {
	m, err := ParseAnswer(body)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	if m[fieldReturnCode] != codeSuccess {
		return nil, returnError(cl.op, m)
	}
	if err := m.verify(c.signType, c.key); err != nil {
		if e, ok := errors.AsType[*VerifyError](err); ok && c.hooks.AnswerRefused != nil {
			c.hooks.AnswerRefused(cl.op, e.Reason)
		}
		return nil, fmt.Errorf("answer: %w", err)
	}
	if err := sameParties(cl.fields, m, c.mchID); err != nil {
		return nil, err
	}
	if m[fieldResultCode] != codeSuccess {
		return nil, resultError(cl.op, m)
	}
	return m, nil
}

// sameParties makes sure that a genuine answer is the answer to this request.
func sameParties(request, answer Message, mchID string) error {
	if answer[fieldMchID] != mchID || answer[fieldAppID] != request[fieldAppID] {
		return errors.New("answer is about another merchant or app")
	}
	if got := answer[fieldSubMchID]; got != "" && got != request[fieldSubMchID] {
		return errors.New("answer is about another sub merchant")
	}
	// An order made for an app of the sub merchant has it in every answer,
	// asked for or not.
	if got, want := answer[fieldSubAppID], request[fieldSubAppID]; got != "" && want != "" && got != want {
		return errors.New("answer is about another app of the sub merchant")
	}
	return nil
}

// sign adds nonce and signature.
func (m Message) sign(key []byte, t SignType, rand io.Reader) error {
	nonce, err := newNonce(rand)
	if err != nil {
		return err
	}
	m[fieldNonce] = nonce
	m[fieldSign] = Sign(m, key, t)
	return nil
}
