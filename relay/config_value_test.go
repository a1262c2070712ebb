package relay

import (
	"slices"
	"strings"
	"testing"
)

func TestParsePublicURL(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     string // normalised; empty when refused
		refusal  string
	}{
		{"origin", "https://pay.example.com", "https://pay.example.com", ""},
		{"slash at the end", "https://pay.example.com/", "https://pay.example.com", ""},
		{"prefix", "https://example.com/pay", "https://example.com/pay", ""},
		{"prefix with a slash", "https://example.com/pay/", "https://example.com/pay", ""},
		{"upper case host", "https://Pay.Example.COM/Pay", "https://pay.example.com/Pay", ""},
		{"default port", "https://pay.example.com:443", "https://pay.example.com", ""},
		{"other port", "https://pay.example.com:8443", "https://pay.example.com:8443", ""},
		{"http on this machine", "http://localhost:8080", "http://localhost:8080", ""},
		{"http default port", "http://127.0.0.1:80", "http://127.0.0.1", ""},
		{"http on IPv6 loopback", "http://[::1]:8080", "http://[::1]:8080", ""},
		{"http in a private network", "http://10.1.2.3", "http://10.1.2.3", ""},
		{"http to a container", "http://relay:8080", "http://relay:8080", ""},
		{"http on the internet", "http://pay.example.com", "", "must use https"},
		{"http to a public address", "http://8.8.8.8", "", "must use https"},
		{"no scheme", "pay.example.com", "", "absolute http or https"},
		{"other scheme", "ftp://pay.example.com", "", "absolute http or https"},
		{"opaque", "https:pay.example.com", "", "absolute http or https"},
		{"no host", "https:///x", "", "absolute http or https"},
		{"user", "https://bob:hunter2@pay.example.com", "", "user name or password"},
		{"query", "https://pay.example.com?x=1", "", "query"},
		{"empty query", "https://pay.example.com?", "", "query"},
		{"fragment", "https://pay.example.com#x", "", "fragment"},
		{"empty fragment", "https://pay.example.com#", "", "fragment"},
		{"escaped path", "https://pay.example.com/a%2Fb", "", "plain path prefix"},
		{"dots", "https://pay.example.com/a/../b", "", "plain path prefix"},
		{"double slash", "https://pay.example.com//a", "", "plain path prefix"},
		{"port zero", "https://pay.example.com:0", "", "port"},
		{"port too high", "https://pay.example.com:65536", "", "port"},
		{"colon without port", "https://pay.example.com:", "", "colon"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParsePublicURL(tt.in)
			if tt.want == "" {
				if err == nil || !strings.Contains(err.Error(), tt.refusal) {
					t.Fatalf("ParsePublicURL(%q) = %v, %v; want an error with %q", tt.in, got, err, tt.refusal)
				}
				if strings.Contains(err.Error(), "hunter2") {
					t.Errorf("the error shows a password: %v", err)
				}
				return
			}
			if err != nil || got.String() != tt.want {
				t.Errorf("ParsePublicURL(%q) = %v, %v; want %s", tt.in, got, err, tt.want)
			}
		})
	}
}

func TestParseOrigin(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"plain", "https://books.example.com", "https://books.example.com"},
		{"slash", "https://books.example.com/", "https://books.example.com"},
		{"case and default port", "HTTPS://Books.Example.com:443", "https://books.example.com"},
		{"port", "http://books.example.com:8080", "http://books.example.com:8080"},
		{"path", "https://books.example.com/wx", ""},
		{"wildcard scheme", "*://books.example.com", ""},
		{"D04 Cyrillic", "https://gооd.example", ""},
		{"D04 ideographic full stop", "https://good.example。evil.example", ""},
		{"D04 full-width full stop", "https://good．example", ""},
		{"D04 its ASCII form", "https://xn--gd-jbaa.example", "https://xn--gd-jbaa.example"},
		{"D06 wildcard", "https://*.good.example", ""},
		{"comma", "https://good.example,evil.example", ""},
		{"semicolon", "https://good.example;x", ""},
		{"port in another spelling", "https://good.example:0443", ""},
		{"IPv6", "http://[::1]:8080", "http://[::1]:8080"},
		{"IPv6 zone", "http://[fe80::1%25eth0]:8080", ""},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseOrigin(tt.in)
			if got != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("ParseOrigin(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
			}
		})
	}
}

