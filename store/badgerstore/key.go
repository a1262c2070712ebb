package badgerstore

import (
	"bytes"
	"encoding/binary"
	"strings"
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

// The first byte of a key says what it leads to. Parts of text end with a
// zero byte, which no part holds; times are eight bytes whose order is that
// of the times.
const (
	prefixAttempt     = 'a' // event, number -> attempt
	prefixGrant       = 'b' // kind, hash -> grant
	prefixCase        = 'c' // id -> case
	prefixDue         = 'd' // client, origin, due, event -> nothing
	prefixEvent       = 'e' // client, seq -> event
	prefixEventID     = 'i' // id -> key of the event
	prefixCaseOf      = 'k' // kind, merchant, number -> case id
	prefixDelivery    = 'l' // event -> delivery
	prefixMeta        = 'm' // bookkeeping
	prefixNonce       = 'n' // bucket, client, nonce -> time
	prefixOrder       = 'o' // client, number -> order
	prefixTask        = 'g' // kind, due, merchant, number -> nothing
	prefixTransaction = 'f' // merchant, WeChat's number -> number of the payment
	prefixRefundNo    = 'q' // client, number -> key of the refund
	prefixRefund      = 'r' // merchant, number -> refund
	prefixSplit       = 'h' // merchant, number -> split
	prefixSplitNo     = 'j' // client, number -> key of the split
	prefixTally       = 's' // name, day -> sum
	prefixPayer       = 'y' // openid -> payer
	prefixPayment     = 'p' // merchant, number -> payment
	prefixToken       = 't' // token -> key of the order
	prefixLent        = 'u' // app id, kind -> account's token
	prefixEvidence    = 'v' // merchant, number, id -> evidence
	prefixExpiring    = 'w' // expiry, kind, hash -> nothing
	prefixOpenOrder   = 'x' // expiry, client, number -> nothing
)

// keySequence holds the number of the group that was committed last.
var keySequence = []byte("mseq")

// part appends a text and its end.
func part(k []byte, s string) []byte {
	return append(append(k, s...), 0)
}

// ordered appends an integer so that keys sort as integers do.
func ordered(k []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(k, uint64(v)^1<<63)
}

func fromOrdered(b []byte) int64 {
	return int64(binary.BigEndian.Uint64(b) ^ 1<<63)
}

func appendOrderKey(k []byte, o relay.OrderKey) []byte {
	return append(part(append(k, prefixOrder), o.ClientID), o.OrderNo...)
}

func parseOrderKey(k []byte) (relay.OrderKey, bool) {
	client, no, ok := bytes.Cut(k, []byte{0})
	return relay.OrderKey{ClientID: string(client), OrderNo: string(no)}, ok
}

func appendTokenKey(k []byte, token string) []byte {
	return append(append(k, prefixToken), token...)
}

func appendOpenKey(k []byte, expires time.Time, o relay.OrderKey) []byte {
	k = ordered(append(k, prefixOpenOrder), expires.UnixNano())
	return append(part(k, o.ClientID), o.OrderNo...)
}

func appendPaymentKey(k []byte, p relay.PaymentKey) []byte {
	return append(part(append(k, prefixPayment), p.MchID), p.OutTradeNo...)
}

func appendEvidencePrefix(k []byte, p relay.PaymentKey) []byte {
	return part(part(append(k, prefixEvidence), p.MchID), p.OutTradeNo)
}

func appendEventPrefix(k []byte, clientID string) []byte {
	return part(append(k, prefixEvent), clientID)
}

func appendEventKey(k []byte, clientID string, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(appendEventPrefix(k, clientID), seq)
}

func appendEventIDKey(k []byte, id string) []byte {
	return append(append(k, prefixEventID), id...)
}

func appendDeliveryKey(k []byte, eventID string) []byte {
	return append(append(k, prefixDelivery), eventID...)
}

func appendAttemptPrefix(k []byte, eventID string) []byte {
	return part(append(k, prefixAttempt), eventID)
}

func appendAttemptKey(k []byte, eventID string, number int) []byte {
	return ordered(appendAttemptPrefix(k, eventID), int64(number))
}

func appendDuePrefix(k []byte, d relay.Destination) []byte {
	return part(part(append(k, prefixDue), d.ClientID), d.Origin)
}

func appendDueKey(k []byte, d relay.Destination, due time.Time, eventID string) []byte {
	return append(ordered(appendDuePrefix(k, d), due.UnixNano()), eventID...)
}

// duePrefixLen is the length of a due key's part that names the destination,
// or 0 when the key is none.
func duePrefixLen(k []byte) int {
	i := bytes.IndexByte(k, 0)
	if i < 1 || k[0] != prefixDue {
		return 0
	}
	j := bytes.IndexByte(k[i+1:], 0)
	if j < 0 || len(k) < i+1+j+1+8 {
		return 0
	}
	return i + 1 + j + 1
}

func parseDestination(prefix []byte) relay.Destination {
	client, rest, _ := bytes.Cut(prefix[1:], []byte{0})
	return relay.Destination{ClientID: string(client), Origin: string(bytes.TrimSuffix(rest, []byte{0}))}
}

// parseDue reads what follows the destination in a due key.
func parseDue(rest []byte) relay.DueItem {
	return relay.DueItem{EventID: string(rest[8:]), DueAt: nanoTime(fromOrdered(rest))}
}

func appendRefundKey(k []byte, r relay.RefundKey) []byte {
	return append(part(append(k, prefixRefund), r.MchID), r.OutRefundNo...)
}

func parseRefundKey(k []byte) (relay.RefundKey, bool) {
	mch, no, ok := bytes.Cut(k, []byte{0})
	return relay.RefundKey{MchID: string(mch), OutRefundNo: string(no)}, ok
}

func appendRefundNoKey(k []byte, clientID, refundNo string) []byte {
	return append(part(append(k, prefixRefundNo), clientID), refundNo...)
}

func appendSplitKey(k []byte, s relay.SplitKey) []byte {
	return append(part(append(k, prefixSplit), s.MchID), s.OutOrderNo...)
}

func parseSplitKey(k []byte) (relay.SplitKey, bool) {
	mch, no, ok := bytes.Cut(k, []byte{0})
	return relay.SplitKey{MchID: string(mch), OutOrderNo: string(no)}, ok
}

func appendSplitNoKey(k []byte, clientID, splitNo string) []byte {
	return append(part(append(k, prefixSplitNo), clientID), splitNo...)
}

func appendPayerKey(k []byte, openID string) []byte {
	return append(append(k, prefixPayer), openID...)
}

func appendTallyKey(k []byte, t relay.TallyKey) []byte {
	return append(part(append(k, prefixTally), t.Name), t.Day...)
}

func appendTaskPrefix(k []byte, kind relay.TaskKind) []byte {
	return part(append(k, prefixTask), string(kind))
}

func appendTaskKey(k []byte, kind relay.TaskKind, t relay.Task) []byte {
	k = ordered(appendTaskPrefix(k, kind), t.DueAt.UnixNano())
	return append(part(k, t.MchID), t.Number...)
}

// parseTask reads what follows the kind in a task's key.
func parseTask(rest string) (relay.Task, bool) {
	if len(rest) < 8 {
		return relay.Task{}, false
	}
	mch, number, ok := strings.Cut(rest[8:], "\x00")
	return relay.Task{MchID: mch, Number: number, DueAt: nanoTime(fromOrdered([]byte(rest[:8])))}, ok
}

func appendCaseKey(k []byte, id string) []byte {
	return append(append(k, prefixCase), id...)
}

func appendCaseOfKey(k []byte, kind relay.CaseKind, p relay.PaymentKey) []byte {
	k = part(part(append(k, prefixCaseOf), string(kind)), p.MchID)
	return append(k, p.OutTradeNo...)
}

// nonceBucket numbers the window in which a time lies.
func nonceBucket(t time.Time) int64 {
	n, w := t.UnixNano(), int64(relay.NonceWindow)
	if n < 0 {
		return n/w - 1
	}
	return n / w
}

func appendNonceBucket(k []byte, bucket int64) []byte {
	return ordered(append(k, prefixNonce), bucket)
}

func appendNonceKey(k []byte, bucket int64, clientID, nonce string) []byte {
	return append(part(appendNonceBucket(k, bucket), clientID), nonce...)
}

func nanoTime(n int64) time.Time { return time.Unix(0, n).UTC() }
