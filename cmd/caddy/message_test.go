package main

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// messageToken is the Token of the account's server settings.
const messageToken = "MARKEDmessageTOKEN"

// pushQuery signs the address of a push as WeChat does (oauth.md section 7).
func pushQuery(token, timestamp string, more ...string) string {
	nonce := "1514711492"
	parts := []string{token, timestamp, nonce}
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	query := url.Values{"signature": {hex.EncodeToString(sum[:])}, "timestamp": {timestamp}, "nonce": {nonce}, "openid": {"oMARKEDopenid"}}
	for i := 0; i+1 < len(more); i += 2 {
		query.Set(more[i], more[i+1])
	}
	return query.Encode()
}

// TestMessages: WeChat checks the address, pushes a message three times, and
// the client that subscribed is told once, signed; a relay that was killed
// knows the repeat too. H03, H04: nothing of it is in the log.
func TestMessages(t *testing.T) {
	t.Parallel()
	shop := newReceiver(t)
	l := newLayout(t)
	site := "log\n"
	text := strings.Replace(l.caddyfile(&setup{
		receiver: shop.url, site: site, bookshop: "messages " + shop.url + "/messages\n\t\t\tallow_networks 127.0.0.0/8", global: "debug",
	}), "account shop", "account shop {\n\t\t\tmessage_token {env.SHOP_MESSAGES}\n\t\t}", 1)
	writeFile(t, l.config, text)
	env := append(environment(), "SHOP_MESSAGES="+messageToken)
	p := run(t, l.home, l.config, env)
	client := &http.Client{Timeout: patience}
	address := l.url + "/wechat/message/shop?"

	now := nowText()
	echo := get(t, client, address+pushQuery(messageToken, now, "echostr", "4375120948345356249"), "WeChat")
	if echo.status != http.StatusOK || string(echo.body) != "4375120948345356249" || echo.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("the check = %s %v, want the echo as text", echo, echo.header)
	}
	for name, target := range map[string]string{
		"another token":   address + pushQuery("other", now, "echostr", "4375120948345356249"),
		"no signature":    address + "echostr=4375120948345356249",
		"unknown account": l.url + "/wechat/message/attic?" + pushQuery(messageToken, now, "echostr", "4375120948345356249"),
	} {
		want := http.StatusForbidden
		if name == "unknown account" {
			want = http.StatusNotFound
		}
		if a := get(t, client, target, "WeChat"); a.status != want || strings.Contains(string(a.body), "4375") {
			t.Errorf("%s = %s, want %d and no echo", name, a, want)
		}
	}

	message := `<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[oMARKEDopenid]]></FromUserName><CreateTime>` + now +
		`</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[MARKEDwords]]></Content><MsgId>23456789</MsgId></xml>`
	push := func() {
		t.Helper()
		if a := post(t, client, address+pushQuery(messageToken, nowText()), message); a.status != http.StatusOK || string(a.body) != "success" {
			t.Fatalf("a push = %s, want success", a)
		}
	}
	push()
	push()
	n := shop.await(t, 1)
	if err := checkStandard(&n, shopNotify); err != nil {
		t.Error(err)
	}
	var event struct {
		Type string `json:"type"`
		Data struct {
			Account string `json:"account"`
			OpenID  string `json:"openid"`
			MsgType string `json:"msg_type"`
			XML     string `json:"xml"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(n.body), &event); err != nil || event.Type != "message.received" ||
		event.Data.Account != "shop" || event.Data.OpenID != "oMARKEDopenid" || event.Data.MsgType != "text" || event.Data.XML != message {
		t.Errorf("told %s, %v", n.body, err)
	}
	if a := post(t, client, address+pushQuery("other", nowText()), message); a.status != http.StatusForbidden {
		t.Errorf("a forged push = %s, want 403", a)
	}

	p.kill()
	log := p.log.String()
	p = run(t, l.home, l.config, env)
	push()
	books := newShop(l.url, shopID, shopSecret)
	if events := books.allEvents(t); len(events) != 1 || events[0].Type != "message.received" || events[0].ID != n.id() {
		t.Errorf("events after a crash and a repeat = %+v, want the one", events)
	}
	books.awaitDelivery(t, n.id(), "delivered")
	log += p.log.String()
	for _, marker := range []string{messageToken, "oMARKEDopenid", "MARKEDwords", "signature="} {
		if strings.Contains(log, marker) {
			t.Errorf("the log has %q", marker)
		}
	}
	if !strings.Contains(log, "request refused") {
		t.Error("the log has no refusals, so that it proves nothing")
	}
	if n := len(shop.all()); n > 2 { // one more when the crash came before the answer was written down
		t.Errorf("the shop was told %d times: %s", n, fmt.Sprint(shop.all()))
	}
}

// TestExampleTakesMessages: the sandbox checks the example's message address
// and pushes what somebody writes and does, sealed and doubled, to a client
// that subscribed; in the clear nothing is taken.
func TestExampleTakesMessages(t *testing.T) {
	t.Parallel()
	shop := newReceiver(t)
	s := startExample(t, nil, "			allow_origin", "			messages "+shop.url+"/messages\n			allow_origin")
	push := func(more string) (success bool) {
		t.Helper()
		a := post(t, s.http, s.platform+"/sandbox/message", `{"url":"`+s.url+`/wechat/message/demo",`+more+`}`)
		var result struct {
			Success bool `json:"success"`
		}
		if err := json.Unmarshal(a.body, &result); err != nil || a.status != http.StatusOK {
			t.Fatalf("pushing = %s, %v", a, err)
		}
		return result.Success
	}
	for _, tt := range []struct {
		name, request string
		want          bool
	}{
		{"check", `"check":true`, true},
		{"check with another token", `"check":true,"token":"other"`, false},
		{"text", `"mode":"aes","type":"text","text":"你好","twice":true`, true},
		{"event in JSON", `"mode":"aes","type":"event","event":"SCAN","event_key":"table7","format":"json"`, true},
		{"in the clear", `"mode":"plain","type":"text","text":"clear"`, false},
		{"sealed with another key", `"mode":"aes","type":"text","text":"other","message_key":"` + strings.Repeat("k", 43) + `"`, false},
	} {
		if got := push(tt.request); got != tt.want {
			t.Errorf("%s: success %t, want %t", tt.name, got, tt.want)
		}
	}
	shop.await(t, 2)
	events := newShop(s.url, shopID, "0123456789abcdef0123456789ABCDEF").allEvents(t)
	if len(events) != 2 {
		t.Fatalf("%d events, want one of the text and one of the scan: %+v", len(events), events)
	}
	for _, e := range events {
		n := shop.awaitOf(t, e.ID, 1)
		if err := checkStandard(&n, "abcdef0123456789ABCDEF0123456789"); err != nil {
			t.Error(err)
		}
		if !strings.Contains(n.body, "你好") && !strings.Contains(n.body, `"event_key":"table7"`) {
			t.Errorf("told %s", n.body)
		}
	}
	if n := len(shop.all()); n != 2 {
		t.Errorf("the shop was told %d times, want 2", n)
	}
	for outcome, want := range map[string]string{"told": "2", "repeated": "1"} {
		if got := s.metric(t, `wxrelay_messages_total{outcome="`+outcome+`"}`); got != want {
			t.Errorf("messages %s are counted as %q, want %s", outcome, got, want)
		}
	}
}
