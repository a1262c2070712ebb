package memstore

import (
	"bytes"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

func (r reader) AccountToken(k relay.TokenKey) (relay.AccountToken, error) {
	a, err := found(r.lent, k)
	a.Sealed = bytes.Clone(a.Sealed)
	return a, err
}

// PutAccountToken keeps the account's token.
func (t *tx) PutAccountToken(a *relay.AccountToken) error {
	if err := store.CheckKey(store.KindAccountToken, a.AppID, string(a.Kind)); err != nil {
		return err
	}
	c, err := canonical(a, store.EncodeAccountToken, store.DecodeAccountToken)
	if err != nil {
		return err
	}
	set(t, t.lent, c.TokenKey, c)
	return nil
}
