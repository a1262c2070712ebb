package sandbox

import (
	"crypto/rsa"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/wxrelay/wxrelay/relay/wechat/oauth"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// peer is a merchant's client of a sandbox behind a real server, with the
// keys that its options name.
func peer(t *testing.T, address string, keys payv3.KeyRingOptions) *payv3.Client {
	t.Helper()
	trusted, err := payv3.NewKeyRing(keys)
	if err != nil {
		t.Fatalf("NewKeyRing: %v", err)
	}
	c := DefaultCredentials()
	client, err := payv3.NewClient(payv3.ClientOptions{
		MchID: c.MchID, CertificateSerial: c.CertificateSerial, PrivateKey: c.PrivateKey, APIv3Key: c.APIv3Key,
		Keys: trusted, BaseURL: address,
	})
	if err != nil {
		t.Fatalf("NewClient: %v", err)
	}
	return client
}

// A whole payment over real connections, in both key modes: order, pay,
// notification, query, close refused.
func TestWholePaymentOverTheWire(t *testing.T) {
	t.Parallel()
	public := map[string]*rsa.PublicKey{DefaultPublicKeyID: DefaultCredentials().PublicKey}
	modes := map[string]payv3.KeyRingOptions{
		"public key":   {PublicKeys: public},
		"certificates": {Certificates: true},
		"both":         {PublicKeys: public, Certificates: true},
	}
	for name, keys := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := New(Options{})
			if err != nil {
				t.Fatalf("New: %v", err)
			}
			defer func() { _ = s.Close() }()
			wechat := httptest.NewServer(s)
			defer wechat.Close()
			client := peer(t, wechat.URL, keys)
			if keys.Certificates {
				if err := client.DownloadCertificates(t.Context()); err != nil {
					t.Fatalf("DownloadCertificates: %v", err)
				}
			}
			told := make(chan *payv3.Transaction, 1)
			merchant := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Errorf("reading the notification: %v", err)
				}
				note, err := client.ParseNotification(r.Context(), r.Header, body)
				if err != nil {
					t.Errorf("ParseNotification: %v", err)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				transaction, err := note.Transaction()
				if err != nil {
					t.Errorf("Transaction: %v", err)
				}
				told <- transaction
				w.WriteHeader(http.StatusNoContent)
			}))
			defer merchant.Close()

			code, err := client.PrepayNative(t.Context(), &payv3.PrepayRequest{
				AppID: DefaultAppID, MchID: DefaultMchID, Description: "一本书", OutTradeNo: "T00001",
				NotifyURL: merchant.URL + "/notify", Amount: payv3.Amount{Total: 1990, Currency: "CNY"},
			})
			if err != nil {
				t.Fatalf("PrepayNative: %v", err)
			}
			mustStatus(t, post(t, s, "/sandbox/pay", `{"code_url":"`+code+`"}`), http.StatusOK)
			notified := <-told
			asked, _, err := client.TransactionByOutTradeNo(t.Context(), "T00001", "")
			if err != nil || asked.TransactionID != notified.TransactionID || asked.Amount.Total != 1990 || asked.TradeState != "SUCCESS" {
				t.Errorf("query = %+v, %v; notified %+v", asked, err, notified)
			}
			if err := client.CloseTransaction(t.Context(), "T00001", ""); err == nil {
				t.Error("a paid order was closed")
			}
		})
	}
}

// A whole login over real connections: the browser follows the redirects,
// the account exchanges the code.
func TestWholeLoginOverTheWire(t *testing.T) {
	t.Parallel()
	s, err := New(Options{})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	defer func() { _ = s.Close() }()
	wechat := httptest.NewServer(s)
	defer wechat.Close()
	client, err := oauth.NewClient(oauth.Options{
		AppID: DefaultAppID, Secret: func() []byte { return []byte(DefaultAppSecret) }, OpenURL: wechat.URL, BaseURL: wechat.URL,
	})
	if err != nil {
		t.Fatalf("NewClient: %v", err)
	}
	back := make(chan url.Values, 1)
	site := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { back <- r.URL.Query() }))
	defer site.Close()

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, client.AuthorizeURL(site.URL+"/wechat/callback", oauth.ScopeBase, "State1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := wechat.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	query := <-back
	token, err := client.Exchange(t.Context(), query.Get("code"))
	if err != nil || query.Get("state") != "State1" || token.OpenID != OpenID(DefaultAppID, "ming") {
		t.Errorf("token = %+v, %v after %v", token, err, query)
	}
	if _, err := client.Exchange(t.Context(), query.Get("code")); err == nil {
		t.Error("the code worked twice")
	}
}
