package pages

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

const loginURL = "https://pay.example.com/login?client_id=1000000000000001&redirect_uri=https%3A%2F%2Fbooks.example.com%2Fcb&state=s"

func login(t *testing.T, v Login, language string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	if err := newPages(t).WriteLogin(w, request(t, http.MethodGet, language), v); err != nil {
		t.Fatalf("WriteLogin: %v", err)
	}
	return w
}

func ordinaryLogin(place LoginPlace) Login {
	return Login{Place: place, Site: "山前书店", Host: "books.example.com", PageURL: loginURL}
}

func TestLoginGolden(t *testing.T) {
	t.Parallel()
	for _, place := range []LoginPlace{LoginOnDesktop, LoginOnPhone} {
		for _, lang := range []string{"zh-CN", "en"} {
			golden(t, string(place)+"."+lang, login(t, ordinaryLogin(place), lang).Body.String())
		}
	}
	sandbox := ordinaryLogin(LoginOnDesktop)
	sandbox.Test = true
	if text := shownText(parse(t, login(t, sandbox, "en"))); !strings.Contains(text, "SANDBOX") {
		t.Errorf("a page of the sandbox says %q", text)
	}
}

// TestLoginNamesTheSite_E26: whoever scans a foreign code can see what for.
func TestLoginNamesTheSite_E26(t *testing.T) {
	t.Parallel()
	for lang, words := range loginCatalogue {
		for place := range words.Places {
			w := login(t, ordinaryLogin(place), lang.Tag())
			doc := parse(t, w)
			text := shownText(doc)
			for _, want := range []string{"山前书店", "books.example.com", words.Advice, words.Places[place].Title, words.Places[place].Lead} {
				if !strings.Contains(text, want) {
					t.Errorf("%s %s: no %q in %q", place, lang.Tag(), want, text)
				}
			}
			if got, _ := attribute(byID(doc, "address"), "value"); got != loginURL {
				t.Errorf("address to copy %q", got)
			}
			if strings.Count(w.Body.String(), "<svg xmlns") != 1 {
				t.Error("no code, or several")
			}
		}
	}
}

// A state may make the address longer than a code can be.
func TestLoginAddressTooLongToDraw(t *testing.T) {
	t.Parallel()
	v := ordinaryLogin(LoginOnDesktop)
	v.PageURL += strings.Repeat("x", MaxQRText)
	w := login(t, v, "en")
	if strings.Contains(w.Body.String(), "<svg xmlns") {
		t.Error("a code nobody can read was drawn")
	}
	if got, _ := attribute(byID(parse(t, w), "address"), "value"); got != v.PageURL {
		t.Errorf("address to copy %q", got)
	}
}

func TestLoginForeignTexts_I01_I02(t *testing.T) {
	t.Parallel()
	want := shape(parse(t, login(t, Login{Place: LoginOnPhone, Site: "x", Host: "x"}, "en")))
	for _, hostile := range append(append([]string{}, hostileTexts...), hostileAddresses...) {
		if got := shape(parse(t, login(t, Login{Place: LoginOnPhone, Site: hostile, Host: hostile, SandboxURL: hostile}, "en"))); got != want {
			t.Errorf("%q changes the page:\n%s", hostile, got)
		}
	}
}

func TestLoginPlaceUnknown(t *testing.T) {
	t.Parallel()
	if err := newPages(t).WriteLogin(httptest.NewRecorder(), request(t, http.MethodGet, "en"), Login{Place: "moon"}); !errors.Is(err, ErrPlace) {
		t.Errorf("got %v, want ErrPlace", err)
	}
}

func TestLoginWordsAreComplete(t *testing.T) {
	t.Parallel()
	zh, en := texts(t, "", reflect.ValueOf(chineseLogin)), texts(t, "", reflect.ValueOf(englishLogin))
	if len(zh) != len(en) {
		t.Errorf("%d Chinese texts, %d English ones", len(zh), len(en))
	}
	for key, text := range zh {
		if !strings.ContainsFunc(text, isHan) || en[key] == "" || strings.ContainsFunc(en[key], isHan) {
			t.Errorf("%s: %q and %q", key, text, en[key])
		}
	}
}

func TestMessageOffersTheLoginAgain(t *testing.T) {
	t.Parallel()
	const again = "https://open.weixin.qq.com/connect/oauth2/authorize?appid=wx1&state=s#wechat_redirect"
	doc := parse(t, message(t, Message{Kind: MessageSnapshot, AgainURL: again}, "zh"))
	link := byID(doc, "again")
	if link == nil {
		t.Fatal("no way to log in again")
	}
	if got, _ := attribute(link, "href"); got != again {
		t.Errorf("the way leads to %q", got)
	}
	for _, address := range hostileAddresses {
		if byID(parse(t, message(t, Message{Kind: MessageSnapshot, AgainURL: address}, "zh")), "again") != nil {
			t.Errorf("%q became a link", address)
		}
	}
}

func TestMessageReloads(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]string{0: "", time.Minute: "60"} {
		got := ""
		for _, n := range elements(parse(t, message(t, Message{Kind: MessageTooMany, ReloadAfter: wait}, "en"))) {
			if equiv, _ := attribute(n, "http-equiv"); equiv == "refresh" {
				got, _ = attribute(n, "content")
			}
		}
		if got != want {
			t.Errorf("after %s: refresh %q, want %q", wait, got, want)
		}
	}
}
