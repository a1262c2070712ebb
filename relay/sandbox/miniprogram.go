package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/miniprogram"
)

// miniFaults are those of logins in mini-programs.
var miniFaults = faultGroup{
	{faultMiniBlocked, "高风险用户 40226", "errcode 40226: a user of high risk"},
}

// faultMiniBlocked answers errcode 40226, without using the code up.
const faultMiniBlocked = "mini_blocked"

// wxBlocked is the refusal of a user of high risk (oauth.md 4).
var wxBlocked = wxError{40226, "code blocked"}

// sessionKeySize is how many bytes a session key has.
const sessionKeySize = 16

// miniSession is what jscode2session made of a code.
type miniSession struct {
	AppID, UserID string
	Key           miniprogram.SessionKey
}

// miniLogins keeps codes and sessions of mini-programs. Safe for concurrent
// use.
type miniLogins struct {
	now func() time.Time

	mu       sync.Mutex // guards what follows
	codes    grants
	sessions map[string]miniSession // by the code that made it
	latest   map[[2]string]string   // code by app id and user
	usage    map[[2]string]*usage   // likewise
}

// sessionsPerMinute is how many sessions a user may begin (oauth.md 4).
const sessionsPerMinute = 100

// newMiniLogins makes an empty list.
func newMiniLogins(now func() time.Time) *miniLogins {
	return &miniLogins{
		now: now, codes: grants{life: codeLife, all: map[string]*grant{}},
		sessions: map[string]miniSession{}, latest: map[[2]string]string{}, usage: map[[2]string]*usage{},
	}
}

// addCode keeps a new code of wx.login.
func (m *miniLogins) addCode(code, appID, userID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.codes.put(code, grant{AppID: appID, UserID: userID, At: m.now()})
	for old := range m.sessions { // as bounded as the codes are
		if m.codes.all[old] == nil {
			delete(m.sessions, old)
		}
	}
}

// exchange turns a code into a session with this key, once.
func (m *miniLogins) exchange(appID, code string, key miniprogram.SessionKey) (miniSession, *wxError) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g, expired := m.codes.find(code, m.now())
	switch {
	case g == nil || g.AppID != appID:
		return miniSession{}, &wxInvalidCode
	case g.Used:
		return miniSession{}, &wxCodeUsed
	case expired: // the document has one number for bad and for old codes
		return miniSession{}, &wxInvalidCode
	}
	who := [2]string{appID, g.UserID}
	if m.usage[who] == nil {
		m.usage[who] = &usage{}
	}
	if wrong := m.usage[who].count(m.now(), sessionsPerMinute, 0); wrong != nil {
		return miniSession{}, wrong
	}
	g.Used = true
	made := miniSession{AppID: appID, UserID: g.UserID, Key: key}
	m.sessions[code] = made
	m.latest[who] = code
	return made, nil
}

// session finds the session that a code made; without a code, the newest of
// the user.
func (m *miniLogins) session(appID, userID, code string) (miniSession, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if code == "" {
		code = m.latest[[2]string{appID, userID}]
	}
	found, ok := m.sessions[code]
	return found, ok
}

// sessionReply is the answer to jscode2session.
type sessionReply struct {
	OpenID     string `json:"openid"`
	SessionKey string `json:"session_key"`
	UnionID    string `json:"unionid"`
}

// serveJSCode2Session answers GET /sns/jscode2session.
func (s *Sandbox) serveJSCode2Session(w http.ResponseWriter, r *http.Request) {
	if s.oauthFault(w, r) {
		return
	}
	query := r.URL.Query()
	wrong := s.checkAccount(query)
	switch {
	case wrong != nil:
	case query.Get("js_code") == "":
		wrong = &wxNoCode
	case query.Get("grant_type") != "authorization_code":
		wrong = &wxInvalidGrant
	case s.faults.take(miniFaults, "") != nil:
		wrong = &wxBlocked
	}
	if wrong != nil {
		s.writeWX(w, wrong)
		return
	}
	raw := make([]byte, sessionKeySize)
	if _, err := io.ReadFull(s.rand, raw); err != nil {
		s.fail(w, "session key", err)
		return
	}
	key := miniprogram.SessionKey(base64.StdEncoding.EncodeToString(raw))
	made, wrong := s.mini.exchange(query.Get("appid"), query.Get("js_code"), key)
	if wrong != nil {
		s.writeWX(w, wrong)
		return
	}
	s.writeWX(w, sessionReply{
		OpenID: OpenID(made.AppID, made.UserID), SessionKey: string(key), UnionID: unionID(made.UserID),
	})
}

