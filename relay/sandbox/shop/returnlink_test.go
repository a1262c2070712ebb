package shop

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const (
	returnQuery = "client_id=1000000000000001&order_no=A000000001&status=paid&amount=1&timestamp=1795296000&nonce=n0nce-0000000004"
	// The signatures were computed apart from this package.
	returnSig     = "pm4QSci8T0eg5cdZD8eJ019uA8OmXRFMnmU5xpOOnfc"
	returnSigPort = "sToSjgB5JkfxQWNyuXi7DjTfuH91THIA3kZqM6brixg"
)

func TestVerifyReturnTakesSignedLinks(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		secret                  Secret
		host, path, query, want string
	}{
		"plain":           {exampleNotifySecret, "books.example.com", "/shop/return", returnQuery + "&sig=" + returnSig, "paid"},
		"standard port":   {exampleNotifySecret, "Books.Example.com:443", "/shop/return", returnQuery + "&sig=" + returnSig, "paid"},
		"other port":      {exampleNotifySecret, "localhost:8080", "/shop/return", returnQuery + "&sig=" + returnSigPort, "paid"},
		"of the contract": {exampleSecret, "pay.example.com", "/checkout/tok3n", "order_no=A000000001&amount=1&client_id=1000000000000001&timestamp=1795296000&nonce=n0nce-0000000002&sig=OJBXE7FxtNp37P_iec33LRgJZWwxlDA6AgikekWGAI4", ""},
	}
	for name, test := range tests {
		got, err := VerifyReturn(test.secret, exampleClient, test.host, test.path, test.query, exampleTime)
		if err != nil || got.OrderNo != "A000000001" || got.Status != test.want {
			t.Errorf("%s: VerifyReturn = %+v, %v", name, got, err)
		}
	}
}

// Every change of a signed link is refused (C16).
func TestVerifyReturnRefuses_C16(t *testing.T) {
	t.Parallel()
	good := returnQuery + "&sig=" + returnSig
	tests := map[string]struct {
		host, path, query string
		at                time.Time
		want              error
	}{
		"no sig":          {"books.example.com", "/shop/return", returnQuery, exampleTime, errForm},
		"no query":        {"books.example.com", "/shop/return", "", exampleTime, errForm},
		"behind the sig":  {"books.example.com", "/shop/return", good + "&status=paid", exampleTime, errForm},
		"two sigs":        {"books.example.com", "/shop/return", good + "&sig=" + returnSig, exampleTime, errSignature},
		"added parameter": {"books.example.com", "/shop/return", "a=b&" + good, exampleTime, errSignature},
		"other status":    {"books.example.com", "/shop/return", strings.Replace(good, "paid", "closed", 1), exampleTime, errSignature},
		"other host":      {"evil.example.com", "/shop/return", good, exampleTime, errSignature},
		"other path":      {"books.example.com", "/shop/Return", good, exampleTime, errSignature},
		"padded sig":      {"books.example.com", "/shop/return", good + "=", exampleTime, errSignature},
		"too old":         {"books.example.com", "/shop/return", good, exampleTime.Add(6 * time.Minute), errTimestamp},
		"too early":       {"books.example.com", "/shop/return", good, exampleTime.Add(-6 * time.Minute), errTimestamp},
	}
	for name, test := range tests {
		got, err := VerifyReturn(exampleNotifySecret, exampleClient, test.host, test.path, test.query, test.at)
		if !errors.Is(err, test.want) || got != (Returned{}) {
			t.Errorf("%s: VerifyReturn = %+v, %v, want %v", name, got, err, test.want)
		}
	}
	if _, err := VerifyReturn(exampleNotifySecret, "1000000000000002", "books.example.com", "/shop/return", good, exampleTime); !errors.Is(err, errSignature) {
		t.Errorf("another client's link: %v", err)
	}
}
