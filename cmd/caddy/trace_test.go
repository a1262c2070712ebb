package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/relay/sandbox"
)

const (
	traceMessageToken = "MARKEDtokenMARKEDtoken"
	traceMessageKey   = "MARKEDkeyMARKEDkeyMARKEDkeyMARKEDkeyMARKEDk"
	rawID             = "3000000000000003"
)

// TestLoginsLeaveNoTrace_H03_H04_H06 runs the example at the level of
// debugging, does and fails everything of an account (logins by ticket and by
// code, mini-program, server interface, JS-SDK, messages), and looks in access
// logs, error logs, metrics, the configuration and refusals for everything
// secret or personal that passed on any wire. Once more without the example's
// mask: the relay's own paths do not need it.
func TestLoginsLeaveNoTrace_H03_H04_H06(t *testing.T) {
	t.Parallel()
	for name, masked := range map[string]bool{"with the mask": true, "without it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			leaveNoTrace(t, masked)
		})
	}
}

func leaveNoTrace(t *testing.T, masked bool) {
	t.Helper()
	line := &http.Transport{MaxIdleConnsPerHost: 8}
	t.Cleanup(line.CloseIdleConnections)
	tap := &wiretap{line: line, names: map[string]bool{}, seen: map[string]string{
		shopSecret: "client's secret", otherSecret: "another client's secret", shopNotify: "notify secret",
		traceMessageToken: "message token", traceMessageKey: "message key",
	}}
	hook := newReceiver(t)
	s := startTraced(t, tap, hook, masked)

	s.traceTickets(t)
	s.traceCodes(t)
	s.traceMini(t)
	s.traceServerAPI(t)
	s.tracePages(t)
	s.traceMessages(t, hook)
	proof := []string{`"level":"debug"`, "request refused", `"add_ip":"203.0.113.7"`, `"uri":"/v1/mini-program/sessions"`}
	if masked {
		s.traceElsewhere(t)
		proof = append(proof, `"level":"error"`, "=REDACTED", "/broken?")
	}
	get(t, s.http, s.url+"/last-of-all", desktopAgent)

	eventually(t, "the access log", func() error {
		if !strings.Contains(s.log.String(), "/last-of-all") {
			return fmt.Errorf("the last request is not written")
		}
		return nil
	})
	written := s.log.String()
	for _, want := range proof {
		if !strings.Contains(written, want) {
			t.Errorf("the log has no %q, so that it proves nothing", want)
		}
	}
	for _, want := range []string{
		"openid", "unionid", "nickname", "code", "js_code", "state", "ticket", "access_token", "refresh_token", "session_key", "session_id", "secret", "cookie",
		"signature", "signature of a request", "phoneNumber", "encrypted_data", "echostr",
	} {
		if !tap.saw(want) {
			t.Errorf("there was no %s, so that it proves nothing", want)
		}
	}
	tap.find(t, "the log", written)
	for _, m := range regexp.MustCompile(`[?&](?:code|state|ticket|openid|secret|access_token|refresh_token|js_code|sig|sign|signature|msg_signature)=[^&#" ]*`).FindAllString(written, -1) {
		if !strings.HasSuffix(m, "=REDACTED") {
			t.Errorf("the log has %q", m)
		}
	}
	for _, path := range []string{"/config/", "/metrics"} {
		a, err := s.administer(t.Context(), http.MethodGet, path, "", "")
		if err != nil || a.status != http.StatusOK {
			t.Fatalf("%s = %v, %v", path, a, err)
		}
		tap.find(t, path, string(a.body))
	}
	refusals := tap.allRefusals()
	if len(refusals) < 40 {
		t.Errorf("the relay refused %d times, which proves little", len(refusals))
	}
	for _, refusal := range refusals {
		// The way back to WeChat, with this browser's own state, is on the
		// page of the limited view.
		tap.find(t, "a refusal", refusal, "state")
	}
}