// miniRequest is the body of POST /sandbox/mini-login and
// /sandbox/mini-data.
type miniRequest struct {
	AppID string `json:"app_id"` // default: the default mini-program
	User  string `json:"user"`   // default: who holds the phone

	// Code is the code of an older session whose key encrypts the data;
	// default: the newest session of the user. Of mini-data alone.
	Code string   `json:"code"`
	Data miniData `json:"data"` // default: userinfo
}

// miniData is what a mini-program asks a user for.
type miniData string

// The data that the sandbox has.
const (
	miniUserInfo miniData = "userinfo"
	miniPhone    miniData = "phone"
)

// Reasons for which the phone has no code or no data for a mini-program.
var (
	errMiniAccount = errors.New("app_id is no mini-program here; see /sandbox/credentials")
	errMiniUser    = errors.New("there is no such user")
	errMiniData    = errors.New("data must be userinfo or phone")
	errMiniSession = errors.New("the user has no such session: the code of /sandbox/mini-login was not exchanged yet")
)

// fill sets defaults and says what is wrong with a request.
func (q *miniRequest) fill(s *Sandbox, holder user) error {
	if q.AppID == "" {
		q.AppID = DefaultMiniProgramAppID
	}
	if q.User == "" {
		q.User = holder.ID
	}
	if q.Data == "" {
		q.Data = miniUserInfo
	}
	account := s.directory.accounts[q.AppID]
	if account == nil || account.Kind != "" && account.Kind != MiniProgram {
		return errMiniAccount
	}
	if _, ok := userByID(q.User); !ok {
		return errMiniUser
	}
	if q.Data != miniUserInfo && q.Data != miniPhone {
		return errMiniData
	}
	return nil
}

// miniOf reads a request from the phone's form.
func miniOf(values url.Values) (miniRequest, error) {
	return miniRequest{AppID: values.Get("app_id"), User: values.Get("user")}, nil
}

// miniCode is the answer to POST /sandbox/mini-login: what wx.login gives to
// a mini-program.
type miniCode struct {
	Code  string `json:"code"`
	AppID string `json:"app_id"`
	User  string `json:"user"`
}

// serveMiniLogin answers POST /sandbox/mini-login.
func (s *Sandbox) serveMiniLogin(w http.ResponseWriter, r *http.Request) {
	request, form, err := readPanel(w, r, miniOf)
	if err == nil {
		err = request.fill(s, currentUser(r))
	}
	if err != nil {
		writeJSON(w, http.StatusBadRequest, errorBody{Code: "PARAM_ERROR", Message: err.Error()})
		return
	}
	code := "SANDBOX" + s.randomHex(12)
	s.mini.addCode(code, request.AppID, request.User)
	if form {
		s.renderMessage(w, r, http.StatusOK, "wx.login → "+code)
		return
	}
	writeJSON(w, http.StatusOK, miniCode{code, request.AppID, request.User})
}

// miniSealed is the answer to POST /sandbox/mini-data: what a mini-program's
// user hands over. A phone number comes without raw data and signature.
type miniSealed struct {
	RawData       string `json:"raw_data,omitempty"`
	Signature     string `json:"signature,omitempty"`
	EncryptedData string `json:"encrypted_data"`
	IV            string `json:"iv"`
}

