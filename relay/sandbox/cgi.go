package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wxrelay/wxrelay/internal/strictjson"
)

// The errors of oauth.md 8 that the calls of an account give.
var (
	wxNotLatest      = wxError{40001, "invalid credential, access_token is invalid or not latest"}
	wxMessageType    = wxError{40008, "invalid message type"}
	wxInvalidURL     = wxError{40066, "invalid url"}
	wxInvalidArgs    = wxError{40097, "invalid args"}
	wxAddress        = wxError{40164, "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist"}
	wxFrozen         = wxError{40243, "AppSecret has been frozen"}
	wxRequireGet     = wxError{43001, "require GET method"}
	wxRequirePost    = wxError{43002, "require POST method"}
	wxEmptyPost      = wxError{44002, "empty post data"}
	wxContentLength  = wxError{45002, "content size out of limit"}
	wxDataFormat     = wxError{47001, "data format error"}
	wxClearForbidden = wxError{48006, "forbid to clear quota because of reaching the limit"}
	wxOK             = wxError{0, "ok"}
)

// maxCustomMessage is how many bytes a text to a user may have.
const maxCustomMessage = 2048

// cgiCall is a call of an account that showed a good access token.
type cgiCall struct {
	AppID       string
	Query       url.Values
	ContentType string
	Body        []byte
}

// cgiRoutes adds the calls below /cgi-bin.
func (s *Sandbox) cgiRoutes(mux *http.ServeMux) {
	add := func(path string, serve http.HandlerFunc) { mux.HandleFunc(path, s.counted(path, serve)) }
	add("/cgi-bin/stable_token", s.serveStableToken)
	add("/cgi-bin/token", s.serveToken)
	mux.HandleFunc("/cgi-bin/", s.serveUnknownCGI)
	for path, api := range map[string]struct {
		method    string
		operation string
		kinds     []AccountKind // that may call; none means every kind
		do        func(*Sandbox, *cgiCall) (any, *wxError)
	}{
		"/cgi-bin/ticket/getticket":    {http.MethodGet, cgiTicket, []AccountKind{OfficialAccount}, (*Sandbox).getTicket},
		"/cgi-bin/user/info":           {http.MethodGet, cgiAPI, []AccountKind{OfficialAccount}, (*Sandbox).followerInfo},
		"/cgi-bin/getcallbackip":       {http.MethodGet, cgiAPI, nil, (*Sandbox).callbackAddresses},
		"/cgi-bin/get_api_domain_ip":   {http.MethodGet, cgiAPI, nil, (*Sandbox).callbackAddresses},
		"/cgi-bin/message/custom/send": {http.MethodPost, cgiAPI, nil, (*Sandbox).sendCustom},
		"/cgi-bin/media/upload":        {http.MethodPost, cgiAPI, nil, (*Sandbox).uploadMedia},
		"/cgi-bin/media/get":           {http.MethodGet, cgiAPI, nil, (*Sandbox).getMedia},
		"/cgi-bin/clear_quota":         {http.MethodPost, cgiAPI, nil, (*Sandbox).clearQuota},
	} {
		add(path, s.serveCGI(api.method, api.operation, api.kinds, api.do))
	}
}

// writeCGI answers as the calls below /cgi-bin do: JSON with WeChat's own
// label.
func (s *Sandbox) writeCGI(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; encoding=utf-8")
	s.writeErrcode(w, v)
}

// serveUnknownCGI answers calls that the sandbox does not play.
func (s *Sandbox) serveUnknownCGI(w http.ResponseWriter, _ *http.Request) {
	s.calls.add("/cgi-bin/")
	s.writeCGI(w, &wxInvalidURL)
}

// wrongMethod is the refusal of a call made by another method.
func wrongMethod(r *http.Request, want string) *wxError {
	switch {
	case r.Method == want:
		return nil
	case want == http.MethodGet:
		return &wxRequireGet
	}
	return &wxRequirePost
}

// serveCGI answers a call that shows the account's access token.
func (s *Sandbox) serveCGI(
	method, operation string, kinds []AccountKind, do func(*Sandbox, *cgiCall) (any, *wxError),
) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.cgiFault(w, r, operation) {
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMedia))
		if err != nil {
			s.writeCGI(w, &wxContentLength)
			return
		}
		c := &cgiCall{Query: r.URL.Query(), ContentType: r.Header.Get("Content-Type"), Body: body}
		wrong := wrongMethod(r, method)
		if wrong == nil {
			wrong = s.admitCGI(c, operation, kinds)
		}
		var reply any
		if wrong == nil {
			reply, wrong = do(s, c)
		}
		if file, ok := reply.(*mediaFile); ok && wrong == nil {
			writeMedia(w, file)
			return
		}
		if wrong != nil {
			reply = wrong
		}
		s.writeCGI(w, reply)
	}
}

