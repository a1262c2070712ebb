package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
)

// Exactly the file's name is answered, with exactly its text.
func TestVerifyFiles(t *testing.T) {
	t.Parallel()
	files := NewVerifyFiles([]*relay.Account{
		{VerifyFiles: []relay.VerifyFile{{Name: "MP_verify_abc.txt", Text: "abc"}}},
		{VerifyFiles: []relay.VerifyFile{{Name: "WW_verify_def.txt", Text: "d e f"}, {Name: "MP_verify_abc.txt", Text: "abc"}}},
	})
	for _, tt := range []struct {
		name, method, target string
		want                 string // empty: not served
	}{
		{"file", http.MethodGet, "/MP_verify_abc.txt", "abc"},
		{"file of the second account", http.MethodGet, "/WW_verify_def.txt", "d e f"},
		{"with a query", http.MethodGet, "/MP_verify_abc.txt?x=1", "abc"},
		{"head", http.MethodHead, "/MP_verify_abc.txt", "abc"},
		{"post", http.MethodPost, "/MP_verify_abc.txt", ""},
		{"another name of the pattern", http.MethodGet, "/MP_verify_abd.txt", ""},
		{"in capital letters", http.MethodGet, "/mp_verify_abc.txt", ""},
		{"escaped", http.MethodGet, "/MP%5Fverify_abc.txt", ""},
		{"with a slash", http.MethodGet, "/MP_verify_abc.txt/", ""},
		{"doubled slash", http.MethodGet, "//MP_verify_abc.txt", ""},
		{"in a directory", http.MethodGet, "/pay/MP_verify_abc.txt", ""},
		{"dots", http.MethodGet, "/x/../MP_verify_abc.txt", ""},
		{"root", http.MethodGet, "/", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			target, err := url.Parse(tt.target)
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			served := files.Serve(w, tt.method, PathOf(target))
			if served != (tt.want != "") {
				t.Fatalf("served %t, want %t", served, tt.want != "")
			}
			if !served {
				return
			}
			want := tt.want
			if tt.method == http.MethodHead {
				want = ""
			}
			if got := w.Body.String(); got != want || w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("answered %d %q %v, want 200 %q as text", w.Code, got, w.Header(), want)
			}
		})
	}
	var none VerifyFiles
	if none.Serve(httptest.NewRecorder(), http.MethodGet, "/MP_verify_abc.txt") {
		t.Error("served a file without any")
	}
}
