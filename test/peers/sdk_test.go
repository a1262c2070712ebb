package peers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/downloader"
	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"
	"github.com/wechatpay-apiv3/wechatpay-go/core/option"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/jsapi"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/native"
	"github.com/wxrelay/wxrelay/relay/sandbox"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// detour sends the SDK's calls to another host than WeChat's and leaves
// everything else as it is.
type detour struct {
	to     *url.URL
	tamper func(body []byte) []byte // changes the signed body on the way; nil does not
}

func (d *detour) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != "api.mch.weixin.qq.com" {
		return nil, errors.New("the SDK calls " + r.URL.Host)
	}
	moved := r.Clone(r.Context())
	moved.URL.Scheme, moved.URL.Host, moved.Host = d.to.Scheme, d.to.Host, ""
	if d.tamper != nil && r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = d.tamper(body)
		moved.Body, moved.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	return http.DefaultTransport.RoundTrip(moved)
}

// merchant is a shop with WeChat Pay's SDK.
type merchant struct {
	client   *core.Client
	verifier auth.Verifier
	sandbox  string // address
	road     *detour
}

// keyModes are the ways in which a merchant can know WeChat Pay's keys.
var keyModes = map[string]func(*testing.T, *http.Client) (core.ClientOption, auth.Verifier){
	"public key": func(*testing.T, *http.Client) (core.ClientOption, auth.Verifier) {
		c := sandbox.DefaultCredentials()
		return option.WithWechatPayPublicKeyAuthCipher(c.MchID, c.CertificateSerial, c.PrivateKey, c.PublicKeyID, c.PublicKey),
			verifiers.NewSHA256WithRSAPubkeyVerifier(c.PublicKeyID, *c.PublicKey)
	},
	"platform certificates": func(t *testing.T, h *http.Client) (core.ClientOption, auth.Verifier) {
		t.Helper()
		c := sandbox.DefaultCredentials()
		bare, err := core.NewClient(t.Context(), option.WithHTTPClient(h), option.WithoutValidator(),
			option.WithMerchantCredential(c.MchID, c.CertificateSerial, c.PrivateKey))
		if err != nil {
			t.Fatal(err)
		}
		manager := downloader.NewCertificateDownloaderMgr(context.WithoutCancel(t.Context()))
		t.Cleanup(manager.Stop)
		if err := manager.RegisterDownloaderWithClient(t.Context(), bare, c.MchID, string(c.APIv3Key)); err != nil {
			t.Fatalf("downloading the certificates: %v", err)
		}
		return option.WithWechatPayAutoAuthCipherUsingDownloaderMgr(c.MchID, c.CertificateSerial, c.PrivateKey, manager),
			verifiers.NewSHA256WithRSAVerifier(manager.GetCertificateVisitor(c.MchID))
	},
}

// newMerchant starts a sandbox and a merchant that speaks to it by the SDK.
func newMerchant(t *testing.T, mode string) *merchant {
	t.Helper()
	box, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(box)
	t.Cleanup(func() {
		front.Close()
		if err := box.Close(); err != nil {
			t.Error(err)
		}
	})
	to, err := url.Parse(front.URL)
	if err != nil {
		t.Fatal(err)
	}
	m := &merchant{sandbox: front.URL, road: &detour{to: to}}
	h := &http.Client{Transport: m.road}
	keys, verifier := keyModes[mode](t, h)
	m.verifier = verifier
	if m.client, err = core.NewClient(t.Context(), keys, option.WithHTTPClient(h)); err != nil {
		t.Fatal(err)
	}
	return m
}

// orderOf is a NATIVE order as the SDK places it.
func orderOf(number, notifyURL string) native.PrepayRequest {
	return native.PrepayRequest{
		Appid: core.String(sandbox.DefaultAppID), Mchid: core.String(sandbox.DefaultMchID), Description: new("一本书"),
		OutTradeNo: new(number), NotifyUrl: new(notifyURL), Attach: new("架子七"),
		Amount: &native.Amount{Total: core.Int64(1990), Currency: new("CNY")},
	}
}

// pay lets the buyer pay.
func (m *merchant) pay(t *testing.T, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.sandbox+"/sandbox/pay", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := new(http.Client).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if answer, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("paying = %d %s, %v", response.StatusCode, answer, err)
	}
}

