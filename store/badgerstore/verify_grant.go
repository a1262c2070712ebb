package badgerstore

import (
	"bytes"

	"github.com/wxrelay/wxrelay/store"
)

func (v *verifier) grant(key, row []byte) error {
	v.report.Grants++
	g, err := store.DecodeGrant(row)
	return fits(err, key, appendGrantKey(nil, g.GrantKey))
}

// expiring checks that the grant runs out when the index says so.
func (v *verifier) expiring(key []byte) error {
	k, ok := parseExpiring(string(key[1:]))
	if !ok {
		return errUnfit
	}
	row, err := v.src.get(store.KindGrant, appendGrantKey(nil, k))
	if err != nil {
		return missingIsCorrupt(err)
	}
	g, err := store.DecodeGrant(row)
	if err == nil && !bytes.Equal(key, appendExpiringKey(nil, g.ExpiresAt, k)) {
		return errUnfit
	}
	return err
}
