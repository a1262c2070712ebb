package pages

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func message(t *testing.T, m Message, language string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	if err := newPages(t).WriteMessage(w, request(t, http.MethodGet, language), http.StatusForbidden, m); err != nil {
		t.Fatalf("WriteMessage(%s): %v", m.Kind, err)
	}
	return w
}

func TestMessagesSayWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	for lang, w := range catalogue {
		for _, kind := range allKinds {
			answer := message(t, Message{Kind: kind, RequestID: "req_1"}, lang.Tag())
			text := shownText(parse(t, answer))
			if answer.Code != http.StatusForbidden {
				t.Errorf("%s: status %d, want the one given", kind, answer.Code)
			}
			for _, want := range []string{w.Messages[kind].Title, w.Messages[kind].Lead, "req_1"} {
				if !strings.Contains(text, want) {
					t.Errorf("%s %s: no %q in %q", kind, lang.Tag(), want, text)
				}
			}
		}
	}
}

func TestMessageGolden(t *testing.T) {
	t.Parallel()
	full := Message{
		Kind: MessageLoginExpired, Detail: "state is unknown", RequestID: "req_2KWPBgLlAfxdpx2AI54pPJ85f4W",
		BackURL: "https://books.example.com/", Test: true, SandboxURL: "http://localhost:9000/sandbox",
	}
	golden(t, "message.zh-CN", message(t, full, "zh").Body.String())
	golden(t, "message.en", message(t, full, "en").Body.String())
	golden(t, "message-bare.en", message(t, Message{Kind: MessageUnavailable}, "en").Body.String())
}

func TestUnknownMessageStillHasWords(t *testing.T) {
	t.Parallel()
	text := shownText(parse(t, message(t, Message{Kind: "something new"}, "en")))
	if want := englishWords.Messages[MessageUnavailable].Title; !strings.Contains(text, want) {
		t.Errorf("page says %q, want %q", text, want)
	}
}

// What an answer of a third party holds is shown as text (G09).
func TestMessageDetailIsText_I01_G09(t *testing.T) {
	t.Parallel()
	plainShape := shape(parse(t, message(t, Message{Kind: MessageLoginFailed, Detail: "x", RequestID: "x"}, "en")))
	for _, hostile := range hostileTexts {
		answer := message(t, Message{Kind: MessageLoginFailed, Detail: hostile, RequestID: hostile}, "en")
		if got := shape(parse(t, answer)); got != plainShape {
			t.Errorf("detail %q changes the page:\n%s", hostile, got)
		}
		if strings.ContainsAny(answer.Body.String(), "\x1b\x00") {
			t.Errorf("detail %q reaches the page with its control characters", hostile)
		}
	}
}

func TestMessageLinksOnlyToWebAddresses_I02(t *testing.T) {
	t.Parallel()
	for _, address := range hostileAddresses {
		answer := message(t, Message{Kind: MessageLoginFailed, BackURL: address, Test: true, SandboxURL: address}, "en")
		for _, n := range elements(parse(t, answer)) {
			if href, ok := attribute(n, "href"); ok && n.Data == "a" {
				t.Errorf("back address %q became <a href=%q>", address, href)
			}
		}
	}
}

func TestHeadOfMessage(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	if err := newPages(t).WriteMessage(w, request(t, http.MethodHead, "en"), http.StatusNotFound, Message{Kind: MessageOrderNotFound}); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusNotFound || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: status %d, %d bytes, length %q", w.Code, w.Body.Len(), w.Header().Get("Content-Length"))
	}
}
