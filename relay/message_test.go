package relay_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/message"
	"github.com/wxrelay/wxrelay/store/memstore"
)

const (
	messageToken = "pamtest"
	messageKey   = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	textMessage  = `<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[oUpF8]]></FromUserName><CreateTime>1795296000</CreateTime>` +
		`<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[你好 <b>]]></Content><MsgId>23456789</MsgId></xml>`
	eventMessage = `<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[oUpF8]]></FromUserName><CreateTime>1795296000</CreateTime>` +
		`<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[SCAN]]></Event><EventKey><![CDATA[table7]]></EventKey></xml>`
)

// mailbox is a relay whose account shop takes messages, to which the client
// books subscribed.
type mailbox struct {
	*bench
	store *doubtful
}

func newMailbox(t *testing.T, change ...func(*relay.Config)) *mailbox {
	t.Helper()
	store := &doubtful{Store: memstore.New()}
	b := newBench(t, store, append([]func(*relay.Config){func(c *relay.Config) {
		c.Accounts[0].MessageToken = relay.NewSecret(messageToken)
		c.Clients[0].MessagesURL = "https://books.example.com/messages"
	}}, change...)...)
	b.clock = time.Unix(1795296010, 0)
	return &mailbox{b, store}
}

// doubtful is a store whose answer may be lost after it wrote.
type doubtful struct {
	relay.Store
	lost bool
}

func (s *doubtful) Update(ctx context.Context, fn func(relay.Tx) error) error {
	err := s.Store.Update(ctx, fn)
	if err == nil && s.lost {
		return fmt.Errorf("no answer: %w", relay.ErrUnavailable)
	}
	return err
}

func sealed(c *relay.Config) { c.Accounts[0].MessageKey = relay.NewSecret(messageKey) }

// push is a message in the clear at the clock's time.
func (b *mailbox) push(text string) message.Push {
	return message.NewPush(messageToken, strconv.FormatInt(b.clock.Unix(), 10), "nonce1", []byte(text))
}

// pushSealed is an encrypted message.
func (b *mailbox) pushSealed(text, key, appID string) message.Push {
	b.t.Helper()
	c, err := message.NewCipher([]byte(key), appID)
	if err != nil {
		b.t.Fatal(err)
	}
	p, err := message.NewEncryptedPush(rand.Reader, c, messageToken, strconv.FormatInt(b.clock.Unix(), 10), "nonce1", "gh_1", []byte(text))
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *mailbox) take(p message.Push) error {
	return b.TakeMessage(b.t.Context(), "shop", p.Query.Values(), p.Body)
}

// messages are the events that a client has.
func (b *mailbox) messages(c *relay.Client) []relay.EventView {
	b.t.Helper()
	page, err := b.Events(b.t.Context(), b.caller(c), "", 200)
	if err != nil {
		b.t.Fatal(err)
	}
	return page.Events
}

