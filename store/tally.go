package store

import (
	"encoding/binary"
	"fmt"

	"github.com/wxrelay/wxrelay/relay"
)

// EncodeTally appends the row of a sum, in fen, to dst. A sum below 0 is
// refused, and dst is then as before.
func EncodeTally(dst []byte, fen int64) ([]byte, error) {
	if fen < 0 {
		return dst, fmt.Errorf("%s: %w", KindTally, errRange)
	}
	var payload [binary.MaxVarintLen64]byte
	return Seal(dst, KindTally, payload[:binary.PutUvarint(payload[:], uint64(fen))])
}

// DecodeTally reads the row of a sum. A damaged one is relay.ErrCorrupt.
func DecodeTally(row []byte) (int64, error) {
	payload, err := Open(KindTally, row)
	if err != nil {
		return 0, err
	}
	v, n := binary.Uvarint(payload)
	if n <= 0 || n != len(payload) || v > 1<<62 {
		return 0, fmt.Errorf("%s row: %w: %w", KindTally, relay.ErrCorrupt, errRange)
	}
	return int64(v), nil
}
