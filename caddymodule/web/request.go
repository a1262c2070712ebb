package web

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wxrelay/wxrelay/internal/safehttp"
	"github.com/wxrelay/wxrelay/internal/strictjson"
	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
)

const (
	// maxBody bounds the body of every request (contract section 6, threats
	// section 0).
	maxBody = 64 << 10
	// bodyTime is how long a client may take to send its body.
	bodyTime = 10 * time.Second
)

// signed is a request whose signature was verified.
type signed struct {
	caller *relay.Caller
	body   []byte

	// fields are what a v2-style request says, the signature's own fields
	// included; nil for a request that is signed by its header.
	fields map[string]string
	call   *compatCall
}

// authenticate reads the body and checks the signature, in the order of
// contract section 3.4. Nothing of the body or the query is looked at before.
func (x *exchange) authenticate() (signed, error) {
	if err := x.fromRelay(); err != nil {
		return signed{}, err
	}
	body, err := x.readBody(bodyTime)
	if err != nil {
		return signed{}, err
	}
	s := signed{body: body}
	if err := x.compat(&s); err != nil {
		return signed{}, err
	}
	if s.fields != nil {
		s.caller, err = x.service.AuthenticateV2(relay.CompatRequest{Call: x.r.Method + " " + PathOf(x.r.URL), Fields: s.fields, Strong: s.call.strong})
	} else {
		s.caller, err = x.service.Authenticate(relay.SignedRequest{
			Method:        x.r.Method,
			Target:        targetOf(x.r),
			Authorization: x.r.Header.Values("Authorization"),
			Body:          body,
		})
	}
	if err != nil {
		return signed{}, err
	}
	x.clientID = s.caller.Client.ID
	return s, nil
}

// fromRelay refuses a relay's own call for a client that comes back in (threats
// F10).
func (x *exchange) fromRelay() error {
	if x.r.Header.Get(safehttp.MarkerHeader) != "" {
		return &relay.Error{Kind: relay.KindNoAuth, Message: "calls made by a relay are not taken here"}
	}
	return nil
}

// compat takes the fields of a v2-style request, where the route may be
// called so. One signature is enough: whoever sends two has one of them
// looked at by somebody else.
func (x *exchange) compat(s *signed) error {
	call := compatCalls[x.route]
	if call == nil {
		return nil
	}
	fields, err := x.compatFields(call, s.body)
	if len(x.r.Header.Values("Authorization")) > 0 {
		if err == nil && fields != nil {
			return paramError("sign", "the request is signed by its Authorization header; leave out sign")
		}
		return nil // the header's own way judges what else is wrong
	}
	s.fields, s.call = fields, call
	return err
}

// authenticateRead is authenticate for a request that changes nothing and
// says everything in its address.
func (x *exchange) authenticateRead() (signed, error) {
	s, err := x.authenticate()
	if err == nil && len(s.body) > 0 {
		err = paramError("", "this request takes no body")
	}
	if err == nil {
		err = x.namesPath(&s)
	}
	return s, err
}

// authenticateWrite is authenticate for a request that changes something: its
// nonce must be fresh and its address carries no parameters.
func (x *exchange) authenticateWrite() (signed, error) {
	s, err := x.authenticate()
	if err != nil {
		return s, err
	}
	if err := x.service.CheckNonce(x.r.Context(), s.caller); err != nil {
		return s, err
	}
	if s.fields != nil {
		return s, x.namesPath(&s)
	}
	_, err = x.query(&s)
	return s, err
}

// namesPath checks the field of a v2-style request that repeats the path's
// parameter, which puts it under the signature.
func (x *exchange) namesPath(s *signed) error {
	if s.fields == nil || s.call.param == "" {
		return nil
	}
	if value, given := s.fields[s.call.param]; given && value != x.param {
		return paramError(s.call.param, "differs from the one in the address")
	}
	return nil
}

// readBody reads the body once, up to maxBody bytes, within the time given.
func (x *exchange) readBody(within time.Duration) ([]byte, error) {
	return x.readUpTo(maxBody, within)
}

// readUpTo reads the body once, up to limit bytes, within the time given.
func (x *exchange) readUpTo(limit int64, within time.Duration) ([]byte, error) {
	if x.r.ContentLength > limit {
		return nil, x.tooLarge(limit)
	}
	if len(x.r.TransferEncoding) > 0 {
		// net/http does not tell whether a length came beside the chunks, by
		// which a proxy in front may have cut the stream of requests in other
		// places (threats C18).
		x.hangUp()
	}
	// A server may leave slow senders all the time in the world, so the
	// connection gets a deadline for as long as the body is read (threats
	// A12). Connections without deadlines exist in tests alone.
	rc := http.NewResponseController(x.w)
	if err := rc.SetReadDeadline(x.now().Add(within)); err == nil {
		defer func() { _ = rc.SetReadDeadline(time.Time{}) }()
	}
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, x.tooLarge(limit)
	}
	if err != nil {
		x.hangUp()
		return nil, &relay.Error{Kind: relay.KindParam, Message: "the body is incomplete", Err: fmt.Errorf("reading body: %w", err)}
	}
	return body, nil
}

