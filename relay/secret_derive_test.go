package relay

import (
	"crypto/hmac"
	"crypto/sha256"
	"testing"
)

func TestDeriveNotifySecret(t *testing.T) {
	t.Parallel()
	secret := NewSecret("0123456789abcdef0123456789ABCDEF")
	got := DeriveNotifySecret(secret)
	if err := CheckClientSecret(got); err != nil {
		t.Errorf("the derived secret is not one: %v", err)
	}
	// The rule of the field comment, followed by hand: clients implement it.
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	mac := hmac.New(sha256.New, []byte("0123456789abcdef0123456789ABCDEF"))
	mac.Write([]byte("wxrelay notify v1"))
	want := ""
	for _, b := range mac.Sum(nil) {
		want += string(alphabet[b%62])
	}
	if string(got.Reveal()) != want {
		t.Errorf("derived %q, want %q", got.Reveal(), want)
	}
	other := DeriveNotifySecret(NewSecret("0123456789abcdef0123456789ABCDEG"))
	if string(other.Reveal()) == want {
		t.Error("two secrets gave the same notify secret")
	}
}
