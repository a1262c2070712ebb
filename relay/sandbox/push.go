package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/wxrelay/wxrelay/relay/wechat/message"
)

// pushRepeats is how often WeChat repeats a message that was not taken
// (oauth.md 7).
const pushRepeats = 3

// maxPushText is how many bytes a user may write.
const maxPushText = 2048

// pushKind is what a user does.
type pushKind string

// The kinds of messages that the sandbox sends.
const (
	pushText  pushKind = "text"
	pushEvent pushKind = "event"
)

// pushMode says how messages travel.
type pushMode string

// The modes of an account's server settings.
const (
	pushPlain pushMode = "plain"
	pushAES   pushMode = "aes"
)

// pushRequest is the body of POST /sandbox/message: WeChat checks the
// address of an account's server, or a user writes to the account.
type pushRequest struct {
	AppID  string         `json:"app_id"` // default: the default account
	URL    string         `json:"url"`    // of the account's server
	Check  bool           `json:"check"`  // only check the address
	Type   pushKind       `json:"type"`   // default: text
	Text   string         `json:"text"`
	Event  string         `json:"event"` // default: subscribe
	Key    string         `json:"event_key"`
	User   string         `json:"user"`   // default: who holds the phone
	OpenID string         `json:"openid"` // in place of user
	Mode   pushMode       `json:"mode"`   // default: plain
	Format message.Format `json:"format"` // default: xml

	// Token and MessageKey are other settings than the account's.
	Token      string `json:"token"`
	MessageKey string `json:"message_key"`

	// Twice sends a message that was taken once more, as WeChat does whose
	// line broke before it saw the answer.
	Twice bool `json:"twice"`
}

// pushAttempt is one request to an account's server.
type pushAttempt struct {
	Status       int    `json:"status,omitempty"`
	Answer       string `json:"answer,omitempty"`
	Failure      string `json:"failure,omitempty"`
	Success      bool   `json:"success"`
	Milliseconds int64  `json:"milliseconds"`
}

// pushResult is the answer to POST /sandbox/message.
type pushResult struct {
	Success  bool          `json:"success"`
	MsgID    string        `json:"msg_id,omitempty"`
	Attempts []pushAttempt `json:"attempts"`
}

// errPush says that a message makes no sense.
var errPush = errors.New("give url, an address that the sandbox may notify; type is text, with text, or event; " +
	"mode is plain or aes; format is xml or json; app_id and user are the sandbox's")

// fill sets defaults and says what is wrong with a request.
func (q *pushRequest) fill(s *Sandbox, holder user) error {
	if q.AppID == "" {
		q.AppID = DefaultAppID
	}
	if q.User == "" {
		q.User = holder.ID
	}
	if q.Type == "" {
		q.Type = pushText
	}
	if q.Event == "" {
		q.Event = "subscribe"
	}
	if q.Mode == "" {
		q.Mode = pushPlain
	}
	if q.Format == "" {
		q.Format = message.FormatXML
	}
	account := s.directory.accounts[q.AppID]
	_, known := userByID(q.User)
	if account == nil || !known || notifyURLIssue(q.URL, s.allowPublic) != "" || !q.wellFormed() {
		return errPush
	}
	if q.OpenID == "" {
		q.OpenID = OpenID(q.AppID, q.User)
	}
	if q.Token == "" {
		q.Token = account.messageToken()
	}
	if q.MessageKey == "" {
		q.MessageKey = account.messageKey()
	}
	return nil
}

// wellFormed checks the closed sets and the text of a request.
func (q *pushRequest) wellFormed() bool {
	kind := q.Type == pushEvent || q.Type == pushText && (q.Check || q.Text != "")
	mode := q.Mode == pushPlain || q.Mode == pushAES
	format := q.Format == message.FormatXML || q.Format == message.FormatJSON
	return kind && mode && format && printable(q.Text) && printable(q.Event) && printable(q.Key) && printable(q.OpenID)
}

// printable reports whether a user can have written a text.
func printable(text string) bool {
	return len(text) <= maxPushText && utf8.ValidString(text) &&
		!strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) && c != '\n' || c == 0xfffe || c == 0xffff })
}

// messageToken is the Token of the account's server settings.
func (a *Account) messageToken() string {
	if a.MessageToken == "" {
		return DefaultMessageToken
	}
	return a.MessageToken
}

// messageKey is the EncodingAESKey of the account's server settings.
func (a *Account) messageKey() string {
	if a.MessageKey == "" {
		return DefaultMessageKey
	}
	return a.MessageKey
}

