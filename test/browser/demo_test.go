package browser

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/wxrelay/wxrelay/internal/testport"
)

// demoServed is what Caddy logs when its first configuration answers.
const demoServed = "serving initial configuration"

// elsewhereHost is a name that the browser of the test run takes for this
// machine's.
const elsewhereHost = "sandbox.test"

// demo is Caddyfile.example at work: the relay, the sandbox that plays WeChat
// and the demo shop, in a process of their own.
type demo struct {
	t       *testing.T
	relay   string // origin
	sandbox string // origin of the sandbox and of the shop
}

// demoBinary builds the server once in a test run.
var demoBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(chromium.scratch, "caddy")
	build := exec.CommandContext(context.Background(), "go", "build", "-tags", "nobadger,nomysql,nopgx", "-o", path, "./cmd/caddy")
	build.Dir = filepath.Join("..", "..")
	if said, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the server: %w\n%s", err, said)
	}
	return path, nil
})

// startDemo runs the example on ports, in a home and in a directory of its
// own, with lines of the shop's block replaced by others of the same word. It
// is stopped when the test ends.
func startDemo(t *testing.T, client ...string) *demo {
	t.Helper()
	return startDemoWith(t, func(config string) string { return withLines(t, config, client) })
}

// startDemoWith is startDemo with any change to the example.
func startDemoWith(t *testing.T, change func(config string) string) *demo {
	t.Helper()
	if chromium.missing != "" {
		t.Skip(chromium.missing)
	}
	binary, err := demoBinary()
	if err != nil {
		t.Fatal(err)
	}
	home, relay, sandbox := t.TempDir(), fmt.Sprint(testport.Free(t)), fmt.Sprint(testport.Free(t))
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, "run", "--config", demoConfig(t, home, relay, sandbox, change))
	cmd.Dir = home
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_RUNTIME_DIR="+home)
	p := &demoProcess{cmd: cmd, ready: make(chan struct{}), done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p, p
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting the server: %v", err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("the end of the server's log:\n%s", p.said())
		}
	})
	if err := p.await(); err != nil {
		t.Fatal(err)
	}
	return &demo{t: t, relay: "http://localhost:" + relay, sandbox: "http://localhost:" + sandbox}
}

// demoConfig writes the example with other ports and without what servers
// side by side would share.
func demoConfig(t *testing.T, home, relay, sandbox string, change func(config string) string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "Caddyfile.example"))
	if err != nil {
		t.Fatal(err)
	}
	const option = "\tgrace_period 10s\n"
	if strings.Count(string(text), option) != 1 {
		t.Fatalf("Caddyfile.example does not say %q once, where options are added", option)
	}
	config := strings.NewReplacer(
		option, option+"\tadmin off\n\tpersist_config off\n",
		"http://localhost:8081 {", "http://localhost:"+sandbox+", "+elsewhere(sandbox)+" {",
		"allow_origin http://localhost:8081", "allow_origin http://localhost:"+sandbox+"\n\t\t\tallow_origin "+elsewhere(sandbox),
		"localhost:8080", "localhost:"+relay,
		"localhost:8081", "localhost:"+sandbox,
	).Replace(string(text))
	path := filepath.Join(home, "Caddyfile")
	if err := os.WriteFile(path, []byte(change(config)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// withLines gives the shop's block other lines in place of its own.
func withLines(t *testing.T, config string, lines []string) string {
	t.Helper()
	const block = "\t\tclient demo {\n"
	before, rest, ok := strings.Cut(config, block)
	own, after, ended := strings.Cut(rest, "\n\t\t}\n")
	if !ok || !ended {
		t.Fatalf("Caddyfile.example has no block %q", block)
	}
	for _, line := range lines {
		word, _, _ := strings.Cut(line, " ")
		own = regexp.MustCompile(`(?m)^\t\t\t`+regexp.QuoteMeta(word)+` .*\n?`).ReplaceAllString(own, "") + "\n\t\t\t" + line
	}
	return before + block + own + "\n\t\t}\n" + after
}

// withoutAccount takes an account out of the configuration.
func withoutAccount(t *testing.T, config, name string) string {
	t.Helper()
	block := regexp.MustCompile(`(?ms)^\t\taccount ` + regexp.QuoteMeta(name) + ` \{\n.*?^\t\t\}\n`)
	if len(block.FindAllString(config, -1)) != 1 {
		t.Fatalf("Caddyfile.example does not have one account %s", name)
	}
	return block.ReplaceAllString(config, "")
}

// elsewhere is the origin of the sandbox as a browser on another machine sees
// it: plain http with a name that is not this machine's, which browsers do
// not trust and tell less about.
func elsewhere(port string) string { return "http://" + elsewhereHost + ":" + port }

// demoProcess is a running server. The goroutine of startDemo waits for its
// end and closes done.
type demoProcess struct {
	cmd   *exec.Cmd
	ready chan struct{} // closed when it serves
	done  chan struct{} // closed when it has ended
	err   error         // why, once done is closed

	mu     sync.Mutex // guards what follows
	log    bytes.Buffer
	served bool
}

// Write takes what the server logs.
func (p *demoProcess) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log.Write(text)
	if !p.served && bytes.Contains(p.log.Bytes(), []byte(demoServed)) {
		p.served = true
		close(p.ready)
	}
	return len(text), nil
}

// said is the end of what the server has logged.
func (p *demoProcess) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := p.log.String()
	return text[max(0, len(text)-6<<10):]
}