func startTraced(t *testing.T, tap *wiretap, hook *receiver, masked bool) *server {
	t.Helper()
	logs := []string{"	wxrelay_sandbox {\n", "	log {\n		import masked\n	}\n	wxrelay_sandbox {\n"}
	if !masked {
		logs = []string{"		import masked\n", "		level DEBUG\n"}
	}
	front, target := tapWeChat(t, tap)
	s := startExample(t, append(environment(), "MESSAGE_TOKEN="+traceMessageToken, "MESSAGE_KEY="+traceMessageKey), append(logs,
		"0123456789abcdef0123456789ABCDEF", "{env.SHOP_SECRET}",
		"abcdef0123456789ABCDEF0123456789", "{env.SHOP_NOTIFY}",
		"SANDBOXmessagetoken", "{env.MESSAGE_TOKEN}",
		"SANDBOXnotASecretEncodingAESKey000000000000", "{env.MESSAGE_KEY}",
		"	log default {\n", "	debug\n	log default {\n",
		"		platform http", "		platform "+front+" # http",
		"			allow_origin", "			messages "+hook.url+"/messages\n			allow_api /cgi-bin/user/info /cgi-bin/message/custom/send /cgi-bin/ticket/getticket\n"+
			"			redirect_uri "+shopBack+"\n			allow_origin https://books.example.com\n			allow_origin",
		"		# The demo shop.", "		client raw {\n			id "+rawID+"\n			secret {env.OTHER_SECRET}\n			account demo\n			allow_api /cgi-bin/token /cgi-bin/stable_token\n"+
			"			raw_token\n			redirect_uri "+otherBack+"\n		}\n		# The demo shop.",
		"	wxrelay\n	respond", "	wxrelay\n	error /broken* 500\n	respond",
	)...)
	to, err := url.Parse(s.platform)
	if err != nil {
		t.Fatal(err)
	}
	target.Store(to)
	tap.relay = strings.TrimPrefix(s.url, "http://")
	s.http.Transport = tap
	s.shop = newShop(s.url, shopID, shopSecret)
	s.shop.http.Transport = tap
	return s
}

// refused makes calls that have to fail.
func (s *server) refused(t *testing.T, agent string, addresses ...string) {
	t.Helper()
	for _, address := range addresses {
		a := get(t, s.http, address, agent)
		if a.status < http.StatusBadRequest && !strings.Contains(string(a.body), `"errcode":4`) {
			t.Errorf("%s is not refused: %s", address, a)
		}
	}
}

func (s *server) traceTickets(t *testing.T) {
	t.Helper()
	silent := s.loginAt(shopID, shopBack, "MARKEDSTATE-silent", "")
	asking := s.loginAt(shopID, shopBack, "MARKEDSTATE-asking", "&scope=snsapi_userinfo")
	v, desk := s.visitor(t, wechatAgent), s.visitor(t, desktopAgent)
	callback := v.silently(t, silent)
	ticket := param(t, v.leads(t, callback), shopBack, "ticket")
	if a, err := newShop(s.url, rawID, otherSecret).try(t.Context(), "POST", "/v1/tickets/"+ticket, ""); err != nil || a.status != http.StatusNotFound {
		t.Errorf("another client's ticket = %v, %v", a, err)
	}
	s.shop.redeem(t, ticket)
	page := v.leads(t, asking)
	s.shop.redeem(t, param(t, v.leads(t, v.consents(t, page, "allow", "ada")), shopBack, "ticket"))
	page = desk.leads(t, silent)
	s.shop.redeem(t, param(t, desk.leads(t, desk.consents(t, page, "allow", "ming")), shopBack, "ticket"))
	s.visitor(t, phoneAgent).open(t, silent)
	desk.open(t, s.loginAt(shopID, shopBack, "MARKEDSTATE-code", "&account=demo"))

	v.leads(t, v.consents(t, v.leads(t, asking), "refuse", "ada"))
	s.fault(t, `{"fault":"oauth_snapshot"}`)
	v.open(t, v.consents(t, v.leads(t, asking), "allow", "ada"))
	for _, fault := range []string{`"oauth_500"`, `"oauth_cut"`, `"oauth_busy","times":3`, `"oauth_rate"`, `"oauth_quota"`} {
		again := v.silently(t, silent)
		s.fault(t, `{"faults":[{"fault":`+fault+`}]}`)
		v.open(t, again)
		s.clearFaults(t)
	}
	for _, target := range []string{"/v1/tickets/" + ticket, "/v1/tickets/" + strings.Repeat("0", len(ticket)), "/v1/tickets/" + ticket + "?openid=" + ticket} {
		if a, err := s.shop.try(t.Context(), "POST", target, ""); err != nil || a.status/100 != 4 {
			t.Errorf("%s = %v, %v", target, a, err)
		}
	}
	spoiled := strings.Replace(callback, "code=", "code=x", 1)
	s.refused(t, wechatAgent, callback, spoiled, s.url+"/v1/tickets/"+ticket,
		s.loginAt(shopID, "https://evil.example/?code="+ticket, "MARKEDSTATE-evil", ""), s.loginAt(rawID, shopBack, "MARKEDSTATE-other", ""))
	own := v.silently(t, silent)
	v.open(t, strings.Replace(own, "code=", "code=x", 1))
}

