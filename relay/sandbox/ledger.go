package sandbox

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
)

// ledger is the list of orders, at most limit of them: the oldest are
// forgotten. Safe for concurrent use.
type ledger struct {
	now   func() time.Time
	rand  io.Reader
	limit int

	mu      sync.Mutex // guards what follows
	orders  map[orderKey]*order
	oldest  []orderKey // in the order of creation
	refunds map[refundKey]*refund
	shares  map[shareKey]*share
	returns map[returnKey]*shareReturn
	serial  uint64 // of all ids that WeChat gives

	receivers []receiver // of profit sharing
}

// newLedger makes an empty ledger.
func newLedger(now func() time.Time, random io.Reader, limit int) *ledger {
	return &ledger{
		now: now, rand: random, limit: limit,
		orders: map[orderKey]*order{}, refunds: map[refundKey]*refund{},
		shares: map[shareKey]*share{}, returns: map[returnKey]*shareReturn{},
	}
}

// prepare creates the order, or repeats its creation when asked gives the
// same content: both make a fresh prepay id or code, and the old one dies.
func (l *ledger) prepare(asked order) (order, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	known := l.find(asked.orderKey, now)
	if known != nil {
		switch {
		case known.Paid():
			return order{}, errPaid
		case known.State == stateClosed:
			return order{}, errClosed
		case known.Content != asked.Content || known.TradeType != asked.TradeType:
			return order{}, errOtherContent
		}
	} else {
		known = &asked
		known.State = stateNotPay
		known.CreatedAt = now
	}
	token := make([]byte, 10)
	if _, err := io.ReadFull(l.rand, token); err != nil {
		return order{}, fmt.Errorf("reading random bytes: %w", err)
	}
	known.PrepayID = "wx" + now.In(beijing.Zone).Format("20060102150405") + hex.EncodeToString(token)
	switch known.TradeType {
	case tradeNative:
		known.CodeURL = "weixin://wxpay/bizpayurl?pr=SANDBOX" + hex.EncodeToString(token[:6])
	case tradeH5:
		known.H5Package = strconv.FormatUint(uint64(binary.BigEndian.Uint32(token)), 10)
		known.OpenedBy = ""
	}
	known.PreparedAt = now
	l.add(known)
	return *known, nil
}

// add keeps a new order and forgets the oldest ones above the limit.
func (l *ledger) add(o *order) {
	if l.orders[o.orderKey] != nil {
		return
	}
	l.orders[o.orderKey] = o
	l.oldest = append(l.oldest, o.orderKey)
	for len(l.oldest) > l.limit {
		l.forget(l.oldest[0])
		l.oldest = l.oldest[1:]
	}
}

// forget removes an order and what belongs to it. The caller holds mu.
func (l *ledger) forget(key orderKey) {
	for _, number := range l.orders[key].Refunds {
		delete(l.refunds, refundKey{MchID: key.MchID, OutRefundNo: number})
	}
	l.forgetShares(l.orders[key])
	delete(l.orders, key)
}

// find returns the living record of an order, closed if its time ran out.
// The caller holds mu.
func (l *ledger) find(key orderKey, now time.Time) *order {
	o := l.orders[key]
	if o != nil && o.State == stateNotPay && !now.Before(o.ExpiresAt) {
		o.State = stateClosed
	}
	return o
}

// byNumber returns an order.
func (l *ledger) byNumber(key orderKey) (order, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := l.find(key, l.now()); o != nil {
		return *o, nil
	}
	return order{}, errNoOrder
}

// byTransaction returns the paid order with this transaction id.
func (l *ledger) byTransaction(mchID, transactionID string) (order, error) {
	return l.search(func(o *order) bool {
		return o.MchID == mchID && o.TransactionID == transactionID && transactionID != ""
	})
}

// byCode returns the order whose code this is.
func (l *ledger) byCode(codeURL string) (order, error) {
	o, err := l.search(func(o *order) bool { return o.CodeURL == codeURL && codeURL != "" })
	if err != nil {
		return order{}, errCodeDead
	}
	return o, nil
}

// byPrepayID returns the order whose prepay id this is.
func (l *ledger) byPrepayID(prepayID string) (order, error) {
	return l.search(func(o *order) bool { return o.PrepayID == prepayID && prepayID != "" })
}

// byOutTradeNo returns the newest order with this number, whoever its
// merchant is.
func (l *ledger) byOutTradeNo(outTradeNo string) (order, error) {
	return l.search(func(o *order) bool { return o.OutTradeNo == outTradeNo })
}

// search returns the newest order that fits.
func (l *ledger) search(fits func(*order) bool) (order, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for _, key := range slices.Backward(l.oldest) {
		if o := l.find(key, now); fits(o) {
			return *o, nil
		}
	}
	return order{}, errNoOrder
}

// newest lists up to limit orders, newest first.
func (l *ledger) newest(limit int) []order {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	var list []order
	for _, key := range slices.Backward(l.oldest) {
		if len(list) == limit {
			break
		}
		list = append(list, *l.find(key, now))
	}
	return list
}

// close closes an unpaid order; closing twice is harmless.
func (l *ledger) close(key orderKey) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.find(key, l.now())
	switch {
	case o == nil:
		return errNoOrder
	case o.Paid():
		return errPaid
	}
	o.State = stateClosed
	return nil
}

// open notes whose phone opened an h5_url: one address serves one user
// (v3.md 9).
func (l *ledger) open(key orderKey, userID string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.find(key, l.now())
	switch {
	case o == nil:
		return errNoOrder
	case o.OpenedBy != "" && o.OpenedBy != userID:
		return errOtherPayer
	}
	o.OpenedBy = userID
	return nil
}

// pay marks an order paid by who with paidFen. With force a closed order is
// paid too, as when the buyer was faster than the close.
func (l *ledger) pay(key orderKey, who buyer, paidFen int64, force bool) (order, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	o := l.find(key, now)
	switch {
	case o == nil:
		return order{}, errNoOrder
	case o.Paid():
		return order{}, errPaid
	case o.State == stateClosed && !force:
		return order{}, errClosed
	case now.Sub(o.PreparedAt) >= prepayLife && !force:
		return order{}, errCodeDead
	case o.OpenID != "" && o.OpenID != who.OpenID, o.SubOpenID != "" && o.SubOpenID != who.SubOpenID:
		return order{}, errOtherPayer
	}
	o.State = stateSuccess
	o.PaidAt = now
	o.PaidBy = who.OpenID
	o.PaidBySub = who.SubOpenID
	o.PaidFen = paidFen
	if o.ProfitSharing {
		o.FrozenFen = paidFen
	}
	o.TransactionID = l.newID("9999", now)
	return *o, nil
}

// newID gives an id of 28 digits as WeChat's are, in a range that WeChat does
// not use. The caller holds mu.
func (l *ledger) newID(prefix string, now time.Time) string {
	l.serial++
	return fmt.Sprintf("%s%s%010d%06d", prefix, now.In(beijing.Zone).Format("20060102"), now.Unix(), l.serial%1000000)
}
