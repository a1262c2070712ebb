package browser

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// tabLimit ends a test whose page never gets where it should. It is far above
// what any test needs, so that no result depends on it.
const tabLimit = 90 * time.Second

// chromium is the one browser of the test run; each tab has its own profile.
var chromium struct {
	context context.Context
	missing string
	scratch string // a directory that lasts as long as the test run
}

func TestMain(m *testing.M) {
	os.Exit(runWithChromium(m))
}

func runWithChromium(m *testing.M) int {
	path, err := findChromium()
	if err != nil {
		chromium.missing = err.Error()
		return m.Run()
	}
	chromium.scratch, err = os.MkdirTemp("", "wxrelay-chromium-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a directory:", err)
		return 1
	}
	defer os.RemoveAll(chromium.scratch)
	browser, stop, err := startChromium(path, filepath.Join(chromium.scratch, "profile"))
	defer stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting", path+":", err)
		return 1
	}
	chromium.context = browser //nolint:fatcontext // set once, before the first test
	return m.Run()
}

// startChromium starts the browser of the test run. The stop function ends it
// and is to be called in any case.
func startChromium(path, profile string) (browser context.Context, stop func(), err error) {
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(path),
		chromedp.UserDataDir(profile),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("host-resolver-rules", "MAP "+elsewhereHost+" 127.0.0.1"),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("force-color-profile", "srgb"),
	)
	browser, closeBrowser := chromedp.NewContext(allocator, chromedp.WithErrorf(ignoreNews), chromedp.WithLogf(ignoreNews))
	stop = func() {
		closeBrowser()
		stopAllocator()
	}
	return browser, stop, chromedp.Run(browser)
}

// ignoreNews drops the library's remarks on protocol messages that are newer
// than itself. What a page reports is heard in tab.listen.
func ignoreNews(string, ...any) {}

func findChromium() (string, error) {
	if path := os.Getenv("WXRELAY_CHROMIUM"); path != "" {
		return exec.LookPath(path)
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		path, err := exec.LookPath(name)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, exec.ErrNotFound) && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", errors.New("no Chromium on this machine: install one or set WXRELAY_CHROMIUM")
}

// device is what a page is looked at with.
type device struct {
	width, height int64
	mobile        bool
	dark          bool
	still         bool // prefers-reduced-motion
	language      string
	agent         string
	noScript      bool
}

var phone = device{width: 360, height: 740, mobile: true, language: "zh-CN"}

// weChatAgent is how WeChat's web view on Android names itself.
const weChatAgent = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 " +
	"Chrome/130.0.0.0 Mobile Safari/537.36 XWEB/1300 MMWEBSDK/20241103 MicroMessenger/8.0.55.2780 WeChat/arm64 Language/zh_CN"

// tab is one page in a fresh profile. What the page complains about fails the
// test, unless the test expects exactly that.
type tab struct {
	t       *testing.T
	context context.Context
	device  device

	mu         sync.Mutex // guards complaints
	complaints []string
	expected   []string
}

// openTab opens an empty tab. Complaints that contain one of the expected
// texts are not held against the page.
func openTab(t *testing.T, d device, expected ...string) *tab {
	t.Helper()
	if chromium.missing != "" {
		t.Skip(chromium.missing)
	}
	ctx, cancel := chromedp.NewContext(chromium.context, chromedp.WithTargetID(newWindow(t)))
	t.Cleanup(cancel)
	ctx, stop := context.WithTimeout(ctx, tabLimit)
	t.Cleanup(stop)
	tb := &tab{t: t, context: ctx, device: d, expected: expected}
	chromedp.ListenTarget(ctx, tb.listen)
	actions := []chromedp.Action{
		cdplog.Enable(),
		emulation.SetDeviceMetricsOverride(d.width, d.height, 2, d.mobile),
		emulation.SetTouchEmulationEnabled(d.mobile),
		emulation.SetEmulatedMedia().WithFeatures(d.media()),
		emulation.SetScriptExecutionDisabled(d.noScript),
	}
	agent := emulation.SetUserAgentOverride(d.agent).WithAcceptLanguage(d.language)
	actions = append(actions, agent)
	tb.run(actions...)
	tb.beforeLoad(`addEventListener('securitypolicyviolation', (e) => console.error('CSP violation: ' + e.violatedDirective + ' ' + e.blockedURI))`)
	t.Cleanup(tb.check)
	return tb
}

