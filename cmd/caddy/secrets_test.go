package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay/sandbox"
)

// Secrets of the account and the merchant, which the sandbox is told too.
const (
	markedAppSecret = "appMARKEDsecretappMARKEDsecret00"
	markedAPIv3Key  = "apiv3MARKEDkey-apiv3MARKEDkey-00"
	markedAPIv2Key  = "apiv2MARKEDkeyapiv2MARKEDkey0000"
	markedMasterKey = "masterMARKEDkeymasterMARKEDkeymasterMARKEDk="
)

// TestSecretsStayInside_H03 runs the example at the level of debugging with
// secrets that can be found again, uses everything, and looks for them in all
// that is written and shown, in both generations.
func TestSecretsStayInside_H03(t *testing.T) {
	t.Parallel()
	for _, prefer := range []string{"api_v3", "api_v2"} {
		t.Run(prefer, func(t *testing.T) {
			t.Parallel()
			keepSecrets(t, prefer)
		})
	}
}

func keepSecrets(t *testing.T, prefer string) {
	t.Helper()
	pem := merchantKeys(t)
	file := func(word string) string {
		return regexp.MustCompile(word + `(?: PUB_KEY_ID_\d+)? (/\S+)`).FindStringSubmatch(pem)[1]
	}
	s := startExample(t, append(environment(), "WX_SECRET="+markedAppSecret, "WX_APIV3_KEY="+markedAPIv3Key, "WX_APIV2_KEY="+markedAPIv2Key, "WX_MASTER_KEY="+markedMasterKey),
		"0123456789abcdef0123456789ABCDEF", "{env.SHOP_SECRET}",
		"abcdef0123456789ABCDEF0123456789", "{env.SHOP_NOTIFY}",
		"	log default {\n", "	debug\n	log default {\n",
		"# secret {env.WX_SECRET}", "secret {env.WX_SECRET}",
		"	wxrelay {\n", "	wxrelay {\n		master_key {env.WX_MASTER_KEY}\n",
		"			prefer api_v3 #", `			api_v3 {
				key {env.WX_APIV3_KEY}
				certificate_serial `+sandbox.DefaultCertificateSerial+`
				private_key `+file("private_key")+`
				public_key `+sandbox.DefaultPublicKeyID+` `+file("public_key")+`
			}
			api_v2 {
				key {env.WX_APIV2_KEY}
				client_certificate `+certificateFile(t)+` `+file("private_key")+`
			}
			prefer `+prefer+` #`,
		"	wxrelay_sandbox {\n", `	log {
		import masked
	}
	wxrelay_sandbox {
		account `+sandbox.DefaultAppID+` {env.WX_SECRET}
		merchant `+sandbox.DefaultMchID+` {
			api_v3_key {env.WX_APIV3_KEY}
			api_v2_key {env.WX_APIV2_KEY}
			certificate `+sandbox.DefaultCertificateSerial+` `+certificateFile(t)+`
			app_ids `+sandbox.DefaultAppID+`
		}
`,
		"			allow_origin", "			confirm\n			compat v2 hmac\n			allow_origin",
	)
	s.shop = newShop(s.url, shopID, shopSecret)
	secrets := map[string]string{
		"client secret": shopSecret, "notify secret": shopNotify, "app secret": markedAppSecret, "APIv3 key": markedAPIv3Key, "APIv2 key": markedAPIv2Key,
		"private key": "PRIVATE KEY", "access token": "SANDBOX_TOKEN_", "refresh token": "SANDBOX_REFRESH_",
	}
	secrets["openid"] = useEverything(t, s, secrets)

	written := s.log.String()
	for _, want := range []string{`"level":"debug"`, "/wechat/notify/demo", "request refused"} {
		if !strings.Contains(written, want) {
			t.Errorf("the log has no %q, so that it proves nothing", want)
		}
	}
	shown := map[string]string{"the log": written}
	for _, path := range []string{"/config/", "/metrics"} {
		a, err := s.administer(t.Context(), http.MethodGet, path, "", "")
		if err != nil || a.status != http.StatusOK {
			t.Fatalf("%s = %v, %v", path, a, err)
		}
		shown[path] = string(a.body)
	}
	for name, secret := range secrets {
		if len(secret) < 8 {
			t.Errorf("there was no %s", name)
			continue
		}
		for where, text := range shown {
			for line := range strings.Lines(text) {
				if strings.Contains(line, secret) || strings.Contains(line, url.QueryEscape(secret)) {
					t.Errorf("%s has the %s: %.600s", where, name, line)
				}
			}
		}
	}
}

