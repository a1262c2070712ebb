package main

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// What a site answers that has WeChat's own SDKs.
const (
	v2Success = "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>"
	v3Success = `{"code":"SUCCESS","message":""}`
)

// TestDeliveryWeChatV2: a site with an SDK for WeChat's v2 is told of payment
// and refund as if it were the merchant, and only WeChat's own answer is
// success.
func TestDeliveryWeChatV2(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string]string{"HMAC-SHA256": "", "MD5": "compat v2 md5\n\t\t\t"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told := tellInFormat(t, lines+"notify wechat_v2", "success", v2Success)
			for _, n := range told.payment {
				m, err := parseXML(n.body, "xml")
				if err != nil {
					t.Fatalf("the notification %q: %v", n.body, err)
				}
				if err := checkV2(m, name); err != nil {
					t.Errorf("the notification: %v", err)
				}
				wantAll(t, m, map[string]string{
					"return_code": "SUCCESS", "result_code": "SUCCESS", "mch_id": shopID, "out_trade_no": "W000000001", "attach": "茶 <&>",
					"transaction_id": told.event.Data.TransactionID, "total_fee": "100", "cash_fee": "100", "fee_type": "CNY", "trade_type": "NATIVE",
				})
				if m["openid"] == "" || m["appid"] == "" || m["bank_type"] == "" || len(m["time_end"]) != 14 {
					t.Errorf("fields are missing: %v", m)
				}
			}
			m, err := parseXML(told.refund.body, "xml")
			if err != nil || m["mch_id"] != shopID || m["sign"] != "" {
				t.Fatalf("the refund's notification %q: %v", told.refund.body, err)
			}
			m, err = openReqInfo(m["req_info"])
			if err != nil {
				t.Fatalf("req_info: %v", err)
			}
			wantAll(t, m, map[string]string{
				"out_trade_no": "W000000001", "out_refund_no": "R000000001", "transaction_id": told.event.Data.TransactionID,
				"total_fee": "100", "refund_fee": "40", "refund_status": "SUCCESS", "refund_request_source": "API",
			})
			if m["refund_recv_accout"] == "" {
				t.Errorf("where the money went is missing: %v", m)
			}
		})
	}
}

// TestDeliveryWeChatV3: the same for a site with an SDK for v3, which takes
// the relay's key for WeChat's.
func TestDeliveryWeChatV3(t *testing.T) {
	t.Parallel()
	told := tellInFormat(t, "notify wechat_v3", "", v3Success)
	var payment struct {
		MchID      string            `json:"mchid"`
		OutTradeNo string            `json:"out_trade_no"`
		Number     string            `json:"transaction_id"`
		TradeType  string            `json:"trade_type"`
		State      string            `json:"trade_state"`
		Attach     string            `json:"attach"`
		Payer      map[string]string `json:"payer"`
		Amount     struct {
			Total      int `json:"total"`
			PayerTotal int `json:"payer_total"`
		} `json:"amount"`
	}
	for _, n := range told.payment {
		if event, err := openV3(&n, told.key, &payment); err != nil || event != "TRANSACTION.SUCCESS" {
			t.Fatalf("the notification %s %q: %v", event, n.body, err)
		}
		if payment.MchID != shopID || payment.OutTradeNo != "W000000001" || payment.Number != told.event.Data.TransactionID ||
			payment.TradeType != "NATIVE" || payment.State != "SUCCESS" || payment.Attach != "茶 <&>" || payment.Payer["openid"] == "" ||
			payment.Amount.Total != 100 || payment.Amount.PayerTotal != 100 {
			t.Errorf("told %+v", payment)
		}
	}
	if told.payment[0].header.Get("Wechatpay-Signature") == told.payment[1].header.Get("Wechatpay-Signature") {
		t.Error("the second attempt has the signature of the first, which receivers refuse after five minutes")
	}
	var refund struct {
		MchID       string `json:"mchid"`
		OutTradeNo  string `json:"out_trade_no"`
		OutRefundNo string `json:"out_refund_no"`
		Status      string `json:"refund_status"`
		Account     string `json:"user_received_account"`
		Amount      struct{ Total, Refund int }
	}
	if event, err := openV3(&told.refund, told.key, &refund); err != nil || event != "REFUND.SUCCESS" {
		t.Fatalf("the refund's notification %s %q: %v", event, told.refund.body, err)
	}
	if refund.MchID != shopID || refund.OutTradeNo != "W000000001" || refund.OutRefundNo != "R000000001" || refund.Status != "SUCCESS" || refund.Account == "" ||
		refund.Amount.Total != 100 || refund.Amount.Refund != 40 {
		t.Errorf("told %+v", refund)
	}
}

// toldInFormat is what a site got: a payment twice, with the same bytes, and
// a refund.
type toldInFormat struct {
	event   eventJSON
	payment [2]told
	refund  told
	key     notifyKey
}

