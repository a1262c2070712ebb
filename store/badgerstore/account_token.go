package badgerstore

import (
	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

func appendLentKey(k []byte, t relay.TokenKey) []byte {
	return append(part(append(k, prefixLent), t.AppID), t.Kind...)
}

// AccountToken reads an account's token.
func (r *reader) AccountToken(k relay.TokenKey) (relay.AccountToken, error) {
	if hasZero(k.AppID) {
		return relay.AccountToken{}, relay.ErrNotFound
	}
	var buf [keyRoom]byte
	row, err := r.src.get(store.KindAccountToken, appendLentKey(buf[:0], k))
	if err != nil {
		return relay.AccountToken{}, err
	}
	return store.DecodeAccountToken(row)
}

// PutAccountToken keeps the account's token.
func (t *tx) PutAccountToken(a *relay.AccountToken) error {
	if err := t.check(store.KindAccountToken, a.AppID, string(a.Kind)); err != nil {
		return err
	}
	var buf [keyRoom]byte
	return putRecord(t, appendLentKey(buf[:0], a.TokenKey), a, store.EncodeAccountToken)
}
