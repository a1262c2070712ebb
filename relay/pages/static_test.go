package pages

import (
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
)

func TestServeStatic(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	name := path.Base(p.StaticURL("checkout.js"))

	get := httptest.NewRecorder()
	if !p.ServeStatic(get, request(t, http.MethodGet, ""), name) {
		t.Fatal("GET is not served")
	}
	if get.Code != http.StatusOK || !strings.Contains(get.Body.String(), "getBrandWCPayRequest") {
		t.Errorf("GET: status %d, %d bytes", get.Code, get.Body.Len())
	}

	head := httptest.NewRecorder()
	if !p.ServeStatic(head, request(t, http.MethodHead, ""), name) {
		t.Fatal("HEAD is not served")
	}
	if head.Code != http.StatusOK || head.Body.Len() != 0 || head.Header().Get("Content-Length") != get.Header().Get("Content-Length") {
		t.Errorf("HEAD: status %d, %d bytes, length %q, want 200, none, %q", head.Code, head.Body.Len(), head.Header().Get("Content-Length"), get.Header().Get("Content-Length"))
	}

	again := request(t, http.MethodGet, "")
	again.Header.Set("If-None-Match", get.Header().Get("ETag"))
	cached := httptest.NewRecorder()
	if !p.ServeStatic(cached, again, name) || cached.Code != http.StatusNotModified || cached.Body.Len() != 0 {
		t.Errorf("GET with the ETag: status %d, %d bytes, want 304 and none", cached.Code, cached.Body.Len())
	}
}

func TestServeStaticLeavesTheRest(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	for _, tc := range []struct{ name, method, file string }{
		{"unknown file", http.MethodGet, "nothing.js"},
		{"name without its hash", http.MethodGet, "checkout.js"},
		{"wrong hash", http.MethodGet, "checkout.0000000000000000.js"},
		{"way out", http.MethodGet, "../templates/checkout.html"},
		{"empty", http.MethodGet, ""},
		{"writing", http.MethodPost, path.Base(p.StaticURL("checkout.js"))},
	} {
		w := httptest.NewRecorder()
		if p.ServeStatic(w, request(t, tc.method, ""), tc.file) {
			t.Errorf("%s: served", tc.name)
		}
		if len(w.Header()) != 0 || w.Body.Len() != 0 {
			t.Errorf("%s: something was written", tc.name)
		}
	}
	if got := p.StaticURL("nothing.js"); got != "" {
		t.Errorf("StaticURL of an unknown file = %q", got)
	}
}

// Two servers behind one address must name the same files.
func TestStaticNamesAreTheSameEachTime(t *testing.T) {
	t.Parallel()
	a, b := newPages(t), newPages(t)
	for _, name := range []string{"checkout.css", "checkout.js", "icon.svg"} {
		if a.StaticURL(name) == "" || a.StaticURL(name) != b.StaticURL(name) {
			t.Errorf("%s is %q and %q", name, a.StaticURL(name), b.StaticURL(name))
		}
	}
}

// A slow line has to carry all of it.
func TestStaticFilesAreSmall(t *testing.T) {
	t.Parallel()
	total := 0
	for _, f := range newPages(t).static {
		total += len(f.body)
	}
	if limit := 40 << 10; total > limit {
		t.Errorf("static files have %d bytes together, want at most %d", total, limit)
	}
}

// Foreign text reaches the document through textContent only (I01), and
// addresses through the script's own check (I02).
func TestScriptHasNoDangerousSinks_I01_I02(t *testing.T) {
	t.Parallel()
	script, err := staticFiles.ReadFile("static/checkout.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, sink := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "setTimeout('", "setTimeout(\"", "location.href =", "location =", "localStorage", "document.cookie", "http://", "https://"} {
		if strings.Contains(string(script), sink) {
			t.Errorf("the script uses %s", sink)
		}
	}
}
