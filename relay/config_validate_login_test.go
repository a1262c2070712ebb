package relay

import (
	"strings"
	"testing"
)

const testMessageKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"

func TestConfigValidateLogin(t *testing.T) {
	t.Parallel()
	subscribe := func(c *Config) {
		c.Accounts[0].MessageToken, c.Clients[0].MessagesURL = NewSecret("token"), "https://books.example.com/messages"
	}
	files := func(files ...VerifyFile) func(*Config) {
		return func(c *Config) { c.Accounts[0].VerifyFiles = files }
	}
	checkMistakes(t, []mistake{
		{"website app", func(c *Config) { c.Accounts[1].Kind = AccountWebsiteApp }, ""},
		{"website app without a secret", func(c *Config) {
			c.Accounts[1].Kind, c.Accounts[1].Secret = AccountWebsiteApp, Secret{}
		}, "account blog: secret: must be the account's app secret"},
		{"mini-program without a secret", func(c *Config) {
			c.Accounts[1].Kind, c.Accounts[1].Secret = AccountMiniProgram, Secret{}
		}, ""},
		{"client of a website app that is bound to no merchant", func(c *Config) {
			c.Accounts[1].Kind, c.Clients[0].Account = AccountWebsiteApp, "blog"
		}, ""},

		{"messages in clear and sealed", func(c *Config) {
			subscribe(c)
			c.Accounts[0].MessageKey = NewSecret(testMessageKey)
		}, ""},
		{"message token", func(c *Config) { c.Accounts[0].MessageToken = NewSecret("a b") }, "account shop: message_token: must be 3 to 32"},
		{"message token of a website app", func(c *Config) {
			c.Accounts[1].Kind, c.Accounts[1].MessageToken = AccountWebsiteApp, NewSecret("token")
		}, "account blog: message_token: is for kinds"},
		{"message key", func(c *Config) {
			subscribe(c)
			c.Accounts[0].MessageKey = NewSecret("short")
		}, "account shop: message_key: must be 43 letters or digits, as the EncodingAESKey in the account's server settings, but has 5"},
		{"message key without token", func(c *Config) { c.Accounts[0].MessageKey = NewSecret(testMessageKey) }, "account shop: message_key: needs message_token"},

		{"verify file", files(VerifyFile{"MP_verify_abc.txt", "abc"}, VerifyFile{"abc.txt", "x y"}), ""},
		{"verify file of two accounts", func(c *Config) {
			c.Accounts[0].VerifyFiles = []VerifyFile{{"a.txt", "a"}}
			c.Accounts[1].VerifyFiles = []VerifyFile{{"a.txt", "a"}}
		}, ""},
		{"verify file with two texts", func(c *Config) {
			c.Accounts[0].VerifyFiles = []VerifyFile{{"a.txt", "a"}}
			c.Accounts[1].VerifyFiles = []VerifyFile{{"a.txt", "b"}}
		}, `account blog: verify_file: "a.txt" already has another text in account shop`},
		{"verify file twice", files(VerifyFile{"a.txt", "a"}, VerifyFile{"a.txt", "a"}), `account shop: verify_file: "a.txt" is given twice`},
		{"verify file in a directory", files(VerifyFile{"a/b.txt", "a"}), "account shop: verify_file: name "},
		{"verify file above", files(VerifyFile{"../a.txt", "a"}), "account shop: verify_file: name "},
		{"hidden verify file", files(VerifyFile{".txt", "a"}), "account shop: verify_file: name "},
		{"verify file as a page", files(VerifyFile{"a.html", "a"}), "account shop: verify_file: name "},
		{"long name of a verify file", files(VerifyFile{strings.Repeat("a", 61) + ".txt", "a"}), "account shop: verify_file: name "},
		{"empty verify file", files(VerifyFile{"a.txt", ""}), "account shop: verify_file: a.txt needs a text"},
		{"verify file with a line break", files(VerifyFile{"a.txt", "a\n"}), "account shop: verify_file: a.txt needs a text"},
		{"long verify file", files(VerifyFile{"a.txt", strings.Repeat("a", 1025)}), "account shop: verify_file: a.txt needs a text"},

		{"addresses of logins", func(c *Config) {
			c.Clients[0].RedirectURIs = []string{"https://books.example.com/cb", "https://books.example.com/cb?a=1"}
		}, ""},
		{"address twice", func(c *Config) {
			c.Clients[0].RedirectURIs = []string{"https://books.example.com/cb", "https://books.example.com/cb"}
		}, `client bookshop: redirect_uri: "https://books.example.com/cb" is given twice`},
		{"D04 look-alike", func(c *Config) { c.Clients[0].RedirectURIs = []string{"https://bооks.example.com/cb"} }, "client bookshop: redirect_uri: "},
		{"D05 fragment", func(c *Config) { c.Clients[0].RedirectURIs = []string{"https://books.example.com/cb#x"} }, "client bookshop: redirect_uri: must not have a fragment"},
		{"D06 wildcard", func(c *Config) { c.Clients[0].RedirectURIs = []string{"https://*.example.com/cb"} }, "client bookshop: redirect_uri: "},
		{"D09 own parameter", func(c *Config) { c.Clients[0].RedirectURIs = []string{"https://books.example.com/cb?code=x"} }, "client bookshop: redirect_uri: must not have the parameter code"},
		{"openid policy", func(c *Config) { c.Clients[0].OpenIDPolicy = OpenIDIssued }, ""},
		{"unknown openid policy", func(c *Config) { c.Clients[0].OpenIDPolicy = "any" }, `client bookshop: openid_policy: unrecognized openid policy "any"`},

		{"server interface", func(c *Config) {
			c.Clients[0].AllowAPI, c.Clients[0].RawToken = []string{"/cgi-bin/message/custom/send", "/cgi-bin/menu/*", "/cgi-bin/*"}, true
		}, ""},
		{"path of payments", func(c *Config) { c.Clients[0].AllowAPI = []string{"/v3/pay"} }, "client bookshop: allow_api: "},
		{"nothing below", func(c *Config) { c.Clients[0].AllowAPI = []string{"/cgi-bin/"} }, "client bookshop: allow_api: "},
		{"the root itself", func(c *Config) { c.Clients[0].AllowAPI = []string{"/cgi-bin"} }, "client bookshop: allow_api: "},
		{"dots", func(c *Config) { c.Clients[0].AllowAPI = []string{"/cgi-bin/../sns/userinfo"} }, "client bookshop: allow_api: "},
		{"doubled slash", func(c *Config) { c.Clients[0].AllowAPI = []string{"/cgi-bin//token"} }, "client bookshop: allow_api: "},
		{"escape", func(c *Config) { c.Clients[0].AllowAPI = []string{"/cgi-bin/%74oken"} }, "client bookshop: allow_api: "},
		{"wildcard in the middle", func(c *Config) { c.Clients[0].AllowAPI = []string{"/cgi-bin/*/send"} }, "client bookshop: allow_api: "},
		{"wildcard in a word", func(c *Config) { c.Clients[0].AllowAPI = []string{"/cgi-bin/me*"} }, "client bookshop: allow_api: "},
		{"raw token of nothing", func(c *Config) { c.Clients[0].RawToken = true }, "client bookshop: raw_token: needs allow_api"},

		{"messages of no account", func(c *Config) { c.Clients[0].MessagesURL = "https://books.example.com/m" }, "client bookshop: messages: none of the client's accounts takes messages"},
		{"messages of another account", func(c *Config) {
			subscribe(c)
			c.Accounts[0].MessageToken, c.Accounts[1].MessageToken = Secret{}, NewSecret("token")
		}, "client bookshop: messages: none of the client's accounts"},
		{"messages of the merchant's account", func(c *Config) {
			subscribe(c)
			c.Clients[0].Account = ""
		}, ""},
		{"messages to a file", func(c *Config) {
			subscribe(c)
			c.Clients[0].MessagesURL = "file:///etc/passwd"
		}, "client bookshop: messages: "},

		{"logins without a merchant", func(c *Config) {
			c.Merchants, c.Clients[0].Merchant = nil, ""
			c.Clients[0].RedirectURIs = []string{"https://books.example.com/cb"}
		}, ""},
		{"messages without a merchant", func(c *Config) {
			subscribe(c)
			c.Merchants, c.Clients[0].Merchant, c.Clients[0].Account = nil, "", ""
		}, ""},
	})
}
