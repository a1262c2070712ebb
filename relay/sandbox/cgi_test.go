package sandbox

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// cgiReply holds every member that the calls of this file answer.
type cgiReply struct {
	wxError
	accessTokenReply
	followerReply
	Ticket  string   `json:"ticket"`
	IPList  []string `json:"ip_list"`
	Expires int      `json:"-"`
}

// cgi makes a call below /cgi-bin; one with a body is a POST.
func cgi(t *testing.T, s *Sandbox, target, body string) cgiReply {
	t.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	mustStatus(t, w, http.StatusOK)
	if kind := w.Header().Get("Content-Type"); kind != "application/json; encoding=utf-8" {
		t.Errorf("Content-Type = %q, want WeChat's own", kind)
	}
	var reply cgiReply
	if err := json.Unmarshal(w.Body.Bytes(), &reply); err != nil {
		t.Fatalf("decoding %q: %v", w.Body, err)
	}
	reply.Expires = reply.ExpiresIn
	return reply
}

// stableBody asks for a stable token of the default account.
func stableBody(force string) string {
	return `{"grant_type":"client_credential","appid":"` + DefaultAppID + `","secret":"` + DefaultAppSecret + `"` + force + `}`
}

// stable asks for a stable token.
func stable(t *testing.T, s *Sandbox, force bool) cgiReply {
	t.Helper()
	if force {
		return cgi(t, s, "/cgi-bin/stable_token", stableBody(`,"force_refresh":true`))
	}
	return cgi(t, s, "/cgi-bin/stable_token", stableBody(``))
}

// oldTarget asks for a token of the older series.
const oldTarget = "/cgi-bin/token?grant_type=client_credential&appid=" + DefaultAppID + "&secret=" + DefaultAppSecret

// codeWith makes a call with an access token and returns its errcode.
func codeWith(t *testing.T, s *Sandbox, token string) int {
	t.Helper()
	return cgi(t, s, "/cgi-bin/getcallbackip?access_token="+token, "").Code
}

func TestStableTokenStaysTheSame(t *testing.T) {
	t.Parallel()
	c := newClock(testNow)
	s := newSandbox(t, Options{Now: c.now})
	first := stable(t, s, false)
	if first.Code != 0 || first.AccessToken == "" || first.Expires != 7200 {
		t.Fatalf("answer = %+v", first)
	}
	c.set(testNow.Add(2*time.Hour - 5*time.Minute - time.Second))
	if again := stable(t, s, false); again.AccessToken != first.AccessToken || again.Expires != 301 {
		t.Errorf("just before the last five minutes = %+v, want the same for 301 s", again)
	}
	c.set(testNow.Add(2*time.Hour - 5*time.Minute))
	second := stable(t, s, false)
	if second.AccessToken == first.AccessToken || second.Expires != 7200 {
		t.Errorf("in the last five minutes = %+v, want a new one", second)
	}
	if codeWith(t, s, first.AccessToken) != 0 || codeWith(t, s, second.AccessToken) != 0 {
		t.Error("old and new do not overlap")
	}
	c.set(testNow.Add(2 * time.Hour))
	if got := codeWith(t, s, first.AccessToken); got != 42001 {
		t.Errorf("the old one after its end = %d, want 42001", got)
	}
}

func TestForcedRenewal(t *testing.T) {
	t.Parallel()
	c := newClock(testNow)
	s := newSandbox(t, Options{Now: c.now})
	first := stable(t, s, false)
	second := stable(t, s, true)
	if second.AccessToken == first.AccessToken {
		t.Error("a forced renewal gives the same token")
	}
	if got := codeWith(t, s, first.AccessToken); got != 40001 {
		t.Errorf("the token before = %d, want 40001", got)
	}
	c.set(testNow.Add(29 * time.Second))
	if again := stable(t, s, true); again.AccessToken != second.AccessToken {
		t.Error("a forced renewal within 30 s takes effect")
	}
	for i := 1; i < forcesPerDay; i++ {
		c.set(testNow.Add(time.Duration(i) * 30 * time.Second))
		if got := stable(t, s, true); got.Code != 0 || got.AccessToken == second.AccessToken {
			t.Fatalf("forced renewal %d = %+v", i+1, got)
		}
	}
	c.set(testNow.Add(time.Hour))
	if got := stable(t, s, true); got.Code != 45009 {
		t.Errorf("the twenty-first of the day = %+v, want 45009", got)
	}
	if got := stable(t, s, false); got.Code != 0 {
		t.Errorf("without force = %+v", got)
	}
	c.set(testNow.Add(12 * time.Hour)) // midnight in Beijing
	if got := stable(t, s, true); got.Code != 0 {
		t.Errorf("on the next day of Beijing = %+v", got)
	}
}

