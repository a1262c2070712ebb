package payv3

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/internal/strictjson"
)

const goodTransaction = `{"transaction_id":"1217752501201407033233368018","amount":{"payer_total":100,"total":100,` +
	`"currency":"CNY","payer_currency":"CNY"},"mchid":"1900000001","trade_state":"SUCCESS","bank_type":"CMC",` +
	`"promotion_detail":[{"amount":100,"coupon_id":"109519","name":"单品惠-6"}],"success_time":"2018-06-08T10:34:56+08:00",` +
	`"payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},"out_trade_no":"A000000001","appid":"wxd678efh567hg6787",` +
	`"trade_state_desc":"支付成功","trade_type":"JSAPI","attach":"自定义数据","scene_info":{"device_id":"013467007045764"}}`

type notifyExpected struct {
	EventType string `json:"event_type"`
	Plaintext string
}

func TestParseNotificationVectors(t *testing.T) {
	t.Parallel()
	forEachVector(t, "v3_notify", func(t *testing.T, v vector[signedVector, notifyExpected]) {
		t.Helper()
		v.Input.refuseTampered(t)
		ring, at := v.Input.ring(t)
		var n *Notification
		var err error
		if v.KeyBits == 128 {
			// A key that production refuses; the signature was verified above.
			c, cipherErr := newCipher(APIv3Key(v.Input.APIv3Key))
			if cipherErr != nil {
				t.Fatal(cipherErr)
			}
			n, err = openNotification(c, []byte(v.Input.Body))
		} else {
			c := newTestClient(t, func(o *ClientOptions) {
				o.Keys, o.APIv3Key, o.Now = ring, APIv3Key(v.Input.APIv3Key), func() time.Time { return at }
			})
			n, err = c.ParseNotification(t.Context(), v.Input.header(), []byte(v.Input.Body))
			if err == nil && n.Serial != v.Input.Headers[headerSerial] {
				t.Errorf("serial %q", n.Serial)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		if n.EventType != v.Expected.EventType || string(n.Plaintext) != v.Expected.Plaintext {
			t.Errorf("got %s %s", n.EventType, n.Plaintext)
		}
	})
}

func TestParseNotification(t *testing.T) {
	t.Parallel()
	h, body := signedNotification(t, EventTransactionSuccess, "transaction", goodTransaction)
	n, err := newTestClient(t, nil).ParseNotification(t.Context(), h, body)
	if err != nil {
		t.Fatal(err)
	}
	if n.ID != "EV-2018022511223320873" || n.EventType != EventTransactionSuccess || n.OriginalType != "transaction" ||
		n.Serial != testPublicKey || !n.CreateTime.Equal(testNow) || n.CreateTime.Location() != time.UTC || string(n.Plaintext) != goodTransaction {
		t.Errorf("got %+v", n)
	}
	got, err := n.Transaction()
	if err != nil {
		t.Fatal(err)
	}
	var want Transaction
	if err := json.Unmarshal([]byte(goodTransaction), &want); err != nil {
		t.Fatal(err)
	}
	if got.OutTradeNo != "A000000001" || *got.Amount != *want.Amount || *got.Payer != *want.Payer {
		t.Errorf("got %+v, want %+v", got, want)
	}
	at, err := got.SucceededAt()
	if err != nil || !at.Equal(time.Date(2018, 6, 8, 2, 34, 56, 0, time.UTC)) || at.Location() != time.UTC {
		t.Errorf("SucceededAt = %v, %v", at, err)
	}
}

// TestParseNotificationRefuses: an unverified body is not even decoded, and one
// whose envelope is bad is not decrypted.
func TestParseNotificationRefuses(t *testing.T) {
	t.Parallel()
	_, good := signedNotification(t, EventTransactionSuccess, "transaction", goodTransaction)
	replace := func(from, to string) []byte {
		changed := bytes.Replace(good, []byte(from), []byte(to), 1)
		if bytes.Equal(changed, good) {
			t.Fatalf("%s is not in the body", from)
		}
		return changed
	}
	tests := []struct {
		name string
		body []byte // signed by WeChat as it is
		want string
	}{
		{"not JSON", []byte("<xml/>"), "document is not valid JSON"},
		{"empty", nil, "document is not valid JSON"},
		{"array", []byte("[]"), "document has the wrong type"},
		{"no id", replace(`"id":"EV-2018022511223320873"`, `"id":""`), "id or event_type is missing"},
		{"no event type", replace(EventTransactionSuccess, ``), "id or event_type is missing"},
		{"resource type", replace("encrypt-resource", "plain-resource"), "resource_type is not"},
		{"create time", replace(`"create_time":"2026-11-22T`, `"create_time":"2026-11-22 `), "create_time is not RFC 3339"},
		{"B12 algorithm", replace("AEAD_AES_256_GCM", "AEAD_SM4_GCM"), ErrResource.Error()},
		{"B10 associated data", replace(`"associated_data":"transaction"`, `"associated_data":"refund"`), ErrResource.Error()},
		{"B15 two resources", replace(`"resource":`, `"resource":{"algorithm":"x"},"resource":`), "resource is given twice"},
		{"B15 case variant", replace(`"resource":`, `"Resource":`), "Resource differs from a known name by case"},
		{"B15 trailing", append(bytes.Clone(good), good...), "followed by further bytes"},
		{"too long", bytes.Repeat([]byte(" "), MaxNotification+1), "longer than"},
	}
	c := newTestClient(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n, err := c.ParseNotification(t.Context(), signed(t, publicKeyPlatform(t), testPublicKey, tt.body), tt.body)
			if err == nil || n != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("signed: got %v, %v, want %q", n, err, tt.want)
			}
			if _, ok := errors.AsType[*VerifyError](err); ok {
				t.Errorf("signed: %v blames the signature", err)
			}
			// Without a signature, the same bytes fail before anybody reads them.
			n, err = c.ParseNotification(t.Context(), http.Header{}, tt.body)
			if _, ok := errors.AsType[*VerifyError](err); n != nil || !ok && len(tt.body) <= MaxNotification {
				t.Errorf("unsigned: got %v, %v, want a *VerifyError", n, err)
			}
		})
	}
}

