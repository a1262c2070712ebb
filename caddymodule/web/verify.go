package web

import (
	"io"
	"net/http"

	"github.com/wxrelay/wxrelay/relay"
)

// VerifyFiles are the files by which WeChat's console proves who owns a
// domain, by path. They lie at the root of a site, wherever the public address
// of the relay is, and their names are compared as they are: no pattern, no
// other spelling.
type VerifyFiles map[string]string

// NewVerifyFiles collects the files of all accounts.
func NewVerifyFiles(accounts []*relay.Account) VerifyFiles {
	files := make(VerifyFiles)
	for _, a := range accounts {
		for _, f := range a.VerifyFiles {
			files["/"+f.Name] = f.Text
		}
	}
	return files
}

// Serve answers a request for one of the files and reports whether it was
// one. The path is in the form of PathOf. It needs no Handler, so that the
// files are there while the relay still starts.
func (f VerifyFiles) Serve(w http.ResponseWriter, method, path string) bool {
	if len(f) == 0 || !allowed(allowGet, method) {
		return false
	}
	text, ok := f[path]
	if !ok {
		return false
	}
	labelWhole(w.Header(), plainText, len(text))
	w.WriteHeader(http.StatusOK)
	if method == http.MethodGet {
		_, _ = io.WriteString(w, text) // a reader that went away is nobody's failure
	}
	return true
}
