package payv2

import (
	"bytes"
	"crypto/aes"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// paymentFields are the fields of a genuine notification, but for sign.
func paymentFields(edit ...string) Message {
	m := goodPayment().Fields()
	delete(m, "trade_state")
	m["return_code"], m["result_code"], m["nonce_str"] = "SUCCESS", "SUCCESS", "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"
	return edited(m, edit...)
}

func TestParseNotificationPayment(t *testing.T) {
	t.Parallel()
	for _, st := range []SignType{SignMD5, SignHMACSHA256} {
		want := goodPayment()
		want.Partner, want.SubOpenID = Partner{SubMchID: "1900000209", SubAppID: "wx2222222222222222"}, "oSub"
		body, err := NewPaymentNotification(want, []byte(testKey), st, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := newTestClient(t, func(o *ClientOptions) { o.SignType = st })
		n, err := c.ParseNotification(body)
		if err != nil {
			t.Fatalf("%s: %v", st, err)
		}
		if n.Refund != nil || *n.Payment != *want || n.Fields["is_subscribe"] != "N" {
			t.Errorf("%s: got %+v, want %+v", st, n.Payment, want)
		}
	}
}

// TestParseNotificationSignature: only the signature that was expected is
// believed.
func TestParseNotificationSignature(t *testing.T) {
	t.Parallel()
	good := paymentFields()
	hmacSign, md5Sign := Sign(good, []byte(testKey), SignHMACSHA256), Sign(good, []byte(testKey), SignMD5)
	tests := []struct {
		name   string
		m      Message
		reason VerifyReason
	}{
		{"A01 no signature", good, ReasonMissing},
		{"A01 empty", edited(good, "sign", ""), ReasonMissing},
		{"A01 blanks", edited(good, "sign", "  "), ReasonSignature},
		{"A02 two fields alone", Message{"out_trade_no": "A000000001", "total_fee": "100"}, ReasonMissing},
		{"A03 empty key", edited(good, "sign", Sign(good, nil, SignHMACSHA256)), ReasonSignature},
		{"A05 MD5 that calls itself HMAC-SHA256", edited(good, "sign_type", "HMAC-SHA256", "sign", Sign(edited(good, "sign_type", "HMAC-SHA256"), []byte(testKey), SignMD5)), ReasonSignature},
		{"A05 none", edited(good, "sign_type", "NONE", "sign", hmacSign), ReasonSignType},
		{"A05 lower case", edited(good, "sign_type", "md5", "sign", md5Sign), ReasonSignType},
		{"A05 SHA1", edited(good, "sign_type", "SHA1", "sign", hmacSign), ReasonSignType},
		{"A06 lower case", edited(good, "sign", strings.ToLower(hmacSign)), ReasonSignature},
		{"A06 trailing blank", edited(good, "sign", hmacSign+" "), ReasonSignature},
		{"A06 first 31", edited(good, "sign", md5Sign[:31]), ReasonSignature},
		{"A06 zeros", edited(good, "sign", strings.Repeat("0", 64)), ReasonSignature},
		{"A22 other merchant's key", edited(good, "sign", Sign(good, []byte(strings.Repeat("x", 32)), SignHMACSHA256)), ReasonSignature},
		{"unknown field added", edited(good, "new", "1", "sign", hmacSign), ReasonSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n, err := newTestClient(t, nil).ParseNotification(tt.m.Encode())
			if n != nil || !isReason(err, tt.reason) {
				t.Errorf("got %+v, %v; want %s", n, err, tt.reason)
			}
			noSecrets(t, err)
		})
	}
}

// TestParseNotificationAlgorithms_A04: order's algorithm, notification's
// algorithm and the operator's switch.
func TestParseNotificationAlgorithms_A04(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name            string
		order, notify   SignType
		declared, allow bool
		ok              bool
	}{
		{"MD5, MD5", SignMD5, SignMD5, false, false, true},
		{"MD5, declared MD5", SignMD5, SignMD5, true, false, true},
		{"MD5, HMAC", SignMD5, SignHMACSHA256, false, false, false},
		{"MD5, declared HMAC", SignMD5, SignHMACSHA256, true, true, false},
		{"HMAC, HMAC", SignHMACSHA256, SignHMACSHA256, false, false, true},
		{"HMAC, declared HMAC", SignHMACSHA256, SignHMACSHA256, true, false, true},
		{"HMAC, MD5", SignHMACSHA256, SignMD5, false, false, false},
		{"HMAC, declared MD5", SignHMACSHA256, SignMD5, true, false, false},
		{"HMAC, MD5, allowed", SignHMACSHA256, SignMD5, false, true, true},
		{"HMAC, declared MD5, allowed", SignHMACSHA256, SignMD5, true, true, true},
		{"HMAC, HMAC, allowed", SignHMACSHA256, SignHMACSHA256, true, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := paymentFields()
			if tt.declared {
				m["sign_type"] = string(tt.notify)
			}
			counted := 0
			c := newTestClient(t, func(o *ClientOptions) {
				o.SignType, o.AcceptMD5, o.Hooks.MD5Accepted = tt.order, tt.allow, func() { counted++ }
			})
			_, err := c.ParseNotification(signedBody(t, m, testKey, tt.notify))
			if (err == nil) != tt.ok {
				t.Errorf("got %v", err)
			}
			if want := tt.ok && tt.order != tt.notify; (counted == 1) != want {
				t.Errorf("counted %d times", counted)
			}
		})
	}
}

