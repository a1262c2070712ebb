package oauth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/wxrelay/wxrelay/internal/strictjson"
	"github.com/wxrelay/wxrelay/relay/wechat/internal/transport"
)

const (
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 64 << 10
	// maxTries and firstWait bound the repeats after "busy".
	maxTries  = 3
	firstWait = 200 * time.Millisecond
)

// reply is an answer that may be a failure instead.
type reply interface {
	failure() (code int, message string)
}

// get makes a call and decodes the answer into r. It is repeated only where
// WeChat surely did nothing, because a code works once: when WeChat says that
// it is busy, and at the backup host when no connection came about.
func (c *Client) get(ctx context.Context, op, path string, query func() url.Values, r reply) error {
	host := 0
	for tries := 1; ; tries++ {
		err := c.attempt(ctx, op, c.urls[host]+path+"?"+query().Encode(), r)
		if err == nil || tries == maxTries {
			return err
		}
		if e, ok := errors.AsType[*Error](err); ok && e.Code == CodeBusy {
			if !transport.Pause(ctx, firstWait<<(tries-1)) {
				return err
			}
			continue
		}
		if !isDialError(err) || host+1 == len(c.urls) || ctx.Err() != nil {
			return err
		}
		host++
	}
}

// attempt makes one try.
func (c *Client) attempt(ctx context.Context, op, address string, r reply) error {
	ctx, cancel := context.WithTimeout(ctx, c.attemptTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return errors.New(op + ": building request: address is malformed")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "identity") // a compressed answer could grow without bound
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", op, transport.WithoutURL(err))
	}
	defer resp.Body.Close()
	body, err := transport.ReadAll(resp.Body, maxAnswer)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if resp.StatusCode != http.StatusOK {
		return &Error{Op: op, HTTPStatus: resp.StatusCode}
	}
	// WeChat labels some of its JSON text/plain, so the label is not looked at.
	if err := strictjson.Decode(body, r, strictjson.Options{AllowUnknown: true}); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if code, message := r.failure(); code != 0 {
		return &Error{Op: op, Code: code, HTTPStatus: resp.StatusCode, Message: cleanMessage(message)}
	}
	return nil
}

// isDialError reports whether the request cannot have reached WeChat.
func isDialError(err error) bool {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Op == "dial"
	}
	return false
}
