package account

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/wxrelay/wxrelay/internal/strictjson"
	"github.com/wxrelay/wxrelay/relay/wechat/internal/openapi"
	"github.com/wxrelay/wxrelay/relay/wechat/internal/transport"
)

// Bounds of a [Client.Call], in bytes. WeChat's pictures and videos have at
// most 10 MiB.
const (
	MaxRequest = 2 << 20
	MaxAnswer  = 10 << 20
)

// parameterToken is the parameter that names the account and lets it act.
const parameterToken = "access_token"

// Request is a call in the account's name, to be passed on as it is.
type Request struct {
	Method string // GET or POST
	// Path is clean: an absolute path of letters, digits and -._~ between
	// single slashes, without dot segments.
	Path string
	// Query goes out with access_token put in; one that it has is replaced.
	Query       url.Values
	ContentType string // empty for none
	Body        []byte // of a POST; up to MaxRequest
}

// Response is WeChat's answer as it came. Refusals are among its bodies, with
// status 200; see [ErrCode].
type Response struct {
	Status int
	// Header has Content-Type and Content-Disposition alone, if they came.
	Header http.Header
	Body   []byte
}

// TooLongError says that an answer exceeds MaxAnswer.
type TooLongError = transport.TooLongError

// Call passes a request on with the access token and returns the answer,
// whatever it says. It goes out once; only when no connection came about, so
// that WeChat saw nothing, the backup host is tried. An error means that there
// is no answer: WeChat may have done what was asked.
func (c *Client) Call(ctx context.Context, r Request, accessToken string) (*Response, error) {
	const op = "call"
	if err := r.check(accessToken); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	query := maps.Clone(r.Query)
	if query == nil {
		query = url.Values{}
	}
	query.Set(parameterToken, accessToken)
	got, err := c.api.Pass(ctx, openapi.Request{
		Method: r.Method, Path: r.Path, Query: query, ContentType: r.ContentType, Body: r.Body,
	}, MaxAnswer, c.callTimeout)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	header := http.Header{}
	for _, name := range []string{"Content-Type", "Content-Disposition"} {
		if value := got.Header.Get(name); value != "" {
			header.Set(name, value)
		}
	}
	return &Response{Status: got.Status, Header: header, Body: got.Body}, nil
}

func (r *Request) check(accessToken string) error {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		return errors.New("method is not GET or POST")
	case r.Method == http.MethodGet && len(r.Body) > 0:
		return errors.New("GET has a body")
	case !CleanPath(r.Path):
		return errors.New("path is not clean")
	case len(r.Body) > MaxRequest:
		return fmt.Errorf("body is longer than %d bytes", MaxRequest)
	case !isValue(accessToken):
		return errors.New("access token is malformed")
	}
	return nil
}

// CleanPath reports whether a path means the same to everybody who reads it:
// no escapes, dot segments, doubled slashes or characters that a server might
// take for another.
func CleanPath(path string) bool {
	rest, absolute := strings.CutPrefix(path, "/")
	if !absolute {
		return false
	}
	return !slices.ContainsFunc(strings.Split(rest, "/"), func(segment string) bool {
		return segment == "" || segment == "." || segment == ".." || strings.ContainsFunc(segment, isOdd)
	})
}

func isOdd(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~", r)
}

// ErrCode reads the errcode of an answer; 0 when it has none, for example
// because it is a picture.
func ErrCode(body []byte) int {
	if start := bytes.TrimLeft(body, " \t\r\n"); len(start) == 0 || start[0] != '{' {
		return 0
	}
	var reply struct {
		ErrCode int `json:"errcode"`
	}
	if err := strictjson.Decode(body, &reply, strictjson.Options{AllowUnknown: true}); err != nil {
		return 0 // nothing that a decision may rest on
	}
	return reply.ErrCode
}