func TestTwoSeriesLeaveEachOtherAlone(t *testing.T) {
	t.Parallel()
	c := newClock(testNow)
	s := newSandbox(t, Options{Now: c.now})
	kept := stable(t, s, false)
	first := cgi(t, s, oldTarget, "")
	second := cgi(t, s, oldTarget, "")
	if first.AccessToken == second.AccessToken || first.AccessToken == "" || second.Expires != 7200 {
		t.Fatalf("answers = %+v, %+v, want a new token each time", first, second)
	}
	c.set(testNow.Add(5*time.Minute - time.Second))
	if got := codeWith(t, s, first.AccessToken); got != 0 {
		t.Errorf("the token before, within five minutes = %d", got)
	}
	c.set(testNow.Add(5 * time.Minute))
	for token, want := range map[string]int{first.AccessToken: 40001, second.AccessToken: 0, kept.AccessToken: 0} {
		if got := codeWith(t, s, token); got != want {
			t.Errorf("after five minutes %s = %d, want %d", token, got, want)
		}
	}
}

func TestTokenCallsRefuse(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	of := func(appID, secret string) string {
		return strings.NewReplacer(DefaultAppID, appID, DefaultAppSecret, secret).Replace(stableBody(""))
	}
	for name, test := range map[string]struct {
		target, body string
		want         int
	}{
		"GET of stable_token":   {"/cgi-bin/stable_token", "", 43002},
		"POST of token":         {oldTarget, "{}", 43001},
		"not JSON":              {"/cgi-bin/stable_token", "grant_type=x", 47001},
		"names twice":           {"/cgi-bin/stable_token", strings.Replace(stableBody(""), "{", `{"appid":"x",`, 1), 47001},
		"force as text":         {"/cgi-bin/stable_token", stableBody(`,"force_refresh":"false"`), 47001},
		"no appid":              {"/cgi-bin/stable_token", of("", DefaultAppSecret), 41002},
		"unknown appid":         {"/cgi-bin/stable_token", of("wx404", DefaultAppSecret), 40013},
		"no secret":             {"/cgi-bin/stable_token", of(DefaultAppID, ""), 41004},
		"wrong secret":          {"/cgi-bin/stable_token", of(DefaultAppID, "wrong"), 40125},
		"website app":           {"/cgi-bin/stable_token", of(DefaultWebsiteAppID, DefaultWebsiteSecret), 40013},
		"mobile app":            {"/cgi-bin/stable_token", of(DefaultMobileAppID, DefaultMobileSecret), 40013},
		"other grant_type":      {strings.Replace(oldTarget, "client_credential", "authorization_code", 1), "", 40002},
		"wrong secret of token": {oldTarget + "x", "", 40125},
		"unknown call":          {"/cgi-bin/menu/create", "", 40066},
	} {
		if got := cgi(t, s, test.target, test.body); got.Code != test.want || got.AccessToken != "" || !strings.Contains(got.Message, "rid: ") {
			t.Errorf("%s: answer = %+v, want %d with a rid", name, got, test.want)
		}
	}
}

func TestQuotaOfTheOlderTokens(t *testing.T) {
	t.Parallel()
	a := newAccountTokens(func() time.Time { return testNow })
	for i := range tokensPerDay {
		if _, wrong := a.next("wx1", time.Duration(i).String()); wrong != nil {
			t.Fatalf("call %d: %v", i+1, wrong)
		}
	}
	if _, wrong := a.next("wx1", "x"); wrong == nil || wrong.Code != 45009 {
		t.Errorf("one more = %v, want 45009", wrong)
	}
	for range stablePerMinute {
		_, _ = a.stable("wx1", false, "y")
	}
	if _, wrong := a.stable("wx1", false, "y"); wrong == nil || wrong.Code != 45011 {
		t.Errorf("one stable token more in a minute = %v, want 45011", wrong)
	}
}