// originalID is the id by which messages name an account.
func originalID(appID string) string {
	sum := sha256.Sum256([]byte("wxrelay sandbox original id\n" + appID))
	return "gh_" + hex.EncodeToString(sum[:6])
}

// pushOf reads a message from the phone's form.
func pushOf(values url.Values) (pushRequest, error) {
	return pushRequest{
		AppID: values.Get("app_id"), URL: values.Get("url"), Check: values.Get("check") != "",
		Text: values.Get("text"), Mode: pushMode(values.Get("mode")),
	}, nil
}

// servePush answers POST /sandbox/message. The answer comes when the
// account's server has taken the message, or has not after all repeats.
func (s *Sandbox) servePush(w http.ResponseWriter, r *http.Request) {
	request, form, err := readPanel(w, r, pushOf)
	if err == nil {
		err = request.fill(s, currentUser(r))
	}
	var result *pushResult
	if err == nil {
		result, err = s.push(r.Context(), request)
	}
	switch {
	case err != nil && form:
		s.renderMessage(w, r, http.StatusBadRequest, err.Error())
	case err != nil:
		writeJSON(w, http.StatusBadRequest, errorBody{Code: "PARAM_ERROR", Message: err.Error()})
	case form:
		s.renderMessage(w, r, http.StatusOK, result.words())
	default:
		writeJSON(w, http.StatusOK, result)
	}
}

// words tells the outcome to somebody at the phone.
func (p *pushResult) words() string {
	last := p.Attempts[len(p.Attempts)-1]
	if p.Success {
		return fmt.Sprintf("送达 (taken): %d %s", last.Status, last.Answer)
	}
	return fmt.Sprintf("该公众号提供的服务出现故障，请稍后再试 (not taken after %d attempts): %d %s %s",
		len(p.Attempts), last.Status, last.Answer, last.Failure)
}

// push plays WeChat's side of a message or of the check of the address.
func (s *Sandbox) push(ctx context.Context, q *pushRequest) (*pushResult, error) {
	if q.Check {
		echo := s.randomHex(10)
		attempt, err := s.sendCheck(ctx, q, echo)
		return &pushResult{Success: attempt.Success, Attempts: []pushAttempt{attempt}}, err
	}
	result := &pushResult{}
	if q.Type == pushText { // events have none
		id, err := s.messageID()
		if err != nil {
			return nil, err
		}
		result.MsgID = strconv.FormatUint(id, 10)
	}
	text, err := q.write(s.now(), result.MsgID)
	if err != nil {
		return nil, err
	}
	left := 1
	if q.Twice {
		left = 2
	}
	for tries := left + pushRepeats; tries > 0 && left > 0; tries-- {
		attempt, err := s.sendPush(ctx, q, text)
		if err != nil {
			return nil, err
		}
		result.Attempts = append(result.Attempts, attempt)
		if attempt.Success {
			left--
		}
	}
	result.Success = left == 0
	return result, nil
}

// messageID makes an id as WeChat does: a number of up to 64 bits, of which
// the highest is never set.
func (s *Sandbox) messageID() (uint64, error) {
	var raw [8]byte
	if _, err := io.ReadFull(s.rand, raw[:]); err != nil {
		return 0, fmt.Errorf("reading random bytes: %w", err)
	}
	return binary.BigEndian.Uint64(raw[:])>>1 | 1, nil
}

// jsonMessage is a message as accounts of mini-programs may choose it.
type jsonMessage struct {
	ToUserName   string      `json:"ToUserName"`         //nolint:tagliatelle // WeChat's spelling
	FromUserName string      `json:"FromUserName"`       //nolint:tagliatelle // WeChat's spelling
	CreateTime   int64       `json:"CreateTime"`         //nolint:tagliatelle // WeChat's spelling
	MsgType      pushKind    `json:"MsgType"`            //nolint:tagliatelle // WeChat's spelling
	Content      string      `json:"Content,omitempty"`  //nolint:tagliatelle // WeChat's spelling
	Event        string      `json:"Event,omitempty"`    //nolint:tagliatelle // WeChat's spelling
	EventKey     string      `json:"EventKey,omitempty"` //nolint:tagliatelle // WeChat's spelling
	MsgID        json.Number `json:"MsgId,omitempty"`    //nolint:tagliatelle // WeChat's spelling
}