func TestParsePlatformURL(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"origin", "https://api.example.com/", "https://api.example.com"},
		{"prefix", "http://localhost:8081/wx/", "http://localhost:8081/wx"},
		{"http on the internet", "http://api.example.com", ""},
		{"query", "https://api.example.com/?a", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParsePlatformURL(tt.in)
			if got != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("ParsePlatformURL(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
			}
		})
	}
}

func TestPrivateHost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		host              string
		private, loopback bool
	}{
		{"localhost", true, true},
		{"LOCALHOST.", true, true},
		{"app.localhost", true, true},
		{"127.0.0.1", true, true},
		{"127.9.9.9", true, true},
		{"::1", true, true},
		{"::ffff:127.0.0.1", true, true},
		{"10.0.0.1", true, false},
		{"192.168.1.1", true, false},
		{"172.16.0.1", true, false},
		{"169.254.1.1", true, false},
		{"fd00::1", true, false},
		{"relay", true, false},
		{"pay.test", true, false},
		{"pay.internal", true, false},
		{"8.8.8.8", false, false},
		{"172.32.0.1", false, false},
		{"2001:4860:4860::8888", false, false},
		{"pay.example.com", false, false},
		{"localhost.example.com", false, false},
		{"notlocalhost.com", false, false},
		{"", false, false},
	} {
		if got := PrivateHost(tt.host); got != tt.private {
			t.Errorf("PrivateHost(%q) = %t, want %t", tt.host, got, tt.private)
		}
		if got := LoopbackHost(tt.host); got != tt.loopback {
			t.Errorf("LoopbackHost(%q) = %t, want %t", tt.host, got, tt.loopback)
		}
	}
}

func TestParseNetwork(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"10.1.0.0/16", "10.1.0.0/16"},
		{"127.0.0.1", "127.0.0.1/32"},
		{"::1", "::1/128"},
		{"::ffff:10.0.0.1", "10.0.0.1/32"},
		{"fd00::/8", "fd00::/8"},
		{"10.1.2.3/16", ""}, // bits beyond the length
		{"0.0.0.0/0", ""},   // would switch the guard off (threats F13)
		{"::/0", ""},
		{"fe80::1%eth0", ""},
		{"localhost", ""},
		{"10.1.0.0/33", ""},
	} {
		got, err := ParseNetwork(tt.in)
		if (err != nil) != (tt.want == "") || (err == nil && got.String() != tt.want) {
			t.Errorf("ParseNetwork(%q) = %v, %v; want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestParseOrderNoRule(t *testing.T) {
	t.Parallel()
	rule, err := ParseOrderNoRule("[0-9A-Z]{4}|x")
	if err != nil {
		t.Fatal(err)
	}
	for number, want := range map[string]bool{"AB12": true, "x": true, "AB123": false, "xx": false, "AB12\n": false} {
		if got := rule.MatchString(number); got != want {
			t.Errorf("rule matches %q: %t, want %t", number, got, want)
		}
	}
	for _, bad := range []string{"", "(", "(?<!x)y", ")(", strings.Repeat("a", 257)} {
		if _, err := ParseOrderNoRule(bad); err == nil {
			t.Errorf("ParseOrderNoRule(%q) accepted it", bad)
		}
	}
}

func TestParseEd25519PublicKey(t *testing.T) {
	t.Parallel()
	const key = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	got, err := ParseEd25519PublicKey(key)
	if err != nil || len(got) != 32 {
		t.Errorf("ParseEd25519PublicKey(%q) = %v, %v", key, got, err)
	}
	for _, bad := range []string{"", "11qY", key[:43], key + "AAAA", strings.ReplaceAll(key, "/", "_")} {
		if got, err := ParseEd25519PublicKey(bad); err == nil || got != nil {
			t.Errorf("ParseEd25519PublicKey(%q) = %v, %v; want an error", bad, got, err)
		}
	}
}

func TestWordsOfClosedSets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		check func(string) error
		good  []string
		bad   []string
	}{
		{"trade type", judge(ParseTradeType), []string{"jsapi", "native", "h5", "app", "mini_program"}, []string{"", "cash", "refund", "JSAPI"}},
		{"allow", CheckAllow, []string{"jsapi", "mini_program", "refund", "profit_sharing"}, []string{"", "cash", "Refund"}},
		{"notify format", judge(ParseNotifyFormat), []string{"standard", "get", "wechat_v2", "wechat_v3"}, []string{"", "smoke", "wechat", "WECHAT_V3"}},
		{"kind", judge(ParseAccountKind), []string{"official_account", "mini_program", "mobile_app", "website_app"}, []string{"", "blog"}},
		{"openid policy", judge(ParseOpenIDPolicy), []string{"issued", "unborrowed"}, []string{"", "any"}},
		{"prefer", judge(ParseAPI), []string{"api_v2", "api_v3"}, []string{"", "v3", "api_v4"}},
		{"sign type", judge(ParseSignType), []string{"MD5", "HMAC-SHA256"}, []string{"", "md5", "SHA256", "NONE"}},
		{"policy", judge(ParsePolicy), []string{"refund", "hold"}, []string{"", "keep"}},
		{"callback", judge(ParseCallback), []string{"relay", "direct"}, []string{"", "both"}},
		{"v2 algorithm", judge(ParseCompat), []string{"hmac", "md5"}, []string{"", "MD5", "sha1"}},
	} {
		for _, word := range tt.good {
			if err := tt.check(word); err != nil {
				t.Errorf("%s %q: %v", tt.name, word, err)
			}
		}
		for _, word := range tt.bad {
			if err := tt.check(word); err == nil || !strings.Contains(err.Error(), "unrecognized") {
				t.Errorf("%s %q: error %v, want it unrecognized", tt.name, word, err)
			}
		}
	}
}