// admitCGI finds the account of a call by its access token.
func (s *Sandbox) admitCGI(c *cgiCall, operation string, kinds []AccountKind) (wrong *wxError) {
	token := c.Query.Get("access_token")
	if c.AppID, wrong = s.accountTokens.owner(token); wrong != nil {
		return wrong
	}
	if wrong = s.showingFault(operation, token); wrong != nil {
		return wrong
	}
	kind := s.directory.accounts[c.AppID].Kind
	if len(kinds) > 0 && kind != "" && !slices.Contains(kinds, kind) {
		return &wxUnauthorized
	}
	return nil
}

// accessTokenReply is the answer to the calls that give access tokens.
type accessTokenReply struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
}

// sendAccessToken answers with an access token and what is left of its life.
func (s *Sandbox) sendAccessToken(w http.ResponseWriter, token accountToken, wrong *wxError) {
	if wrong != nil {
		s.writeCGI(w, wrong)
		return
	}
	s.writeCGI(w, accessTokenReply{token.Text, int(token.Until.Sub(s.now()) / time.Second)})
}

// checkTokenCaller checks who asks for an access token. Only official
// accounts and mini-programs have one.
func (s *Sandbox) checkTokenCaller(query url.Values, operation string) *wxError {
	if wrong := s.checkAccount(query); wrong != nil {
		return wrong
	}
	if query.Get("grant_type") != "client_credential" {
		return &wxInvalidGrant
	}
	switch s.directory.accounts[query.Get("appid")].Kind {
	case WebsiteApp, MobileApp:
		return &wxInvalidAppID
	case "", OfficialAccount, MiniProgram:
	}
	return s.givingFault(operation)
}

// serveStableToken answers POST /cgi-bin/stable_token.
func (s *Sandbox) serveStableToken(w http.ResponseWriter, r *http.Request) {
	if s.cgiFault(w, r, cgiStableToken) {
		return
	}
	query, force, wrong := readStableToken(w, r)
	if wrong == nil {
		wrong = s.checkTokenCaller(query, cgiStableToken)
	}
	var token accountToken
	if wrong == nil {
		token, wrong = s.accountTokens.stable(query.Get("appid"), force, "SANDBOX_STABLE_"+s.randomHex(48))
	}
	s.sendAccessToken(w, token, wrong)
}

// readStableToken reads the body of stable_token. force_refresh must be a
// real boolean.
func readStableToken(w http.ResponseWriter, r *http.Request) (url.Values, bool, *wxError) {
	if wrong := wrongMethod(r, http.MethodPost); wrong != nil {
		return nil, false, wrong
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, false, &wxContentLength
	}
	if len(body) == 0 {
		return nil, false, &wxEmptyPost
	}
	var request struct {
		GrantType string `json:"grant_type"`
		AppID     string `json:"appid"`
		Secret    string `json:"secret"`
		Force     bool   `json:"force_refresh"`
	}
	if err := strictjson.Decode(body, &request, strictjson.Options{AllowUnknown: true}); err != nil {
		return nil, false, &wxDataFormat
	}
	return url.Values{"grant_type": {request.GrantType}, "appid": {request.AppID}, "secret": {request.Secret}}, request.Force, nil
}

// serveToken answers GET /cgi-bin/token.
func (s *Sandbox) serveToken(w http.ResponseWriter, r *http.Request) {
	if s.cgiFault(w, r, cgiToken) {
		return
	}
	query := r.URL.Query()
	wrong := wrongMethod(r, http.MethodGet)
	if wrong == nil {
		wrong = s.checkTokenCaller(query, cgiToken)
	}
	var token accountToken
	if wrong == nil {
		token, wrong = s.accountTokens.next(query.Get("appid"), "SANDBOX_TOKEN_"+s.randomHex(48))
	}
	s.sendAccessToken(w, token, wrong)
}

// ticketReply is the answer to getticket.
type ticketReply struct {
	wxError
	Ticket    string `json:"ticket"`
	ExpiresIn int    `json:"expires_in"`
}