// TestParseNotificationEveryFieldCounts_A02: without any one field, or with
// one changed, nothing is believed.
func TestParseNotificationEveryFieldCounts_A02(t *testing.T) {
	t.Parallel()
	m := paymentFields()
	m["sign"] = Sign(m, []byte(testKey), SignHMACSHA256)
	c := newTestClient(t, nil)
	if _, err := c.ParseNotification(m.Encode()); err != nil {
		t.Fatal(err)
	}
	for name := range m {
		if _, err := c.ParseNotification(edited(m, name, "-").Encode()); err == nil {
			t.Errorf("taken without %s", name)
		}
		if _, err := c.ParseNotification(edited(m, name, m[name]+"0").Encode()); err == nil {
			t.Errorf("taken with another %s", name)
		}
		if _, err := c.ParseNotification(edited(m, name, "").Encode()); err == nil {
			t.Errorf("taken with an empty %s", name)
		}
	}
}

// TestParseNotificationContent: a right signature does not excuse a message
// that says something else.
func TestParseNotificationContent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		m    Message
		ok   bool
	}{
		{"genuine", paymentFields(), true},
		{"unknown fields", paymentFields("coupon_id_0", "1", "coupon_id", "2", "new", "x"), true},
		{"A18 communication failed", paymentFields("return_code", "FAIL"), false},
		{"A18 business failed", paymentFields("result_code", "FAIL"), false},
		{"A18 in progress", paymentFields("trade_state", "USERPAYING"), false},
		{"A18 success, said twice", paymentFields("trade_state", "SUCCESS"), true},
		{"A16 leading zero", paymentFields("total_fee", "0100"), false},
		{"A16 sign", paymentFields("total_fee", "+100"), false},
		{"A16 decimals", paymentFields("total_fee", "100.0"), false},
		{"A16 blank", paymentFields("total_fee", " 100"), false},
		{"A16 nothing", paymentFields("total_fee", "0"), false},
		{"odd cash", paymentFields("cash_fee", "9O"), false},
		{"odd time", paymentFields("time_end", "20261122"), false},
		{"no currency means CNY", paymentFields("fee_type", "-"), true},
		{"no payer", paymentFields("openid", "-"), false},
		{"no type", paymentFields("trade_type", "-"), false},
		{"no bank", paymentFields("bank_type", "-"), false},
		{"no cash", paymentFields("cash_fee", "-"), false},
		{"no amount", paymentFields("total_fee", "-"), false},
		{"no number", paymentFields("out_trade_no", "-"), false},
		{"no id", paymentFields("transaction_id", "-"), false},
		{"no time", paymentFields("time_end", "-"), false},
		{"no app", paymentFields("appid", "-"), false},
		{"no merchant", paymentFields("mch_id", "-"), false},
		{"no nonce", paymentFields("nonce_str", "-"), false},
		{"with something encrypted", paymentFields("req_info", "AAAA"), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n, err := newTestClient(t, nil).ParseNotification(signedBody(t, tt.m, testKey, SignHMACSHA256))
			if (err == nil) != tt.ok || (n != nil) != tt.ok || tt.ok && (n.Payment == nil || n.Refund != nil) {
				t.Errorf("got %+v, %v", n, err)
			}
			noSecrets(t, err)
		})
	}
}

