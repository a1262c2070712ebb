// Package store holds the encoding of relay's records that every persistent
// backend shares. Begin with EncodeOrder and DecodeOrder; the other records
// follow the same pattern.
//
// A row is an envelope around tagged fields:
//
//	crc32c (4) | schema version (1) | payload length (4) | payload
//
// all numbers little-endian. The checksum covers the record's kind, the
// version, the length and the payload, so a row that was damaged, cut short
// or stored in another record's place is told from one that never existed:
// decoding then reports relay.ErrCorrupt. The payload is a sequence of fields
// in the wire format of protocol buffers; fields that hold the zero value are
// left out, and fields with unknown numbers are skipped, so that fields can be
// added without a new schema version.
package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/wxrelay/wxrelay/relay"
)

// SchemaVersion is the version of the encoding that this code writes. It
// grows when old rows need another decoder, not when a field is added.
const SchemaVersion = 1

// MaxRow is the longest row, envelope included, in bytes. Longer ones are
// refused: a backend keeps rows inline.
const MaxRow = 32 << 10

// Kind says what a row holds. It goes into the checksum, not into the row.
type Kind byte

// The kinds of rows.
const (
	KindOrder Kind = iota + 1
	KindPayment
	KindEvidence
	KindEvent
	KindDelivery
	KindAttempt
	KindCase
	KindIndex // a key that leads to another row
	KindNonce
	KindMeta
	KindRefund
	KindPayer
	KindTally
	KindSplit
	KindGrant
	KindAccountToken
)

var kindNames = [...]string{
	KindOrder: "order", KindPayment: "payment", KindEvidence: "evidence", KindEvent: "event",
	KindDelivery: "delivery", KindAttempt: "attempt", KindCase: "case", KindIndex: "index",
	KindNonce: "nonce", KindMeta: "meta", KindRefund: "refund", KindPayer: "payer", KindTally: "tally", KindSplit: "split",
	KindGrant: "grant", KindAccountToken: "account_token",
}

// String names the kind, for error texts.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", byte(k))
}

const (
	offVersion = 4
	offLength  = 5
	envelope   = 9
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// RowTooLongError says that a record does not fit into MaxRow.
type RowTooLongError struct {
	Kind Kind
	Size int // bytes
}

// Error names the kind and the sizes, never the content.
func (e *RowTooLongError) Error() string {
	return fmt.Sprintf("%s row of %d bytes is longer than %d", e.Kind, e.Size, MaxRow)
}

// begin reserves the envelope at the end of dst.
func begin(dst []byte) []byte {
	return append(dst, 0, 0, 0, 0, SchemaVersion, 0, 0, 0, 0)
}

// seal fills in the envelope of the row that starts at from.
func seal(row []byte, from int, kind Kind) ([]byte, error) {
	r := row[from:]
	if len(r) > MaxRow {
		return row[:from], &RowTooLongError{Kind: kind, Size: len(r)}
	}
	binary.LittleEndian.PutUint32(r[offLength:], uint32(len(r)-envelope))
	binary.LittleEndian.PutUint32(r, checksum(kind, r[offVersion:]))
	return row, nil
}

func checksum(kind Kind, covered []byte) uint32 {
	return crc32.Update(kindSums[kind], castagnoli, covered)
}

// kindSums holds the checksum of each kind's byte, from which a row's goes on.
var kindSums = func() (sums [256]uint32) {
	for k := range sums {
		sums[k] = crc32.Checksum([]byte{byte(k)}, castagnoli)
	}
	return sums
}()

// Seal appends a row with a payload of the caller's own form to dst. It is
// for keys that lead to other rows and for a backend's bookkeeping.
func Seal(dst []byte, kind Kind, payload []byte) ([]byte, error) {
	from := len(dst)
	return seal(append(begin(dst), payload...), from, kind)
}

// Open checks a row's envelope and returns its payload, which shares memory
// with row. A damaged row is relay.ErrCorrupt.
func Open(kind Kind, row []byte) ([]byte, error) {
	if len(row) < envelope {
		return nil, corrupt(kind, "cut short")
	}
	if binary.LittleEndian.Uint32(row) != checksum(kind, row[offVersion:]) {
		return nil, corrupt(kind, "checksum does not match")
	}
	if int(binary.LittleEndian.Uint32(row[offLength:])) != len(row)-envelope {
		return nil, corrupt(kind, "length does not match")
	}
	if v := row[offVersion]; v == 0 || v > SchemaVersion {
		return nil, corrupt(kind, fmt.Sprintf("schema version %d is not known to this program", v))
	}
	return row[envelope:], nil
}

func corrupt(kind Kind, why string) error {
	return fmt.Errorf("%s row: %w: %s", kind, relay.ErrCorrupt, why)
}
