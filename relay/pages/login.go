package pages

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"

	"github.com/wxrelay/wxrelay/internal/language"
)

// LoginPlace is where a login was opened that has to go on in WeChat.
type LoginPlace string

// The places.
const (
	LoginOnDesktop LoginPlace = "login_desktop" // the phone scans the code
	LoginOnPhone   LoginPlace = "login_phone"   // the address is opened in WeChat; another phone may scan it
)

// ErrPlace reports a page for a place that has no words.
var ErrPlace = errors.New("no such place of a login page")

// Login is a page that sends a visitor to WeChat with the address at which it
// was opened. It names who asks, because a code to scan may have been put
// before the visitor by somebody else (threats E26).
type Login struct {
	Place LoginPlace
	Site  string // who asks
	Host  string // where the visitor will return

	// PageURL is the address to open in WeChat, to be copied. It is drawn as a
	// code too unless it is longer than MaxQRText.
	PageURL string

	// Test and SandboxURL are as in Checkout.
	Test       bool
	SandboxURL string
}

type loginView struct {
	layoutView
	Said    *loginWords
	Site    string
	Host    string
	QR      template.HTML
	PageURL string
}

// WriteLogin answers r with the page in the visitor's language.
func (p *Pages) WriteLogin(w http.ResponseWriter, r *http.Request, v Login) error {
	lang := language.Of(r)
	said, ok := loginCatalogue[lang].Places[v.Place]
	if !ok {
		return fmt.Errorf("place %q: %w", v.Place, ErrPlace)
	}
	// The advice stands in every state of this page, which has but one.
	state := State(v.Place)
	view := &loginView{
		layoutView: layoutView{
			Lang: lang.Tag(), Words: catalogue[lang], Heading: said.Title, Lead: said.Lead, State: state,
			Advice: loginCatalogue[lang].Advice, Paying: string(state), Test: v.Test, SandboxURL: webAddress(v.SandboxURL),
		},
		Said: loginCatalogue[lang], Site: plain(v.Site, maxName), Host: plain(v.Host, maxName), PageURL: webAddress(v.PageURL),
	}
	if view.PageURL != "" && len(view.PageURL) <= MaxQRText {
		svg, err := QRSVG(view.PageURL)
		if err != nil {
			return err
		}
		view.QR = template.HTML(svg) //nolint:gosec // drawn by QRSVG: numbers of modules, none of the text
	}
	return p.write(w, r, http.StatusOK, "login.html", lang, view)
}

// loginWords are the words of one language for logins.
type loginWords struct {
	Places        map[LoginPlace]said
	Asks, QRLabel string
	Again         string
	Advice        string
}

var loginCatalogue = map[language.Language]*loginWords{language.Chinese: &chineseLogin, language.English: &englishLogin}

var chineseLogin = loginWords{
	Places: map[LoginPlace]said{
		LoginOnDesktop: {"用微信登录", "请用手机微信的「扫一扫」扫描二维码，\n然后在手机上继续。"},
		LoginOnPhone:   {"请在微信中打开", "微信登录只能在微信内进行。\n请复制本页地址，发到微信里打开；\n也可以用另一部手机的微信扫码。"},
	},
	Asks: "登录到", QRLabel: "本页地址的二维码", Again: "重新登录",
	Advice: "请核对网站名称与域名。仅当是您自己要登录该网站时才继续；别人发来的二维码请勿扫描。",
}

var englishLogin = loginWords{
	Places: map[LoginPlace]said{
		LoginOnDesktop: {"Log in with WeChat", "Open WeChat on your phone, choose Scan and point it at the code. Then go on with the phone."},
		LoginOnPhone:   {"Please open in WeChat", "This login works inside WeChat only. Copy the address and open it there, or scan the code with WeChat on another phone."},
	},
	Asks: "You log in at", QRLabel: "QR code of this page's address", Again: "Log in again",
	Advice: "Check the site's name and address. Go on only if you are logging in there yourself; never scan a code that somebody sent you.",
}
