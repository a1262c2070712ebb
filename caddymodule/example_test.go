package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/wxrelay/wxrelay/internal/testport"
)

// example is Caddyfile.example as it is.
func example(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestExampleIsValid(t *testing.T) {
	text, ok := adapt(t, "Caddyfile.example", []byte(example(t)))
	if !ok {
		t.Fatal(text)
	}
	var config caddy.Config
	if err := caddy.StrictUnmarshalJSON([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&config); err != nil {
		t.Error(err)
	}
}

// TestExampleSellsTea runs Caddyfile.example on other ports, and buys a cup
// of tea: the shop orders at the relay, the relay asks the sandbox for money,
// the buyer pays on the sandbox's phone, and the cashier page hears of it.
// H04: and nothing of it is in the logs that must not be.
func TestExampleSellsTea(t *testing.T) {
	const secret, notifySecret = "0123456789abcdef0123456789ABCDEF", "abcdef0123456789ABCDEF0123456789"
	relay, shop := testport.Free(t), testport.Free(t)
	dir := t.TempDir()
	// Caddy itself logs configurations at DEBUG, with what stands in clear.
	t.Setenv("WXRELAY_TEST_SECRET", secret)
	t.Setenv("WXRELAY_TEST_NOTIFY", notifySecret)
	text := strings.NewReplacer(
		"grace_period 10s", "grace_period 10s\n\tadmin off\n\tpersist_config off",
		"log default {", "log default {\n\t\tlevel DEBUG\n\t\toutput file "+dir+"/log",
		"path .wxrelay-demo", "path "+dir+"/store\n\t\t\tballast 0",
		secret, "{env.WXRELAY_TEST_SECRET}",
		notifySecret, "{env.WXRELAY_TEST_NOTIFY}",
		"localhost:8080", "localhost:"+strconv.Itoa(relay),
		"localhost:8081", "localhost:"+strconv.Itoa(shop),
	).Replace(example(t))
	config, ok := adapt(t, "Caddyfile.example", []byte(text))
	if !ok {
		t.Fatal(config)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := caddy.Load([]byte(config), true); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t)
	home := fmt.Sprintf("http://localhost:%d", shop)
	checkout := b.post(home+"/shop/buy", url.Values{"product": {"tea"}})
	if !strings.HasPrefix(checkout, fmt.Sprintf("http://localhost:%d/checkout/", relay)) {
		t.Fatalf("the shop sends the browser to %q", checkout)
	}
	if page := b.get(checkout); !strings.Contains(page, "SANDBOX") {
		t.Errorf("the cashier page does not say that it is a sandbox's:\n%s", page)
	}
	paid := b.watch(checkout + "/status")
	payment := regexp.MustCompile(`name="out_trade_no" value="([^"]+)"`).FindStringSubmatch(b.get(home + "/sandbox/live"))
	if payment == nil {
		t.Fatal("the phone shows nothing to pay")
	}
	b.post(home+"/sandbox/pay", url.Values{"out_trade_no": {payment[1]}, "mchid": {"1900000109"}, "outcome": {"success"}})
	if status := <-paid; !strings.Contains(status, `"paid"`) {
		t.Errorf("the cashier page heard %q, want paid", status)
	}

	log, err := os.ReadFile(dir + "/log")
	if err != nil {
		t.Fatal(err)
	}
	for _, marker := range []string{secret, notifySecret, "Wechatpay-Signature", "signature=", "sig="} {
		if i := strings.Index(string(log), marker); i >= 0 {
			t.Errorf("%q is in the log: ...%s...", marker, log[max(0, i-300):min(len(log), i+100)])
		}
	}
}

// browser keeps cookies and follows no redirect.
type browser struct {
	t      *testing.T
	client *http.Client
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (b *browser) do(method, address string, form url.Values, accept string) *http.Response {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header.Set("Accept", accept)
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.client.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	if res.StatusCode >= 400 {
		text, _ := io.ReadAll(res.Body)
		b.t.Fatalf("%s %s: %d %s", method, address, res.StatusCode, text)
	}
	return res
}

// get returns a page.
func (b *browser) get(address string) string {
	b.t.Helper()
	res := b.do(http.MethodGet, address, nil, "text/html")
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

// post sends a form and returns where the browser is sent then.
func (b *browser) post(address string, form url.Values) string {
	b.t.Helper()
	res := b.do(http.MethodPost, address, form, "text/html")
	defer res.Body.Close()
	return res.Header.Get("Location")
}

// watch opens the live status of a cashier page and returns its last word.
func (b *browser) watch(address string) <-chan string {
	b.t.Helper()
	res := b.do(http.MethodGet, address, nil, "text/event-stream") //nolint:bodyclose // the reader below closes it
	last := make(chan string, 1)
	go func() {
		defer res.Body.Close()
		data := ""
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if text, found := strings.CutPrefix(lines.Text(), "data: "); found {
				data = text
			}
		}
		last <- data
	}()
	return last
}
