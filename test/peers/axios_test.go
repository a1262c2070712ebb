package peers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/wxrelay/wxrelay/relay/sandbox"
)

// packages are libraries of Node.js, each with a script beside it that uses it.
var packages = map[string]func() error{
	"axios": install("axios", "wechatpay-axios-plugin"),
	"login": install("login", "wechat-oauth"),
}

// install puts a library beside its script, once, from the lock file.
func install(dir, name string) func() error {
	return sync.OnceValue(func() error {
		if _, err := exec.LookPath("npm"); err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(dir, "node_modules", name)); err == nil {
			return nil
		}
		npm := exec.Command("npm", "ci", "--no-audit", "--no-fund")
		npm.Dir = dir
		if out, err := npm.CombinedOutput(); err != nil {
			return errors.New("npm ci: " + err.Error() + ": " + string(out))
		}
		return nil
	})
}

// needNode skips where there is no Node.js, except in CI.
func needNode(t *testing.T, dir string) {
	t.Helper()
	err := packages[dir]()
	switch {
	case err == nil:
	case errors.Is(err, exec.ErrNotFound) && os.Getenv("WXRELAY_CI") == "":
		t.Skipf("needs Node.js with npm: %v", err)
	default:
		t.Fatal(err)
	}
}

// runNode lets a script act and decodes what came of it.
func runNode(t *testing.T, dir, action string, env []string, input map[string]any, result any) {
	t.Helper()
	text, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "peer.mjs"), action)
	node.Env = append(os.Environ(), env...)
	var out, failure bytes.Buffer
	node.Stdin, node.Stdout, node.Stderr = bytes.NewReader(text), &out, &failure
	if err := node.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", action, err, &failure)
	}
	if err := json.Unmarshal(out.Bytes(), result); err != nil {
		t.Fatalf("%s answered %s: %v", action, &out, err)
	}
}

// axios lets the plugin act and decodes what came of it.
func axios(t *testing.T, w *wechat, action string, input map[string]any, result any) {
	t.Helper()
	var env []string
	if w != nil {
		trusted := filepath.Join(t.TempDir(), "sandbox.pem")
		if err := os.WriteFile(trusted, []byte(pemOf(t, "CERTIFICATE", w.Certificate().Raw)), 0o600); err != nil {
			t.Fatal(err)
		}
		env = append(env, "NODE_EXTRA_CA_CERTS="+trusted)
	}
	runNode(t, "axios", action, env, input, result)
}

// axiosMerchant is what the plugin is made with.
func axiosMerchant(t *testing.T, w *wechat) map[string]any {
	t.Helper()
	c := sandbox.DefaultCredentials()
	return map[string]any{
		"mchid": c.MchID, "serial": c.CertificateSerial, "private_key": pemOf(t, "PRIVATE KEY", c.PrivateKey),
		"certificate": pemOf(t, "CERTIFICATE", c.Certificate.Raw), "certs": platformKeys(t), "v2_key": sandbox.DefaultAPIv2Key, "sandbox": w.URL + "/",
	}
}

// platformKeys are WeChat's by their serials, as the plugin wants them: it
// names none in its requests, so that answers may come in either mode.
func platformKeys(t *testing.T) map[string]string {
	t.Helper()
	c := sandbox.DefaultCredentials()
	return map[string]string{
		c.PublicKeyID: pemOf(t, "PUBLIC KEY", c.PublicKey),
		fmt.Sprintf("%X", c.PlatformCertificate.SerialNumber): pemOf(t, "CERTIFICATE", c.PlatformCertificate.Raw),
	}
}

// axiosResource is a notification as the plugin opened it.
type axiosResource struct {
	Verified bool `json:"verified"`
	Resource struct {
		OutTradeNo   string          `json:"out_trade_no"`
		OutRefundNo  string          `json:"out_refund_no"`
		MchID        string          `json:"mchid"`
		MchIDV2      string          `json:"mch_id"`
		TradeState   string          `json:"trade_state"`
		ResultCode   string          `json:"result_code"`
		RefundStatus string          `json:"refund_status"`
		TotalFee     string          `json:"total_fee"`
		RefundFee    string          `json:"refund_fee"`
		Amount       json.RawMessage `json:"amount"`
	} `json:"resource"`
}

// lower is a header as Node.js spells its names.
func lower(h http.Header) map[string]string {
	names := map[string]string{}
	for name := range h {
		names[strings.ToLower(name)] = h.Get(name)
	}
	return names
}

// openV3 lets the plugin verify and open a notification of APIv3.
func openV3(t *testing.T, n *note, key string, certs map[string]string) axiosResource {
	t.Helper()
	var r axiosResource
	axios(t, nil, "receive_v3", map[string]any{"headers": lower(n.header), "body": string(n.body), "key": key, "certs": certs}, &r)
	return r
}

// openV2 lets the plugin verify and open a notification of APIv2.
func openV2(t *testing.T, n *note, key string) axiosResource {
	t.Helper()
	var r axiosResource
	axios(t, nil, "receive_v2", map[string]any{"body": string(n.body), "key": key}, &r)
	return r
}

