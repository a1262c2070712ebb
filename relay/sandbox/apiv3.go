package sandbox

import (
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

// maxBody bounds what is read of any request.
const maxBody = 64 << 10

// apiCall is one APIv3 call that was admitted.
type apiCall struct {
	merchant    *merchant
	target      string // path and query as sent
	body        []byte
	replySerial string          // key that signs the answer
	sealed      *rsa.PrivateKey // opens encrypted members; nil when no key was named
	origin      string          // of the sandbox, as the caller sees it
}

// apiReply is an answer before it is signed and sent.
type apiReply struct {
	status      int
	body        []byte
	number      int // for Request-ID
	contentType string
	unsigned    bool // of files, whose hash was announced
}

// jsonReply makes a 200 of v.
func jsonReply(v any) (apiReply, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return apiReply{}, fmt.Errorf("encoding the answer: %w", err)
	}
	return apiReply{status: http.StatusOK, body: body, contentType: "application/json; charset=utf-8"}, nil
}

// serveV3 answers everything below /v3/.
func (s *Sandbox) serveV3(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		s.sendRefusal(w, readRefusal(err))
		return
	}
	operation, variable, err := routeV3(r)
	if err != nil {
		s.sendRefusal(w, asAPIError(err))
		return
	}
	call, err := s.admit(r, body)
	if err != nil {
		s.sendRefusal(w, asAPIError(err))
		return
	}
	f := s.faults.take(apiFaults, operation.name)
	if f != nil && s.faultBefore(w, r, f, func(e *apiError) { s.sendRefusal(w, e) }) {
		return
	}
	reply, err := operation.play(s, call, variable)
	if err != nil {
		refusal := asAPIError(err)
		if refusal.code == "SYSTEM_ERROR" {
			s.log.Error("sandbox: playing an API call", "operation", operation.name, "error", err)
		}
		reply = refusal.reply()
	}
	s.sendReply(w, r, call, reply, f)
}

// readRefusal says why a body could not be read.
func readRefusal(err error) *apiError {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return refuse(http.StatusRequestEntityTooLarge, "PARAM_ERROR", "请求体过大", logBadParameter)
	}
	return refuse(http.StatusBadRequest, "PARAM_ERROR", "请求体不完整", logBadParameter)
}

// admit checks headers and signature of a call (v3.md 2 and 3).
func (s *Sandbox) admit(r *http.Request, body []byte) (*apiCall, error) {
	target := r.RequestURI
	if !strings.HasPrefix(target, "/") { // absolute form, or a test without a line
		target = r.URL.RequestURI()
	}
	m, err := s.authenticate(r, target, body)
	if err != nil {
		return nil, err
	}
	if err := checkHeaders(r, body); err != nil {
		return nil, err
	}
	serial, err := s.platform.replySerial(m, r.Header.Values("Wechatpay-Serial"))
	if err != nil {
		return nil, err
	}
	call := &apiCall{merchant: m, target: target, body: body, replySerial: serial, origin: originOf(r)}
	if r.Header.Get("Wechatpay-Serial") != "" {
		call.sealed = platformPrivate(serial)
	}
	return call, nil
}

// originOf is the sandbox's own origin, as the peer of a request sees it.
func originOf(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + safeHost(r.Host)
	}
	return "http://" + safeHost(r.Host)
}

// checkHeaders checks the headers that every call needs (v3.md 2).
func checkHeaders(r *http.Request, body []byte) error {
	fault := func(name, value, issue string) error {
		return &parameterError{field: name, value: value, issue: issue, location: "header"}
	}
	if !acceptsJSON(r.Header.Values("Accept")) {
		return fault("Accept", r.Header.Get("Accept"), "Http头Accept须包含application/json")
	}
	if r.UserAgent() == "" {
		return fault("User-Agent", "", "Http头缺少User-Agent")
	}
	if len(body) == 0 {
		return nil
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" || len(r.Header.Values("Content-Type")) > 1 {
		return fault("Content-Type", r.Header.Get("Content-Type"), "Http头Content-Type须为application/json")
	}
	return nil
}

// acceptsJSON reports whether one of the header's ranges covers JSON.
func acceptsJSON(values []string) bool {
	for item := range strings.SplitSeq(strings.Join(values, ","), ",") {
		kind, _, _ := strings.Cut(item, ";")
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "application/json", "application/*", "*/*":
			return true
		}
	}
	return false
}

// sendRefusal sends an unsigned refusal.
func (s *Sandbox) sendRefusal(w http.ResponseWriter, e *apiError) { s.write(w, e.reply()) }

// sendReply signs a success and sends it, unless a fault wants otherwise.
func (s *Sandbox) sendReply(w http.ResponseWriter, r *http.Request, c *apiCall, reply apiReply, f *fault) {
	if f != nil && s.faultAfter(r, f, func(e *apiError) { s.sendRefusal(w, e) }) {
		return
	}
	if reply.status < 300 && !reply.unsigned {
		if err := s.signReply(w.Header(), c, reply.body, f); err != nil {
			s.log.Error("sandbox: signing an answer", "error", err)
			s.sendRefusal(w, asAPIError(err))
			return
		}
	}
	s.write(w, reply)
}

// write sends an answer with its Request-ID.
func (s *Sandbox) write(w http.ResponseWriter, reply apiReply) {
	h := w.Header()
	if reply.contentType != "" {
		h.Set("Content-Type", reply.contentType)
	}
	h.Set("Request-Id", fmt.Sprintf("%s-%d", strings.ToUpper(s.randomHex(16)), reply.number))
	h.Set("X-Sandbox", "not WeChat")
	w.WriteHeader(reply.status)
	_, _ = w.Write(reply.body) // a client that left is not our error
}

// randomHex returns n random bytes in hex.
func (s *Sandbox) randomHex(n int) string {
	raw := make([]byte, n)
	if _, err := io.ReadFull(s.rand, raw); err != nil {
		panic("sandbox: no randomness: " + err.Error()) // crypto/rand never fails
	}
	return hex.EncodeToString(raw)
}
