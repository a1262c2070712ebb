package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay/sandbox"
)

// tokenJSON is WeChat's answer to a call for a token or ticket, or its refusal.
type tokenJSON struct {
	AccessToken string `json:"access_token"`
	Ticket      string `json:"ticket"`
	ExpiresIn   int    `json:"expires_in"`
	ErrCode     int    `json:"errcode"`
}

// weChatCall calls the relay as a library calls WeChat.
func (s *server) weChatCall(t *testing.T, target string) (answer *answer, said tokenJSON) {
	t.Helper()
	answer = get(t, s.http, s.url+target, "library")
	if err := json.Unmarshal(answer.body, &said); err != nil {
		t.Fatalf("%s is not in WeChat's form: %v", answer, err)
	}
	return answer, said
}

func tokenQuery(id, secret string) string {
	return "/cgi-bin/token?" + url.Values{"grant_type": {"client_credential"}, "appid": {id}, "secret": {secret}}.Encode()
}

// clientToken is a token of the relay's own for the bookshop.
func (s *server) clientToken(t *testing.T) string {
	t.Helper()
	a, got := s.weChatCall(t, tokenQuery(shopID, shopSecret))
	if got.AccessToken == "" || got.ExpiresIn != 7200 {
		t.Fatalf("token = %d, errcode %d", a.status, got.ErrCode)
	}
	return got.AccessToken
}

// renewals is how often WeChat was asked for a token, and how many it gave.
func (s *server) renewals(t *testing.T) (asked, given int) {
	t.Helper()
	var calls struct {
		Calls []struct {
			Path  string
			Count int
		}
		Issued []struct {
			Series string
			Count  int
		}
	}
	a := get(t, s.http, s.platform+"/sandbox/calls", "test")
	if err := json.Unmarshal(a.body, &calls); err != nil {
		t.Fatalf("calls = %s, %v", a, err)
	}
	for _, c := range calls.Calls {
		if c.Path == "/cgi-bin/stable_token" {
			asked = c.Count
		}
	}
	for _, i := range calls.Issued {
		if i.Series == "stable_token" {
			given = i.Count
		}
	}
	return asked, given
}

const apiGrants = "allow_api /cgi-bin/user/* /cgi-bin/message/custom/send /cgi-bin/getcallbackip /cgi-bin/ticket/getticket"

// TestServerAPI: a site that called WeChat itself changes the host, its id and
// its secret, and nothing else; the account's token never leaves the relay,
// and no token is in any log.
func TestServerAPI_H03_H04(t *testing.T) {
	t.Parallel()
	s := start(t, setup{bookshop: apiGrants, site: "log", global: "debug", clients: "client other {\n\t\t\tid " + otherID + "\n\t\t\tsecret {env.OTHER_SECRET}\n\t\t}"})
	token := s.clientToken(t)
	openID := sandbox.OpenID(sandbox.DefaultAppID, "ming")
	info := "/cgi-bin/user/info?access_token=" + token + "&lang=zh_CN&openid=" + openID
	if a, _ := s.weChatCall(t, info); a.status != http.StatusOK || !strings.Contains(string(a.body), openID) {
		t.Errorf("user info = %s", a)
	}
	a := post(t, s.http, s.url+"/cgi-bin/message/custom/send?access_token="+token, `{"touser":"`+openID+`","msgtype":"text","text":{"content":"您好"}}`)
	if a.status != http.StatusOK || !strings.Contains(string(a.body), `"errcode":0`) {
		t.Errorf("message = %s", a)
	}
	a = post(t, s.http, s.url+"/cgi-bin/stable_token", `{"grant_type":"client_credential","appid":"`+shopID+`","secret":"`+shopSecret+`","force_refresh":true}`)
	var stable tokenJSON
	if err := json.Unmarshal(a.body, &stable); err != nil || stable.AccessToken == "" || strings.HasPrefix(stable.AccessToken, "SANDBOX") {
		t.Errorf("stable token = %d %v", a.status, err)
	}
	_, ticket := s.weChatCall(t, "/cgi-bin/ticket/getticket?type=jsapi&access_token="+stable.AccessToken)
	if ticket.Ticket == "" || ticket.ExpiresIn < 7000 {
		t.Errorf("ticket: errcode %d", ticket.ErrCode)
	}
	for name, tt := range map[string]struct {
		target string
		code   int
	}{
		"path not granted":    {"/cgi-bin/clear_quota?access_token=" + token, 48001},
		"token cut (E10)":     {"/cgi-bin/user/info?access_token=" + token[:len(token)-1] + "&openid=" + openID, 40001},
		"no token":            {"/cgi-bin/user/info?openid=" + openID, 41001},
		"wrong secret":        {tokenQuery(shopID, otherSecret), 40125},
		"unknown client":      {tokenQuery("9999999999999999", otherSecret), 40125},
		"client without any":  {tokenQuery(otherID, otherSecret), 48001},
		"odd path (C03)":      {"/cgi-bin/user/%2e%2e/clear_quota?access_token=" + token, 40035},
		"the user is unknown": {"/cgi-bin/user/info?access_token=" + token + "&openid=oNobody", 40003},
	} {
		if a, got := s.weChatCall(t, tt.target); a.status != http.StatusOK || got.ErrCode != tt.code {
			t.Errorf("%s: %s, want errcode %d", name, a, tt.code)
		}
	}
	s.shop.call(t, "GET", "/cgi-bin/getcallbackip", "", http.StatusOK, nil)
	s.shop.call(t, "GET", "/cgi-bin/user/info?account=shop&openid="+openID, "", http.StatusOK, nil)
	if a, err := s.shop.try(t.Context(), "GET", "/cgi-bin/clear_quota", ""); err != nil || a.status != http.StatusForbidden || a.code() != "NO_AUTH" {
		t.Errorf("signed, not granted = %s, %v", a, err)
	}
	if asked, given := s.renewals(t); asked != 1 || given != 1 {
		t.Errorf("WeChat was asked %d times for a token and gave %d", asked, given)
	}
	if got := s.metric(t, `wxrelay_account_token_fetches_total{account="shop",kind="access_token",outcome="renewed"}`); got != "1" {
		t.Errorf("the metric says %q", got)
	}
	get(t, s.http, s.url+"/elsewhere", desktopAgent)
	eventually(t, "the access log", func() error {
		if !strings.Contains(s.log.String(), "/elsewhere") {
			return fmt.Errorf("nothing is written")
		}
		return nil
	})
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, `"msg":"handled request"`) && strings.Contains(line, s.platform[len("http://"):]) {
			continue // the sandbox's own
		}
		for name, secret := range map[string]string{
			"token": token, "other token": stable.AccessToken, "ticket": ticket.Ticket, "account's token": "SANDBOX_STABLE_",
			"openid": openID, "secret": shopSecret,
		} {
			if strings.Contains(line, secret) {
				t.Errorf("the log has the %s: %.200s", name, line)
			}
		}
	}
}