// serveMiniData answers POST /sandbox/mini-data.
func (s *Sandbox) serveMiniData(w http.ResponseWriter, r *http.Request) {
	request, _, err := readPanel(w, r, miniOf)
	if err == nil {
		err = request.fill(s, currentUser(r))
	}
	if err != nil {
		writeJSON(w, http.StatusBadRequest, errorBody{Code: "PARAM_ERROR", Message: err.Error()})
		return
	}
	session, ok := s.mini.session(request.AppID, request.User, request.Code)
	if !ok || session.AppID != request.AppID {
		writeJSON(w, http.StatusBadRequest, errorBody{Code: "PARAM_ERROR", Message: errMiniSession.Error()})
		return
	}
	sealed, err := s.sealMini(&session, request.Data)
	if err != nil {
		s.fail(w, "data of a mini-program", err)
		return
	}
	writeJSON(w, http.StatusOK, sealed)
}

// watermark says for whom and when data was made.
type watermark struct {
	Timestamp int64  `json:"timestamp"`
	AppID     string `json:"appid"`
}

// WeChat's documents of user data, spelled its way.
type (
	// miniProfile is the raw data of a user.
	miniProfile struct {
		NickName  string `json:"nickName"` //nolint:tagliatelle // WeChat's spelling
		Gender    int    `json:"gender"`
		Language  string `json:"language"`
		City      string `json:"city"`
		Province  string `json:"province"`
		Country   string `json:"country"`
		AvatarURL string `json:"avatarUrl"` //nolint:tagliatelle // WeChat's spelling
	}
	// miniIdentity is a profile as it is encrypted.
	miniIdentity struct {
		OpenID string `json:"openId"` //nolint:tagliatelle // WeChat's spelling
		miniProfile
		UnionID   string    `json:"unionId"` //nolint:tagliatelle // WeChat's spelling
		Watermark watermark `json:"watermark"`
	}
	// miniPhoneNumber is a phone number as it is encrypted.
	miniPhoneNumber struct {
		PhoneNumber     string    `json:"phoneNumber"`     //nolint:tagliatelle // WeChat's spelling
		PurePhoneNumber string    `json:"purePhoneNumber"` //nolint:tagliatelle // WeChat's spelling
		CountryCode     string    `json:"countryCode"`     //nolint:tagliatelle // WeChat's spelling
		Watermark       watermark `json:"watermark"`
	}
)

// sealMini encrypts a user's data with the key of a session (oauth.md 4).
func (s *Sandbox) sealMini(session *miniSession, data miniData) (*miniSealed, error) {
	who, _ := userByID(session.UserID)
	mark := watermark{Timestamp: s.now().Unix(), AppID: session.AppID}
	sealed := &miniSealed{}
	var plain []byte
	var err error
	if data == miniPhone {
		number := PhoneNumber(who.ID)
		plain, err = json.Marshal(miniPhoneNumber{PhoneNumber: number, PurePhoneNumber: number, CountryCode: "86", Watermark: mark})
	} else {
		profile := miniProfile{NickName: who.Name, Language: "zh_CN"}
		raw, rawErr := json.Marshal(profile)
		sealed.RawData, sealed.Signature = string(raw), miniprogram.Sign(string(raw), session.Key)
		plain, err = json.Marshal(miniIdentity{
			OpenID: OpenID(session.AppID, who.ID), miniProfile: profile, UnionID: unionID(who.ID), Watermark: mark,
		})
		err = errors.Join(rawErr, err)
	}
	if err != nil {
		return nil, fmt.Errorf("encoding the data: %w", err)
	}
	sealed.EncryptedData, sealed.IV, err = miniprogram.Encrypt(s.rand, session.Key, plain)
	return sealed, err
}

// PhoneNumber returns the phone number of a test user, of a block that no
// operator gives out.
func PhoneNumber(userID string) string {
	for i, u := range testUsers {
		if u.ID == userID {
			return fmt.Sprintf("1000000%04d", i+1)
		}
	}
	return ""
}