// TestSDKPays places, queries and closes NATIVE orders with wechatpay-go, and
// reads the sandbox's notification with its handler.
func TestSDKPays(t *testing.T) {
	t.Parallel()
	for mode := range keyModes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			m := newMerchant(t, mode)
			notes := listen(t, m)
			api := native.NativeApiService{Client: m.client}
			made, _, err := api.Prepay(t.Context(), orderOf("SDK0000001", notes.url))
			if err != nil {
				t.Fatalf("Prepay: %v", err)
			}
			query := native.QueryOrderByOutTradeNoRequest{OutTradeNo: new("SDK0000001"), Mchid: core.String(sandbox.DefaultMchID)}
			before, _, err := api.QueryOrderByOutTradeNo(t.Context(), query)
			if err != nil || *before.TradeState != "NOTPAY" {
				t.Errorf("query before = %v, %v; want NOTPAY", before, err)
			}
			m.pay(t, `{"code_url":"`+*made.CodeUrl+`"}`)
			notes.check(t, m)
			after, _, err := api.QueryOrderByOutTradeNo(t.Context(), query)
			if err != nil || *after.TradeState != "SUCCESS" || *after.Amount.Total != 1990 || *after.Attach != "架子七" {
				t.Fatalf("query after = %v, %v; want SUCCESS", after, err)
			}
			byID, _, err := api.QueryOrderById(t.Context(), native.QueryOrderByIdRequest{TransactionId: after.TransactionId, Mchid: core.String(sandbox.DefaultMchID)})
			if err != nil || *byID.OutTradeNo != "SDK0000001" {
				t.Errorf("query by id = %v, %v", byID, err)
			}
			wantRefused(t, "closing a paid order", func() error {
				_, err := api.CloseOrder(t.Context(), native.CloseOrderRequest{OutTradeNo: new("SDK0000001"), Mchid: core.String(sandbox.DefaultMchID)})
				return err
			}, http.StatusBadRequest, "ORDER_PAID")

			if _, _, err := api.Prepay(t.Context(), orderOf("SDK0000002", notes.url)); err != nil {
				t.Fatalf("Prepay: %v", err)
			}
			if _, err := api.CloseOrder(t.Context(), native.CloseOrderRequest{OutTradeNo: new("SDK0000002"), Mchid: core.String(sandbox.DefaultMchID)}); err != nil {
				t.Errorf("CloseOrder: %v", err)
			}
			query.OutTradeNo = new("SDK0000002")
			if closed, _, err := api.QueryOrderByOutTradeNo(t.Context(), query); err != nil || *closed.TradeState != "CLOSED" {
				t.Errorf("query of the closed order = %v, %v", closed, err)
			}
		})
	}
}

// note is a notification as it came.
type note struct {
	header http.Header
	body   []byte
}

func (n *note) request(ctx context.Context) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://shop.example.com/notify", bytes.NewReader(n.body))
	if err == nil {
		r.Header = n.header.Clone()
	}
	return r, err
}

// listener takes the merchant's notifications.
type listener struct {
	url  string
	came chan note
}

