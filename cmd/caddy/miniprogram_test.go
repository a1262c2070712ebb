package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/relay/sandbox"
)

const sessions = "/v1/mini-program/sessions"

// sessionJSON is a mini-program's user as a shop sees it.
type sessionJSON struct {
	OpenID    string `json:"openid"`
	UnionID   string `json:"unionid"`
	AppID     string `json:"app_id"`
	SessionID string `json:"session_id"`
	ExpiresAt string `json:"expires_at"`
}

// startMini starts a server with a mini-program and two clients.
func startMini(t *testing.T) *server {
	t.Helper()
	return start(t, setup{
		merchant: "{\n\t\t\taccounts shop mini\n\t\t}",
		app:      "account mini {\n\t\t\tkind mini_program\n\t\t}",
		clients:  "client other {\n\t\t\tid " + otherID + "\n\t\t\tsecret {env.OTHER_SECRET}\n\t\t}",
	})
}

// miniCode is what wx.login gives to the mini-program.
func (s *server) miniCode(t *testing.T) string {
	t.Helper()
	var made struct{ Code string }
	a := post(t, s.http, s.platform+"/sandbox/mini-login", `{}`)
	if err := json.Unmarshal(a.body, &made); err != nil || made.Code == "" {
		t.Fatalf("mini-login = %s, %v", a, err)
	}
	return made.Code
}

// miniData is what the mini-program gets of its user, as JSON.
func (s *server) miniData(t *testing.T, request string) string {
	t.Helper()
	a := post(t, s.http, s.platform+"/sandbox/mini-data", request)
	if a.status != http.StatusOK {
		t.Fatalf("mini-data = %s", a)
	}
	return string(a.body)
}

// TestMiniProgram: a shop learns who the user of its mini-program is and reads
// the phone number, without ever seeing the session key; a server that was
// killed still knows the session.
func TestMiniProgram(t *testing.T) {
	t.Parallel()
	s := startMini(t)
	var who sessionJSON
	code := s.miniCode(t)
	s.shop.call(t, "POST", sessions, `{"code":"`+code+`"}`, http.StatusCreated, &who)
	if who.AppID != sandbox.DefaultMiniProgramAppID || !strings.HasPrefix(who.OpenID, "o") || who.UnionID == "" || len(who.SessionID) != 22 || who.ExpiresAt == "" {
		t.Errorf("session %+v", who)
	}
	again, err := s.shop.try(t.Context(), "POST", sessions, `{"account":"mini","code":"`+code+`"}`)
	refusal{http.StatusBadRequest, "PARAM_ERROR", "code"}.check(t, "used code", again, err)

	profile, phone := s.miniData(t, `{}`), s.miniData(t, `{"data":"phone"}`)
	own := sessions + "/" + who.SessionID
	var opened struct{ Data map[string]any }
	s.shop.call(t, "POST", own+"/decrypt", profile, http.StatusOK, &opened)
	if opened.Data["openId"] != who.OpenID || opened.Data["unionId"] != who.UnionID {
		t.Errorf("profile %v", opened.Data)
	}
	var signed struct {
		RawData   string `json:"raw_data"`
		Signature string `json:"signature"`
	}
	if err := json.Unmarshal([]byte(profile), &signed); err != nil {
		t.Fatal(err)
	}
	check, err := json.Marshal(signed)
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]bool{string(check): true, strings.ReplaceAll(string(check), "zh_CN", "zh_TW"): false} {
		var verified struct{ Valid bool }
		s.shop.call(t, "POST", own+"/verify", body, http.StatusOK, &verified)
		if verified.Valid != want {
			t.Errorf("verify %s = %t", body, verified.Valid)
		}
	}
	changed, err := s.shop.try(t.Context(), "POST", own+"/decrypt", strings.ReplaceAll(profile, "zh_CN", "zh_TW"))
	refusal{http.StatusBadRequest, "PARAM_ERROR", "signature"}.check(t, "changed raw data", changed, err)
	other, err := newShop(s.url, otherID, otherSecret).try(t.Context(), "POST", own+"/decrypt", phone)
	refusal{http.StatusNotFound, "NOT_FOUND", ""}.check(t, "another client's session", other, err)

	s.kill()
	s.process = run(t, s.home, s.config, environment())
	opened.Data = nil
	s.shop.call(t, "POST", own+"/decrypt", phone, http.StatusOK, &opened)
	if number, _ := opened.Data["phoneNumber"].(string); number == "" {
		t.Errorf("phone %v", opened.Data)
	}
	log := s.log.String()
	for name, secret := range map[string]string{"code": code, "openid": who.OpenID, "session": who.SessionID, "phone": opened.Data["phoneNumber"].(string)} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds the %s", name)
		}
	}
}

// TestMiniProgramAtOnce_E08: a code that comes 50 times at once is good once,
// and nobody hears of a failure of the relay's.
func TestMiniProgramAtOnce_E08(t *testing.T) {
	t.Parallel()
	s := startMini(t)
	body := `{"code":"` + s.miniCode(t) + `"}`
	answers := make(chan *answer, 50)
	for range cap(answers) {
		go func() {
			a, err := s.shop.try(t.Context(), "POST", sessions, body)
			if err != nil {
				a = &answer{body: []byte(err.Error())}
			}
			answers <- a
		}()
	}
	won := 0
	for range cap(answers) {
		switch a := <-answers; {
		case a.status == http.StatusCreated:
			won++
		case a.status != http.StatusBadRequest || a.code() != "PARAM_ERROR":
			t.Errorf("got %s", a)
		}
	}
	if won != 1 {
		t.Errorf("%d sessions of one code", won)
	}
}

// TestMiniProgramTrouble: what goes wrong at WeChat.
func TestMiniProgramTrouble(t *testing.T) {
	t.Parallel()
	s := startMini(t)
	for _, tt := range []struct {
		name, fault string
		want        refusal
	}{
		{"busy for a moment", `{"fault":"oauth_busy"}`, refusal{http.StatusCreated, "", ""}},
		{"busy", `{"fault":"oauth_busy","times":3}`, refusal{http.StatusServiceUnavailable, "UNAVAILABLE", ""}},
		{"too many", `{"fault":"oauth_rate"}`, refusal{http.StatusTooManyRequests, "FREQUENCY_LIMITED", ""}},
		{"blocked user", `{"fault":"mini_blocked"}`, refusal{http.StatusForbidden, "NO_AUTH", ""}},
		{"quota", `{"fault":"oauth_quota"}`, refusal{http.StatusBadGateway, "UPSTREAM_ERROR", ""}},
	} {
		s.fault(t, tt.fault)
		a, err := s.shop.try(t.Context(), "POST", sessions, `{"code":"`+s.miniCode(t)+`"}`)
		if tt.want.status == http.StatusCreated {
			if err != nil || a.status != http.StatusCreated {
				t.Errorf("%s: %v, %v", tt.name, a, err)
			}
			continue
		}
		tt.want.check(t, tt.name, a, err)
	}
}
