package badgerstore

import (
	"bytes"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

func appendTransactionKey(k []byte, mchID, transactionID string) []byte {
	return append(part(append(k, prefixTransaction), mchID), transactionID...)
}

// PaymentByTransaction finds the payment that a transaction of WeChat's paid.
func (r *reader) PaymentByTransaction(mchID, transactionID string) (relay.PaymentKey, error) {
	if hasZero(mchID) {
		return relay.PaymentKey{}, relay.ErrNotFound
	}
	var buf [keyRoom]byte
	row, err := r.src.get(store.KindIndex, appendTransactionKey(buf[:0], mchID, transactionID))
	if err != nil {
		return relay.PaymentKey{}, err
	}
	no, err := store.Open(store.KindIndex, row)
	return relay.PaymentKey{MchID: mchID, OutTradeNo: string(no)}, err
}

// indexTransaction keeps the index by WeChat's number.
func (t *tx) indexTransaction(old, p *relay.Payment) error {
	if p.TransactionID == "" || p.TransactionID == old.TransactionID {
		return nil
	}
	if err := t.check(store.KindPayment, p.MchID, p.TransactionID); err != nil {
		return err
	}
	var buf [keyRoom]byte
	return t.putIndex(store.KindIndex, appendTransactionKey(buf[:0], p.MchID, p.TransactionID), []byte(p.OutTradeNo))
}

// transaction checks that an entry leads to a payment that says the same.
func (v *verifier) transaction(key, row []byte) error {
	no, err := store.Open(store.KindIndex, row)
	if err != nil {
		return err
	}
	mchID, _, _ := bytes.Cut(key[1:], []byte{0})
	found, err := v.src.get(store.KindPayment, appendPaymentKey(nil, relay.PaymentKey{MchID: string(mchID), OutTradeNo: string(no)}))
	if err != nil {
		return missingIsCorrupt(err)
	}
	p, err := store.DecodePayment(found)
	if err == nil && !bytes.Equal(key, appendTransactionKey(nil, p.MchID, p.TransactionID)) {
		err = errUnfit
	}
	return err
}