// The official example of the check, and what must not be answered.
func TestCheckMessages(t *testing.T) {
	t.Parallel()
	b := newMailbox(t, func(c *relay.Config) {
		c.Accounts[0].MessageToken = relay.NewSecret("AAAAA")
		silent := *c.Accounts[0]
		silent.Name, silent.AppID, silent.MessageToken = "silent", "wx7777777777777777", relay.Secret{}
		c.Accounts = append(c.Accounts, &silent)
	})
	good := url.Values{
		"signature": {"f464b24fc39322e44b38aa78f5edd27bd1441696"}, "timestamp": {"1714036504"},
		"nonce": {"1514711492"}, "echostr": {"4375120948345356249"},
	}
	for _, tt := range []struct {
		name, account string
		change        func(url.Values)
		want          relay.Kind
	}{
		{"WeChat's example", "shop", func(url.Values) {}, 0},
		{"beside an openid", "shop", func(v url.Values) { v.Set("openid", "oUpF8") }, 0},
		{"another signature", "shop", func(v url.Values) { v.Set("signature", strings.Repeat("0", 40)) }, relay.KindSign},
		{"signature in capital letters", "shop", func(v url.Values) { v.Set("signature", strings.ToUpper(v.Get("signature"))) }, relay.KindSign},
		{"no signature", "shop", func(v url.Values) { v.Del("signature") }, relay.KindSign},
		{"signature twice", "shop", func(v url.Values) { v.Add("signature", v.Get("signature")) }, relay.KindSign},
		{"another time", "shop", func(v url.Values) { v.Set("timestamp", "1714036505") }, relay.KindSign},
		{"no nonce", "shop", func(v url.Values) { v.Del("nonce") }, relay.KindSign},
		{"no echo", "shop", func(v url.Values) { v.Del("echostr") }, relay.KindSign},
		{"long echo", "shop", func(v url.Values) { v.Set("echostr", strings.Repeat("1", 4096)) }, relay.KindSign},
		{"nothing", "shop", func(v url.Values) { clear(v) }, relay.KindSign},
		{"account without a token", "silent", func(url.Values) {}, relay.KindNotFound},
		{"no such account", "attic", func(url.Values) {}, relay.KindNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			query := url.Values{}
			for name, values := range good {
				query[name] = append([]string(nil), values...)
			}
			tt.change(query)
			echo, err := b.CheckMessages(tt.account, query)
			switch {
			case tt.want == 0 && (err != nil || echo != "4375120948345356249"):
				t.Errorf("got %q, %v; want the echo", echo, err)
			case tt.want != 0 && (kindOf(err) != tt.want || echo != ""):
				t.Errorf("got %q, %v; want kind %v and nothing", echo, err, tt.want)
			}
		})
	}
	_, unknown := b.CheckMessages("attic", good)
	_, silent := b.CheckMessages("silent", good)
	if unknown.Error() != silent.Error() {
		t.Errorf("an unknown account is told from a silent one: %v, %v", unknown, silent)
	}
}