// TestServerAPIOutdated: somebody else renewed by force. Two hundred calls at
// that moment cause one renewal, and none of them fails. An address that
// WeChat refuses is named to the operator.
func TestServerAPIOutdated(t *testing.T) {
	t.Parallel()
	s := start(t, setup{bookshop: apiGrants})
	token := s.clientToken(t)
	call := "/cgi-bin/getcallbackip?access_token=" + token
	if a, _ := s.weChatCall(t, call); !strings.Contains(string(a.body), "ip_list") {
		t.Fatalf("first call = %s", a)
	}
	s.fault(t, `{"fault":"token_outdated"}`)
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			a, err := fetch(t.Context(), s.http, s.url+call, "library")
			if err != nil || a.status != http.StatusOK || !strings.Contains(string(a.body), "ip_list") {
				t.Errorf("call = %v, %v", a, err)
			}
		})
	}
	wg.Wait()
	if asked, given := s.renewals(t); asked != 2 || given != 2 {
		t.Errorf("WeChat was asked %d times for a token and gave %d, want 2", asked, given)
	}
	s.fault(t, `{"faults":[{"fault":"token_outdated"},{"fault":"cgi_address"}]}`)
	s.weChatCall(t, call)
	if err := s.log.await(t.Context(), `"add_ip":"203.0.113.7"`); err != nil {
		t.Errorf("the operator is not told the address: %v", err)
	}
	if got := s.metric(t, `wxrelay_account_address_refused_timestamp_seconds{account="shop"}`); got == "" || got == "0" {
		t.Errorf("the metric says %q", got)
	}
}

// TestKilledDuringRefresh: the server is killed while it waits for WeChat's
// answer. The next one is not kept from asking by what the first left in the
// store, and what that one gets survives the next kill.
func TestKilledDuringRefresh(t *testing.T) {
	t.Parallel()
	w := newWechat(t, 1)
	l := newLayout(t)
	l.write(t, &setup{platform: w.url, merchant: merchantKeys(t), bookshop: apiGrants})
	s := l.start(t)
	call := "/cgi-bin/getcallbackip?access_token=" + s.clientToken(t)
	s.fault(t, `{"fault":"cgi_slow","operation":"stable_token","seconds":4}`)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = fetch(t.Context(), s.http, s.url+call, "library")
	}()
	eventually(t, "the call for a token", func() error {
		if asked, _ := s.renewals(t); asked != 1 {
			return fmt.Errorf("%d", asked)
		}
		return nil
	})
	s.kill()
	<-done
	s = l.start(t)
	began := time.Now()
	if a, _ := s.weChatCall(t, call); !strings.Contains(string(a.body), "ip_list") {
		t.Errorf("after the kill = %s", a)
	}
	t.Logf("waited %s for the lease of the dead", time.Since(began))
	asked, _ := s.renewals(t)
	s.kill()
	s = l.start(t)
	if a, _ := s.weChatCall(t, call); !strings.Contains(string(a.body), "ip_list") {
		t.Errorf("after another kill = %s", a)
	}
	if again, _ := s.renewals(t); again != asked {
		t.Errorf("WeChat was asked again: %d calls, before %d", again, asked)
	}
}

// TestServerAPIPathsOfTheSite: where no client may call, /cgi-bin/ is the
// site's own.
func TestServerAPIPathsOfTheSite(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	if a := get(t, s.http, s.url+"/cgi-bin/token", desktopAgent); a.header.Get("X-Behind") != "yes" {
		t.Errorf("got %s", a)
	}
}