// TestNotificationProbe_B07: a probe fails, and the genuine repeat is read.
func TestNotificationProbe_B07(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, nil)
	h, body := signedNotification(t, EventTransactionSuccess, "transaction", goodTransaction)
	probe := h.Clone()
	probe.Set(headerSignature, ProbePrefix+h.Get(headerSignature))
	n, err := c.ParseNotification(t.Context(), probe, body)
	wantReason(t, err, ReasonProbe)
	if n != nil {
		t.Errorf("probe gives %v", n)
	}
	if _, err := c.ParseNotification(t.Context(), h, body); err != nil {
		t.Errorf("genuine repeat: %v", err)
	}
}

// TestNotificationTransactionType_B13: nothing but a payment passes for one.
func TestNotificationTransactionType_B13(t *testing.T) {
	t.Parallel()
	const (
		refund = `{"mchid":"1900000001","transaction_id":"1","out_trade_no":"A000000001","refund_id":"5","out_refund_no":"R1",` +
			`"refund_status":"SUCCESS","success_time":"2018-06-08T10:34:56+08:00","user_received_account":"x","amount":{"total":100,"refund":100,"payer_total":100,"payer_refund":100}}`
		partner = `{"sp_appid":"wx1","sp_mchid":"1900000001","sub_mchid":"1900000002","out_trade_no":"A000000001","transaction_id":"1",` +
			`"trade_state":"SUCCESS","success_time":"2018-06-08T10:34:56+08:00","amount":{"total":100}}`
		combined = `{"combine_appid":"wx1","combine_mchid":"1900000001","combine_out_trade_no":"A000000001","sub_orders":[{"mchid":"1900000001",` +
			`"out_trade_no":"A000000001","trade_state":"SUCCESS","transaction_id":"1","amount":{"total_amount":100}}]}`
		transfer = `{"mchid":"1900000001","out_bill_no":"A000000001","transfer_bill_no":"1","state":"SUCCESS","transfer_amount":100,"openid":"o"}`
	)
	tests := []struct {
		name, eventType, originalType, plaintext string
		notPayment                               bool // ErrNotTransaction rather than a fault in the content
	}{
		{"refund", "REFUND.SUCCESS", "refund", refund, true},
		{"refund called a payment", EventTransactionSuccess, "refund", refund, true},
		{"refund inside a payment", EventTransactionSuccess, "transaction", refund, false},
		{"payment called a refund", "REFUND.SUCCESS", "transaction", goodTransaction, true},
		{"payment without original type", EventTransactionSuccess, "", goodTransaction, true},
		{"payment back", "TRANSACTION.PAY_BACK", "transaction", goodTransaction, true},
		{"lower case", "transaction.success", "transaction", goodTransaction, true},
		{"both forms", EventTransactionSuccess, "transaction", strings.Replace(partner, "{", `{"appid":"wx1","mchid":"1900000001",`, 1), false},
		{"partner form without sub merchant", EventTransactionSuccess, "transaction", strings.Replace(partner, `"sub_mchid":"1900000002",`, "", 1), false},
		{"partner form without provider", EventTransactionSuccess, "transaction", strings.Replace(partner, `"sp_mchid":"1900000001",`, "", 1), false},
		{"combined form", EventTransactionSuccess, "transaction", combined, false},
		{"transfer", "MCHTRANSFER.BILL.FINISHED", "mch_payment", transfer, true},
		{"transfer inside a payment", EventTransactionSuccess, "transaction", transfer, false},
		{"profit sharing", "PROFITSHARING.SUCCESS", "profitsharing", transfer, true},
		{"echo", "SECURITY_ECHO.SUCCESS", "", `{}`, true},
		{"empty object", EventTransactionSuccess, "transaction", `{}`, false},
	}
	c := newTestClient(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, body := signedNotification(t, tt.eventType, tt.originalType, tt.plaintext)
			n, err := c.ParseNotification(t.Context(), h, body)
			if err != nil {
				t.Fatal(err) // genuine, whatever it is about
			}
			if got, err := n.Transaction(); err == nil || got != nil || errors.Is(err, ErrNotTransaction) != tt.notPayment {
				t.Errorf("Transaction = %+v, %v", got, err)
			}
		})
	}
}

