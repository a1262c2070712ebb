package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/wxrelay/wxrelay/internal/testport"
	"github.com/wxrelay/wxrelay/relay/sandbox"
)

// testSecret signs the requests of the client "bookshop" in tests.
const testSecret = "0123456789abcdef0123456789ABCDEF"

// setup is a configuration of a Caddy that runs inside the test.
type setup struct {
	ports []int          // one server each, all with the handler
	app   map[string]any // of the app wxrelay
	apps  map[string]any // neighbours
}

// newSetup is a relay on a platform that is not asked, with a store of its
// own.
func newSetup(t *testing.T) *setup {
	t.Helper()
	return &setup{
		ports: []int{testport.Free(t)},
		app: map[string]any{
			"public_url": "http://localhost:8080",
			"platform":   map[string]any{"url": "http://localhost:1"},
			"store":      testStore(t.TempDir()),
			"accounts":   []any{map[string]any{"name": "shop"}},
			"merchants":  []any{map[string]any{"name": "main"}},
			"clients": []any{map[string]any{
				"name": "bookshop", "id": "1000000000000001", "secrets": []string{testSecret},
			}},
		},
		apps: map[string]any{},
	}
}

func testStore(path string) map[string]any {
	return map[string]any{"backend": "badger", "path": path, "ballast": 0}
}

// with returns a copy that differs in one field of the app.
func (s *setup) with(field string, value any) *setup {
	changed := &setup{ports: s.ports, app: maps.Clone(s.app), apps: s.apps}
	changed.app[field] = value
	return changed
}

// json is what caddy.Load takes. Behind the relay a plain answer stands for
// the rest of the site.
func (s *setup) json(t *testing.T) []byte {
	t.Helper()
	servers := map[string]any{}
	for i, port := range s.ports {
		servers["srv"+strconv.Itoa(i)] = map[string]any{
			"listen":          []string{"127.0.0.1:" + strconv.Itoa(port)},
			"automatic_https": map[string]any{"disable": true},
			"routes": []any{map[string]any{"handle": []any{
				map[string]any{"handler": "wxrelay"},
				map[string]any{"handler": "static_response", "body": "next", "status_code": 200},
			}}},
		}
	}
	apps := map[string]any{
		"http":    map[string]any{"servers": servers},
		"wxrelay": s.app,
	}
	maps.Copy(apps, s.apps)
	text, err := json.Marshal(map[string]any{
		"admin":   map[string]any{"disabled": true, "config": map[string]any{"persist": false}},
		"logging": map[string]any{"logs": map[string]any{"default": map[string]any{"writer": map[string]any{"output": "discard"}}}},
		"apps":    apps,
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// load makes the setup the running configuration until the test ends.
// Caddy's state is the process's, so such tests do not run in parallel.
func (s *setup) load(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	if err := caddy.Load(s.json(t), true); err != nil {
		t.Fatalf("loading: %v", err)
	}
}

// keepAlive reuses connections, as clients under load do.
var keepAlive = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}

// get asks the i-th server and returns status and body.
func (s *setup) get(t *testing.T, i int, path string) (int, string) {
	t.Helper()
	status, body, err := s.try(i, http.MethodGet, path, "")
	if err != nil {
		t.Fatal(err)
	}
	return status, body
}

// try also works while Caddy exchanges its listeners: connections that are
// idle or wait to be accepted are closed then, and no handler has seen what
// was sent on them.
func (s *setup) try(i int, method, path, body string) (status int, answer string, err error) {
	for range 100 {
		status, answer, err = s.once(i, method, path, body)
		if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, io.EOF) && (err == nil || !strings.Contains(err.Error(), "server closed idle connection")) {
			break
		}
	}
	return status, answer, err
}

func (s *setup) once(i int, method, path, body string) (int, string, error) {
	request, err := http.NewRequest(method, s.url(i, path), strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	res, err := keepAlive.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, string(answer), err
}

func (s *setup) url(i int, path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", s.ports[i], path)
}

// runningApp is the app of the running configuration.
func runningApp(t *testing.T) *App {
	t.Helper()
	ctx := caddy.ActiveContext()
	app, err := ctx.AppIfConfigured("wxrelay")
	if err != nil {
		t.Fatal(err)
	}
	return app.(*App)
}

func TestMain(m *testing.M) {
	sandbox.DefaultCredentials() // derives keys once, outside of every measure
	dir, err := os.MkdirTemp("", "wxrelay-storage-")
	if err != nil {
		panic(err)
	}
	caddy.DefaultStorage.Path = dir // the user's own is left alone
	code := m.Run()
	_ = os.RemoveAll(dir) // a temporary directory
	os.Exit(code)
}
