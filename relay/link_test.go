package relay

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

func linkFixture() (*Client, *Order, string) {
	c := &Client{ID: vectorClient, Secrets: []Secret{NewSecret(vectorSecret)}, NotifySecrets: []Secret{NewSecret(strings.Repeat("n", 32))}}
	o := &Order{OrderKey: OrderKey{ClientID: vectorClient, OrderNo: "A000000001"}, AmountFen: 1, Status: OrderPaid, ReturnURL: "https://books.example.com/done"}
	target := "/checkout/tok3n?order_no=A000000001&amount=1&client_id=1000000000000001&timestamp=1795296000&nonce=n0nce-0000000002&sig=OJBXE7FxtNp37P_iec33LRgJZWwxlDA6AgikekWGAI4"
	return c, o, target
}

// TestVerifyCheckoutLink_C16 changes a signed link in every way a browser's
// owner could.
func TestVerifyCheckoutLink_C16(t *testing.T) {
	t.Parallel()
	c, o, good := linkFixture()
	at := time.Unix(1795296000, 0)
	if err := verifyCheckoutLink(c, o, vectorHost, good, at); err != nil {
		t.Fatalf("the contract's link is refused: %v", err)
	}
	resigned := func(query string) string {
		return "/checkout/tok3n?" + query + "&sig=" + SignLink(c.Secrets[0], c.ID, vectorHost, "/checkout/tok3n", query)
	}
	for name, target := range map[string]string{
		"no query":            "/checkout/tok3n",
		"no sig":              good[:strings.Index(good, "&sig=")],
		"after sig":           good + "&amount=1",
		"fee after sig":       good + "&total_fee=1",
		"other path":          strings.Replace(good, "tok3n", "tok3m", 1),
		"amount changed":      strings.Replace(good, "amount=1&", "amount=2&", 1),
		"repeated before sig": resigned("order_no=A000000001&amount=1&amount=1&client_id=1000000000000001&timestamp=1795296000&nonce=n0nce-0000000002"),
		"unknown name":        resigned("order_no=A000000001&amount=1&client_id=1000000000000001&timestamp=1795296000&nonce=n0nce-0000000002&x=1"),
		"empty value":         resigned("order_no=&amount=1&client_id=1000000000000001&timestamp=1795296000&nonce=n0nce-0000000002"),
		"missing amount":      resigned("order_no=A000000001&client_id=1000000000000001&timestamp=1795296000&nonce=n0nce-0000000002"),
		"other order":         resigned("order_no=A000000002&amount=1&client_id=1000000000000001&timestamp=1795296000&nonce=n0nce-0000000002"),
		"other amount":        resigned("order_no=A000000001&amount=01&client_id=1000000000000001&timestamp=1795296000&nonce=n0nce-0000000002"),
		"short nonce":         resigned("order_no=A000000001&amount=1&client_id=1000000000000001&timestamp=1795296000&nonce=n"),
		"padded sig":          good + "=",
		"bad escape":          resigned("order_no=A00000000%zz&amount=1&client_id=1000000000000001&timestamp=1795296000&nonce=n0nce-0000000002"),
	} {
		if err := verifyCheckoutLink(c, o, vectorHost, target, at); err == nil {
			t.Errorf("%s: %s is accepted", name, target)
		}
	}
	for _, late := range []time.Duration{-301 * time.Second, 301 * time.Second} {
		if err := verifyCheckoutLink(c, o, vectorHost, good, at.Add(late)); kindOf(err) != KindTimestamp {
			t.Errorf("at %v: %v, want KindTimestamp", late, err)
		}
	}
}

// TestReturnLink checks the way back as a shop would.
func TestReturnLink(t *testing.T) {
	t.Parallel()
	c, o, _ := linkFixture()
	at := time.Unix(1795296000, 0)
	for _, tc := range []struct{ returnURL, host, path string }{
		{"https://books.example.com/done", "books.example.com", "/done"},
		{"https://books.example.com", "books.example.com", "/"},
		{"https://Books.example.com:443/a%2Fb", "books.example.com", "/a%2Fb"},
		{"http://127.0.0.1:8081/shop/return", "127.0.0.1:8081", "/shop/return"},
	} {
		o.ReturnURL = tc.returnURL
		link := returnLink(c, o, at, "n0nce-0000000003")
		u, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		signed, sig, ok := strings.Cut(u.RawQuery, "&sig=")
		if !ok || sig != SignLink(c.NotifySecrets[0], c.ID, tc.host, tc.path, signed) {
			t.Errorf("returnLink(%s) = %s: sig does not verify", tc.returnURL, link)
		}
		if want := "client_id=1000000000000001&order_no=A000000001&status=paid&amount=1&timestamp=1795296000&nonce=n0nce-0000000003"; signed != want {
			t.Errorf("query = %s, want %s", signed, want)
		}
	}
	o.ReturnURL = ""
	if got := returnLink(c, o, at, "n"); got != "" {
		t.Errorf("without return_url: %q, want empty", got)
	}
}

// FuzzParseLink: never panics; what it accepts has sig last and each
// parameter once.
func FuzzParseLink(f *testing.F) {
	_, _, good := linkFixture()
	f.Add(good[strings.Index(good, "?")+1:])
	f.Add("a=b&sig=c")
	f.Fuzz(func(t *testing.T, query string) {
		p, signed, sig, err := parseLink(query)
		if err != nil {
			return
		}
		if signed+"&sig="+sig != query {
			t.Errorf("parseLink(%q) split into %q and %q", query, signed, sig)
		}
		if strings.Count("&"+signed, "&client_id=") != 1 || p.clientID == "" {
			t.Errorf("parseLink(%q) accepted client_id %q", query, p.clientID)
		}
	})
}