// TestParseNotificationPreviousKey: while a key is changed, both are accepted.
func TestParseNotificationPreviousKey(t *testing.T) {
	t.Parallel()
	rolling := newTestClient(t, func(o *ClientOptions) { o.PreviousKey = []byte(oldKey) })
	refund, err := NewRefundNotification(goodRefund(), []byte(oldKey), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string][]byte{"payment": signedBody(t, paymentFields(), oldKey, SignHMACSHA256), "refund": refund} {
		if _, err := rolling.ParseNotification(body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := newTestClient(t, nil).ParseNotification(body); err == nil {
			t.Errorf("%s: the previous key is accepted without being given", name)
		}
	}
}

// TestResplitFields_A14: v2's text does not escape, so values can be cut into
// fields under the same signature. Of what matters, nothing may move into
// sight: the fields that were read stay as they were or the message is
// refused.
func TestResplitFields_A14(t *testing.T) {
	t.Parallel()
	m := paymentFields("attach", "x&attach_z=1")
	m["sign"] = Sign(m, []byte(testKey), SignHMACSHA256)
	split := edited(m, "attach", "x", "attach_z", "1")
	n, err := newTestClient(t, nil).ParseNotification(split.Encode())
	if err != nil {
		t.Fatal("the attack needs the signature to pass: ", err)
	}
	want := goodPayment()
	want.Attach = "x" // so that a comparison with the stored one fails
	if *n.Payment != *want {
		t.Errorf("got %+v, want %+v", n.Payment, want)
	}
}

// TestResplitProperty_A14: however the signed text is cut into fields, what is
// accepted says the same of the money. Only attach, which is what a stranger
// may have chosen, can come out shorter, and must be compared.
func TestResplitProperty_A14(t *testing.T) {
	t.Parallel()
	genuine := paymentFields("attach", "x&attach_z=1&b=2")
	sign := Sign(genuine, []byte(testKey), SignHMACSHA256)
	tokens := strings.Split(string(signText(genuine)), "&")
	c := newTestClient(t, nil)
	want := goodPayment()
	random := mathrand.New(mathrand.NewPCG(1, 2))
	passed := map[string]bool{}
	for range 10000 {
		m := Message{"sign": sign}
		name, value, _ := strings.Cut(tokens[0], "=")
		for _, token := range tokens[1:] {
			// Mostly cut where the fields are, for most other cuts are refused at once.
			next, rest, _ := strings.Cut(token, "=")
			_, field := genuine[next]
			if (random.IntN(8) == 0) == field {
				value += "&" + token
				continue
			}
			m[name] = value
			name, value = next, rest
		}
		m[name] = value
		if Sign(m, []byte(testKey), SignHMACSHA256) != sign {
			continue
		}
		n, err := c.ParseNotification(m.Encode())
		if err != nil {
			continue
		}
		passed[n.Payment.Attach] = true
		n.Payment.Attach = want.Attach
		if *n.Payment != *want {
			t.Fatalf("%q reads as %+v", m, n.Payment)
		}
	}
	if len(passed) < 2 {
		t.Errorf("no other cut passed, so that nothing was shown: %v", passed)
	}
}

func TestParseNotificationRefund(t *testing.T) {
	t.Parallel()
	for _, status := range []RefundStatus{RefundSuccess, RefundClosed, RefundChange} {
		want := goodRefund()
		want.Status, want.Partner = status, Partner{SubMchID: "1900000209", SubAppID: "wx2222222222222222"}
		if status != RefundSuccess {
			want.SuccessTime = RefundNotice{}.SuccessTime
		}
		body, err := NewRefundNotification(want, []byte(testKey), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		n, err := newTestClient(t, nil).ParseNotification(body)
		if err != nil {
			t.Fatal(err)
		}
		if n.Payment != nil || *n.Refund != *want || n.Fields["refund_status"] != string(status) {
			t.Errorf("got %+v, want %+v", n.Refund, want)
		}
	}
}

// refundBody is a refund notification with the given content.
func refundBody(t *testing.T, plaintext string, edit ...string) []byte {
	t.Helper()
	info, err := sealReqInfo([]byte(testKey), []byte(plaintext))
	if err != nil {
		t.Fatal(err)
	}
	return edited(Message{"return_code": "SUCCESS", "appid": testAppID, "mch_id": testMchID, "nonce_str": "n", "req_info": info}, edit...).Encode()
}

// TestRefundUniformRefusal_A23: whatever is wrong inside, the answer is the
// same.
func TestRefundUniformRefusal_A23(t *testing.T) {
	t.Parallel()
	content := goodRefund().content()
	inner := func(edit ...string) string { return string(edited(content, edit...).encode(rootRefund)) }
	sealed, err := sealReqInfo([]byte(testKey), []byte(inner()))
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		t.Fatal(err)
	}
	splice := func(order ...int) string {
		var out []byte
		for _, i := range order {
			out = append(out, blocks[16*i:16*i+16]...)
		}
		return base64.StdEncoding.EncodeToString(out)
	}
	n := len(blocks) / 16
	straight := make([]int, n)
	for i := range straight {
		straight[i] = i
	}
	swapped := slices.Clone(straight)
	swapped[1], swapped[2] = 2, 1
	bodies := map[string][]byte{
		"no base64":           refundBody(t, "", "req_info", "***"),
		"other base64":        refundBody(t, "", "req_info", strings.TrimRight(base64.URLEncoding.EncodeToString(blocks), "=")+"=-"),
		"half a block":        refundBody(t, "", "req_info", "AAAA"),
		"other key":           refundBody(t, "", "req_info", base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 64))),
		"last block missing":  refundBody(t, "", "req_info", splice(straight[:n-1]...)),
		"blocks swapped":      refundBody(t, "", "req_info", splice(swapped...)),
		"block repeated":      refundBody(t, "", "req_info", splice(append([]int{0}, straight...)...)),
		"first block missing": refundBody(t, "", "req_info", splice(straight[1:]...)),
		"no XML":              refundBody(t, "hello"),
		"nothing":             refundBody(t, ""),
		"other root":          refundBody(t, "<xml></xml>"),
		"no fields":           refundBody(t, "<root></root>"),
		"document type":       refundBody(t, "<!DOCTYPE root>"+inner()),
		"duplicate":           refundBody(t, strings.Replace(inner(), "<root>", "<root><refund_fee>1</refund_fee>", 1)),
		"odd amount":          refundBody(t, inner("refund_fee", "060")),
		"odd time":            refundBody(t, inner("success_time", "20261122132000")),
		"processing":          refundBody(t, inner("refund_status", "PROCESSING")),
		"no status":           refundBody(t, inner("refund_status", "-")),
		"no refund number":    refundBody(t, inner("out_refund_no", "-")),
		"no refund id":        refundBody(t, inner("refund_id", "-")),
		"no order":            refundBody(t, inner("out_trade_no", "-")),
		"no transaction":      refundBody(t, inner("transaction_id", "-")),
		"no amount":           refundBody(t, inner("refund_fee", "-")),
		"no total":            refundBody(t, inner("total_fee", "-")),
	}
	for name, body := range bodies {
		n, err := newTestClient(t, nil).ParseNotification(body)
		if n != nil || !errors.Is(err, errReqInfo) || err.Error() != "notification: req_info cannot be read" {
			t.Errorf("%s: got %+v, %v", name, n, err)
		}
	}
	if _, err := newTestClient(t, nil).ParseNotification(refundBody(t, inner())); err != nil {
		t.Errorf("untouched: %v", err)
	}
}