func TestTicket(t *testing.T) {
	t.Parallel()
	c := newClock(testNow)
	s := newSandbox(t, Options{Now: c.now})
	ticket := func(query string) cgiReply {
		return cgi(t, s, "/cgi-bin/ticket/getticket?access_token="+stable(t, s, false).AccessToken+query, "")
	}
	first := ticket("&type=jsapi")
	if first.Code != 0 || first.Message != "ok" || first.Ticket == "" || first.Expires != 7200 {
		t.Fatalf("answer = %+v", first)
	}
	if card := ticket("&type=wx_card"); card.Ticket == first.Ticket {
		t.Error("a card ticket is a jsapi ticket")
	}
	c.set(testNow.Add(2*time.Hour - time.Second))
	if again := ticket("&type=jsapi"); again.Ticket != first.Ticket || again.Expires != 7200 {
		t.Errorf("just before the end = %+v, want the same ticket and still 7200 s", again)
	}
	c.set(testNow.Add(2 * time.Hour))
	if next := ticket("&type=jsapi"); next.Ticket == first.Ticket || next.Ticket == "" {
		t.Errorf("after the end = %+v, want a new ticket", next)
	}
	if got := ticket("&type=other"); got.Code != 40097 {
		t.Errorf("another type = %+v, want 40097", got)
	}
	mini := cgi(t, s, "/cgi-bin/stable_token", strings.NewReplacer(
		DefaultAppID, DefaultMiniProgramAppID, DefaultAppSecret, DefaultMiniProgramSecret).Replace(stableBody("")))
	if got := cgi(t, s, "/cgi-bin/ticket/getticket?type=jsapi&access_token="+mini.AccessToken, ""); got.Code != 48001 {
		t.Errorf("of a mini-program = %+v, want 48001", got)
	}
}

func TestCallsOfAnAccount(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	query := "?access_token=" + stable(t, s, false).AccessToken
	openID := OpenID(DefaultAppID, "hong")
	info := cgi(t, s, "/cgi-bin/user/info"+query+"&openid="+openID+"&lang=en", "")
	if info.Subscribe != 1 || info.OpenID != openID || info.Language != "en" || info.UnionID != unionID("hong") {
		t.Errorf("user/info = %+v", info)
	}
	if got := cgi(t, s, "/cgi-bin/getcallbackip"+query, ""); len(got.IPList) == 0 {
		t.Errorf("getcallbackip = %+v", got)
	}
	text := `{"touser":"` + openID + `","msgtype":"text","text":{"content":"你好"}}`
	if got := cgi(t, s, "/cgi-bin/message/custom/send"+query, text); got.Code != 0 || got.Message != "ok" {
		t.Errorf("custom/send = %+v", got)
	}
	if got := s.inbox.newest(5); len(got) != 1 || got[0].Content != "你好" || got[0].User != "小红" {
		t.Errorf("inbox = %+v", got)
	}
	if live := get(s, "/sandbox/live").Body.String(); !strings.Contains(live, "你好") || !strings.Contains(live, "/cgi-bin/user/info") {
		t.Error("the phone shows neither the message nor the calls")
	}
	if list := get(s, "/sandbox/messages").Body.String(); !strings.Contains(list, "你好") {
		t.Errorf("messages = %s", list)
	}
	for name, test := range map[string]struct {
		target, body string
		want         int
	}{
		"no token":       {"/cgi-bin/getcallbackip", "", 41001},
		"unknown token":  {"/cgi-bin/getcallbackip?access_token=x", "", 40001},
		"no openid":      {"/cgi-bin/user/info" + query, "", 41009},
		"foreign openid": {"/cgi-bin/user/info" + query + "&openid=" + OpenID(DefaultSubAppID, "hong"), "", 40003},
		"POST of a GET":  {"/cgi-bin/user/info" + query + "&openid=" + openID, "{}", 43001},
		"GET of a POST":  {"/cgi-bin/message/custom/send" + query, "", 43002},
		"not JSON":       {"/cgi-bin/message/custom/send" + query, "x", 47001},
		"no such user":   {"/cgi-bin/message/custom/send" + query, strings.Replace(text, openID, "x", 1), 40003},
		"other kind":     {"/cgi-bin/message/custom/send" + query, strings.Replace(text, `"text",`, `"image",`, 1), 40008},
		"no text":        {"/cgi-bin/message/custom/send" + query, strings.Replace(text, "你好", " ", 1), 44002},
		"long text":      {"/cgi-bin/message/custom/send" + query, strings.Replace(text, "你好", strings.Repeat("x", 2049), 1), 45002},
		"clear_quota":    {"/cgi-bin/clear_quota" + query, `{"appid":"` + DefaultAppID + `"}`, 48006},
	} {
		if got := cgi(t, s, test.target, test.body); got.Code != test.want {
			t.Errorf("%s: answer = %+v, want %d", name, got, test.want)
		}
	}
}

