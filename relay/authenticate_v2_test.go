package relay_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

// compatOrder are the fields of contract section 3.5, unsigned.
func compatOrder(signType string) map[string]string {
	fields := map[string]string{
		"amount": "1", "client_id": vectorClient, "description": "测试", "nonce_str": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS",
		"order_no": "A000000001", "timestamp": "1795296000",
	}
	if signType != "" {
		fields["sign_type"] = signType
	}
	return fields
}

// compatSigned signs fields with a secret; a sign_type of neither algorithm
// is signed by MD5.
func compatSigned(fields map[string]string, secret string) map[string]string {
	signType := relay.V2SignMD5
	if fields["sign_type"] == string(relay.V2SignHMACSHA256) {
		signType = relay.V2SignHMACSHA256
	}
	signed := maps.Clone(fields)
	signed["sign"] = relay.SignV2(fields, relay.NewSecret(secret), signType)
	return signed
}

func compatBench(t *testing.T, mode relay.CompatMode) *bench {
	t.Helper()
	return authBench(t, func(c *relay.Config) { c.Clients[0].Compat = mode })
}

func compatCall(fields map[string]string) relay.CompatRequest {
	return relay.CompatRequest{Call: "POST /v1/orders", Fields: fields}
}

// TestAuthenticateV2KnownAnswers checks the signatures that contract section
// 3.5 prints.
func TestAuthenticateV2KnownAnswers(t *testing.T) {
	t.Parallel()
	for signType, sign := range map[string]string{
		"HMAC-SHA256": "8C93E0BE65E6CC4901B459CCA6634551EEA1B8601929B376D0CC46C0751EE156",
		"MD5":         "DCC2713CB4297A1553DAE9B597EA787B",
	} {
		b := compatBench(t, relay.CompatMD5)
		fields := compatOrder(signType)
		fields["sign"] = sign
		caller, err := b.AuthenticateV2(compatCall(fields))
		if err != nil || caller.Client.Name != "books" {
			t.Errorf("%s: %+v, %v; want books", signType, caller, err)
		}
	}
}

// TestCompatMatrix_C02 allows v2-style signatures per client and algorithm
// alone: a client without compat, or with the other algorithm, is refused
// although it signed rightly.
func TestCompatMatrix_C02(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		mode     relay.CompatMode
		signType string
		strong   bool
		want     relay.Kind // 0: accepted
	}{
		{"", "HMAC-SHA256", false, relay.KindSign},
		{"", "MD5", false, relay.KindSign},
		{"", "", false, relay.KindSign},
		{relay.CompatHMAC, "HMAC-SHA256", false, 0},
		{relay.CompatHMAC, "HMAC-SHA256", true, 0},
		{relay.CompatHMAC, "MD5", false, relay.KindSign},
		{relay.CompatHMAC, "", false, relay.KindSign}, // absent means MD5
		{relay.CompatMD5, "HMAC-SHA256", true, 0},
		{relay.CompatMD5, "MD5", false, 0},
		{relay.CompatMD5, "", false, 0},
		{relay.CompatMD5, "MD5", true, relay.KindSign},
		{relay.CompatMD5, "", true, relay.KindSign},
		{relay.CompatMD5, "md5", false, relay.KindSign},
		{relay.CompatMD5, "hmac-sha256", false, relay.KindSign},
		{relay.CompatMD5, "NONE", false, relay.KindSign},
	} {
		b := compatBench(t, tt.mode)
		req := compatCall(compatSigned(compatOrder(tt.signType), vectorSecret))
		req.Strong = tt.strong
		if _, err := b.AuthenticateV2(req); kindOf(err) != tt.want {
			t.Errorf("compat %q, sign_type %q, strong %t: %v, want kind %d", tt.mode, tt.signType, tt.strong, err, tt.want)
		}
	}
}

// TestCompatRefusalsAreAlike_C01_C17_H05: who signs wrongly learns neither who
// exists nor who may sign so.
func TestCompatRefusalsAreAlike_C01_C17_H05(t *testing.T) {
	t.Parallel()
	nobody := compatOrder("HMAC-SHA256")
	nobody["client_id"] = "3000000000000003"
	noCompat := compatOrder("HMAC-SHA256")
	noCompat["client_id"] = "2000000000000002"
	lower := compatSigned(compatOrder("HMAC-SHA256"), vectorSecret)
	lower["sign"] = strings.ToLower(lower["sign"])
	b := compatBench(t, relay.CompatHMAC)
	for name, fields := range map[string]map[string]string{
		"unknown client":   compatSigned(nobody, vectorSecret),
		"wrong secret":     compatSigned(compatOrder("HMAC-SHA256"), strings.Repeat("x", 32)),
		"wrong, MD5":       compatSigned(compatOrder("MD5"), strings.Repeat("x", 32)),
		"wrong, no compat": compatSigned(noCompat, strings.Repeat("x", 32)),
		"lower case":       lower,
	} {
		_, err := b.AuthenticateV2(compatCall(fields))
		if kindOf(err) != relay.KindSign || err.Error() != "wrong client_id or signature" {
			t.Errorf("%s: %v, want the one refusal", name, err)
		}
	}
}

