package message

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

const (
	testToken = "token-marker"
	testKey   = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	otherKey  = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFZ"
	testAppID = "wxb11529c136998cb6"
	testTime  = "1714036504"
	testNonce = "1514711492"

	textXML = `<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[oUser]]></FromUserName>` +
		`<CreateTime>1348831860</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hello]]></Content><MsgId>1234567890123456789</MsgId></xml>`
	textJSON = `{"ToUserName":"gh_1","FromUserName":"oUser","CreateTime":1348831860,"MsgType":"text","Content":"hello","MsgId":1234567890123456789}`
)

// randomness is enough for one message.
func randomness() *bytes.Reader { return bytes.NewReader([]byte("0123456789abcdef")) }

// receiver returns a receiver with the key, or without one.
func receiver(tb testing.TB, key string) *Receiver {
	tb.Helper()
	r, err := NewReceiver(ReceiverOptions{Token: func() []byte { return []byte(testToken) }, EncodingAESKey: []byte(key), AppID: testAppID})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func testCipher(tb testing.TB, key, appID string) *Cipher {
	tb.Helper()
	c, err := NewCipher([]byte(key), appID)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// encrypted returns a push of the message in safe mode.
func encrypted(tb testing.TB, message string) Push {
	tb.Helper()
	p, err := NewEncryptedPush(randomness(), testCipher(tb, testKey, testAppID), testToken, testTime, testNonce, "gh_1", []byte(message))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestOpen(t *testing.T) {
	t.Parallel()
	want := Message{
		ToUserName: "gh_1", FromUserName: "oUser", CreateTime: time.Date(2012, 9, 28, 11, 31, 0, 0, time.UTC),
		MsgType: "text", MsgID: "1234567890123456789",
	}
	for name, raw := range map[string]string{"XML": textXML, "JSON": textJSON} {
		for mode, push := range map[string]Push{
			"plain": NewPush(testToken, testTime, testNonce, []byte(raw)), "encrypted": encrypted(t, raw),
		} {
			t.Run(name+" "+mode, func(t *testing.T) {
				t.Parallel()
				key := testKey
				if mode == "plain" {
					key = ""
				}
				q, err := ParseQuery(push.Query.Values())
				if err != nil {
					t.Fatal(err)
				}
				got, err := receiver(t, key).Open(q, push.Body)
				if err != nil {
					t.Fatal(err)
				}
				if string(got.Raw) != raw || got.Format != Format(strings.ToLower(name)) {
					t.Errorf("got %s in %s", got.Raw, got.Format)
				}
				got.Raw, got.Format = nil, ""
				if fmt.Sprint(*got) != fmt.Sprint(want) {
					t.Errorf("got %+v, want %+v", *got, want)
				}
			})
		}
	}
}

// TestOpenRefuses: a push is WeChat's or it is not read.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	plain, safe := NewPush(testToken, testTime, testNonce, []byte(textXML)), encrypted(t, textXML)
	other := func(c *Cipher) Push {
		p, err := NewEncryptedPush(randomness(), c, testToken, testTime, testNonce, "gh_1", []byte(textXML))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	tests := []struct {
		name   string
		key    string
		push   Push
		change func(*Push)
		want   error
	}{
		{"plain, no signature", "", plain, func(p *Push) { p.Query.Signature = "" }, ErrSignature},
		{"plain, other time", "", plain, func(p *Push) { p.Query.Timestamp += "0" }, ErrSignature},
		{"plain, other nonce", "", plain, func(p *Push) { p.Query.Nonce = "1" }, ErrSignature},
		{"plain, signature in capitals", "", plain, func(p *Push) { p.Query.Signature = strings.ToUpper(p.Query.Signature) }, ErrSignature},
		{"plain, signature cut", "", plain, func(p *Push) { p.Query.Signature = p.Query.Signature[:39] }, ErrSignature},
		{"plain where a key is set", testKey, plain, nil, ErrPlain},
		{"plain of a stranger where a key is set", testKey, plain, func(p *Push) { p.Query.Signature = "" }, ErrSignature},
		{"plain that calls itself raw", testKey, plain, func(p *Push) { p.Query.EncryptType = "raw" }, ErrPlain},
		{"plain that calls itself encrypted", testKey, plain, func(p *Push) { p.Query.EncryptType, p.Query.MsgSignature = "aes", p.Query.Signature }, ErrSignature},
		{"plain without a body", "", plain, func(p *Push) { p.Body = nil }, ErrForm},
		{"encrypted where no key is set", "", safe, nil, ErrNoKey},
		{"encrypted by a stranger where no key is set", "", safe, func(p *Push) { p.Query.Signature = "" }, ErrSignature},
		{"encrypted, no signature of it", testKey, safe, func(p *Push) { p.Query.MsgSignature = "" }, ErrSignature},
		{"encrypted, the plain signature for it", testKey, safe, func(p *Push) { p.Query.MsgSignature = p.Query.Signature }, ErrSignature},
		{"encrypted, other time", testKey, safe, func(p *Push) { p.Query.Timestamp = "1714036505" }, ErrSignature},
		{"encrypted, no time", testKey, safe, func(p *Push) { p.Query.Timestamp = "" }, ErrSignature},
		{"encrypted, changed", testKey, safe, func(p *Push) { p.Body = bytes.Replace(p.Body, []byte("]]></Encrypt>"), []byte("A]]></Encrypt>"), 1) }, ErrSignature},
		{"encrypted, no Encrypt", testKey, safe, func(p *Push) { p.Body = []byte(textXML) }, ErrSignature},
		{"encrypted, two Encrypts", testKey, safe, func(p *Push) {
			p.Body = bytes.Replace(p.Body, []byte("</xml>"), []byte("<Encrypt>x</Encrypt></xml>"), 1)
		}, ErrForm},
		{"encrypted, document type", testKey, safe, func(p *Push) { p.Body = append([]byte("<!DOCTYPE xml>"), p.Body...) }, ErrForm},
		{"encrypted with another key", testKey, other(testCipher(t, otherKey, testAppID)), nil, ErrEncryption},
		{"encrypted for another account", testKey, other(testCipher(t, testKey, "wx0000000000000000")), nil, ErrEncryption},
		{"encrypted for an account whose id ends so", testKey, other(testCipher(t, testKey, "x"+testAppID)), nil, ErrEncryption},
		{"encrypted rubbish", testKey, encrypted(t, "rubbish"), nil, ErrForm},
		{"encrypted nothing", testKey, encrypted(t, ""), nil, ErrForm},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := tt.push
			if tt.change != nil {
				tt.change(&p)
			}
			got, err := receiver(t, tt.key).Open(p.Query, p.Body)
			if !errors.Is(err, tt.want) || got != nil {
				t.Errorf("got %v, %v; want %v", got != nil, err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), "marker") || strings.Contains(err.Error(), "hello") || strings.Contains(err.Error(), "oUser")) {
				t.Errorf("the error quotes the message: %v", err)
			}
		})
	}
}

