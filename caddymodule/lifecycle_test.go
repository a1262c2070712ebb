package caddymodule

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/wxrelay/wxrelay/internal/testport"
)

// F03, H13: a storm of reloads under load opens the store once, loses no
// request and closes the store with the last configuration.
func TestReloadStormUnderLoad_F03(t *testing.T) {
	s := newSetup(t)
	s.load(t)
	first := runningApp(t)
	stop, failures := make(chan struct{}), make(chan string, 1)
	var clients sync.WaitGroup
	for i := range 8 {
		path, want := "/wechat/health", ""
		if i%2 == 0 {
			path, want = "/elsewhere", "next"
		}
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				status, body, err := s.try(0, http.MethodGet, path, "")
				if err != nil || status != http.StatusOK || (want != "" && body != want) {
					select {
					case failures <- fmt.Sprintf("GET %s: %d %q %v", path, status, body, err):
					default:
					}
					return
				}
			}
		})
	}
	for i := range 20 {
		if err := caddy.Load(s.with("allow_networks", []string{fmt.Sprintf("10.%d.0.0/16", i)}).json(t), false); err != nil {
			t.Fatalf("reload %d: %v", i, err)
		}
	}
	close(stop)
	clients.Wait()
	select {
	case failure := <-failures:
		t.Error(failure)
	default:
	}
	last := runningApp(t)
	if last == first || last.engine != first.engine {
		t.Errorf("after the reloads: same app %t, same store %t; want another app on the same store", last == first, last.engine == first.engine)
	}
	if n := len(last.engine.leases); n != 1 {
		t.Errorf("%d configurations are attached, want 1", n)
	}
	if n, _ := engines.References(last.store.key()); n != 1 {
		t.Errorf("%d references to the store, want 1", n)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, open := engines.References(last.store.key()); open {
		t.Error("the store is still open after the last configuration")
	}
}

// A request of the old configuration, held up in the middle of its body, is
// answered from the old store although the new configuration has another.
func TestChangedStorePathWaitsForRequests(t *testing.T) {
	s := newSetup(t)
	s.load(t)
	old := runningApp(t).engine

	body := `{"order_no":"A000000001","amount":1,"description":"tea"}`
	request, finish := heldRequest(t, s, body)
	answered := make(chan *http.Response, 1)
	go func() {
		res, err := http.DefaultTransport.RoundTrip(request.Request) //nolint:bodyclose // the receiver of answered closes it
		if err != nil {
			t.Error(err)
		}
		answered <- res
	}()
	<-request.reading // inside the handler, in the middle of the body

	loaded := make(chan error, 1)
	go func() { loaded <- caddy.Load(s.with("store", testStore(t.TempDir())).json(t), false) }()
	for old.users.enter() { // until the old store begins to drain
		old.users.leave()
		runtime.Gosched()
	}
	if _, body := s.get(t, 0, "/elsewhere"); body != "next" {
		t.Errorf("the new configuration answers %q while the old one drains", body)
	}
	finish()
	res := <-answered
	if res == nil {
		t.FailNow()
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		text, _ := io.ReadAll(res.Body)
		t.Errorf("the held request got %d %s, want 201 from the old store", res.StatusCode, text)
	}
	if err := <-loaded; err != nil {
		t.Errorf("reload: %v", err)
	}
	if runningApp(t).engine == old {
		t.Error("the new configuration is on the old store")
	}
}

// held is a request whose body stops in the middle.
type held struct {
	*http.Request
	reading chan struct{} // closed once the server asks for the body
}

// heldRequest signs a request to create an order. Its body is sent when
// finish is called; the server's "100 Continue" tells that it is read.
func heldRequest(t *testing.T, s *setup, body string) (r held, finish func()) {
	t.Helper()
	r.reading = make(chan struct{})
	reader, writer := io.Pipe()
	finish = func() {
		_, err := io.WriteString(writer, body)
		_ = writer.CloseWithError(err)
	}
	trace := &httptrace.ClientTrace{Got100Continue: func() { close(r.reading) }}
	ctx := httptrace.WithClientTrace(context.Background(), trace)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url(0, "/v1/orders"), reader)
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = int64(len(body))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Expect", "100-continue")
	request.Header.Set("Authorization", authorization(http.MethodPost, "localhost:8080", "/v1/orders", body))
	r.Request = request
	return r, finish
}

