package pages_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/wxrelay/wxrelay/relay/pages"
)

// A handler fills the view model and lets the package answer.
func Example() {
	p, err := pages.New(pages.Options{StaticPrefix: "/checkout/-/"})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	handler := func(w http.ResponseWriter, r *http.Request) {
		if name, ok := strings.CutPrefix(r.URL.Path, "/checkout/-/"); ok {
			if !p.ServeStatic(w, r, name) {
				http.NotFound(w, r)
			}
			return
		}
		err := p.WriteCheckout(w, r, http.StatusOK, pages.Checkout{
			State: pages.StateWaitingNative, Shop: "Foothill Books", AmountFen: 12880, OrderNo: "A000001024",
			Now: now, ExpiresAt: now.Add(30 * time.Minute),
			StatusURL: r.URL.Path + "/status", QRText: "weixin://wxpay/bizpayurl?pr=p4lpSuKzz",
		})
		if err != nil {
			http.Error(w, "", http.StatusInternalServerError)
		}
	}

	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/checkout/0123456789abcdefghijkl", nil)
	r.Header.Set("Accept-Language", "en")
	handler(w, r)
	_, title, _ := strings.Cut(w.Body.String(), "<title>")
	title, _, _ = strings.Cut(title, "</title>")
	fmt.Println(w.Code, title)
	// Output: 200 Scan to pay with WeChat · ¥128.80
}
