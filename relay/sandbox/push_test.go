package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/message"
)

// accountServer plays the server of an account.
type accountServer struct {
	receiver *message.Receiver
	answers  []int // statuses to answer with; 200 when none is left
	hang     int   // how many requests to leave without an answer first
	got      []message.Message
	openIDs  []string
}

// newAccountServer makes one with the account's own settings.
func newAccountServer(t *testing.T, token, key string) *accountServer {
	t.Helper()
	o := message.ReceiverOptions{AppID: DefaultAppID, Token: func() []byte { return []byte(token) }, EncodingAESKey: []byte(key)}
	receiver, err := message.NewReceiver(o)
	if err != nil {
		t.Fatal(err)
	}
	return &accountServer{receiver: receiver}
}

func (a *accountServer) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.hang > 0 {
		a.hang--
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	status, answer := a.serve(r)
	return reply(r, status, answer), nil
}

// serve answers a check or a message.
func (a *accountServer) serve(r *http.Request) (status int, answer string) {
	q, err := message.ParseQuery(r.URL.Query())
	if err != nil {
		return http.StatusForbidden, ""
	}
	if r.Method == http.MethodGet {
		echo, err := a.receiver.Echo(q)
		if err != nil {
			return http.StatusForbidden, ""
		}
		return http.StatusOK, echo
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return http.StatusBadRequest, ""
	}
	m, err := a.receiver.Open(q, body)
	if err != nil {
		return http.StatusForbidden, ""
	}
	a.got = append(a.got, *m)
	a.openIDs = append(a.openIDs, r.URL.Query().Get("openid"))
	if len(a.answers) > 0 {
		status, a.answers = a.answers[0], a.answers[1:]
		return status, ""
	}
	return http.StatusOK, "success"
}

// pushed asks the phone to write to the account.
func pushed(t *testing.T, s *Sandbox, body string) (result pushResult) {
	t.Helper()
	w := post(t, s, "/sandbox/message", body)
	mustStatus(t, w, http.StatusOK)
	if err := json.Unmarshal(w.Body.Bytes(), &result); err != nil {
		t.Fatal(err)
	}
	return result
}

const pushURL = `"url":"http://127.0.0.1/wechat/message/demo"`

func TestServerCheck(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{Transport: newAccountServer(t, DefaultMessageToken, "")})
	if got := pushed(t, s, `{`+pushURL+`,"check":true}`); !got.Success || len(got.Attempts) != 1 {
		t.Errorf("check = %+v", got)
	}
	if got := pushed(t, s, `{`+pushURL+`,"check":true,"token":"another"}`); got.Success || got.Attempts[0].Status != http.StatusForbidden {
		t.Errorf("check with another token = %+v", got)
	}
	// A server that answers every check with success has not passed it.
	s = newSandbox(t, Options{Transport: answer(http.StatusOK)})
	if got := pushed(t, s, `{`+pushURL+`,"check":true}`); got.Success {
		t.Errorf("an empty answer = %+v", got)
	}
}

func TestMessagesReachTheServer(t *testing.T) {
	t.Parallel()
	openID := OpenID(DefaultAppID, "hong")
	tests := map[string]struct {
		key, body string
		check     func(message.Message) bool
	}{
		"text": {"", `"text":"你好 ]]> <b>"`, func(m message.Message) bool {
			return m.MsgType == "text" && m.MsgID != "" && strings.Contains(string(m.Raw), "<b>")
		}},
		"event":     {"", `"type":"event","event":"CLICK","event_key":"K1"`, func(m message.Message) bool { return m.Event == "CLICK" && m.EventKey == "K1" && m.MsgID == "" }},
		"encrypted": {DefaultMessageKey, `"text":"秘密","mode":"aes"`, func(m message.Message) bool { return strings.Contains(string(m.Raw), "秘密") }},
		"JSON":      {"", `"text":"你好","format":"json"`, func(m message.Message) bool { return m.Format == message.FormatJSON && m.MsgID != "" }},
		"encrypted JSON": {DefaultMessageKey, `"text":"你好","format":"json","mode":"aes"`, func(m message.Message) bool {
			return m.Format == message.FormatJSON && strings.Contains(string(m.Raw), "你好")
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newAccountServer(t, DefaultMessageToken, test.key)
			s := newSandbox(t, Options{Transport: server})
			got := pushed(t, s, `{`+pushURL+`,"user":"hong",`+test.body+`}`)
			if !got.Success || len(got.Attempts) != 1 || len(server.got) != 1 {
				t.Fatalf("result = %+v, the server took %d", got, len(server.got))
			}
			m := server.got[0]
			if m.FromUserName != openID || server.openIDs[0] != openID || !m.CreateTime.Equal(testNow) || m.MsgID != got.MsgID || !test.check(m) {
				t.Errorf("message = %+v: %s", m, m.Raw)
			}
		})
	}
}