// authorization signs a request as contract section 3.1 says.
func authorization(method, host, target, body string) string {
	digest := sha256.Sum256([]byte(body))
	timestamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), fmt.Sprintf("nonce-%d", time.Now().UnixNano())
	mac := hmac.New(sha256.New, []byte(testSecret))
	for _, line := range []string{"WXRELAY1-HMAC-SHA256", "1000000000000001", method, host, target, timestamp, nonce, hex.EncodeToString(digest[:])} {
		mac.Write([]byte(line + "\n"))
	}
	return fmt.Sprintf(`WXRELAY1-HMAC-SHA256 client_id="1000000000000001",timestamp="%s",nonce="%s",signature="%s"`,
		timestamp, nonce, base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// A configuration that fails before it is started leaves the running one on
// its open store.
func TestRefusedConfigurationHarmsNobody(t *testing.T) {
	s := newSetup(t)
	s.load(t)
	running := runningApp(t)
	err := caddy.Load(s.with("accounts", []any{map[string]any{"name": "shop", "secret": "{env.WXRELAY_TEST_UNSET}"}}).json(t), false)
	if err == nil || !strings.Contains(err.Error(), "account shop: secret: placeholder {env.WXRELAY_TEST_UNSET} is empty or not set") {
		t.Fatalf("loading got %v", err)
	}
	checkAlive(t, s, running)
}

// checkAlive fails unless app is the running configuration and at work.
func checkAlive(t *testing.T, s *setup, app *App) {
	t.Helper()
	if runningApp(t) != app {
		t.Error("another configuration is running")
	}
	if status, body := s.get(t, 0, "/wechat/health"); status != http.StatusOK {
		t.Errorf("health: %d %s", status, body)
	}
	if n, _ := engines.References(app.store.key()); n != 1 {
		t.Errorf("%d references to the store, want 1", n)
	}
	app.engine.mu.Lock()
	defer app.engine.mu.Unlock()
	if n := len(app.engine.leases); n != 1 || app.engine.leases[0] != app.lease {
		t.Errorf("%d configurations are attached, want the running one alone", n)
	}
}

// neighbour is an app whose Start fails.
type neighbour struct{}

func (neighbour) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "wxrelay_test_neighbour", New: func() caddy.Module { return new(neighbour) }}
}
func (neighbour) Start() error { return errors.New("the neighbour does not start") }
func (neighbour) Stop() error  { return nil }

func init() { caddy.RegisterModule(neighbour{}) }

// Apps start in random order: ours is started, or not yet, when its
// neighbour fails. Either way it gives back what it took.
func TestFailingNeighbourHarmsNobody(t *testing.T) {
	s := newSetup(t)
	s.load(t)
	running := runningApp(t)
	failing := s.with("allow_networks", []string{"10.0.0.0/8"})
	failing.apps = map[string]any{"wxrelay_test_neighbour": map[string]any{}}
	for range 16 { // both orders come up
		if err := caddy.Load(failing.json(t), false); err == nil {
			t.Fatal("the neighbour started")
		}
		checkAlive(t, s, running)
	}
}

// F13: the place of the store is unusable.
func TestUnusableStorePath_F13(t *testing.T) {
	s := newSetup(t)
	s.load(t)
	running := runningApp(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := caddy.Load(s.with("store", testStore(file)).json(t), false)
	if err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file as store: got %v, want an error that names it", err)
	}
	checkAlive(t, s, running)
	if _, open := engines.References(file); open {
		t.Error("a store that did not open is in the pool")
	}
}

