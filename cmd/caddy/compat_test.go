package main

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// md5V2 is WeChat's v2 rule with MD5, its own default.
func md5V2(secret string, fields map[string]string) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name != "sign" && fields[name] != "" {
			text.WriteString(name + "=" + fields[name] + "&")
		}
	}
	sum := md5.Sum([]byte(text.String() + "key=" + secret))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// v2Fields signs fields as section 3.3 of the contract says.
func v2Fields(id, secret, signType string, fields map[string]string) url.Values {
	all := map[string]string{"client_id": id, "timestamp": nowText(), "nonce_str": freshNonce()}
	maps.Copy(all, fields)
	if signType != "" {
		all["sign_type"] = signType
	}
	if signType == "HMAC-SHA256" {
		all["sign"] = signV2(secret, all)
	} else {
		all["sign"] = md5V2(secret, all)
	}
	values := url.Values{}
	for name, value := range all {
		values.Set(name, value)
	}
	return values
}

// sendV2 sends signed fields in the query of a GET, and as a form otherwise.
func (s *server) sendV2(t *testing.T, method, target string, values url.Values) *answer {
	t.Helper()
	address, body := s.url+target, values.Encode()
	if method == http.MethodGet {
		address, body = address+"?"+body, ""
	}
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	a, err := send(s.http, r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestCompatV2_C02 lets three clients sign v2-style: one that may by
// HMAC-SHA256, one that may by MD5 too, and one that may not.
func TestCompatV2_C02(t *testing.T) {
	t.Parallel()
	const md5ID, noneID = "3000000000000003", "4000000000000004"
	s := start(t, setup{
		bookshop: "compat v2 hmac",
		clients: "client old {\n\t\t\tid " + md5ID + "\n\t\t\tsecret {env.OTHER_SECRET}\n\t\t\tcompat v2 md5\n\t\t}\n" +
			"\t\tclient new {\n\t\t\tid " + noneID + "\n\t\t\tsecret {env.OTHER_SECRET}\n\t\t}",
	})
	order := map[string]string{"order_no": "C000000001", "amount": "100", "description": "tea 茶 & milk", "metadata": `{"shelf":7}`}
	for _, tt := range []struct {
		name, id, secret, signType string
		status                     int
	}{
		{"HMAC-SHA256 where allowed", shopID, shopSecret, "HMAC-SHA256", http.StatusCreated},
		{"MD5 where HMAC-SHA256 is allowed", shopID, shopSecret, "MD5", http.StatusUnauthorized},
		{"unsaid, so MD5", shopID, shopSecret, "", http.StatusUnauthorized},
		{"MD5 where allowed", md5ID, otherSecret, "MD5", http.StatusCreated},
		{"unsaid where MD5 is allowed", md5ID, otherSecret, "", http.StatusOK},
		{"HMAC-SHA256 where MD5 is allowed", md5ID, otherSecret, "HMAC-SHA256", http.StatusOK},
		{"no compat", noneID, otherSecret, "HMAC-SHA256", http.StatusUnauthorized},
		{"no compat, MD5", noneID, otherSecret, "MD5", http.StatusUnauthorized},
		{"wrong secret", shopID, otherSecret, "HMAC-SHA256", http.StatusUnauthorized},
		{"nobody", "9000000000000009", otherSecret, "HMAC-SHA256", http.StatusUnauthorized},
	} {
		a := s.sendV2(t, http.MethodPost, "/v1/orders", v2Fields(tt.id, tt.secret, tt.signType, order))
		if a.status != tt.status || a.status == http.StatusUnauthorized && a.code() != "SIGN_ERROR" {
			t.Errorf("%s: %s, want %d", tt.name, a, tt.status)
		}
	}

	twice := v2Fields(shopID, shopSecret, "HMAC-SHA256", order)
	if a := s.sendV2(t, http.MethodPost, "/v1/orders", twice); a.status != http.StatusOK {
		t.Errorf("the same order again: %s, want 200", a)
	}
	if a := s.sendV2(t, http.MethodPost, "/v1/orders", twice); a.status != http.StatusConflict || a.code() != "REPLAYED" {
		t.Errorf("the same request again: %s, want 409 REPLAYED", a)
	}
	more := v2Fields(shopID, shopSecret, "HMAC-SHA256", map[string]string{"order_no": "C000000002", "amount": "1", "description": "x", "goods_tag": "HALF"})
	if a := s.sendV2(t, http.MethodPost, "/v1/orders", more); a.status != http.StatusBadRequest {
		t.Errorf("a name that is not documented (C15): %s, want 400", a)
	}

	read := v2Fields(shopID, shopSecret, "HMAC-SHA256", nil)
	a := s.sendV2(t, http.MethodGet, "/v1/orders/C000000001", read)
	var o orderJSON
	if err := json.Unmarshal(a.body, &o); err != nil || a.status != http.StatusOK || o.Amount != 100 || o.Status != "created" {
		t.Errorf("the order = %s, %v", a, err)
	}
	if a := s.sendV2(t, http.MethodPost, "/v1/orders/C000000001/close", read); a.status != http.StatusConflict {
		t.Errorf("closing by the signature of a read: %s, want 409", a)
	}
	if a := s.sendV2(t, http.MethodPost, "/v1/orders/C000000001/close", v2Fields(md5ID, otherSecret, "MD5", nil)); a.status != http.StatusUnauthorized {
		t.Errorf("closing by MD5: %s, want 401", a)
	}
	if a := s.sendV2(t, http.MethodPost, "/v1/orders/C000000001/close", v2Fields(shopID, shopSecret, "HMAC-SHA256", nil)); a.status != http.StatusOK {
		t.Errorf("closing by HMAC-SHA256: %s, want 200", a)
	}
	refund := map[string]string{"order_no": "C000000001", "refund_no": "R1", "amount": "1"}
	if a := s.sendV2(t, http.MethodPost, "/v1/orders/C000000001/refunds", v2Fields(md5ID, otherSecret, "MD5", refund)); a.status != http.StatusUnauthorized {
		t.Errorf("a refund by MD5: %s, want 401", a)
	}
	if a := s.sendV2(t, http.MethodPost, "/v1/orders/C000000001/refunds", v2Fields(shopID, shopSecret, "HMAC-SHA256", refund)); a.code() != "NO_AUTH" {
		t.Errorf("a refund by HMAC-SHA256 where refunds are not allowed: %s, want NO_AUTH", a)
	}
	if a := s.sendV2(t, http.MethodGet, "/v1/events", v2Fields(shopID, shopSecret, "HMAC-SHA256", map[string]string{"limit": "10"})); a.status != http.StatusOK {
		t.Errorf("events: %s, want 200", a)
	}
}

// TestCompatV2Confirm opens a cashier page by the v2-style form of the second
// handshake.
func TestCompatV2Confirm(t *testing.T) {
	t.Parallel()
	s := start(t, setup{bookshop: "compat v2 hmac\n\t\t\tconfirm"})
	o := s.shop.order(t, "C000000001", "")
	params := map[string]string{"order_no": "C000000001", "amount": "100"}
	good := v2Fields(shopID, shopSecret, "HMAC-SHA256", params)
	if a := get(t, s.http, o.CheckoutURL+"?"+good.Encode(), desktopAgent); a.status != http.StatusOK {
		t.Errorf("signed: %s, want the page", a)
	}
	good.Set("amount", "1")
	for name, query := range map[string]string{
		"unsigned":     "",
		"changed":      "?" + good.Encode(),
		"by MD5":       "?" + v2Fields(shopID, shopSecret, "MD5", params).Encode(),
		"other client": "?" + v2Fields(otherID, otherSecret, "HMAC-SHA256", params).Encode(),
		"other order":  "?" + v2Fields(shopID, shopSecret, "HMAC-SHA256", map[string]string{"order_no": "C000000002", "amount": "100"}).Encode(),
	} {
		if a := get(t, s.http, o.CheckoutURL+query, desktopAgent); a.status != http.StatusForbidden {
			t.Errorf("%s: status %d, want 403", name, a.status)
		}
	}
}