// TestOpenCompatible: beside its Encrypt a message may stand in the clear,
// which nobody signed and nobody reads.
func TestOpenCompatible(t *testing.T) {
	t.Parallel()
	p := encrypted(t, textXML)
	forged := strings.Replace(strings.TrimSuffix(textXML, "</xml>"), "[oUser]", "[oForged]", 1)
	p.Body = append([]byte(forged), bytes.TrimPrefix(bytes.Replace(p.Body, []byte("<ToUserName><![CDATA[gh_1]]></ToUserName>"), nil, 1), []byte("<xml>"))...)
	got, err := receiver(t, testKey).Open(p.Query, p.Body)
	if err != nil || got.FromUserName != "oUser" || string(got.Raw) != textXML {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	const head = `<xml><ToUserName>gh_1</ToUserName><FromUserName>o</FromUserName><CreateTime>1</CreateTime>`
	tests := []struct {
		name string
		raw  string
		want Message // without what all have; a zero MsgType is refused
	}{
		{"event", head + `<MsgType>event</MsgType><Event>CLICK</Event><EventKey>K</EventKey></xml>`, Message{MsgType: "event", Event: "CLICK", EventKey: "K"}},
		{"empty key", head + `<MsgType>event</MsgType><Event>subscribe</Event><EventKey></EventKey></xml>`, Message{MsgType: "event", Event: "subscribe"}},
		{"event with parts", head + `<MsgType>event</MsgType><Event>pic_weixin</Event><EventKey>6</EventKey><SendPicsInfo><Count>2</Count><PicList>` +
			`<item><PicMd5Sum>a</PicMd5Sum></item><item><PicMd5Sum>b</PicMd5Sum></item></PicList></SendPicsInfo></xml>`, Message{MsgType: "event", Event: "pic_weixin", EventKey: "6"}},
		{"id of a task", head + `<MsgType>event</MsgType><Event>TEMPLATESENDJOBFINISH</Event><MsgID>200163836</MsgID></xml>`, Message{MsgType: "event", Event: "TEMPLATESENDJOBFINISH", MsgID: "200163836"}},
		{"JSON with text for numbers", `{"ToUserName":"gh_1","FromUserName":"o","CreateTime":"1","MsgType":"event","Event":"E","List":[{"a":1},{"a":2}],"MsgId":"7"}`, Message{MsgType: "event", Event: "E", MsgID: "7"}},
		{"JSON with a member in parts", `{"ToUserName":"gh_1","FromUserName":"o","CreateTime":1,"MsgType":"event","EventKey":{"a":1},"Event":null}`, Message{MsgType: "event"}},

		{"A07 two senders", head + `<MsgType>text</MsgType><FromUserName>p</FromUserName></xml>`, Message{}},
		{"two senders in JSON", `{"ToUserName":"gh_1","FromUserName":"o","FromUserName":"p","CreateTime":1,"MsgType":"text"}`, Message{}},
		{"A09 document type", `<!DOCTYPE xml>` + head + `<MsgType>text</MsgType></xml>`, Message{}},
		{"A11 deep", head + `<MsgType>text</MsgType>` + strings.Repeat("<a>", 10) + strings.Repeat("</a>", 10) + `</xml>`, Message{}},
		{"deep JSON", `{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `,` + textJSON[1:], Message{}},
		{"sender in parts", `<xml><ToUserName>gh_1</ToUserName><FromUserName><a>o</a></FromUserName><CreateTime>1</CreateTime><MsgType>text</MsgType></xml>`, Message{}},
		{"no sender", `<xml><ToUserName>gh_1</ToUserName><CreateTime>1</CreateTime><MsgType>text</MsgType></xml>`, Message{}},
		{"no type", head + `</xml>`, Message{}},
		{"no time", `{"ToUserName":"gh_1","FromUserName":"o","MsgType":"text"}`, Message{}},
		{"time of 1969", `{"ToUserName":"gh_1","FromUserName":"o","CreateTime":-1,"MsgType":"text"}`, Message{}},
		{"broken time", `{"ToUserName":"gh_1","FromUserName":"o","CreateTime":1.5,"MsgType":"text"}`, Message{}},
		{"endless time", `{"ToUserName":"gh_1","FromUserName":"o","CreateTime":99999999999,"MsgType":"text"}`, Message{}},
		{"array", `[` + textJSON + `]`, Message{}},
		{"two documents", textXML + textXML, Message{}},
		{"A12 long", textXML[:len(textXML)-6] + "<x>" + strings.Repeat("1", MaxMessage) + "</x></xml>", Message{}},
		{"long JSON", `{"x":"` + strings.Repeat("1", MaxMessage) + `",` + textJSON[1:], Message{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parse([]byte(tt.raw))
			if tt.want.MsgType == "" {
				if !errors.Is(err, ErrForm) || got != nil {
					t.Fatalf("got %v, %v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.ToUserName != "gh_1" || got.FromUserName != "o" || got.CreateTime.Unix() != 1 || string(got.Raw) != tt.raw {
				t.Errorf("got %+v", got)
			}
			short := Message{MsgType: got.MsgType, Event: got.Event, EventKey: got.EventKey, MsgID: got.MsgID}
			if fmt.Sprint(short) != fmt.Sprint(tt.want) {
				t.Errorf("got %+v, want %+v", short, tt.want)
			}
		})
	}
}

func TestEcho(t *testing.T) {
	t.Parallel()
	good := Query{Signature: Sign(testToken, testTime, testNonce), Timestamp: testTime, Nonce: testNonce, EchoStr: "4375120948345356249"}
	for _, key := range []string{"", testKey} {
		if got, err := receiver(t, key).Echo(good); err != nil || got != good.EchoStr {
			t.Errorf("got %q, %v", got, err)
		}
	}
	for name, change := range map[string]func(*Query){
		"no signature": func(q *Query) { q.Signature = "" },
		"other nonce":  func(q *Query) { q.Nonce += "1" },
		"no time":      func(q *Query) { q.Timestamp = "" },
		"another's":    func(q *Query) { q.Signature = Sign("other", testTime, testNonce) },
		"of no token":  func(q *Query) { q.Signature = Sign("", testTime, testNonce) },
	} {
		q := good
		change(&q)
		if got, err := receiver(t, "").Echo(q); !errors.Is(err, ErrSignature) || got != "" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	q := good
	q.EchoStr = ""
	if _, err := receiver(t, "").Echo(q); !errors.Is(err, ErrQuery) {
		t.Errorf("no echo: %v", err)
	}
}

// TestNoTokenNoMessage: an account whose token is empty believes nobody, not
// even who signs with nothing.
func TestNoTokenNoMessage(t *testing.T) {
	t.Parallel()
	r, err := NewReceiver(ReceiverOptions{Token: func() []byte { return nil }, EncodingAESKey: []byte(testKey), AppID: testAppID})
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewEncryptedPush(randomness(), testCipher(t, testKey, testAppID), "", testTime, testNonce, "gh_1", []byte(textXML))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(p.Query, p.Body); !errors.Is(err, ErrSignature) {
		t.Errorf("got %v", err)
	}
	p.Query.EchoStr = "1"
	if _, err := r.Echo(p.Query); !errors.Is(err, ErrSignature) {
		t.Errorf("got %v", err)
	}
}

func TestNewReceiverRefuses(t *testing.T) {
	t.Parallel()
	token := func() []byte { return []byte("t") }
	for name, o := range map[string]ReceiverOptions{
		"no token":   {},
		"short key":  {Token: token, EncodingAESKey: []byte(testKey[1:]), AppID: "wx"},
		"no base64":  {Token: token, EncodingAESKey: []byte("*" + testKey[1:]), AppID: "wx"},
		"line end":   {Token: token, EncodingAESKey: []byte("\n" + testKey[1:]), AppID: "wx"},
		"no account": {Token: token, EncodingAESKey: []byte(testKey)},
	} {
		if r, err := NewReceiver(o); err == nil || r != nil || strings.Contains(err.Error(), "bcdef") {
			t.Errorf("%s: got %v, %v", name, r, err)
		}
	}
}

func TestSealNeedsRandomness(t *testing.T) {
	t.Parallel()
	if _, err := testCipher(t, testKey, "wx").Seal(iotest.ErrReader(errors.New("dry")), nil); err == nil {
		t.Error("encrypts without randomness")
	}
}

func TestParseQuery(t *testing.T) {
	t.Parallel()
	good := url.Values{"signature": {"s"}, "timestamp": {"1"}, "nonce": {"n"}, "echostr": {"e"}, "openid": {"o", "p"}}
	want := Query{Signature: "s", Timestamp: "1", Nonce: "n", EchoStr: "e"}
	if got, err := ParseQuery(good); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, change := range map[string]url.Values{
		"two signatures":       {"signature": {"s", "s"}},
		"two times":            {"timestamp": {"1", "1"}},
		"no time":              {"timestamp": nil},
		"no nonce":             {"nonce": nil},
		"time that is none":    {"timestamp": {"1x"}},
		"long time":            {"timestamp": {strings.Repeat("1", maxTimestamp+1)}},
		"long nonce":           {"nonce": {strings.Repeat("1", maxNonce+1)}},
		"long echo":            {"echostr": {strings.Repeat("1", maxEcho+1)}},
		"echo with markup end": {"echostr": {"a b"}},
		"echo with a line end": {"echostr": {"a\n"}},
		"echo beyond ASCII":    {"echostr": {"回"}},
		"two kinds":            {"encrypt_type": {"aes", "raw"}},
		"two signatures of it": {"msg_signature": {"a", "b"}},
	} {
		values := maps.Clone(good)
		maps.Copy(values, change)
		if got, err := ParseQuery(values); !errors.Is(err, ErrQuery) || got != (Query{}) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

// vectors reads the known answers of a kind.
func vectors[T any](tb testing.TB, kind string) []T {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "vectors", kind+".json"))
	if err != nil {
		tb.Fatal(err)
	}
	var file struct{ Vectors []T }
	if err := json.Unmarshal(data, &file); err != nil || len(file.Vectors) == 0 {
		tb.Fatalf("%d vectors, %v", len(file.Vectors), err)
	}
	return file.Vectors
}

func TestEchoVectors(t *testing.T) {
	t.Parallel()
	type vector struct {
		ID       string
		Input    struct{ Token, Timestamp, Nonce string }
		Expected struct{ Signature string }
	}
	for _, v := range vectors[vector](t, "echostr_signature") {
		if got := Sign(v.Input.Token, v.Input.Timestamp, v.Input.Nonce); got != v.Expected.Signature {
			t.Errorf("%s: got %s, want %s", v.ID, got, v.Expected.Signature)
		}
		if !VerifyEcho(v.Input.Token, v.Input.Timestamp, v.Input.Nonce, v.Expected.Signature) {
			t.Errorf("%s: refused", v.ID)
		}
	}
}

func TestDecryptVectors(t *testing.T) {
	t.Parallel()
	type vector struct {
		ID    string
		Input struct {
			Token, Timestamp, Nonce, Encrypt, AppID string
			Key                                     string `json:"encoding_aes_key"`
		}
		Expected struct {
			MsgSignature string   `json:"msg_signature"`
			Contains     []string `json:"plaintext_contains"`
		}
	}
	for _, v := range vectors[vector](t, "msg_decrypt") {
		in := v.Input
		if got := SignEncrypted(in.Token, in.Timestamp, in.Nonce, in.Encrypt); got != v.Expected.MsgSignature {
			t.Errorf("%s: got %s, want %s", v.ID, got, v.Expected.MsgSignature)
		}
		got, err := testCipher(t, in.Key, in.AppID).Open(in.Encrypt)
		if err != nil {
			t.Fatalf("%s: %v", v.ID, err)
		}
		for _, want := range v.Expected.Contains {
			if !bytes.Contains(got, []byte(want)) {
				t.Errorf("%s: got %s, want %s in it", v.ID, got, want)
			}
		}
		if _, err := testCipher(t, in.Key, in.AppID+"x").Open(in.Encrypt); !errors.Is(err, ErrEncryption) {
			t.Errorf("%s: opened for another account: %v", v.ID, err)
		}
	}
}