// TestRefundEnvelope: the fields around the encrypted ones.
func TestRefundEnvelope(t *testing.T) {
	t.Parallel()
	inner := string(goodRefund().content().encode(rootRefund))
	for _, edit := range [][]string{{"return_code", "FAIL"}, {"return_code", "-"}, {"appid", "-"}, {"mch_id", "-"}, {"nonce_str", "-"}, {"sign", "X"}, {"req_info", ""}} {
		if n, err := newTestClient(t, nil).ParseNotification(refundBody(t, inner, edit...)); err == nil {
			t.Errorf("%q: got %+v", edit, n)
		}
	}
}

func TestRefundReqInfoVectors(t *testing.T) {
	t.Parallel()
	type input struct {
		Key     string `json:"key"`
		ReqInfo string `json:"req_info"`
	}
	type want struct {
		AESKey    string `json:"aes_key"`
		Plaintext string `json:"plaintext"`
	}
	forEachVector(t, "v2_refund_reqinfo", func(t *testing.T, v vector[input, want]) {
		key := []byte(v.Input.Key)
		if got := string(reqInfoKey(key)); got != v.Expected.AESKey {
			t.Errorf("AES key %s, want %s", got, v.Expected.AESKey)
		}
		got, err := openReqInfo(key, v.Input.ReqInfo)
		if err != nil || string(got) != v.Expected.Plaintext {
			t.Errorf("got %q, %v", got, err)
		}
		if sealed, err := sealReqInfo(key, []byte(v.Expected.Plaintext)); err != nil || sealed != v.Input.ReqInfo {
			t.Errorf("sealed again: %v", err)
		}
		m, n, err := decodeReqInfo(key, v.Input.ReqInfo)
		if err != nil || n.Status != RefundSuccess || n.Receiver == "" || n.SuccessTime.IsZero() || m["refund_id"] != n.RefundID {
			t.Fatalf("got %+v, %v", n, err)
		}
		// A change garbles a whole block; what still decodes must not pass for the same.
		raw, err := base64.StdEncoding.DecodeString(v.Input.ReqInfo)
		if err != nil {
			t.Fatal(err)
		}
		for i := range raw {
			changed := bytes.Clone(raw)
			changed[i] ^= 1
			if same, _, err := decodeReqInfo(key, base64.StdEncoding.EncodeToString(changed)); err == nil && maps.Equal(same, m) {
				t.Errorf("byte %d changed: reads the same", i)
			}
		}
		if _, _, err := decodeReqInfo([]byte(testKey), v.Input.ReqInfo); err == nil {
			t.Error("opens with another key")
		}
	})
}