func TestMessagesAreRepeated(t *testing.T) {
	t.Parallel()
	server := newAccountServer(t, DefaultMessageToken, "")
	server.answers = []int{500, 503, 200}
	s := newSandbox(t, Options{Transport: server})
	if got := pushed(t, s, `{`+pushURL+`,"text":"a"}`); !got.Success || len(got.Attempts) != 3 {
		t.Errorf("after two failures = %+v", got)
	}
	if server.got[0].MsgID != server.got[2].MsgID {
		t.Error("a repeat has another id")
	}
	server.answers = []int{500, 500, 500, 500}
	if got := pushed(t, s, `{`+pushURL+`,"text":"a"}`); got.Success || len(got.Attempts) != 4 {
		t.Errorf("a server that never takes it = %+v, want four attempts", got)
	}
	server.got = nil
	if got := pushed(t, s, `{`+pushURL+`,"text":"a","twice":true}`); !got.Success || len(server.got) != 2 || server.got[0].MsgID != server.got[1].MsgID {
		t.Errorf("twice = %+v", got)
	}
	if got := pushed(t, s, `{`+pushURL+`,"text":"a","token":"another"}`); got.Success || got.Attempts[0].Status != http.StatusForbidden {
		t.Errorf("with another token = %+v", got)
	}
}

func TestSlowServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newAccountServer(t, DefaultMessageToken, "")
		server.hang = 1
		s := newSandbox(t, Options{Now: time.Now, Transport: server})
		got := pushed(t, s, `{`+pushURL+`,"text":"a"}`)
		if !got.Success || len(got.Attempts) != 2 || got.Attempts[0].Milliseconds != 5000 || got.Attempts[0].Failure == "" {
			t.Errorf("result = %+v, want a second attempt after five seconds", got)
		}
	})
}

func TestMessageRefuses(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	for name, body := range map[string]string{
		"no address":      `{"text":"a"}`,
		"public address":  `{"url":"http://8.8.8.8/x","text":"a"}`,
		"no text":         `{` + pushURL + `}`,
		"control":         `{` + pushURL + `,"text":"\u0000"}`,
		"long text":       `{` + pushURL + `,"text":"` + strings.Repeat("x", 2049) + `"}`,
		"unknown type":    `{` + pushURL + `,"text":"a","type":"video"}`,
		"unknown mode":    `{` + pushURL + `,"text":"a","mode":"rot13"}`,
		"unknown format":  `{` + pushURL + `,"text":"a","format":"csv"}`,
		"unknown account": `{` + pushURL + `,"text":"a","app_id":"wx404"}`,
		"unknown user":    `{` + pushURL + `,"text":"a","user":"nobody"}`,
		"bad key":         `{` + pushURL + `,"text":"a","mode":"aes","message_key":"short"}`,
	} {
		if w := post(t, s, "/sandbox/message", body); w.Code != http.StatusBadRequest {
			t.Errorf("%s: status = %d, want 400", name, w.Code)
		}
	}
}

func TestWritingOnThePhone(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{Transport: newAccountServer(t, DefaultMessageToken, "")})
	for form, want := range map[string]string{"text=hello&mode=plain": "success", "check=1&text=": "taken"} {
		r := httptest.NewRequest(http.MethodPost, "/sandbox/message", strings.NewReader(form+"&url=http://127.0.0.1/wechat/message/demo"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		mustStatus(t, w, http.StatusOK)
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: page = %s", form, w.Body)
		}
	}
}
