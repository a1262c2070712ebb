package shop

import (
	"errors"
	"net/url"
	"testing"
	"time"
)

// signedGet is a notification of the "get" form. Its signatures were
// computed apart from this package, with another program.
func signedGet(signType, sign string) url.Values {
	return url.Values{
		"client_id": {exampleClient}, "event": {"order.paid"}, "event_id": {"evt_1"}, "order_no": {"A000000001"},
		"amount": {"1"}, "currency": {"CNY"}, "status": {"paid"}, "attach": {""}, "timestamp": {"1795296000"},
		"nonce_str": {"n0nce-0000000003"}, "sign_type": {signType}, "sign": {sign},
	}
}

const (
	getHMAC = "968D0025F6BED1D2D876CD9D7E0DB5443FEE84BA2867D6139F641D6E246F906D"
	getMD5  = "5DABD55B2641577C5D02BCF97905654C"
)

func TestVerifyGetTakesBothAlgorithms(t *testing.T) {
	t.Parallel()
	for signType, sign := range map[string]string{"HMAC-SHA256": getHMAC, "MD5": getMD5} {
		got, err := VerifyGet(exampleNotifySecret, signedGet(signType, sign), exampleTime)
		want := Told{EventID: "evt_1", Type: "order.paid", OrderNo: "A000000001", AmountFen: 1, Currency: "CNY", Status: "paid"}
		if err != nil || got != want {
			t.Errorf("%s: VerifyGet = %+v, %v, want %+v", signType, got, err, want)
		}
	}
}

func TestVerifyGetRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(url.Values)
		at     time.Time
		want   error
	}{
		"other amount":    {func(v url.Values) { v.Set("amount", "2") }, exampleTime, errSignature},
		"added parameter": {func(v url.Values) { v.Set("a", "b") }, exampleTime, errSignature},
		"repeated":        {func(v url.Values) { v.Add("amount", "1") }, exampleTime, errForm},
		"removed":         {func(v url.Values) { v.Del("nonce_str") }, exampleTime, errSignature},
		"no sign":         {func(v url.Values) { v.Del("sign") }, exampleTime, errSignature},
		"lower-case sign": {func(v url.Values) { v.Set("sign", "abc") }, exampleTime, errSignature},
		"other algorithm": {func(v url.Values) { v.Set("sign_type", "NONE") }, exampleTime, errSignature},
		"no algorithm":    {func(v url.Values) { v.Del("sign_type") }, exampleTime, errSignature},
		"downgrade":       {func(v url.Values) { v.Set("sign_type", "MD5") }, exampleTime, errSignature},
		"too old":         {func(url.Values) {}, exampleTime.Add(6 * time.Minute), errTimestamp},
		"no timestamp":    {func(v url.Values) { v.Del("timestamp") }, exampleTime, errTimestamp},
	}
	for name, test := range tests {
		values := signedGet("HMAC-SHA256", getHMAC)
		test.change(values)
		if got, err := VerifyGet(exampleNotifySecret, values, test.at); !errors.Is(err, test.want) || got != (Told{}) {
			t.Errorf("%s: VerifyGet = %+v, %v, want %v", name, got, err, test.want)
		}
	}
}