// getTicket answers /cgi-bin/ticket/getticket. expires_in is always that of
// a new ticket, however old this one is (oauth.md 6).
func (s *Sandbox) getTicket(c *cgiCall) (any, *wxError) {
	series, known := map[string]tokenSeries{"jsapi": seriesJSAPITicket, "wx_card": seriesCardTicket}[c.Query.Get("type")]
	if !known {
		return nil, &wxInvalidArgs
	}
	ticket, wrong := s.accountTokens.ticket(c.AppID, series, "SANDBOX_TICKET_"+s.randomHex(24))
	return ticketReply{wxOK, ticket.Text, int(accountTokenLife / time.Second)}, wrong
}

// followerReply is the answer to /cgi-bin/user/info, which has had no
// nickname and no picture since 2021.
type followerReply struct {
	Subscribe      int    `json:"subscribe"`
	OpenID         string `json:"openid"`
	Language       string `json:"language"`
	SubscribeTime  int64  `json:"subscribe_time"`
	UnionID        string `json:"unionid"`
	Remark         string `json:"remark"`
	GroupID        int    `json:"groupid"`
	TagIDList      []int  `json:"tagid_list"`
	SubscribeScene string `json:"subscribe_scene"`
}

// followerInfo answers /cgi-bin/user/info: every test user follows every
// account.
func (s *Sandbox) followerInfo(c *cgiCall) (any, *wxError) {
	who, wrong := s.userOf(c.AppID, c.Query.Get("openid"))
	if wrong != nil {
		return nil, wrong
	}
	language := c.Query.Get("lang")
	if language == "" {
		language = "zh_CN"
	}
	return followerReply{
		Subscribe: 1, OpenID: c.Query.Get("openid"), Language: language, SubscribeTime: 1434093047,
		UnionID: unionID(who.ID), TagIDList: []int{}, SubscribeScene: "ADD_SCENE_QR_CODE",
	}, nil
}

// userOf finds the test user that an openid of an account belongs to.
func (s *Sandbox) userOf(appID, openID string) (user, *wxError) {
	if openID == "" {
		return user{}, &wxNoOpenID
	}
	i := slices.IndexFunc(testUsers, func(u user) bool { return OpenID(appID, u.ID) == openID })
	if i < 0 {
		return user{}, &wxInvalidOpenID
	}
	return testUsers[i], nil
}

// addressReply is the answer to the calls that name WeChat's addresses.
type addressReply struct {
	IPList []string `json:"ip_list"`
}

// callbackAddresses answers /cgi-bin/getcallbackip and get_api_domain_ip
// with addresses that nobody has (RFC 5737).
func (*Sandbox) callbackAddresses(*cgiCall) (any, *wxError) {
	return addressReply{[]string{"192.0.2.1", "192.0.2.2"}}, nil
}

// clearQuota answers /cgi-bin/clear_quota: never again this month.
func (*Sandbox) clearQuota(*cgiCall) (any, *wxError) { return nil, &wxClearForbidden }

// customMessage is a text that an account sent to a user.
type customMessage struct {
	At      time.Time `json:"at"`
	AppID   string    `json:"app_id"`
	User    string    `json:"user"`
	Content string    `json:"content"`
}

// sendCustom answers /cgi-bin/message/custom/send: a text for a user's
// phone.
func (s *Sandbox) sendCustom(c *cgiCall) (any, *wxError) {
	if len(c.Body) == 0 {
		return nil, &wxEmptyPost
	}
	var request struct {
		ToUser      string `json:"touser"`
		MessageType string `json:"msgtype"`
		Text        struct {
			Content string `json:"content"`
		} `json:"text"`
	}
	// As in life a lenient reader: members of other kinds of messages and of
	// later documents are no fault.
	if err := json.Unmarshal(c.Body, &request); err != nil || !utf8.Valid(c.Body) {
		return nil, &wxDataFormat
	}
	who, wrong := s.userOf(c.AppID, request.ToUser)
	switch {
	case wrong != nil:
		return nil, wrong
	case request.MessageType != "text":
		return nil, &wxMessageType
	case strings.TrimSpace(request.Text.Content) == "":
		return nil, &wxEmptyPost
	case len(request.Text.Content) > maxCustomMessage:
		return nil, &wxContentLength
	}
	s.inbox.add(customMessage{At: s.now(), AppID: c.AppID, User: who.Name, Content: request.Text.Content})
	return wxOK, nil
}
