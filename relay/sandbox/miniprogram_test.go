package sandbox

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// miniReply holds every member of the answers to mini-programs.
type miniReply struct {
	wxError
	sessionReply
}

// miniLogin asks the phone for a code.
func miniLogin(t *testing.T, s *Sandbox, body string) string {
	t.Helper()
	w := post(t, s, "/sandbox/mini-login", body)
	mustStatus(t, w, http.StatusOK)
	var made miniCode
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || made.Code == "" {
		t.Fatalf("mini-login = %s, %v", w.Body, err)
	}
	return made.Code
}

// sessionTarget is the address of jscode2session.
func sessionTarget(code string) string {
	return "/sns/jscode2session?appid=" + DefaultMiniProgramAppID + "&secret=" + DefaultMiniProgramSecret +
		"&js_code=" + code + "&grant_type=authorization_code"
}

// code2session makes a session.
func code2session(t *testing.T, s *Sandbox, target string) (reply miniReply) {
	t.Helper()
	w := get(s, target)
	mustStatus(t, w, http.StatusOK)
	if err := json.Unmarshal(w.Body.Bytes(), &reply); err != nil {
		t.Fatalf("decoding %q: %v", w.Body, err)
	}
	return reply
}

func TestMiniProgramSession(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	code := miniLogin(t, s, `{"user":"hong"}`)
	got := code2session(t, s, sessionTarget(code))
	key, err := base64.StdEncoding.DecodeString(got.SessionKey)
	if got.Code != 0 || got.OpenID != OpenID(DefaultMiniProgramAppID, "hong") || got.UnionID != unionID("hong") || err != nil || len(key) != 16 {
		t.Errorf("answer = %+v, %v", got, err)
	}
	if again := code2session(t, s, sessionTarget(code)); again.Code != 40163 || again.SessionKey != "" {
		t.Errorf("the same code again = %+v, want 40163", again)
	}
	if next := code2session(t, s, sessionTarget(miniLogin(t, s, `{"user":"hong"}`))); next.SessionKey == got.SessionKey {
		t.Error("two logins have the same session key")
	}
}

func TestMiniProgramSessionRefuses(t *testing.T) {
	t.Parallel()
	c := newClock(testNow)
	s := newSandbox(t, Options{Now: c.now, Accounts: []Account{{AppID: "wx0000000000000003", Secret: "SANDBOX3", Kind: MiniProgram}}})
	good := sessionTarget(miniLogin(t, s, `{}`))
	for name, test := range map[string]struct {
		from, to string
		want     int
	}{
		"no appid":     {"appid=" + DefaultMiniProgramAppID, "x=", 41002},
		"unknown":      {DefaultMiniProgramAppID, "wx404", 40013},
		"no secret":    {"secret=", "x=", 41004},
		"wrong secret": {DefaultMiniProgramSecret, "wrong", 40125},
		"no code":      {"js_code=", "x=", 41008},
		"other code":   {"js_code=", "js_code=x", 40029},
		"grant_type":   {"authorization_code", "client_credential", 40002},
		"other appid":  {DefaultMiniProgramAppID + "&secret=" + DefaultMiniProgramSecret, "wx0000000000000003&secret=SANDBOX3", 40029},
	} {
		if got := code2session(t, s, strings.Replace(good, test.from, test.to, 1)); got.Code != test.want || got.SessionKey != "" {
			t.Errorf("%s: answer = %+v, want %d", name, got, test.want)
		}
	}
	mustStatus(t, post(t, s, "/sandbox/faults", `{"faults":[{"fault":"mini_blocked"},{"fault":"oauth_busy"}]}`), http.StatusOK)
	for _, want := range []int{-1, 40226} {
		if got := code2session(t, s, good); got.Code != want {
			t.Errorf("by fault = %+v, want %d", got, want)
		}
	}
	if got := wx(t, s, strings.Replace(strings.Replace(good, "jscode2session", "oauth2/access_token", 1), "js_code", "code", 1)); got.Code != 40029 {
		t.Errorf("the code of a mini-program as a web code = %+v, want 40029", got)
	}
	c.set(testNow.Add(5 * time.Minute))
	if got := code2session(t, s, good); got.Code != 40029 {
		t.Errorf("after five minutes = %+v, want 40029", got)
	}
	for name, body := range map[string]string{
		"official account": `{"app_id":"` + DefaultAppID + `"}`, "unknown": `{"app_id":"wx404"}`, "nobody": `{"user":"nobody"}`,
		"other data": `{"data":"secrets"}`,
	} {
		mustStatus(t, post(t, s, "/sandbox/mini-login", body), http.StatusBadRequest)
		if w := post(t, s, "/sandbox/mini-data", body); w.Code != http.StatusBadRequest {
			t.Errorf("%s: mini-data = %d, want 400", name, w.Code)
		}
	}
}