func (p *demoProcess) await() error {
	select {
	case <-p.ready:
		return nil
	case <-p.done:
		return fmt.Errorf("the server ended: %w", p.err)
	case <-time.After(tabLimit):
		return errors.New("the server never served")
	}
}

// stop ends the server as an operator does, and kills it if it hangs.
func (p *demoProcess) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(tabLimit):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// buy lets a buyer open the shop, take a product and go to the cashier, whose
// page shows a state then. It returns the page's address.
func (d *demo) buy(tb *tab, product, state string) string {
	d.t.Helper()
	tb.open(d.sandbox + "/shop/")
	tb.press(`button[value="`+product+`"]`, `body[data-state="`+state+`"]`)
	address := tb.address()
	if !strings.HasPrefix(address, d.relay+"/checkout/") {
		d.t.Fatalf("the shop sends the buyer to %q", address)
	}
	return address
}

// openOrders opens the shop's list of orders and waits until it says
// something.
func (d *demo) openOrders(tb *tab, says string) {
	d.t.Helper()
	tb.open(d.sandbox + "/shop/orders")
	tb.untilSays(`[data-live]`, says)
}

// address is where the tab is, without the fragment, which browsers carry
// through redirects.
func (tb *tab) address() string {
	tb.t.Helper()
	return tb.text(`location.origin + location.pathname + location.search`)
}

func (tb *tab) click(selector string) {
	tb.t.Helper()
	tb.run(chromedp.Click(selector, chromedp.ByQuery))
}

// press clicks on what leads to another page, which may be the same one drawn
// anew, and waits for a part of that.
func (tb *tab) press(selector, next string) {
	tb.t.Helper()
	tb.truth(`(document.documentElement.dataset.left = 'yes', true)`)
	tb.click(selector)
	tb.arrive(`html:not([data-left]) ` + next)
}

// arrive waits for a part of the page that is on its way. Unlike until it
// survives the change of pages.
func (tb *tab) arrive(selector string) {
	tb.t.Helper()
	tb.run(chromedp.WaitReady(selector, chromedp.ByQuery))
	tb.until(`document.readyState === 'complete'`)
}

// untilSays waits until a part of the page contains a text.
func (tb *tab) untilSays(selector, text string) {
	tb.t.Helper()
	tb.until(fmt.Sprintf("document.querySelector(%q).textContent.includes(%q)", selector, text))
}

// says is the text of a part of the page.
func (tb *tab) says(selector string) string {
	tb.t.Helper()
	return tb.text(fmt.Sprintf("document.querySelector(%q).textContent.trim()", selector))
}