// TestAuthenticateV2Order: form before time before signature before rate, as
// contract section 3.4 has it.
func TestAuthenticateV2Order(t *testing.T) {
	t.Parallel()
	b := authBench(t, func(c *relay.Config) { c.Clients[0].Compat, c.Clients[0].Rate = relay.CompatHMAC, 1 })
	without := func(name string) map[string]string {
		fields := compatSigned(compatOrder("HMAC-SHA256"), "wrong")
		delete(fields, name)
		return fields
	}
	with := func(name, value string) map[string]string {
		fields := compatOrder("HMAC-SHA256")
		fields[name] = value
		return compatSigned(fields, "wrong")
	}
	b.clock = b.clock.Add(time.Hour)
	for name, tt := range map[string]struct {
		fields map[string]string
		want   relay.Kind
	}{
		"unsigned":         {without("sign"), relay.KindSign},
		"no client":        {without("client_id"), relay.KindParam},
		"no nonce":         {without("nonce_str"), relay.KindParam},
		"short nonce":      {with("nonce_str", "n"), relay.KindParam},
		"nonce alphabet":   {with("nonce_str", strings.Repeat("!", 16)), relay.KindParam},
		"long nonce":       {with("nonce_str", strings.Repeat("n", 65)), relay.KindParam},
		"client's form":    {with("client_id", "100000000000000"), relay.KindParam},
		"no time":          {without("timestamp"), relay.KindTimestamp},
		"late":             {with("timestamp", "1795296000"), relay.KindTimestamp},
		"time with blanks": {with("timestamp", " 1795299600"), relay.KindTimestamp},
		"time with zeros":  {with("timestamp", "01795299600"), relay.KindTimestamp},
		"wrong":            {with("timestamp", "1795299600"), relay.KindSign},
	} {
		if _, err := b.AuthenticateV2(compatCall(tt.fields)); kindOf(err) != tt.want {
			t.Errorf("%s: %v, want kind %d", name, err, tt.want)
		}
	}
	b.clock = b.clock.Add(-time.Hour)
	good := compatCall(compatSigned(compatOrder("HMAC-SHA256"), vectorSecret))
	for range 2 {
		if _, err := b.AuthenticateV2(good); err != nil {
			t.Fatalf("in the burst: %v", err)
		}
	}
	if _, err := b.AuthenticateV2(good); kindOf(err) != relay.KindRate {
		t.Errorf("beyond the burst: %v, want KindRate", err)
	}
}

// TestCompatRotation_C19: each live secret signs.
func TestCompatRotation_C19(t *testing.T) {
	t.Parallel()
	next := strings.Repeat("n", 32)
	b := authBench(t, func(c *relay.Config) {
		c.Clients[0].Compat = relay.CompatHMAC
		c.Clients[0].Secrets = append(c.Clients[0].Secrets, relay.NewSecret(next))
	})
	for _, secret := range []string{vectorSecret, next} {
		if _, err := b.AuthenticateV2(compatCall(compatSigned(compatOrder("HMAC-SHA256"), secret))); err != nil {
			t.Errorf("with one of two secrets: %v", err)
		}
	}
}

// TestCompatReplay_C05: a v2-style write uses up its nonce as any other does,
// in the one space that the client has.
func TestCompatReplay_C05(t *testing.T) {
	t.Parallel()
	b := compatBench(t, relay.CompatHMAC)
	caller, err := b.AuthenticateV2(compatCall(compatSigned(compatOrder("HMAC-SHA256"), vectorSecret)))
	if err != nil {
		t.Fatal(err)
	}
	order := relay.CreateOrderRequest{OrderNo: "A000000001", Amount: new(int64(1)), Description: "测试"}
	if _, _, err := b.CreateOrder(t.Context(), caller, order); err != nil {
		t.Fatal(err)
	}
	if err := b.CheckNonce(t.Context(), caller); kindOf(err) != relay.KindReplayed {
		t.Errorf("the same nonce again: %v, want KindReplayed", err)
	}
	if _, _, err := b.CreateOrder(t.Context(), caller, order); kindOf(err) != relay.KindReplayed {
		t.Errorf("the same request again: %v, want KindReplayed", err)
	}
}

// TestCompatSignatureFitsOneCall: the v2 rule covers neither method nor path,
// so that a signature seen in the address of a read could close another
// order.
func TestCompatSignatureFitsOneCall(t *testing.T) {
	t.Parallel()
	b := compatBench(t, relay.CompatHMAC)
	fields := compatSigned(map[string]string{
		"client_id": vectorClient, "nonce_str": "n0nce-0000000004", "sign_type": "HMAC-SHA256", "timestamp": "1795296000",
	}, vectorSecret)
	read := relay.CompatRequest{Call: "GET /v1/orders/A1", Fields: fields}
	for range 2 { // reading again is harmless
		if _, err := b.AuthenticateV2(read); err != nil {
			t.Fatalf("the read: %v", err)
		}
	}
	for _, call := range []string{"POST /v1/orders/A1/close", "GET /v1/orders/A2"} {
		if _, err := b.AuthenticateV2(relay.CompatRequest{Call: call, Fields: fields}); kindOf(err) != relay.KindReplayed {
			t.Errorf("%s with the signature of the read: %v, want KindReplayed", call, err)
		}
	}
}