// A genuine message becomes an event with a delivery in the standard form, at
// the address for messages and on the client's schedule.
func TestMessageIsTold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*relay.Config)
		push   func(*mailbox) message.Push
		want   string // of the event's data
	}{
		{
			"text in the clear", func(c *relay.Config) { c.Clients[0].Notify = relay.NotifyGet },
			func(b *mailbox) message.Push { return b.push(textMessage) },
			`{"client_id":"` + vectorClient + `","account":"shop","app_id":"wx8888888888888888","openid":"oUpF8","to_user":"gh_1","msg_type":"text",` +
				`"msg_id":"23456789","created_at":"2026-11-22T05:20:00+08:00","xml":` + quote(textMessage) + `}`,
		},
		{
			"event, sealed", sealed,
			func(b *mailbox) message.Push { return b.pushSealed(eventMessage, messageKey, testAppID) },
			`{"client_id":"` + vectorClient + `","account":"shop","app_id":"wx8888888888888888","openid":"oUpF8","to_user":"gh_1","msg_type":"event",` +
				`"event":"SCAN","event_key":"table7","created_at":"2026-11-22T05:20:00+08:00","xml":` + quote(eventMessage) + `}`,
		},
		{
			"JSON of a mini-program", func(c *relay.Config) { c.Clients[0].Callback = relay.CallbackDirect },
			func(b *mailbox) message.Push {
				return b.push(`{"ToUserName":"gh_1","FromUserName":"oUpF8","CreateTime":1795296000,"MsgType":"text","MsgId":7}`)
			},
			`{"client_id":"` + vectorClient + `","account":"shop","app_id":"wx8888888888888888","openid":"oUpF8","to_user":"gh_1","msg_type":"text",` +
				`"msg_id":"7","created_at":"2026-11-22T05:20:00+08:00","json":` +
				quote(`{"ToUserName":"gh_1","FromUserName":"oUpF8","CreateTime":1795296000,"MsgType":"text","MsgId":7}`) + `}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newMailbox(t, tt.change)
			if err := b.take(tt.push(b)); err != nil {
				t.Fatal(err)
			}
			events := b.messages(b.client)
			if len(events) != 1 || events[0].Type != relay.EventMessageReceived || string(events[0].Data) != tt.want {
				t.Fatalf("events %+v, want one with %s", events, tt.want)
			}
			var d relay.Delivery
			if err := b.store.View(t.Context(), func(r relay.Reader) (err error) {
				d, err = r.Delivery(events[0].ID)
				return err
			}); err != nil || d.URL != "https://books.example.com/messages" || d.Format != relay.NotifyStandard || len(d.Schedule) != 13 || !d.DueAt.Equal(b.clock) {
				t.Errorf("delivery %+v, %v; want one in the standard form, due now", d, err)
			}
		})
	}
}

func quote(s string) string {
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err)
	}
	return strings.TrimSpace(text.String())
}

// What WeChat repeats, whole or at once, is told once; what only looks alike is
// told too.
func TestMessageRepeated(t *testing.T) {
	t.Parallel()
	b := newMailbox(t)
	for range 3 {
		b.clock = b.clock.Add(5 * time.Second)
		for _, text := range []string{textMessage, eventMessage} {
			if err := b.take(b.push(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := b.take(b.push(textMessage)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(b.messages(b.client)); n != 2 {
		t.Errorf("%d events of two messages", n)
	}
	for i, text := range []string{
		strings.Replace(textMessage, "23456789", "23456790", 1),
		strings.Replace(eventMessage, "table7", "table8", 1),
		strings.Replace(eventMessage, "1795296000", "1795296001", 1),
		strings.Replace(eventMessage, "oUpF8", "oUpF9", 1),
		strings.Replace(eventMessage, "SCAN", "CLICK", 1),
	} {
		if err := b.take(b.push(text)); err != nil {
			t.Fatal(err)
		}
		if n := len(b.messages(b.client)); n != 3+i {
			t.Errorf("%d events after another message, want %d:\n%s", n, 3+i, text)
		}
	}
}

// Only what the account's token signed lately, and its key sealed, is
// believed; nothing else leaves a trace.
func TestMessageRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*relay.Config)
		push   func(*mailbox) message.Push
		want   relay.Kind
	}{
		{"signature of another token", func(*relay.Config) {}, func(b *mailbox) message.Push {
			return message.NewPush("other", strconv.FormatInt(b.clock.Unix(), 10), "nonce1", []byte(textMessage))
		}, relay.KindSign},
		{"no signature", func(*relay.Config) {}, func(b *mailbox) message.Push {
			p := b.push(textMessage)
			p.Query.Signature = ""
			return p
		}, relay.KindSign},
		{"stale", func(*relay.Config) {}, func(b *mailbox) message.Push {
			p := b.push(textMessage)
			b.clock = b.clock.Add(301 * time.Second)
			return p
		}, relay.KindTimestamp},
		{"from the future", func(*relay.Config) {}, func(b *mailbox) message.Push {
			p := b.push(textMessage)
			b.clock = b.clock.Add(-301 * time.Second)
			return p
		}, relay.KindTimestamp},
		{"in the clear although there is a key", sealed, func(b *mailbox) message.Push { return b.push(textMessage) }, relay.KindSign},
		{"sealed although there is no key", func(*relay.Config) {}, func(b *mailbox) message.Push {
			return b.pushSealed(textMessage, messageKey, testAppID)
		}, relay.KindSign},
		{"sealed with another key", sealed, func(b *mailbox) message.Push {
			return b.pushSealed(textMessage, strings.Repeat("k", 43), testAppID)
		}, relay.KindSign},
		{"sealed for another account", sealed, func(b *mailbox) message.Push {
			return b.pushSealed(textMessage, messageKey, "wx7777777777777777")
		}, relay.KindSign},
		{"another body under a signature", sealed, func(b *mailbox) message.Push {
			p := b.pushSealed(textMessage, messageKey, testAppID)
			p.Body = b.pushSealed(eventMessage, messageKey, testAppID).Body
			return p
		}, relay.KindSign},
		{"no message", func(*relay.Config) {}, func(b *mailbox) message.Push { return b.push("") }, relay.KindParam},
		{"entity", func(*relay.Config) {}, func(b *mailbox) message.Push {
			return b.push(`<!DOCTYPE xml [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + textMessage)
		}, relay.KindParam},
		{"sender twice", func(*relay.Config) {}, func(b *mailbox) message.Push {
			return b.push(strings.Replace(textMessage, "<MsgType>", "<FromUserName>oX</FromUserName><MsgType>", 1))
		}, relay.KindParam},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newMailbox(t, tt.change)
			err := b.take(tt.push(b))
			if kindOf(err) != tt.want {
				t.Errorf("got %v, want kind %v", err, tt.want)
			}
			if n := len(b.messages(b.client)); n != 0 {
				t.Errorf("%d events of a refused message", n)
			}
		})
	}
}

