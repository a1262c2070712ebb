package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

const (
	mchID       = "1900000109"
	appID       = "wx8888888888888888"
	apiv3Key    = "bench-apiv3-key-bench-apiv3-key0"
	publicKeyID = "PUB_KEY_ID_0000000000000000000000000000000001"
)

// wechat answers prepay calls at next to no cost, so that the relay is what
// is measured, and signs notifications beforehand. The sandbox would sign
// every answer on the same cores.
type wechat struct {
	front     *httptest.Server
	platform  *payv3.Platform
	cipher    *payv3.Cipher
	merchant  *rsa.PrivateKey
	publicKey *rsa.PublicKey
	answer    []byte
	signature http.Header // of answer; good for five minutes
	silent    net.Listener
}

func newWechat(ctx context.Context) (*wechat, error) {
	merchant, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	w := &wechat{merchant: merchant, publicKey: &key.PublicKey, answer: []byte(`{"code_url":"weixin://wxpay/bizpayurl?pr=bench"}`)}
	if w.platform, err = payv3.NewPlatform(payv3.PlatformOptions{Keys: []payv3.PlatformKey{{Serial: publicKeyID, Private: key}}}); err != nil {
		return nil, err
	}
	if w.cipher, err = payv3.NewCipher([]byte(apiv3Key)); err != nil {
		return nil, err
	}
	if err := w.sign(); err != nil {
		return nil, err
	}
	if w.silent, err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("listening for the client: %w", err)
	}
	w.front = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		maps.Copy(out.Header(), w.signature)
		out.Header().Set("Content-Type", "application/json")
		_, _ = out.Write(w.answer)
	}))
	return w, nil
}

func (w *wechat) sign() error {
	w.signature = http.Header{}
	return w.platform.SignHeaders(w.signature, publicKeyID, w.answer)
}

func (w *wechat) close() error {
	w.front.Close()
	return w.silent.Close()
}

// caddyfile is the configuration of the measured server. The client's
// address takes connections and answers nothing, so that every settlement
// starts a schedule and deliveries do not take the processor away.
func (w *wechat) caddyfile(dir, relayURL, plainURL string) (string, error) {
	private, err := x509.MarshalPKCS8PrivateKey(w.merchant)
	if err != nil {
		return "", fmt.Errorf("encoding a key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(w.publicKey)
	if err != nil {
		return "", fmt.Errorf("encoding a key: %w", err)
	}
	for name, block := range map[string]*pem.Block{
		"private.pem": {Type: "PRIVATE KEY", Bytes: private}, "public.pem": {Type: "PUBLIC KEY", Bytes: public},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return "", fmt.Errorf("writing a key: %w", err)
		}
	}
	return fmt.Sprintf(`{
	admin off
	default_bind 127.0.0.1
	wxrelay {
		public_url %[2]s
		platform %[3]s
		store badger {
			path %[1]s/store
		}
		account shop {
			app_id %[5]s
		}
		merchant main {
			mch_id %[6]s
			api_v3 {
				key %[7]s
				certificate_serial 5157F09EFDC096DE15EBE81A47057A7232F1B8E1
				private_key %[1]s/private.pem
				public_key %[8]s %[1]s/public.pem
			}
		}
		client shop {
			id %[9]s
			secret %[10]s
			rate 1000000
			notify_url %[11]s/notify
			allow_origin %[11]s
			allow_networks 127.0.0.0/8
		}
	}
}
%[2]s {
	wxrelay
	respond "hello"
}
%[4]s {
	respond "hello"
}
`, dir, relayURL, w.front.URL, plainURL, appID, mchID, apiv3Key, publicKeyID, clientID, clientSecret,
		"http://"+w.silent.Addr().String()), nil
}

// notification is one that is ready to be posted.
type notification struct {
	header http.Header
	body   []byte
}

// notification says that 100 fen arrived.
func (w *wechat) notification(outTradeNo string) (notification, error) {
	plaintext, err := json.Marshal(payv3.Transaction{
		AppID: appID, MchID: mchID, OutTradeNo: outTradeNo, TransactionID: "42000" + outTradeNo, TradeType: "NATIVE",
		TradeState: "SUCCESS", TradeStateDesc: "支付成功", BankType: "OTHERS", SuccessTime: time.Now().Format(time.RFC3339),
		Payer:  &payv3.Payer{OpenID: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
		Amount: &payv3.Amount{Total: 100, Currency: "CNY", PayerTotal: 100, PayerCurrency: "CNY"},
	})
	if err != nil {
		return notification{}, fmt.Errorf("encoding a transaction: %w", err)
	}
	n := notification{header: http.Header{"Content-Type": {"application/json"}}}
	if n.body, err = w.platform.NewNotification(w.cipher, "EV-"+outTradeNo, "TRANSACTION.SUCCESS", "transaction", "支付成功", plaintext); err != nil {
		return n, err
	}
	return n, w.platform.SignHeaders(n.header, publicKeyID, n.body)
}