func listen(t *testing.T, m *merchant) *listener {
	t.Helper()
	handler, err := notify.NewRSANotifyHandler(sandbox.DefaultAPIv3Key, m.verifier)
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{came: make(chan note, 16)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the notification: %v", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if _, err := handler.ParseNotifyRequest(r.Context(), r, new(payments.Transaction)); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		l.came <- note{r.Header.Clone(), body}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	l.url = server.URL + "/notify"
	return l
}

// check reads the notification once more, whole and tampered with.
func (l *listener) check(t *testing.T, m *merchant) {
	t.Helper()
	handler, err := notify.NewRSANotifyHandler(sandbox.DefaultAPIv3Key, m.verifier)
	if err != nil {
		t.Fatal(err)
	}
	var got note
	select {
	case got = <-l.came:
	case <-t.Context().Done():
		t.Fatal("no notification came")
	}
	parse := func(n note) (*notify.Request, *payments.Transaction, error) {
		r, err := n.request(t.Context())
		if err != nil {
			return nil, nil, err
		}
		paid := new(payments.Transaction)
		parsed, err := handler.ParseNotifyRequest(t.Context(), r, paid)
		return parsed, paid, err
	}
	parsed, paid, err := parse(got)
	if err != nil {
		t.Fatalf("ParseNotifyRequest: %v", err)
	}
	if parsed.EventType != "TRANSACTION.SUCCESS" || parsed.ResourceType != "encrypt-resource" || parsed.Resource.OriginalType != "transaction" {
		t.Errorf("notification = %+v", parsed)
	}
	if *paid.OutTradeNo != "SDK0000001" || *paid.Amount.Total != 1990 || *paid.TradeState != "SUCCESS" || *paid.TradeType != "NATIVE" || *paid.Attach != "架子七" {
		t.Errorf("transaction = %v", paid)
	}
	tampered := note{got.header, append(bytes.Clone(got.body), ' ')}
	if _, _, err := parse(tampered); err == nil {
		t.Error("the SDK takes a notification with another body")
	}
}

// TestSDKTampered: what the SDK signed and somebody changed on the way is
// refused by the sandbox as WeChat refuses it.
func TestSDKTampered(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, "public key")
	m.road.tamper = func(body []byte) []byte { return bytes.Replace(body, []byte("1990"), []byte("0001"), 1) }
	api := native.NativeApiService{Client: m.client}
	wantRefused(t, "a tampered order", func() error {
		_, _, err := api.Prepay(t.Context(), orderOf("SDK0000003", "https://shop.example.com/notify"))
		return err
	}, http.StatusUnauthorized, "SIGN_ERROR")
	m.road.tamper = func(body []byte) []byte { return append(body, '\n') }
	wantRefused(t, "a longer order", func() error {
		_, _, err := api.Prepay(t.Context(), orderOf("SDK0000003", "https://shop.example.com/notify"))
		return err
	}, http.StatusUnauthorized, "SIGN_ERROR")
	m.road.tamper = nil
	query := native.QueryOrderByOutTradeNoRequest{OutTradeNo: new("SDK0000003"), Mchid: core.String(sandbox.DefaultMchID)}
	wantRefused(t, "an order that was never placed", func() error {
		_, _, err := api.QueryOrderByOutTradeNo(t.Context(), query)
		return err
	}, http.StatusNotFound, "ORDER_NOT_EXIST")
}

func wantRefused(t *testing.T, what string, call func() error, status int, code string) {
	t.Helper()
	err := call()
	refused, ok := errors.AsType[*core.APIError](err)
	if !ok || refused.StatusCode != status || refused.Code != code {
		t.Errorf("%s: %v, want %d %s", what, err, status, code)
	}
}

// TestSDKInvokesJSAPI compares the six values of a JSAPI payment with those
// that our own client makes: the same merchant's key verifies both.
func TestSDKInvokesJSAPI(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, "public key")
	api := jsapi.JsapiApiService{Client: m.client}
	order := orderOf("SDK0000004", "https://shop.example.com/notify")
	got, _, err := api.PrepayWithRequestPayment(t.Context(), jsapi.PrepayRequest{
		Appid: order.Appid, Mchid: order.Mchid, Description: order.Description, OutTradeNo: order.OutTradeNo, NotifyUrl: order.NotifyUrl,
		Amount: &jsapi.Amount{Total: order.Amount.Total, Currency: order.Amount.Currency},
		Payer:  &jsapi.Payer{Openid: new(sandbox.OpenID(sandbox.DefaultAppID, "ming"))},
	})
	if err != nil {
		t.Fatalf("PrepayWithRequestPayment: %v", err)
	}
	theirs := payv3.JSAPIInvocation{
		AppID: *got.Appid, TimeStamp: *got.TimeStamp, NonceStr: *got.NonceStr, Package: *got.Package, SignType: *got.SignType, PaySign: *got.PaySign,
	}
	if err := payv3.VerifyJSAPI(theirs, &sandbox.DefaultCredentials().PrivateKey.PublicKey); err != nil {
		t.Errorf("the SDK's invocation: %v", err)
	}
	theirs.Package += "x"
	if err := payv3.VerifyJSAPI(theirs, &sandbox.DefaultCredentials().PrivateKey.PublicKey); err == nil {
		t.Error("an invocation with another package is taken")
	}
}