// clearFaults forgets what was ordered and did not happen.
func (s *server) clearFaults(t *testing.T) {
	t.Helper()
	s.fault(t, `{"clear":true}`)
}

func (s *server) traceCodes(t *testing.T) {
	t.Helper()
	v := s.visitor(t, wechatAgent)
	page := v.leads(t, s.connectAt("oauth2/authorize", shopID, shopBack, "snsapi_userinfo", "&state=MARKEDSTATE-connect"))
	code := param(t, v.leads(t, v.consents(t, page, "allow", "ada")), shopBack, "code")
	call := s.url + "/sns/oauth2/access_token?grant_type=authorization_code&appid=" + shopID + "&secret=" + shopSecret + "&code="
	s.refused(t, "site/1", call+"x"+code, strings.Replace(call, shopSecret, otherSecret, 1)+code, strings.Replace(call, shopID, "9999999999999999", 1)+code,
		s.url+"/sns/oauth2/access_token?grant_type=authorization_code&appid="+rawID+"&secret="+otherSecret+"&code="+code)
	if a := post(t, s.http, call+code, `{}`); a.status != http.StatusMethodNotAllowed {
		t.Errorf("POST = %s", a)
	}
	token := s.exchange(t, code)
	user := s.sns(t, "userinfo", "access_token", token.AccessToken, "openid", token.OpenID)
	again := s.sns(t, "oauth2/refresh_token", "appid", shopID, "grant_type", "refresh_token", "refresh_token", token.RefreshToken)
	if user.Nickname == "" || s.checked(t, again.AccessToken, token.OpenID) != 0 {
		t.Errorf("user %+v, token %+v", user, again)
	}
	s.refused(t, "site/1", call+code, s.url+"/sns/auth?%61ccess_token="+again.AccessToken+"x&%6fpenid="+token.OpenID,
		s.url+"/sns/userinfo?openid="+token.OpenID+"&openid="+token.OpenID+"&access_token="+again.AccessToken,
		s.url+"/sns/oauth2/refresh_token?grant_type=refresh_token&appid="+shopID+"&refresh_token=x"+token.RefreshToken)
	desk := s.visitor(t, desktopAgent)
	page = desk.leads(t, s.connectAt("qrconnect", shopID, shopBack, "snsapi_login", "&state=MARKEDSTATE-scan"))
	s.exchange(t, param(t, desk.leads(t, desk.consents(t, page, "allow", "ming")), shopBack, "code"))
}