// newWindow makes a window of a profile of its own. New Chromiums open no tab
// in a profile without a window, which is what the library would ask for.
func newWindow(t *testing.T) target.ID {
	t.Helper()
	browser := cdp.WithExecutor(chromium.context, chromedp.FromContext(chromium.context).Browser)
	profile, err := target.CreateBrowserContext().WithDisposeOnDetach(true).Do(browser)
	if err != nil {
		t.Fatalf("making a profile: %v", err)
	}
	id, err := target.CreateTarget("about:blank").WithBrowserContextID(profile).WithNewWindow(true).Do(browser)
	if err != nil {
		t.Fatalf("opening a window: %v", err)
	}
	t.Cleanup(func() {
		if err := target.DisposeBrowserContext(profile).Do(browser); err != nil {
			t.Errorf("closing the window: %v", err)
		}
	})
	return id
}

func (d device) media() []*emulation.MediaFeature {
	scheme, motion := "light", "no-preference"
	if d.dark {
		scheme = "dark"
	}
	if d.still {
		motion = "reduce"
	}
	return []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme},
		{Name: "prefers-reduced-motion", Value: motion},
	}
}

func (tb *tab) run(actions ...chromedp.Action) {
	tb.t.Helper()
	if err := chromedp.Run(tb.context, actions...); err != nil {
		tb.t.Fatalf("driving the page: %v\ncomplaints so far: %q", err, tb.heard())
	}
}

// beforeLoad runs a script in each page before the page's own.
func (tb *tab) beforeLoad(script string) {
	tb.t.Helper()
	tb.run(chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := page.AddScriptToEvaluateOnNewDocument(script).Do(ctx)
		return err
	}))
}

func (tb *tab) open(address string) {
	tb.t.Helper()
	tb.run(chromedp.Navigate(address))
}

// until waits for an expression to become true.
func (tb *tab) until(expression string) {
	tb.t.Helper()
	if err := chromedp.Run(tb.context, chromedp.Poll(expression, nil, chromedp.WithPollingTimeout(0))); err != nil {
		tb.t.Fatalf("waiting for %s: %v\ncomplaints so far: %q", expression, err, tb.heard())
	}
}

func (tb *tab) untilState(state string) {
	tb.t.Helper()
	tb.until(`document.body && document.body.dataset.state === '` + state + `'`)
}

// text evaluates an expression to a string.
func (tb *tab) text(expression string) string {
	tb.t.Helper()
	var s string
	tb.run(chromedp.Evaluate(expression, &s))
	return s
}

func (tb *tab) number(expression string) float64 {
	tb.t.Helper()
	var n float64
	tb.run(chromedp.Evaluate(expression, &n))
	return n
}

func (tb *tab) truth(expression string) bool {
	tb.t.Helper()
	var b bool
	tb.run(chromedp.Evaluate(expression, &b))
	return b
}

// shoot takes a picture of the window.
func (tb *tab) shoot() []byte {
	tb.t.Helper()
	var png []byte
	tb.run(chromedp.CaptureScreenshot(&png))
	return png
}

// keep keeps a picture of the window for a look, where WXRELAY_SHOTS says.
func (tb *tab) keep(name string) {
	tb.t.Helper()
	dir := os.Getenv("WXRELAY_SHOTS")
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), tb.shoot(), 0o600); err != nil {
		tb.t.Fatalf("keeping a screenshot: %v", err)
	}
}

func (tb *tab) listen(event any) {
	if text := describe(event); text != "" {
		tb.complain(text)
	}
}

// describe puts an event that speaks of trouble into words.
func describe(event any) string {
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type != runtime.APITypeError && e.Type != runtime.APITypeWarning {
			return ""
		}
		var words []string
		for _, a := range e.Args {
			words = append(words, string(a.Value))
		}
		return "console: " + strings.Join(words, " ")
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.LevelError || e.Entry.Level == cdplog.LevelWarning {
			return fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		return "exception: " + e.ExceptionDetails.Error()
	}
	return ""
}

func (tb *tab) complain(text string) {
	if slices.ContainsFunc(tb.expected, func(part string) bool { return strings.Contains(text, part) }) {
		return
	}
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.complaints = append(tb.complaints, text)
}

func (tb *tab) heard() []string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return slices.Clone(tb.complaints)
}

func (tb *tab) check() {
	if heard := tb.heard(); len(heard) > 0 {
		tb.t.Errorf("the page complained: %q", heard)
	}
}
