package sandbox

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"testing"
)

// upload sends a file as the part of a form and returns the answer's
// media_id and errcode.
func upload(t *testing.T, s *Sandbox, target, part string, content []byte) (id string, code int) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	w, err := form.CreateFormFile(part, "a.jpg")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, target, &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, r)
	mustStatus(t, answer, http.StatusOK)
	var reply struct {
		mediaReply
		wxError
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &reply); err != nil {
		t.Fatalf("decoding %q: %v", answer.Body, err)
	}
	return reply.MediaID, reply.Code
}

func TestMedia(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	token := "access_token=" + stable(t, s, false).AccessToken
	content := []byte{0xff, 0xd8, 0, 1, 2, 0xff, '\r', '\n', '{'}
	id, code := upload(t, s, "/cgi-bin/media/upload?type=image&"+token, "media", content)
	if id == "" || code != 0 {
		t.Fatalf("upload = %q, %d", id, code)
	}
	w := get(s, "/cgi-bin/media/get?media_id="+id+"&"+token)
	if w.Header().Get("Content-Type") != "image/jpeg" || !bytes.Equal(w.Body.Bytes(), content) {
		t.Errorf("the file comes back as %s %q", w.Header().Get("Content-Type"), w.Body)
	}
	other := cgi(t, s, oldTarget, "").AccessToken
	for name, test := range map[string]struct {
		do   func() int
		want int
	}{
		"other kind": {func() int {
			_, code := upload(t, s, "/cgi-bin/media/upload?type=x&"+token, "media", content)
			return code
		}, 40004},
		"other part": {func() int {
			_, code := upload(t, s, "/cgi-bin/media/upload?type=image&"+token, "x", content)
			return code
		}, 41005},
		"empty": {func() int {
			_, code := upload(t, s, "/cgi-bin/media/upload?type=image&"+token, "media", nil)
			return code
		}, 41005},
		"no form":      {func() int { return cgi(t, s, "/cgi-bin/media/upload?type=image&"+token, "x").Code }, 41005},
		"unknown file": {func() int { return cgi(t, s, "/cgi-bin/media/get?media_id=x&access_token="+other, "").Code }, 40007},
		"too large": {func() int {
			_, code := upload(t, s, "/cgi-bin/media/upload?type=image&"+token, "media", make([]byte, maxMedia))
			return code
		}, 45002},
	} {
		if got := test.do(); got != test.want {
			t.Errorf("%s = %d, want %d", name, got, test.want)
		}
	}
	for range maxMediaFiles {
		s.media.add(mediaFile{AppID: DefaultAppID, ID: "x"})
	}
	if _, ok := s.media.find(DefaultAppID, id); ok || len(s.media.list) != maxMediaFiles {
		t.Error("the oldest file is kept above the limit")
	}
}