// useEverything buys by both ways, is refused, and notes every secret that
// passes. It returns the buyer's openid.
func useEverything(t *testing.T, s *server, secrets map[string]string) string {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	o := s.shop.order(t, "S000000001", `,"return_url":"`+s.platform+`/shop/return"`)
	path := strings.TrimPrefix(o.CheckoutURL, s.url)
	query := fmt.Sprintf("order_no=S000000001&amount=100&client_id=%s&timestamp=%d&nonce=%s", shopID, time.Now().Unix(), freshNonce())
	secrets["sig of the link"] = signLink(shopSecret, shopID, s.shop.host(), path, query)

	// The silent login, step by step.
	next := o.CheckoutURL + "?" + query + "&sig=" + secrets["sig of the link"]
	for step := range 3 {
		a := get(t, browser, next, wechatAgent)
		if a.status/100 != 3 {
			t.Fatalf("step %d of the login = %s", step, a)
		}
		next = a.header.Get("Location")
		note(secrets, next)
		for _, c := range a.header.Values("Set-Cookie") {
			if name, value, _ := strings.Cut(strings.SplitN(c, ";", 2)[0], "="); strings.Contains(name, "wxrelay") {
				secrets["browser's cookie"] = value
			}
		}
	}
	checkPage(t, get(t, browser, next, wechatAgent), http.StatusOK)
	loginByTicket(t, s, browser, secrets)
	v := s.shop.view(t, "S000000001")
	if len(v.Payments) != 1 {
		t.Fatalf("payments = %+v", v.Payments)
	}
	buyer := s.pay(t, `{"out_trade_no":"`+v.Payments[0].OutTradeNo+`"}`)
	s.shop.awaitStatus(t, "S000000001", "paid")
	var status statusJSON
	if err := json.Unmarshal(get(t, browser, o.CheckoutURL+"/status", wechatAgent).body, &status); err != nil || status.ReturnURL == "" {
		t.Fatalf("status = %+v, %v", status, err)
	}
	note(secrets, status.ReturnURL)
	get(t, browser, status.ReturnURL, wechatAgent)
	e := eventsOf(s.shop.allEvents(t), "S000000001")[0]
	s.shop.awaitDelivery(t, e.ID, "delivered")

	// The same things where nobody asked for them, and refused.
	r, err := s.shop.request(t.Context(), "POST", "/v1/orders", `{"order_no":"S000000001","amount":1,"description":"x","openid":"`+buyer.OpenID+`"}`)
	if err != nil {
		t.Fatal(err)
	}
	_, secrets["signature of a request"], _ = strings.Cut(strings.TrimSuffix(r.Header.Get("Authorization"), `"`), `signature="`)
	if a, err := send(s.http, r); err != nil || a.status != http.StatusConflict {
		t.Fatalf("another order of the same number = %v, %v", a, err)
	}
	signed := v2Fields(shopID, shopSecret, "HMAC-SHA256", nil)
	secrets["v2-style signature"] = signed.Get("sign")
	if a := s.sendV2(t, http.MethodGet, "/v1/orders/S000000001", signed); a.status != http.StatusOK {
		t.Fatalf("the order by a v2-style signature = %s", a)
	}
	get(t, browser, s.url+"/elsewhere?"+signed.Encode(), desktopAgent)
	s.shop.call(t, "POST", "/v1/orders/S000000001/refunds", `{"refund_no":"S000000001","amount":100}`, http.StatusCreated, nil)
	s.shop.awaitStatus(t, "S000000001", "refunded")
	get(t, browser, s.url+"/wechat/callback?code="+secrets["code"]+"&state="+secrets["state"], desktopAgent)
	get(t, browser, s.url+"/elsewhere?code="+secrets["code"]+"&state="+secrets["state"]+"&openid="+buyer.OpenID, desktopAgent,
		"Referer", s.url+"/wechat/callback?code="+secrets["code"])
	get(t, browser, o.CheckoutURL+"?"+query+"&sig="+secrets["sig of the link"]+"x", desktopAgent)
	return buyer.OpenID
}

// loginByTicket logs the buyer in for the shop, whose own page is opened with
// the ticket too.
func loginByTicket(t *testing.T, s *server, browser *http.Client, secrets map[string]string) {
	t.Helper()
	next := s.loginAt(shopID, s.platform+"/shop/login/callback", "MARKEDSTATE", "")
	for range 3 {
		a := get(t, browser, next, wechatAgent)
		if next = a.header.Get("Location"); next == "" {
			t.Fatalf("the login by ticket = %s", a)
		}
		seen := map[string]string{}
		note(seen, next)
		for name, value := range seen {
			secrets["login's "+name] = value
		}
	}
	get(t, browser, next, wechatAgent)
	s.shop.redeem(t, secrets["login's ticket"])
}

// note remembers the secret parameters of an address.
func note(secrets map[string]string, address string) {
	u, err := url.Parse(address)
	if err != nil {
		return
	}
	for _, name := range []string{"code", "state", "ticket", "sig"} {
		if value := u.Query().Get(name); value != "" {
			secrets[name] = value
		}
	}
}