func TestMiniProgramCodeOnThePhone(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	r := httptest.NewRequest(http.MethodPost, "/sandbox/mini-login", strings.NewReader("user=ada"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	mustStatus(t, w, http.StatusOK)
	if !strings.Contains(w.Body.String(), "wx.login → SANDBOX") {
		t.Errorf("page = %s", w.Body)
	}
}

// open decrypts data as a mini-program's server does.
func (m *miniSealed) open(t *testing.T, sessionKey string, into any) {
	t.Helper()
	var raw [3][]byte
	for i, text := range []string{sessionKey, m.IV, m.EncryptedData} {
		var err error
		if raw[i], err = base64.StdEncoding.DecodeString(text); err != nil {
			t.Fatal(err)
		}
	}
	block, err := aes.NewCipher(raw[0])
	if err != nil {
		t.Fatal(err)
	}
	plain := raw[2]
	cipher.NewCBCDecrypter(block, raw[1]).CryptBlocks(plain, plain)
	plain = plain[:len(plain)-int(plain[len(plain)-1])]
	if err := json.Unmarshal(plain, into); err != nil {
		t.Fatalf("decoding %q: %v", plain, err)
	}
}

func TestMiniProgramData(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	mustStatus(t, post(t, s, "/sandbox/mini-data", `{}`), http.StatusBadRequest) // no session yet
	code := miniLogin(t, s, `{}`)
	older := code2session(t, s, sessionTarget(code))
	newer := code2session(t, s, sessionTarget(miniLogin(t, s, `{}`)))
	ask := func(body string) (sealed miniSealed) {
		w := post(t, s, "/sandbox/mini-data", body)
		mustStatus(t, w, http.StatusOK)
		if err := json.Unmarshal(w.Body.Bytes(), &sealed); err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	sealed := ask(`{}`)
	var identity miniIdentity
	sealed.open(t, newer.SessionKey, &identity)
	if identity.OpenID != newer.OpenID || identity.NickName != "小明" || identity.Watermark != (watermark{testNow.Unix(), DefaultMiniProgramAppID}) {
		t.Errorf("identity = %+v", identity)
	}
	if sum := sha1.Sum([]byte(sealed.RawData + newer.SessionKey)); sealed.Signature != hex.EncodeToString(sum[:]) || !strings.Contains(sealed.RawData, "小明") {
		t.Errorf("raw data %s, signature %s", sealed.RawData, sealed.Signature)
	}
	var phone miniPhoneNumber
	old := ask(`{"data":"phone","code":"` + code + `"}`)
	old.open(t, older.SessionKey, &phone)
	if phone.PhoneNumber != PhoneNumber("ming") || len(phone.PhoneNumber) != 11 || phone.Watermark.AppID != DefaultMiniProgramAppID {
		t.Errorf("phone = %+v", phone)
	}
}

func TestMiniSessionsAreBounded(t *testing.T) {
	t.Parallel()
	m := newMiniLogins(time.Now)
	for i := range maxGrants + 5 {
		code := time.Duration(i).String()
		m.addCode(code, "a", "u")
		if i < 10 {
			if _, wrong := m.exchange("a", code, ""); wrong != nil {
				t.Fatal(wrong)
			}
		}
	}
	if len(m.codes.all) > maxGrants || len(m.sessions) != 5 {
		t.Errorf("%d codes and %d sessions are kept", len(m.codes.all), len(m.sessions))
	}
}

// A user begins a hundred sessions in a minute and no more; the code stays
// good.
func TestMiniSessionsOfAUserAreRationed(t *testing.T) {
	t.Parallel()
	at := testNow
	m := newMiniLogins(func() time.Time { return at })
	for i := range sessionsPerMinute + 1 {
		code := time.Duration(i).String()
		m.addCode(code, "a", "u")
		_, wrong := m.exchange("a", code, "")
		if last := i == sessionsPerMinute; last != (wrong != nil) || last && wrong.Code != 45011 {
			t.Fatalf("session %d: %v", i+1, wrong)
		}
	}
	at = at.Add(time.Minute)
	if _, wrong := m.exchange("a", time.Duration(sessionsPerMinute).String(), ""); wrong != nil {
		t.Errorf("a minute later: %v", wrong)
	}
}
