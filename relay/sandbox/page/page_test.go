package page

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestYuan(t *testing.T) {
	t.Parallel()
	for fen, want := range map[int64]string{0: "¥0.00", 1: "¥0.01", 99: "¥0.99", 100: "¥1.00", 1990: "¥19.90", 1_000_000_000: "¥10000000.00"} {
		if got := Yuan(fen); got != want {
			t.Errorf("Yuan(%d) = %q, want %q", fen, got, want)
		}
	}
}

// load parses one template that shows a text.
func load(t *testing.T, text string) *Set {
	t.Helper()
	set, err := Load(fstest.MapFS{"a.html": {Data: []byte(text)}})
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return set
}

func TestRender(t *testing.T) {
	t.Parallel()
	set := load(t, `{{template "top" .}}{{t "钱" "money"}} {{yuan .Fen}} {{clock .At}}|{{.Text}}{{template "bottom" .}}`)
	data := struct {
		Assets, Text string
		Fen          int64
		At           time.Time
	}{"/a", "<script>alert(1)</script>", 5, time.Date(2026, 11, 22, 4, 5, 6, 0, time.UTC)}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept-Language", "en")
	w := httptest.NewRecorder()
	set.RenderWith(w, r, http.StatusTeapot, "a.html", data, "https://pay.example.com")
	if w.Code != http.StatusTeapot {
		t.Errorf("status = %d", w.Code)
	}
	for _, want := range []string{Banner, "money ¥0.05 12:05:06|", "&lt;script&gt;", `href="/a/style.css"`, `lang="en"`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the page does not show %q: %s", want, w.Body)
		}
	}
	// With no-referrer a browser tells "Origin: null" of the page's own forms.
	if got := w.Header().Get("Referrer-Policy"); got != "same-origin" {
		t.Errorf("the referrer policy is %q", got)
	}
	policy := w.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self';", "form-action 'self' https://pay.example.com;", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy %q lacks %q", policy, want)
		}
	}
}

// A page that cannot be drawn is not shown in half.
func TestRenderFailsAsAWhole(t *testing.T) {
	t.Parallel()
	set := load(t, `before {{.Missing.Field}} after`)
	w := httptest.NewRecorder()
	set.Render(w, httptest.NewRequest(http.MethodGet, "/", nil), http.StatusOK, "a.html", struct{}{})
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "before") {
		t.Errorf("answer %d: %s", w.Code, w.Body)
	}
}

func TestLoadReportsBadTemplates(t *testing.T) {
	t.Parallel()
	if _, err := Load(fstest.MapFS{"a.html": {Data: []byte("{{")}}); err == nil {
		t.Error("Load took a broken template")
	}
}

func TestServeAsset(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"style.css": true, "live.js": true, "layout.html": false, "../page.go": false, "": false} {
		w := httptest.NewRecorder()
		got := ServeAsset(w, httptest.NewRequest(http.MethodGet, "/", nil), name)
		if got != want || want && w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("ServeAsset(%q) = %v, want %v", name, got, want)
		}
	}
}
