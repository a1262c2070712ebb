package relay

// notifySecretLabel keeps the derived secret apart from everything else that
// the client's secret signs.
const notifySecretLabel = "wxrelay notify v1" //nolint:gosec // a public label, not a credential

// secretAlphabet holds the characters of a client's secrets.
const secretAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// DeriveNotifySecret makes the notify secret of a client that has none of
// its own: each byte of HMAC-SHA256(secret, "wxrelay notify v1") picks the
// character of its value modulo 62 from 0-9, A-Z, a-z. A client that wants
// to verify notifications can compute it; nobody can compute the secret from
// it. That the modulo favours eight characters costs less than one of the
// 190 bits.
func DeriveNotifySecret(secret Secret) Secret {
	sum := mac(secret, []byte(notifySecretLabel))
	for i, b := range sum {
		sum[i] = secretAlphabet[int(b)%len(secretAlphabet)]
	}
	return NewSecret(string(sum))
}