func TestAESECBVectors(t *testing.T) {
	t.Parallel()
	type input struct {
		Key        string `json:"key"`
		Ciphertext string `json:"ciphertext"`
	}
	type want struct {
		Plaintext string `json:"plaintext"`
	}
	forEachVector(t, "aes256_ecb", func(t *testing.T, v vector[input, want]) {
		if got, err := openECB([]byte(v.Input.Key), v.Input.Ciphertext); err != nil || string(got) != v.Expected.Plaintext {
			t.Errorf("got %q, %v", got, err)
		}
		if got, err := sealECB([]byte(v.Input.Key), []byte(v.Expected.Plaintext)); err != nil || got != v.Input.Ciphertext {
			t.Errorf("got %q, %v", got, err)
		}
		if got, err := openECB([]byte(testKey), v.Input.Ciphertext); err == nil {
			t.Errorf("other key: %q", got)
		}
	})
}

// TestPadding_A23: what is decrypted must end in right padding, and a whole
// block of it when the text fills its last one.
func TestPadding_A23(t *testing.T) {
	t.Parallel()
	key := reqInfoKey([]byte(testKey))
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	for last, ok := range map[string]bool{
		strings.Repeat("\x10", 16):                true,
		strings.Repeat("a", 15) + "\x01":          true,
		strings.Repeat("a", 13) + "\x03\x03\x03":  true,
		strings.Repeat("a", 13) + "\x03\x02\x03":  false,
		strings.Repeat("a", 15) + "\x02":          false,
		strings.Repeat("a", 15) + "\x00":          false,
		strings.Repeat("\x11", 16):                false,
		strings.Repeat("\xff", 16):                false,
		"a" + strings.Repeat("\x0f", 14) + "\x10": false,
	} {
		sealed := make([]byte, 16)
		block.Encrypt(sealed, []byte(last))
		if _, err := openECB(key, base64.StdEncoding.EncodeToString(sealed)); (err == nil) != ok {
			t.Errorf("%q: %v", last, err)
		}
	}
}