// TestAxiosV3 runs the life of an order with the unmodified plugin, which
// verifies every answer.
func TestAxiosV3(t *testing.T) {
	t.Parallel()
	needNode(t, "axios")
	c := sandbox.DefaultCredentials()
	scene := map[string]any{"payer_client_ip": "203.0.113.7", "h5_info": map[string]any{"type": "Wap"}}
	for name, order := range map[string]struct {
		path, appID string
		more        map[string]any
		pays        string
	}{
		"JSAPI":        {"jsapi", c.AppID, payerOf(c.AppID), "prepay_id"},
		"mini-program": {"jsapi", sandbox.DefaultMiniProgramAppID, payerOf(sandbox.DefaultMiniProgramAppID), "prepay_id"},
		"NATIVE":       {"native", c.AppID, nil, "code_url"},
		"APP":          {"app", sandbox.DefaultMobileAppID, nil, "prepay_id"},
		"H5":           {"h5", c.AppID, map[string]any{"scene_info": scene}, "h5_url"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, shop := newWechat(t), newReceiver(t, noContent)
			number := "AXIOS3-" + freshNonce()[:20]
			input := axiosMerchant(t, w)
			placing := map[string]any{
				"appid": order.appID, "mchid": c.MchID, "description": "一本书", "out_trade_no": number, "notify_url": shop.url,
				"amount": map[string]any{"total": 1990, "currency": "CNY"},
			}
			maps.Copy(placing, order.more)
			input["path"], input["order"] = order.path, placing
			input["refund"] = map[string]any{
				"out_trade_no": number, "out_refund_no": "R" + number, "notify_url": shop.url,
				"amount": map[string]any{"refund": 990, "total": 1990, "currency": "CNY"},
			}
			var came struct {
				Placed map[string]string `json:"placed"`
				Found  struct {
					TradeState string `json:"trade_state"`
				} `json:"found"`
				Refund struct {
					RefundID string `json:"refund_id"`
				} `json:"refund"`
			}
			axios(t, w, "v3", input, &came)
			if came.Placed[order.pays] == "" || came.Found.TradeState != "SUCCESS" || came.Refund.RefundID == "" {
				t.Errorf("the order came to %+v", came)
			}
			paid, refunded := openV3(t, shop.next(t), string(c.APIv3Key), platformKeys(t)), openV3(t, shop.next(t), string(c.APIv3Key), platformKeys(t))
			if !paid.Verified || paid.Resource.OutTradeNo != number || paid.Resource.TradeState != "SUCCESS" {
				t.Errorf("the notification says %+v", paid)
			}
			if !refunded.Verified || refunded.Resource.OutRefundNo != "R"+number || refunded.Resource.RefundStatus != "SUCCESS" {
				t.Errorf("the refund notice says %+v", refunded)
			}
		})
	}
}

// TestAxiosV2 does the same in XML, by both algorithms.
func TestAxiosV2(t *testing.T) {
	t.Parallel()
	needNode(t, "axios")
	c := sandbox.DefaultCredentials()
	for name, order := range map[string]struct {
		trade, appID, signType string
		more                   map[string]string
		pays                   string
	}{
		"JSAPI HMAC-SHA256":   {"JSAPI", c.AppID, "HMAC-SHA256", map[string]string{"openid": sandbox.OpenID(c.AppID, "ming")}, "prepay_id"},
		"mini-program MD5":    {"JSAPI", sandbox.DefaultMiniProgramAppID, "MD5", map[string]string{"openid": sandbox.OpenID(sandbox.DefaultMiniProgramAppID, "ming")}, "prepay_id"},
		"NATIVE MD5":          {"NATIVE", c.AppID, "MD5", map[string]string{"product_id": "7"}, "code_url"},
		"APP HMAC-SHA256":     {"APP", sandbox.DefaultMobileAppID, "HMAC-SHA256", nil, "prepay_id"},
		"H5 HMAC-SHA256":      {"MWEB", c.AppID, "HMAC-SHA256", map[string]string{"scene_info": `{"h5_info":{"type":"Wap","wap_url":"https://shop.example.com","wap_name":"书店"}}`}, "mweb_url"},
		"NATIVE by default":   {"NATIVE", c.AppID, "", map[string]string{"product_id": "7"}, "code_url"},
		"NATIVE CDATA needed": {"NATIVE", c.AppID, "MD5", map[string]string{"product_id": "7", "attach": "a<b>&c"}, "code_url"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, shop := newWechat(t), newReceiver(t, gopaySuccess)
			number := "AXIOS2-" + freshNonce()[:20]
			common := func(more map[string]string) map[string]string {
				m := map[string]string{"appid": order.appID, "mch_id": c.MchID, "out_trade_no": number}
				if order.signType != "" {
					m["sign_type"] = order.signType
				}
				maps.Copy(m, more)
				return m
			}
			placing := common(order.more)
			maps.Copy(placing, map[string]string{
				"body": "一本书", "total_fee": "1990", "spbill_create_ip": "203.0.113.7", "notify_url": shop.url, "trade_type": order.trade,
			})
			input := axiosMerchant(t, w)
			input["order"], input["query"] = placing, common(nil)
			input["refund"] = common(map[string]string{"out_refund_no": "R" + number, "total_fee": "1990", "refund_fee": "990", "notify_url": shop.url})
			var came struct {
				Placed, Found, Refund map[string]string
			}
			axios(t, w, "v2", input, &came)
			if came.Placed[order.pays] == "" || came.Found["trade_state"] != "SUCCESS" || came.Refund["refund_id"] == "" {
				t.Errorf("the order came to %+v", came)
			}
			paid, refunded := openV2(t, shop.next(t), sandbox.DefaultAPIv2Key), openV2(t, shop.next(t), sandbox.DefaultAPIv2Key)
			if !paid.Verified || paid.Resource.OutTradeNo != number || paid.Resource.TotalFee != "1990" || paid.Resource.ResultCode != "SUCCESS" {
				t.Errorf("the notification says %+v", paid)
			}
			if refunded.Resource.OutRefundNo != "R"+number || refunded.Resource.RefundStatus != "SUCCESS" || refunded.Resource.RefundFee != "990" {
				t.Errorf("the refund notice says %+v", refunded)
			}
		})
	}
}