// write writes the message in the form that the account chose.
func (q *pushRequest) write(now time.Time, id string) ([]byte, error) {
	m := jsonMessage{
		ToUserName: originalID(q.AppID), FromUserName: q.OpenID, CreateTime: now.Unix(), MsgType: q.Type, MsgID: json.Number(id),
	}
	if q.Type == pushEvent {
		m.Event, m.EventKey = q.Event, q.Key
	} else {
		m.Content = q.Text
	}
	if q.Format == message.FormatJSON {
		text, err := json.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("encoding the message: %w", err)
		}
		return text, nil
	}
	return m.xml(), nil
}

// xml writes the message as WeChat does, texts as character data.
func (m *jsonMessage) xml() []byte {
	var b bytes.Buffer
	b.WriteString("<xml>")
	text := func(name, value string) {
		// The one thing that ends character data is cut in two.
		value = strings.ReplaceAll(value, "]]>", "]]]]><![CDATA[>")
		fmt.Fprintf(&b, "<%[1]s><![CDATA[%[2]s]]></%[1]s>", name, value)
	}
	text("ToUserName", m.ToUserName)
	text("FromUserName", m.FromUserName)
	fmt.Fprintf(&b, "<CreateTime>%d</CreateTime>", m.CreateTime)
	text("MsgType", string(m.MsgType))
	if m.MsgType == pushEvent {
		text("Event", m.Event)
		text("EventKey", m.EventKey)
	} else {
		text("Content", m.Content)
		fmt.Fprintf(&b, "<MsgId>%s</MsgId>", m.MsgID)
	}
	b.WriteString("</xml>")
	return b.Bytes()
}

// sendCheck plays the check of the address that WeChat's console makes.
func (s *Sandbox) sendCheck(ctx context.Context, q *pushRequest, echo string) (pushAttempt, error) {
	timestamp, nonce := strconv.FormatInt(s.now().Unix(), 10), s.randomHex(8)
	query := message.Query{
		Signature: message.Sign(q.Token, timestamp, nonce), Timestamp: timestamp, Nonce: nonce, EchoStr: echo,
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, q.URL+"?"+query.Values().Encode(), nil)
	if err != nil {
		return pushAttempt{}, fmt.Errorf("making a request: %w", err)
	}
	return s.sendToServer(request, func(status int, answer string) bool {
		return status == http.StatusOK && answer == echo
	}), nil
}

// sendPush sends a message once, signed anew.
func (s *Sandbox) sendPush(ctx context.Context, q *pushRequest, text []byte) (pushAttempt, error) {
	timestamp, nonce := strconv.FormatInt(s.now().Unix(), 10), s.randomHex(8)
	push := message.NewPush(q.Token, timestamp, nonce, text)
	if q.Mode == pushAES {
		cipher, err := message.NewCipher([]byte(q.MessageKey), q.AppID)
		if err != nil {
			return pushAttempt{}, fmt.Errorf("message key: %w", err)
		}
		push, err = message.NewEncryptedPush(s.rand, cipher, q.Token, timestamp, nonce, originalID(q.AppID), text)
		if err != nil {
			return pushAttempt{}, fmt.Errorf("encrypting the message: %w", err)
		}
	}
	values := push.Query.Values()
	values.Set("openid", q.OpenID)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, q.URL+"?"+values.Encode(), bytes.NewReader(push.Body))
	if err != nil {
		return pushAttempt{}, fmt.Errorf("making a request: %w", err)
	}
	request.Header.Set("Content-Type", push.ContentType)
	return s.sendToServer(request, func(status int, answer string) bool {
		return status == http.StatusOK && (answer == "" || answer == "success")
	}), nil
}

// sendToServer makes a request to an account's server and waits for its
// answer as long as WeChat does.
func (s *Sandbox) sendToServer(request *http.Request, good func(status int, answer string) bool) pushAttempt {
	ctx, cancel := context.WithTimeout(request.Context(), notifyTimeout)
	defer cancel()
	request.Header.Set("Accept", "*/*")
	request.Header.Set("User-Agent", "Mozilla/4.0 (wxrelay sandbox, not WeChat)")
	var a attempt
	start := s.now()
	err := s.notifier.exchange(request.WithContext(ctx), &a)
	made := pushAttempt{Status: a.Status, Answer: a.Answer, Milliseconds: s.now().Sub(start).Milliseconds()}
	if err != nil {
		made.Failure = failureText(err)
		return made
	}
	made.Success = good(a.Status, a.Answer)
	return made
}
