package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// What follows signs as section 3 of the contract says and uses nothing of
// package relay, so that it also tests what package relay reads out of it.

// stringToSign is the text of section 3.1.
func stringToSign(scheme, clientID, method, host, target, timestamp, nonce, body string) string {
	sum := sha256.Sum256([]byte(body))
	return scheme + "\n" + clientID + "\n" + method + "\n" + host + "\n" + target + "\n" +
		timestamp + "\n" + nonce + "\n" + hex.EncodeToString(sum[:]) + "\n"
}

func hmacSHA256(secret, text string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// signHeader is the Authorization header of section 3.1.
func signHeader(secret, clientID, method, host, target, timestamp, nonce, body string) string {
	const scheme = "WXRELAY1-HMAC-SHA256"
	signature := hmacSHA256(secret, stringToSign(scheme, clientID, method, host, target, timestamp, nonce, body))
	return fmt.Sprintf(`%s client_id="%s",timestamp="%s",nonce="%s",signature="%s"`,
		scheme, clientID, timestamp, nonce, base64.StdEncoding.EncodeToString(signature))
}

// signLink is the sig of section 3.2.
func signLink(secret, clientID, host, path, rawQuery string) string {
	text := "WXRELAY1-URL-HMAC-SHA256\n" + clientID + "\nGET\n" + host + "\n" + path + "\n" + rawQuery + "\n"
	return base64.RawURLEncoding.EncodeToString(hmacSHA256(secret, text))
}

// signV2 is WeChat's v2 rule with HMAC-SHA256.
func signV2(secret string, fields map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name != "sign" && fields[name] != "" {
			parts = append(parts, name+"="+fields[name])
		}
	}
	text := strings.Join(append(parts, "key="+secret), "&")
	return strings.ToUpper(hex.EncodeToString(hmacSHA256(secret, text)))
}

// signWebhook is the signature of Standard Webhooks 1.0.
func signWebhook(secret, id, timestamp, body string) string {
	return "v1," + base64.StdEncoding.EncodeToString(hmacSHA256(secret, id+"."+timestamp+"."+body))
}

// TestSignerKnownAnswers keeps the tests' own signer at the answers of
// section 3.5.
func TestSignerKnownAnswers(t *testing.T) {
	t.Parallel()
	const secret, client, host, at = "0123456789abcdef0123456789ABCDEF", "1000000000000001", "pay.example.com", "1795296000"
	for _, tc := range []struct{ name, got, want string }{
		{
			"header with body",
			signHeader(secret, client, "POST", host, "/v1/orders", at, "5K8264ILTKCH16CQ2502SI8ZNMTM67VS", `{"order_no":"A000000001","amount":1,"description":"测试"}`),
			`signature="a420bMjS49hYHhDgQTNgI3B7jJT6AO+0vlP9Tf8/YyI="`,
		},
		{
			"header without body",
			signHeader(secret, client, "GET", host, "/v1/orders/A000000001?refresh=true", at, "n0nce-0000000001", ""),
			`signature="sqWSVKxyX5ct++f5rLg7GROobRKsGum68JZ7iMRWOsE="`,
		},
		{
			"link",
			signLink(secret, client, host, "/checkout/tok3n", "order_no=A000000001&amount=1&client_id=1000000000000001&timestamp=1795296000&nonce=n0nce-0000000002"),
			"OJBXE7FxtNp37P_iec33LRgJZWwxlDA6AgikekWGAI4",
		},
		{
			"v2",
			signV2(secret, map[string]string{
				"amount": "1", "client_id": client, "description": "测试", "nonce_str": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS",
				"order_no": "A000000001", "sign_type": "HMAC-SHA256", "timestamp": at,
			}),
			"8C93E0BE65E6CC4901B459CCA6634551EEA1B8601929B376D0CC46C0751EE156",
		},
		{
			"webhook",
			signWebhook("abcdef0123456789ABCDEF0123456789", "evt_2KWPBgLlAfxdpx2AI54pPJ85f4W", at, `{"type":"order.paid","timestamp":"2026-11-22T05:20:00+08:00","data":{"order_no":"A000000001"}}`),
			"v1,lgC2CtYIPIk1zGdluETzoy5YA0JyvElfXH/3c0ro2qU=",
		},
	} {
		if !strings.HasSuffix(tc.got, tc.want) {
			t.Errorf("%s = %s, want %s", tc.name, tc.got, tc.want)
		}
	}
}