// tellInFormat pays an order and gives a part back. The site refuses the
// first attempt by an answer that is success elsewhere, and is asked again by
// hand.
func tellInFormat(t *testing.T, lines, refusal, success string) toldInFormat {
	t.Helper()
	shopSide := newReceiver(t)
	shopSide.answers(func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, refusal)
	})
	s := start(t, setup{
		receiver: shopSide.url, app: "allow_networks 127.0.0.0/8", bookshop: lines + "\n\t\t\tallow native refund",
	})
	r := toldInFormat{key: s.notifyKey(t), event: s.paid(t, "W000000001", `,"attach":"茶 <&>"`)}
	r.payment[0] = shopSide.await(t, 1)
	eventually(t, "the failed attempt", func() error {
		if v := s.shop.event(t, r.event.ID); v.Delivery.Status != "pending" || len(v.Delivery.Attempts) != 1 {
			return fmt.Errorf("delivery is %+v", v.Delivery)
		}
		return nil
	})
	shopSide.answers(func(w http.ResponseWriter) { fmt.Fprint(w, success) })
	s.shop.call(t, "POST", "/v1/events/"+r.event.ID+"/deliver", "", http.StatusAccepted, nil)
	r.payment[1] = shopSide.await(t, 2)
	s.shop.awaitDelivery(t, r.event.ID, "delivered")
	if r.payment[0].body != r.payment[1].body {
		t.Errorf("the attempts have two bodies:\n%s\n%s", r.payment[0].body, r.payment[1].body)
	}
	for i := range r.payment {
		if n := &r.payment[i]; n.method != http.MethodPost || n.id() != r.event.ID {
			t.Errorf("attempt %d is a %s of %s, want a POST of %s", i, n.method, n.id(), r.event.ID)
		}
	}
	s.shop.call(t, "POST", "/v1/orders/W000000001/refunds", `{"refund_no":"R000000001","amount":40}`, http.StatusCreated, nil)
	r.refund = shopSide.await(t, 3)
	s.shop.awaitDelivery(t, r.refund.id(), "delivered")
	return r
}

// notifyKey is the relay's key as anybody reads it.
type notifyKey struct {
	id     string
	public *rsa.PublicKey
}

func (s *server) notifyKey(t *testing.T) notifyKey {
	t.Helper()
	a := get(t, s.http, s.url+"/v1/notify-key", "an SDK")
	block, _ := pem.Decode(a.body)
	if a.status != http.StatusOK || block == nil {
		t.Fatalf("GET /v1/notify-key = %s", a)
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	k := notifyKey{id: a.header.Get("Wechatpay-Serial"), public: parsed.(*rsa.PublicKey)}
	if !strings.HasPrefix(string(a.body), "Key-Id: "+k.id+"\n") || !strings.HasPrefix(k.id, "PUB_KEY_ID_") {
		t.Errorf("key %s comes as %s", k.id, a.body)
	}
	return k
}

// checkV2 verifies as v2 SDKs do, which are told the algorithm or take MD5.
func checkV2(m map[string]string, algorithm string) error {
	want, named := signV2(shopNotify, m), "HMAC-SHA256"
	if algorithm == "MD5" {
		want, named = md5V2(shopNotify, m), ""
	}
	if m["sign"] != want || m["sign_type"] != named {
		return fmt.Errorf("sign is %s by %q, want %s by %q", m["sign"], m["sign_type"], want, named)
	}
	return nil
}

// parseXML reads a flat document.
func parseXML(text, root string) (map[string]string, error) {
	d := xml.NewDecoder(strings.NewReader(text))
	m := map[string]string{}
	var path []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return nil, err
		}
		switch v := token.(type) {
		case xml.StartElement:
			if path = append(path, v.Name.Local); path[0] != root || len(path) > 2 {
				return nil, fmt.Errorf("element %v", path)
			}
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			if len(path) == 2 {
				m[path[1]] += string(v)
			}
		default:
			return nil, fmt.Errorf("unexpected %T", v)
		}
	}
}

// openReqInfo decrypts the content of a v2 refund notification (v2.md section
// 12).
func openReqInfo(text string) (map[string]string, error) {
	sum := md5.Sum([]byte(shopNotify))
	block, err := aes.NewCipher([]byte(hex.EncodeToString(sum[:])))
	if err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return nil, fmt.Errorf("%d bytes, %w", len(data), err)
	}
	for i := 0; i < len(data); i += aes.BlockSize {
		block.Decrypt(data[i:], data[i:])
	}
	return parseXML(string(data[:len(data)-int(data[len(data)-1])]), "root")
}

// openV3 verifies and decrypts as v3 SDKs do (v3.md sections 4 and 6), and
// returns the event type.
func openV3(n *told, key notifyKey, content any) (string, error) {
	h := n.header
	if err := fresh(h.Get("Wechatpay-Timestamp")); err != nil {
		return "", err
	}
	if h.Get("Wechatpay-Serial") != key.id {
		return "", fmt.Errorf("signed with %s, want %s", h.Get("Wechatpay-Serial"), key.id)
	}
	signature, err := base64.StdEncoding.DecodeString(h.Get("Wechatpay-Signature"))
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256([]byte(h.Get("Wechatpay-Timestamp") + "\n" + h.Get("Wechatpay-Nonce") + "\n" + n.body + "\n"))
	if err := rsa.VerifyPKCS1v15(key.public, crypto.SHA256, digest[:], signature); err != nil {
		return "", err
	}
	var envelope struct {
		EventType string `json:"event_type"`
		Resource  struct {
			Ciphertext string `json:"ciphertext"`
			Associated string `json:"associated_data"`
			Nonce      string `json:"nonce"`
		} `json:"resource"`
	}
	if err := json.Unmarshal([]byte(n.body), &envelope); err != nil {
		return "", err
	}
	sealed, err := base64.StdEncoding.DecodeString(envelope.Resource.Ciphertext)
	if err != nil {
		return "", err
	}
	block, err := aes.NewCipher([]byte(shopNotify))
	if err != nil {
		return "", err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return "", err
	}
	plain, err := aead.Open(nil, []byte(envelope.Resource.Nonce), sealed, []byte(envelope.Resource.Associated))
	if err != nil {
		return "", err
	}
	return envelope.EventType, json.Unmarshal(plain, content)
}

func wantAll(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s = %q, want %q", name, got[name], value)
		}
	}
}