func TestParseAllow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		words []string
		want  Allowance
	}{
		{"nothing said", nil, Allowance{Trades: AllTradeTypes()}},
		{"one", []string{"native"}, Allowance{Trades: []TradeType{TradeNative}}},
		{"two and refunds", []string{"jsapi", "refund", "h5"}, Allowance{Trades: []TradeType{TradeJSAPI, TradeH5}, Refund: true}},
		{"refunds alone", []string{"refund"}, Allowance{Trades: AllTradeTypes(), Refund: true}},
		{"sharing", []string{"native", "profit_sharing"}, Allowance{Trades: []TradeType{TradeNative}, Sharing: true}},
	} {
		got, err := ParseAllow(tt.words)
		if err != nil || !slices.Equal(got.Trades, tt.want.Trades) || got.Refund != tt.want.Refund || got.Sharing != tt.want.Sharing {
			t.Errorf("%s: ParseAllow(%q) = %+v, %v; want %+v", tt.name, tt.words, got, err, tt.want)
		}
	}
	if got, err := ParseAllow([]string{"native", "cash"}); err == nil || got.Trades != nil {
		t.Errorf("ParseAllow with an unknown word = %+v, %v; want nothing and an error", got, err)
	}
}

func judge[T any](parse func(string) (T, error)) func(string) error {
	return func(s string) error { return second(parse(s)) }
}

func second[T any](_ T, err error) error { return err }