func (s *server) traceMini(t *testing.T) {
	t.Helper()
	code := s.miniCode(t)
	var who sessionJSON
	s.shop.call(t, "POST", sessions, `{"code":"`+code+`"}`, http.StatusCreated, &who)
	profile, phone := s.miniData(t, `{}`), s.miniData(t, `{"data":"phone"}`)
	own := sessions + "/" + who.SessionID
	s.shop.call(t, "POST", own+"/decrypt", profile, http.StatusOK, nil)
	s.shop.call(t, "POST", own+"/decrypt", phone, http.StatusOK, nil)
	for _, wrong := range [][2]string{
		{sessions, `{"code":"` + code + `"}`},
		{sessions, `{"code":"` + code + `","session_key":"` + code + `"}`},
		{own + "/decrypt", strings.ReplaceAll(profile, "zh_CN", "zh_TW")},
		{own + "/verify", profile},
		{own + "x/decrypt", phone},
		{own + "/decrypt?session_key=" + who.SessionID, phone},
	} {
		if a, err := s.shop.try(t.Context(), "POST", wrong[0], wrong[1]); err != nil || a.status/100 != 4 {
			t.Errorf("%s = %v, %v", wrong[0], a, err)
		}
	}
	if a := post(t, s.http, s.url+own+"/decrypt", phone); a.status != http.StatusUnauthorized {
		t.Errorf("unsigned = %s", a)
	}
	for _, fault := range []string{`"oauth_500","times":3`, `"oauth_cut","times":3`, `"mini_blocked"`, `"oauth_quota"`} {
		body := `{"code":"` + s.miniCode(t) + `"}`
		s.fault(t, `{"faults":[{"fault":`+fault+`}]}`)
		if a, err := s.shop.try(t.Context(), "POST", sessions, body); err != nil || a.status < http.StatusBadRequest {
			t.Errorf("%s: %v, %v", fault, a, err)
		}
		s.clearFaults(t)
	}
}

func (s *server) traceServerAPI(t *testing.T) {
	t.Helper()
	token := s.clientToken(t)
	openID := sandbox.OpenID(sandbox.DefaultAppID, "ming")
	info := s.url + "/cgi-bin/user/info?openid=" + openID + "&access_token="
	for _, call := range []string{info + token, s.url + "/cgi-bin/ticket/getticket?type=jsapi&access_token=" + token, s.url + tokenQuery(rawID, otherSecret)} {
		if a := get(t, s.http, call, "library"); a.status != http.StatusOK || strings.Contains(string(a.body), "errcode\":4") {
			t.Errorf("%s = %s", call, a)
		}
	}
	stable := `{"grant_type":"client_credential","appid":"` + shopID + `","secret":"`
	post(t, s.http, s.url+"/cgi-bin/stable_token", stable+shopSecret+`"}`)
	post(t, s.http, s.url+"/cgi-bin/stable_token", stable+otherSecret+`"}`)
	post(t, s.http, s.url+"/cgi-bin/stable_token", stable+shopSecret) // not JSON
	post(t, s.http, s.url+"/cgi-bin/message/custom/send?access_token="+token, `{"touser":"`+openID+`","msgtype":"text","text":{"content":"MARKEDcontent"}}`)
	s.shop.call(t, "GET", "/cgi-bin/user/info?openid="+openID, "", http.StatusOK, nil)
	if a, err := s.shop.try(t.Context(), "GET", "/cgi-bin/clear_quota?openid="+openID, ""); err != nil || a.status != http.StatusForbidden {
		t.Errorf("not granted = %v, %v", a, err)
	}
	s.refused(t, "library", info+"x"+token, info, s.url+"/cgi-bin/clear_quota?access_token="+token, s.url+tokenQuery(shopID, otherSecret),
		s.url+"/cgi-bin/user/%2e%2e/x?access_token="+token, s.url+"/cgi-bin/user/info?access_token="+token+"&access_token="+token)
	for _, fault := range []string{
		`{"fault":"token_outdated"}`, `{"fault":"token_expired"}`, `{"fault":"token_refused","times":2}`, `{"fault":"cgi_500","operation":"api"}`,
		`{"fault":"cgi_cut","operation":"api"}`, `{"fault":"cgi_quota","operation":"api"}`, `{"fault":"token_outdated"},{"fault":"cgi_500","operation":"stable_token"}`,
	} {
		s.fault(t, `{"faults":[`+fault+`]}`)
		get(t, s.http, info+token, "library")
		s.clearFaults(t)
	}
	eventually(t, "the address to be refused", func() error { // the relay leaves WeChat alone for a moment
		s.fault(t, `{"faults":[{"fault":"token_outdated"},{"fault":"cgi_address"}]}`)
		get(t, s.http, info+token, "library")
		s.clearFaults(t)
		if !strings.Contains(s.log.String(), "add_ip") {
			return fmt.Errorf("nothing is written")
		}
		return nil
	})
}