// TestNotificationContent_B15: what two decoders could read differently is
// refused, though WeChat signed it.
func TestNotificationContent_B15(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, from, to string
		problem        strictjson.Problem // empty for another kind of error
	}{
		{"duplicate number", `"out_trade_no":`, `"out_trade_no":"B","out_trade_no":`, strictjson.Duplicate},
		{"case variant beside it", `"out_trade_no":`, `"OUT_TRADE_NO":"B","out_trade_no":`, strictjson.CaseVariant},
		{"case variant instead", `"out_trade_no":`, `"Out_Trade_No":`, strictjson.CaseVariant},
		{"exponent", `"total":100,"currency"`, `"total":1e2,"currency"`, strictjson.NotInteger},
		{"fraction", `"total":100,"currency"`, `"total":100.0,"currency"`, strictjson.NotInteger},
		{"string", `"total":100,"currency"`, `"total":"100","currency"`, strictjson.Type},
		{"overflow", `"total":100,"currency"`, `"total":9223372036854775808,"currency"`, strictjson.Range},
		{"negative", `"total":100,"currency"`, `"total":-100,"currency"`, ""},
		{"zero", `"total":100,"currency"`, `"total":0,"currency"`, ""},
		{"negative payer total", `"payer_total":100`, `"payer_total":-1`, ""},
		{"two totals", `"total":100,"currency"`, `"total":1,"total":100,"currency"`, strictjson.Duplicate},
		{"case variant of total", `"total":100,"currency"`, `"Total":1,"total":100,"currency"`, strictjson.CaseVariant},
		{"nested arrays", `"coupon_id":"109519"`, `"coupon_id":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), strictjson.Depth},
		{"duplicate in a skipped member", `"coupon_id":"109519"`, `"coupon_id":"1","coupon_id":"2"`, strictjson.Duplicate},
		{"trailing object", `013467007045764"}}`, `013467007045764"}}{}`, strictjson.Trailing},
		{"no amount", `"amount":{"payer_total":100,"total":100,"currency":"CNY","payer_currency":"CNY"},`, ``, ""},
		{"null amount", `"amount":{"payer_total":100,"total":100,"currency":"CNY","payer_currency":"CNY"},`, `"amount":null,`, ""},
		{"no transaction id", `"transaction_id":"1217752501201407033233368018",`, ``, ""},
		{"no merchant", `"mchid":"1900000001",`, ``, ""},
		{"no app", `"appid":"wxd678efh567hg6787",`, ``, ""},
		{"no number", `"out_trade_no":"A000000001",`, ``, ""},
		{"no state", `"trade_state":"SUCCESS",`, ``, ""},
		{"bad time", `2018-06-08T10:34:56+08:00`, `2018-06-08 10:34:56`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			plaintext := strings.Replace(goodTransaction, tt.from, tt.to, 1)
			if plaintext == goodTransaction {
				t.Fatalf("%s is not in the content", tt.from)
			}
			n := Notification{EventType: EventTransactionSuccess, OriginalType: "transaction", Plaintext: []byte(plaintext)}
			got, err := n.Transaction()
			if err == nil || got != nil {
				t.Fatalf("Transaction = %+v, %v", got, err)
			}
			if e, ok := errors.AsType[*strictjson.Error](err); ok != (tt.problem != "") || ok && e.Problem != tt.problem {
				t.Errorf("got %v, want %q", err, tt.problem)
			}
		})
	}
}

// TestNotificationErrors_H03: what WeChat wrote inside is not for logs.
func TestNotificationErrors_H03(t *testing.T) {
	t.Parallel()
	const openID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
	for _, plaintext := range []string{
		`{"payer":{"openid":"` + openID + `"}`,
		`{"payer":"` + openID + `"}`,
		`{"amount":{"total":"` + openID + `"}}`,
		`{"payer":{"openid":"` + openID + `"},"success_time":"` + openID + `","trade_state":"SUCCESS","appid":"a","mchid":"1","out_trade_no":"A","transaction_id":"1","amount":{"total":1}}`,
	} {
		n := Notification{EventType: EventTransactionSuccess, OriginalType: "transaction", Plaintext: []byte(plaintext)}
		if _, err := n.Transaction(); err == nil || strings.Contains(err.Error(), openID) {
			t.Errorf("got %v, want an error without the content", err)
		}
	}
}

// FuzzNotification feeds both layers of a notification as they are after
// verification: no panic, nothing beside an error, and no transaction that
// lacks what settling compares.
func FuzzNotification(f *testing.F) {
	c := newTestCipher(f)
	// A nonce of zeros makes the seed the same in every run.
	p, err := NewPlatform(PlatformOptions{
		Keys: []PlatformKey{{Serial: testPublicKey, Private: testKeys().platform}}, Now: fixedClock, Rand: bytes.NewReader(make([]byte, 64)),
	})
	if err != nil {
		f.Fatal(err)
	}
	body, err := p.NewNotification(c, "EV-1", EventTransactionSuccess, "transaction", "x", []byte(goodTransaction))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body, []byte(goodTransaction))
	f.Add([]byte(`{"id":"1","resource":{"nonce":"x"}}`), []byte(`{"amount":{"total":1e2}}`))
	f.Add([]byte(`{}`), []byte(`{"a":[[[[[]]]]]}`))
	f.Fuzz(func(t *testing.T, body, plaintext []byte) {
		if n, err := openNotification(c, body); (err == nil) == (n == nil) {
			t.Fatalf("openNotification = %v, %v", n, err)
		}
		n := Notification{EventType: EventTransactionSuccess, OriginalType: "transaction", Plaintext: plaintext}
		got, err := n.Transaction()
		if (err == nil) == (got == nil) {
			t.Fatalf("Transaction = %v, %v", got, err)
		}
		if err != nil {
			return
		}
		if got.OutTradeNo == "" || got.MchID == "" || got.AppID == "" || got.TradeState == "SUCCESS" && (got.Amount == nil || got.Amount.Total < 1) {
			t.Fatalf("incomplete: %+v", got)
		}
		var lax Transaction
		if err := json.Unmarshal(plaintext, &lax); err != nil || lax.OutTradeNo != got.OutTradeNo {
			t.Fatalf("encoding/json reads %+v, %v, want %+v", lax, err, got)
		}
	})
}

// BenchmarkParseNotification is the hot path: verify, decrypt, decode.
func BenchmarkParseNotification(b *testing.B) {
	c := newTestClient(b, nil)
	h, body := signedNotification(b, EventTransactionSuccess, "transaction", goodTransaction)
	b.ReportAllocs()
	for b.Loop() {
		n, err := c.ParseNotification(b.Context(), h, body)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := n.Transaction(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpenNotification is the same without the signature.
func BenchmarkOpenNotification(b *testing.B) {
	c := newTestCipher(b)
	_, body := signedNotification(b, EventTransactionSuccess, "transaction", goodTransaction)
	b.ReportAllocs()
	for b.Loop() {
		n, err := openNotification(c, body)
		if err != nil {
			b.Fatal(err)
		}
		n.EventType = EventTransactionSuccess
		if _, err := n.Transaction(); err != nil {
			b.Fatal(err)
		}
	}
}