// H03: lengths may be told, values may not.
func TestSecretChecksDoNotTellSecrets_H03(t *testing.T) {
	t.Parallel()
	const marker = "MARKEDsecret"
	for name, err := range map[string]error{
		"client secret, short":     CheckClientSecret(NewSecret(marker)),
		"client secret, odd":       CheckClientSecret(NewSecret(marker + "-8901234567890123456")),
		"APIv3 key":                CheckAPIv3Key(NewSecret(marker)),
		"APIv2 key":                CheckAPIv2Key(NewSecret(marker)),
		"APIv2 key, spaces":        CheckAPIv2Key(NewSecret(marker + " 9012345678901234567")),
		"APIv2 key, none":          CheckAPIv2Key(Secret{}),
		"account secret, spaces":   CheckAccountSecret(NewSecret(marker + " x")),
		"account secret, too long": CheckAccountSecret(NewSecret(strings.Repeat(marker, 30))),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), marker) {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"client secret":  CheckClientSecret(NewSecret("0123456789abcdef0123456789ABCDEF")),
		"APIv3 key":      CheckAPIv3Key(NewSecret("any 32 bytes, whatever they are.")),
		"APIv2 key":      CheckAPIv2Key(NewSecret("0123456789abcdef0123456789ABCDE!")),
		"account secret": CheckAccountSecret(NewSecret("f1e2d3")),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNumbersHaveBounds(t *testing.T) {
	t.Parallel()
	nan := 0.0
	nan /= nan
	for _, rate := range []float64{0, -1, nan, 1_000_001} {
		if CheckRate(rate) == nil {
			t.Errorf("CheckRate(%v) accepted it", rate)
		}
	}
	for _, rate := range []float64{0.5, DefaultRate, 1_000_000} {
		if err := CheckRate(rate); err != nil {
			t.Errorf("CheckRate(%v): %v", rate, err)
		}
	}
	for fen, ok := range map[int64]bool{0: false, -1: false, 1: true, 1_000_000_000: true, 1_000_000_001: false} {
		if err := CheckMaxAmount(fen); (err == nil) != ok {
			t.Errorf("CheckMaxAmount(%d) = %v, want accepted %t", fen, err, ok)
		}
	}
	for fen, ok := range map[int64]bool{0: false, -1: false, 1: true, maxDailyFen: true, maxDailyFen + 1: false} {
		if err := CheckDailyAmount(fen); (err == nil) != ok {
			t.Errorf("CheckDailyAmount(%d) = %v, want accepted %t", fen, err, ok)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what  string
		check func(string) error
		good  []string
		bad   []string
	}{
		{"name", CheckName, []string{"shop", "Shop_1-a"}, []string{"", "a b", "a/b", "ä", "a\n", strings.Repeat("a", 65)}},
		{"app id", CheckAppID, []string{"wx8888888888888888"}, []string{"", "wx888", "WX8888888888888888", "wx8888888888888888\n", "wx88888888888888-8"}},
		{"mch id", CheckMchID, []string{"1900000109"}, []string{"", "19x", "1900000109 ", strings.Repeat("1", 33)}},
		{"serial", CheckCertificateSerial, []string{"5157F09EFDC096DE15EBE81A47057A7232F1B8E1", "ab"}, []string{"", "51:57", "0x51", "515", strings.Repeat("51", 33)}},
		{"public key id", CheckPublicKeyID, []string{"PUB_KEY_ID_0000000000000024101100397200000006"}, []string{"", "PUB_KEY_ID_", "0000000000000024101100397200000006", "PUB_KEY_ID_00a1", "PUB_KEY_ID_" + strings.Repeat("1", 54)}},
		{"client id", CheckClientID, []string{"1000000000000001", "abcdefghijkLMNOP"}, []string{"", "100000000000001", "10000000000000012", "100000000000000-"}},
		{"notify url", CheckNotifyURL, []string{"https://a.example/pay", "http://127.0.0.1:9/x"}, []string{"", "/pay", "https://a.example/?x", "https://u@a.example/", "mailto:a@b"}},
	} {
		for _, s := range tt.good {
			if err := tt.check(s); err != nil {
				t.Errorf("%s %q: %v", tt.what, s, err)
			}
		}
		for _, s := range tt.bad {
			if tt.check(s) == nil {
				t.Errorf("%s %q was accepted", tt.what, s)
			}
		}
	}
}

func FuzzParsePublicURL(f *testing.F) {
	for _, s := range []string{"https://pay.example.com/x", "http://[::1]:80/", "https://a:443#", "https://%41.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParsePublicURL(s)
		if err != nil {
			if u != nil {
				t.Errorf("%q: a value beside the error", s)
			}
			return
		}
		again, err := ParsePublicURL(u.String())
		if err != nil || again.String() != u.String() {
			t.Errorf("%q became %q, which does not read as itself: %v, %v", s, u, again, err)
		}
	})
}