// F19: a second opening of the directory, here by another name, is refused
// and harms the first one no more than another process would.
func TestStoreInUse_F19(t *testing.T) {
	s := newSetup(t)
	s.load(t)
	running := runningApp(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(running.store.key(), link); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	if err := caddy.Load(s.with("store", testStore(link)).json(t), false); err == nil {
		t.Error("the directory was opened twice")
	}
	checkAlive(t, s, running)
}

// caddy validate beside a live server takes nothing from it; without one it
// creates nothing.
func TestValidateTouchesNoStore(t *testing.T) {
	s := newSetup(t)
	s.load(t)
	running := runningApp(t)
	other := filepath.Join(t.TempDir(), "not", "yet")
	for _, candidate := range []*setup{s, s.with("store", testStore(other))} {
		var config caddy.Config
		if err := caddy.StrictUnmarshalJSON(candidate.json(t), &config); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(&config); err != nil {
			t.Errorf("validating: %v", err)
		}
	}
	checkAlive(t, s, running)
	if _, err := os.Stat(other); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("validating made %s: %v", other, err)
	}
}

func TestTwoHandlersShareOneEngine(t *testing.T) {
	s := newSetup(t)
	s.ports = append(s.ports, testport.Free(t))
	s.load(t)
	for i := range s.ports {
		if status, _ := s.get(t, i, "/wechat/health"); status != http.StatusOK {
			t.Errorf("server %d: health %d", i, status)
		}
		if _, body := s.get(t, i, "/v2/orders"); body != "next" {
			t.Errorf("server %d: a foreign path got %q", i, body)
		}
	}
	if n := len(runningApp(t).engine.leases); n != 1 {
		t.Errorf("%d configurations are attached, want 1", n)
	}
}

func TestMetricsSurviveReload(t *testing.T) {
	s := newSetup(t)
	s.load(t)
	before := refusals(t)
	for reload := range 3 {
		if status, _, err := s.try(0, http.MethodPost, "/wechat/notify/main", "{}"); err != nil || status != http.StatusUnauthorized {
			t.Fatalf("a forged notification got %d, %v", status, err)
		}
		if got := refusals(t) - before; got != float64(reload+1) {
			t.Errorf("after %d reloads %v refused notifications are counted, want %d", reload, got, reload+1)
		}
		if err := caddy.Load(s.with("allow_networks", []string{fmt.Sprintf("10.%d.0.0/16", reload)}).json(t), false); err != nil {
			t.Fatal(err)
		}
	}
}

// refusals counts refused notifications as /metrics of the running
// configuration would show them.
func refusals(t *testing.T) (sum float64) {
	t.Helper()
	ctx := caddy.ActiveContext()
	families, err := ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, family := range families {
		found[family.GetName()] = true
		if family.GetName() != "wxrelay_notifications_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "outcome" && label.GetValue() == "refused" {
					sum += metric.GetCounter().GetValue()
				}
			}
		}
	}
	for _, name := range []string{"wxrelay_store_healthy", "wxrelay_orders_created_total", "wxrelay_delivery_destinations", "wxrelay_store_commit_duration_seconds"} {
		if !found[name] {
			t.Errorf("%s is not shown", name)
		}
	}
	return sum
}

// Cleanup and Stop meet values that were never provisioned (caddy.md 2.1).
func TestZeroValuesAreHarmless(t *testing.T) {
	t.Parallel()
	if err := new(App).Stop(); err != nil {
		t.Error(err)
	}
	if err := new(App).Cleanup(); err != nil {
		t.Error(err)
	}
	if err := new(Sandbox).Cleanup(); err != nil {
		t.Error(err)
	}
}

func TestDefaultPublicURLIsTheFirstServer(t *testing.T) {
	s := newSetup(t)
	s.ports = append(s.ports, testport.Free(t))
	delete(s.app, "public_url")
	s.load(t)
	want := "http://localhost:" + strconv.Itoa(min(s.ports[0], s.ports[1]))
	if got := runningApp(t).config.PublicURL.String(); got != want {
		t.Errorf("public_url is %s, want %s", got, want)
	}
}

func TestHandlerNeedsTheGlobalOption(t *testing.T) {
	text, ok := adapt(t, "Caddyfile", []byte("http://localhost:8080 {\n\twxrelay\n}\n"))
	if !ok {
		t.Fatal(text)
	}
	var config caddy.Config
	if err := caddy.StrictUnmarshalJSON([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&config); err == nil || !strings.Contains(err.Error(), "needs the global option wxrelay") {
		t.Errorf("got %v", err)
	}
}