// Each client that subscribed to the account is told, under an id of its own;
// nobody else is, and without anybody nothing is kept.
func TestMessageListeners(t *testing.T) {
	t.Parallel()
	second := func(c *relay.Config) *relay.Account {
		a := *c.Accounts[0]
		a.Name, a.AppID = "second", "wx7777777777777777"
		c.Accounts = append(c.Accounts, &a)
		return &a
	}
	for _, tt := range []struct {
		name   string
		change func(*relay.Config)
		want   string // events of books and of songs
	}{
		{"one", func(*relay.Config) {}, "1 0"},
		{"both", func(c *relay.Config) { c.Clients[1].MessagesURL = "https://songs.example.com/m" }, "1 1"},
		{"who names the account", func(c *relay.Config) { c.Clients[0].Account = "shop" }, "1 0"},
		{"who names another account", func(c *relay.Config) {
			second(c)
			c.Merchants[0].Accounts = []string{"shop", "second"}
			c.Clients[1].MessagesURL, c.Clients[1].Account = "https://songs.example.com/m", "second"
		}, "1 0"},
		{"whose merchant has another account", func(c *relay.Config) {
			second(c)
			other := *c.Merchants[0]
			other.Name, other.MchID, other.Accounts = "other", "1900000110", []string{"second"}
			c.Merchants = append(c.Merchants, &other)
			c.Clients[1].MessagesURL, c.Clients[1].Merchant = "https://songs.example.com/m", "other"
		}, "1 0"},
		{"nobody", func(c *relay.Config) { c.Clients[0].MessagesURL = "" }, "0 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newMailbox(t, tt.change)
			if err := b.take(b.push(textMessage)); err != nil {
				t.Fatal(err)
			}
			books, songs := b.messages(b.client), b.messages(b.ClientByID("2000000000000002"))
			if got := fmt.Sprint(len(books), len(songs)); got != tt.want {
				t.Errorf("events %s, want %s", got, tt.want)
			}
			if len(books) == 1 && len(songs) == 1 && books[0].ID == songs[0].ID {
				t.Error("two clients have one event id")
			}
		})
	}
}

// While the store is in doubt WeChat is not told success, and the repeat of
// what was written after all changes nothing.
func TestMessageInDoubt(t *testing.T) {
	t.Parallel()
	b := newMailbox(t)
	b.store.lost = true
	if err := b.take(b.push(textMessage)); kindOf(err) != relay.KindUnavailable {
		t.Errorf("got %v, want KindUnavailable", err)
	}
	b.store.lost = false
	if err := b.take(b.push(textMessage)); err != nil {
		t.Error(err)
	}
	if n := len(b.messages(b.client)); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

// A message that is too long for the store is told without its text.
func TestMessageTooLong(t *testing.T) {
	t.Parallel()
	b := newMailbox(t)
	if err := b.take(b.push(strings.Replace(textMessage, "你好", strings.Repeat("好", 15<<10), 1))); err != nil {
		t.Fatal(err)
	}
	events := b.messages(b.client)
	if len(events) != 1 || strings.Contains(string(events[0].Data), "好") || !strings.Contains(string(events[0].Data), `"too_long":true`) {
		t.Errorf("events %.300v, want one without the text", events)
	}
	if err := b.take(b.push(strings.Replace(textMessage, "oUpF8", strings.Repeat("o", 30<<10), 1))); kindOf(err) != relay.KindTooLarge {
		t.Errorf("an endless openid: %v, want KindTooLarge", err)
	}
}