func TestCGIFaults(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{
		faultCGIBusy: -1, faultCGIQuota: 45009, faultCGIRate: 45011, faultCGIAddress: 40164, faultCGIFrozen: 40243,
	} {
		s := newSandbox(t, Options{})
		mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"`+name+`","operation":"stable_token"}`), http.StatusOK)
		if got := cgi(t, s, oldTarget, ""); got.Code != 0 {
			t.Errorf("%s: another call = %+v", name, got)
		}
		got := stable(t, s, false)
		if got.Code != want || got.AccessToken != "" {
			t.Errorf("%s: answer = %+v, want %d", name, got, want)
		}
		if name == faultCGIAddress && !strings.HasPrefix(got.Message, "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist") {
			t.Errorf("%s: %q does not name the address as WeChat does", name, got.Message)
		}
		if got := stable(t, s, false); got.Code != 0 {
			t.Errorf("%s: the next answer = %+v", name, got)
		}
	}
	s := newSandbox(t, Options{})
	mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"cgi_500","operation":"token"}`), http.StatusOK)
	mustStatus(t, get(s, oldTarget), http.StatusInternalServerError)
	mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"cgi_address","operation":"ticket"}`), http.StatusBadRequest)
}

func TestSlowAndCutTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSandbox(t, Options{Now: time.Now})
		mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"cgi_slow","seconds":7}`), http.StatusOK)
		start := time.Now()
		if got := stable(t, s, false); got.Code != 0 || time.Since(start) != 7*time.Second {
			t.Errorf("answer = %+v after %v", got, time.Since(start))
		}
	})
	s := newSandbox(t, Options{})
	mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"cgi_cut"}`), http.StatusOK)
	defer func() {
		if recover() == nil {
			t.Error("the connection was not cut")
		}
	}()
	get(s, oldTarget)
}

// Tokens that end before their time, each in its own way.
func TestSpoiltTokens(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault       string
		first, then int
		renews      bool
	}{
		"outdated": {faultTokenOutdated, 40001, 40001, true},
		"expired":  {faultTokenExpired, 42001, 42001, true},
		"refused":  {faultTokenRefused, 40001, 0, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t, Options{})
			token := stable(t, s, false).AccessToken
			mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"`+test.fault+`"}`), http.StatusOK)
			for i, want := range []int{test.first, test.then} {
				if got := codeWith(t, s, token); got != want {
					t.Errorf("call %d = %d, want %d", i+1, got, want)
				}
			}
			if next := stable(t, s, false); (next.AccessToken != token) != test.renews {
				t.Errorf("without force the next token is the same: %v", next.AccessToken == token)
			}
		})
	}
}

func TestCallsAreCounted(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { get(s, "/cgi-bin/getcallbackip?access_token="+stable(t, s, false).AccessToken) })
	}
	group.Wait()
	var got callsReply
	if err := json.Unmarshal(get(s, "/sandbox/calls").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Calls) != 2 || got.Calls[0] != (callCount{"/cgi-bin/getcallbackip", 20}) || got.Calls[1] != (callCount{"/cgi-bin/stable_token", 20}) {
		t.Errorf("calls = %+v", got.Calls)
	}
	if len(got.Issued) != 1 || got.Issued[0] != (issuedTokens{DefaultAppID, seriesStable, 1}) {
		t.Errorf("issued = %+v, want one stable token", got.Issued)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodDelete, "/sandbox/calls", nil))
	mustStatus(t, w, http.StatusOK)
	if got := s.callsNow(); len(got.Calls) != 0 || len(got.Issued) != 0 {
		t.Errorf("after DELETE = %+v", got)
	}
}

func TestAccountTokensAreBounded(t *testing.T) {
	t.Parallel()
	at := testNow
	a := newAccountTokens(func() time.Time { return at })
	for i := range maxGrants + 5 {
		at = at.Add(time.Minute) // no quota of a day is reached
		if _, wrong := a.next("wx1", time.Duration(i).String()); wrong != nil {
			t.Fatal(wrong)
		}
	}
	if len(a.all) > maxGrants || len(a.order) > maxGrants {
		t.Errorf("%d tokens are kept, want at most %d", len(a.all), maxGrants)
	}
}