// tooLarge refuses a body without reading the rest of it.
func (x *exchange) tooLarge(limit int64) error {
	x.hangUp()
	return &relay.Error{Kind: relay.KindTooLarge, Message: "the body is larger than " + strconv.FormatInt(limit, 10) + " bytes", WeChatCode: errcode.TooLarge}
}

// hangUp ends the connection after the answer. HTTP/2 ends the stream by
// itself and knows no such header.
func (x *exchange) hangUp() {
	if x.r.ProtoMajor == 1 {
		x.w.Header().Set("Connection", "close")
	}
}

// targetOf is the request target as it was sent, path and query. A proxy's
// client sends the whole address, of which the target is the end.
func targetOf(r *http.Request) string {
	target := r.RequestURI
	if target == "" {
		target = r.URL.RequestURI()
	}
	if strings.HasPrefix(target, "/") {
		return target
	}
	_, rest, ok := strings.Cut(target, "://")
	if !ok {
		return target
	}
	switch at := strings.IndexAny(rest, "/?"); {
	case at < 0:
		return "/"
	case rest[at] == '?':
		return "/" + rest[at:]
	default:
		return rest[at:]
	}
}

// decode reads what a signed request says into v: a JSON object, or the
// fields of a v2-style request.
func (x *exchange) decode(s *signed, v any) error {
	if s.fields != nil {
		document, err := s.call.document(s.fields)
		if err != nil {
			return err
		}
		return decodeJSON(document, v)
	}
	if !isJSON(x.r.Header.Values("Content-Type")) {
		return errMedia
	}
	return decodeJSON(s.body, v)
}

// decodeEmpty takes the body of a request that has nothing to say: none at
// all, or an empty object.
func (x *exchange) decodeEmpty(s *signed) error {
	if len(s.body) == 0 {
		return nil
	}
	var nothing struct{}
	return x.decode(s, &nothing)
}

func decodeJSON(body []byte, v any) error {
	err := strictjson.Decode(body, v, strictjson.Options{})
	if err == nil {
		return nil
	}
	return jsonRefusal(err)
}

// jsonRefusal words what is wrong with a body.
func jsonRefusal(err error) error {
	e, ok := errors.AsType[*strictjson.Error](err)
	if !ok {
		return fmt.Errorf("decoding body: %w", err)
	}
	message := string(e.Problem)
	if e.Field == "" {
		message = "the body " + message
	}
	return &relay.Error{Kind: relay.KindParam, Field: e.Field, Message: message, Err: err}
}

// isJSON takes application/json, said once and with no charset but UTF-8.
func isJSON(contentType []string) bool { return isMedia(contentType, "application/json") }

// isForm takes a form's encoding likewise.
func isForm(contentType []string) bool {
	return isMedia(contentType, "application/x-www-form-urlencoded")
}

func isMedia(contentType []string, want string) bool {
	if len(contentType) != 1 {
		return false
	}
	media, params, err := mime.ParseMediaType(contentType[0])
	if err != nil || media != want {
		return false
	}
	for name, value := range params {
		if name != "charset" || !strings.EqualFold(value, "utf-8") {
			return false
		}
	}
	return true
}

// query reads the parameters of an address: known names only, each at most
// once. Those of a v2-style request were read with its signature.
func (x *exchange) query(s *signed, known ...string) (map[string]string, error) {
	if s.fields != nil {
		return s.fields, nil
	}
	return parseQuery(x.r.URL.RawQuery, known...)
}

func parseQuery(raw string, known ...string) (map[string]string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, paramError("", "the query is malformed")
	}
	out := make(map[string]string, len(known))
	for _, name := range known {
		given, ok := values[name]
		if !ok {
			continue
		}
		if len(given) > 1 {
			return nil, paramError(name, "is given twice")
		}
		out[name] = given[0]
		delete(values, name)
	}
	if len(values) > 0 {
		return nil, paramError("", "the query has a parameter that is not known here")
	}
	return out, nil
}

// refreshParam reads whether WeChat shall be asked first: true or false;
// absent is false.
func refreshParam(q map[string]string) (bool, error) {
	switch value, given := q["refresh"]; {
	case !given, value == "false":
		return false, nil
	case value == "true":
		return true, nil
	default:
		return false, paramError("refresh", "must be true or false")
	}
}

// intParam reads a plain decimal number from 1 to upper; absent is fallback.
func intParam(q map[string]string, name string, upper, fallback int) (int, error) {
	value, given := q[name]
	if !given {
		return fallback, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > upper || strconv.Itoa(n) != value {
		return 0, paramError(name, "must be a number from 1 to "+strconv.Itoa(upper))
	}
	return n, nil
}