func TestMD5Vectors(t *testing.T) {
	t.Parallel()
	type input struct {
		Text string `json:"text"`
	}
	type want struct {
		Hex string `json:"hex"`
	}
	forEachVector(t, "md5_hex", func(t *testing.T, v vector[input, want]) {
		if got := string(reqInfoKey([]byte(v.Input.Text))); got != v.Expected.Hex {
			t.Errorf("got %s, want %s", got, v.Expected.Hex)
		}
		sum := md5.Sum([]byte(v.Input.Text + "0"))
		if hex.EncodeToString(sum[:]) == v.Expected.Hex {
			t.Error("another text gives the same")
		}
	})
}

// FuzzNotification: nothing unsigned is ever a payment, and whatever is
// accepted was signed over the fields that are returned.
func FuzzNotification(f *testing.F) {
	key := []byte(testKey)
	good := paymentFields()
	good["sign"] = Sign(good, key, SignHMACSHA256)
	refund, err := NewRefundNotification(goodRefund(), key, rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good.Encode())
	f.Add(refund)
	f.Add(edited(good, "attach", "x", "attach_z", "1").Encode())
	f.Add([]byte(`<xml><return_code>SUCCESS</return_code></xml>`))
	c := newTestClient(f, nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := c.ParseNotification(body)
		if err != nil {
			if n != nil {
				t.Fatal("something is returned with an error")
			}
			return
		}
		if (n.Payment == nil) == (n.Refund == nil) {
			t.Fatalf("got %+v", n)
		}
		if n.Payment != nil && (Sign(n.Fields, key, SignHMACSHA256) != n.Fields["sign"] || n.Payment.TotalFen <= 0) {
			t.Fatalf("accepted without a right signature: %q", body)
		}
	})
}

// FuzzRefundInfo: what is decrypted is read strictly or refused in one way.
func FuzzRefundInfo(f *testing.F) {
	key := []byte(testKey)
	f.Add(goodRefund().content().encode(rootRefund))
	f.Add([]byte(`<root><refund_status>SUCCESS</refund_status></root>`))
	f.Add([]byte("\x10"))
	f.Fuzz(func(t *testing.T, plaintext []byte) {
		info, err := sealReqInfo(key, plaintext)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := openReqInfo(key, info); err != nil || !bytes.Equal(back, plaintext) {
			t.Fatalf("opens to %q, %v", back, err)
		}
		m, n, err := decodeReqInfo(key, info)
		if err != nil {
			if !errors.Is(err, errReqInfo) || m != nil || n != nil {
				t.Fatalf("got %v", err)
			}
		} else if n.RefundID == "" || n.RefundFen < 0 || n.OutRefundNo != m["out_refund_no"] {
			t.Fatalf("got %+v", n)
		}
		// The same bytes as if they were the ciphertext.
		if _, _, err := decodeReqInfo(key, base64.StdEncoding.EncodeToString(plaintext)); err != nil && !errors.Is(err, errReqInfo) {
			t.Fatalf("got %v", err)
		}
	})
}