func (s *server) tracePages(t *testing.T) {
	t.Helper()
	const origin = "https://books.example.com"
	page := origin + "/cart?code=MARKEDpageMARKEDpage&state=MARKEDpageSTATE"
	ask := "/v1/js-sdk?url=" + url.QueryEscape(page)
	if a, err := s.shop.try(t.Context(), "GET", ask, ""); err != nil || a.status >= http.StatusInternalServerError && a.status != http.StatusServiceUnavailable {
		t.Errorf("signed = %v, %v", a, err)
	}
	u, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	s.http.Transport.(*wiretap).address(u)
	for from, status := range map[string]int{origin: 0, "https://evil.example": http.StatusForbidden, "": http.StatusUnauthorized} {
		var header []string
		if from != "" {
			header = []string{"Origin", from}
		}
		if a := get(t, s.http, s.url+ask, wechatAgent, header...); status != 0 && a.status != status {
			t.Errorf("from %q = %s", from, a)
		}
	}
	get(t, s.http, s.platform+ask, wechatAgent) // a mask that does not know the relay's paths would show the page's code
}

func (s *server) traceMessages(t *testing.T, hook *receiver) {
	t.Helper()
	hook.answers(func(w http.ResponseWriter) { http.Error(w, "MARKEDbroken", http.StatusInternalServerError) })
	settings := `,"token":"` + traceMessageToken + `","message_key":"` + traceMessageKey + `"}`
	for request, want := range map[string]bool{
		`"check":true`: true,
		`"mode":"aes","type":"text","text":"MARKEDwords"`:                      true,
		`"mode":"aes","type":"event","event":"SCAN","event_key":"MARKEDtable"`: true,
		`"mode":"plain","type":"text","text":"MARKEDwords"`:                    false,
	} {
		a := post(t, s.http, s.platform+"/sandbox/message", `{"url":"`+s.url+`/wechat/message/demo",`+request+settings)
		var result struct{ Success bool }
		if err := json.Unmarshal(a.body, &result); err != nil || result.Success != want {
			t.Errorf("%s = %s, %v", request, a, err)
		}
	}
	tap := s.http.Transport.(*wiretap)
	for _, marked := range []string{"MARKEDwords", "MARKEDtable", "MARKEDbroken", "oMARKEDopenid"} {
		tap.note("message", marked)
	}
	n := hook.await(t, 1)
	s.shop.awaitAttempt(t, n.id())
	at := s.url + "/wechat/message/demo?"
	s.refused(t, "WeChat", at+pushQuery("other", nowText(), "echostr", "4375120948345356249"), at+"echostr=4375120948345356249&signature=0123456789abcdef")
	if a := post(t, s.http, at+pushQuery("other", nowText(), "msg_signature", "0123456789abcdef"), "<xml><Encrypt>MARKEDwords</Encrypt></xml>"); a.status != http.StatusForbidden {
		t.Errorf("a forged push = %s", a)
	}
}

// awaitAttempt waits until the relay wrote down how a delivery went.
func (s *shop) awaitAttempt(t *testing.T, id string) {
	t.Helper()
	eventually(t, "an attempt", func() error {
		a, err := s.try(t.Context(), "GET", "/v1/events/"+id, "")
		if err != nil || !strings.Contains(string(a.body), "500") {
			return fmt.Errorf("%v, %w", a, err)
		}
		return nil
	})
}

// traceElsewhere opens addresses with everything beside the relay's paths,
// some of which fail.
func (s *server) traceElsewhere(t *testing.T) {
	t.Helper()
	tap := s.http.Transport.(*wiretap)
	query := url.Values{}
	tap.mu.Lock()
	for value, name := range tap.seen {
		switch name {
		case "code", "js_code", "state", "ticket", "openid", "secret", "access_token", "refresh_token", "signature", "msg_signature":
			query.Set(name, value)
			query.Set("js_code", query.Get("code"))
		}
	}
	tap.mu.Unlock()
	for _, path := range []string{"/elsewhere?", "/broken?", "/wechat/callback/?", "/shop/login/callback?"} {
		get(t, s.http, s.url+path+query.Encode(), desktopAgent, "Referer", s.url+"/x?"+query.Encode())
		get(t, s.http, s.platform+path+query.Encode(), desktopAgent, "Referer", s.url+"/x?"+query.Encode())
	}
}
