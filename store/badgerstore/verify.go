package badgerstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

// Report is what Verify found.
type Report struct {
	Orders, Payments, Evidence, Events, Deliveries, Attempts, Cases, Nonces int
	Refunds, Splits, Payers, Tallies, Grants, AccountTokens                 int

	// Waiting counts the entries of the due index, Open those of the index of
	// open orders, Tasks those of the index of tasks, Expiring those of the
	// index of grants.
	Waiting, Open, Tasks, Expiring int

	// Problems counts rows that are damaged or do not fit the others;
	// Examples describes the first of them, without content.
	Problems int
	Examples []error
}

// maxExamples is how many problems a report describes.
const maxExamples = 20

// Err is nil when nothing is wrong, and otherwise names the problems.
func (r *Report) Err() error {
	if r.Problems == 0 {
		return nil
	}
	return fmt.Errorf("%d rows are damaged or do not fit: %w", r.Problems, errors.Join(r.Examples...))
}

// Verify reads every row of one state of the store, while work goes on. It
// checks each checksum, that each index entry leads to the record that it is
// of, and that each record has its entries: a delivery that waits stands in
// the due index exactly once, at its time, and a grant in the index by expiry.
// An order, its refunds and its splits name each other. The error is about the
// reading itself; what is wrong with the rows is in the report.
func (s *Store) Verify(ctx context.Context) (*Report, error) {
	v := &verifier{ctx: ctx}
	err := s.view(ctx, func(r *reader) error {
		v.src = r.src
		return v.run()
	})
	if err != nil {
		return nil, fmt.Errorf("verifying the store: %w", err)
	}
	return &v.report, nil
}

type verifier struct {
	ctx    context.Context //nolint:containedctx // of the one call that the verifier lives for
	src    source
	report Report

	// What the records say how many entries an index has. As each entry is
	// proved to be its record's, equal numbers mean that none is missing.
	dueWant, openWant, taskWant, tokenWant, refundNoWant int
	tokens, eventIDs, caseOfs, refundNos, splitNos       int
}

var errUnfit = errors.New("index entry that does not fit its record")

func (v *verifier) run() error {
	rows := 0
	err := v.src.scan(nil, nil, nil, func(key, row []byte) (bool, error) {
		if rows++; rows%1024 == 0 {
			if err := v.ctx.Err(); err != nil {
				return false, err
			}
		}
		if err := v.row(key, row); err != nil {
			v.problem(err)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	v.compare("due index", v.report.Waiting, v.dueWant)
	v.compare("index of open orders", v.report.Open, v.openWant)
	v.compare("index of tasks", v.report.Tasks, v.taskWant)
	v.compare("index of grants", v.report.Expiring, v.report.Grants)
	v.compare("index of tokens", v.tokens, v.tokenWant)
	v.compare("index of refund numbers", v.refundNos, v.refundNoWant)
	v.compare("index of split numbers", v.splitNos, v.report.Splits)
	v.compare("index of events", v.eventIDs, v.report.Events)
	if v.caseOfs > v.report.Cases {
		v.compare("index of cases", v.caseOfs, v.report.Cases)
	}
	return nil
}

func (v *verifier) problem(err error) {
	v.report.Problems++
	if len(v.report.Examples) < maxExamples {
		v.report.Examples = append(v.report.Examples, err)
	}
}

func (v *verifier) compare(what string, got, want int) {
	if got != want {
		v.problem(fmt.Errorf("%s: %d entries for %d records", what, got, want))
	}
}

func (v *verifier) row(key, row []byte) error {
	switch key[0] {
	case prefixOrder:
		return v.order(key, row)
	case prefixPayment:
		return v.payment(key, row)
	case prefixEvidence:
		v.report.Evidence++
		e, err := store.DecodeEvidence(row)
		return fits(err, key, append(appendEvidencePrefix(nil, e.Payment), e.ID...))
	case prefixEvent:
		v.report.Events++
		e, err := store.DecodeEvent(row)
		return fits(err, key, appendEventKey(nil, e.ClientID, e.Seq))
	case prefixDelivery:
		return v.delivery(key, row)
	case prefixAttempt:
		v.report.Attempts++
		a, err := store.DecodeAttempt(row)
		return fits(err, key, appendAttemptKey(nil, a.EventID, a.Number))
	case prefixCase:
		v.report.Cases++
		c, err := store.DecodeCase(row)
		return fits(err, key, appendCaseKey(nil, c.ID))
	case prefixRefund:
		return v.refund(key, row)
	case prefixSplit:
		return v.split(key, row)
	case prefixPayer:
		v.report.Payers++
		p, err := store.DecodePayer(row)
		return fits(err, key, appendPayerKey(nil, p.OpenID))
	case prefixGrant:
		return v.grant(key, row)
	case prefixLent:
		v.report.AccountTokens++
		a, err := store.DecodeAccountToken(row)
		return fits(err, key, appendLentKey(nil, a.TokenKey))
	case prefixTally:
		v.report.Tallies++
		_, err := store.DecodeTally(row)
		return err
	default:
		return v.index(key, row)
	}
}

// fits compares a record's key with the one that it stands under.
func fits(err error, got, want []byte) error {
	if err == nil && !bytes.Equal(got, want) {
		return fmt.Errorf("row of kind %q: %w: it stands under another key", got[0], relay.ErrCorrupt)
	}
	return err
}

func (v *verifier) order(key, row []byte) error {
	v.report.Orders++
	o, err := store.DecodeOrder(row)
	if err := fits(err, key, appendOrderKey(nil, o.OrderKey)); err != nil {
		return err
	}
	if o.Status.Open() {
		v.openWant++
	}
	if o.Token != "" {
		v.tokenWant++
	}
	if err := v.refundsOf(&o); err != nil {
		return err
	}
	return v.splitsOf(&o)
}

func (v *verifier) payment(key, row []byte) error {
	v.report.Payments++
	p, err := store.DecodePayment(row)
	if err := fits(err, key, appendPaymentKey(nil, p.PaymentKey)); err != nil {
		return err
	}
	if !p.AskAt.IsZero() {
		v.taskWant++
	}
	return nil
}

func (v *verifier) delivery(key, row []byte) error {
	v.report.Deliveries++
	d, err := store.DecodeDelivery(row)
	if err := fits(err, key, appendDeliveryKey(nil, d.EventID)); err != nil {
		return err
	}
	if !d.NextAt().IsZero() {
		v.dueWant++
	}
	return nil
}

func (v *verifier) index(key, row []byte) error {
	switch key[0] {
	case prefixDue:
		v.report.Waiting++
		return v.due(key)
	case prefixOpenOrder:
		v.report.Open++
		return v.openOrder(key)
	case prefixToken:
		v.tokens++
		return v.token(key, row)
	case prefixEventID:
		v.eventIDs++
		return v.eventID(key, row)
	case prefixCaseOf:
		v.caseOfs++
		return v.caseOf(key, row)
	case prefixTransaction:
		return v.transaction(key, row)
	case prefixTask:
		v.report.Tasks++
		return v.task(key)
	case prefixExpiring:
		v.report.Expiring++
		return v.expiring(key)
	case prefixRefundNo:
		v.refundNos++
		return v.refundNo(key, row)
	case prefixSplitNo:
		v.splitNos++
		return v.splitNo(key, row)
	case prefixNonce:
		v.report.Nonces++
		_, err := store.Open(store.KindNonce, row)
		return err
	case prefixMeta:
		_, err := store.Open(store.KindMeta, row)
		return err
	default:
		return fmt.Errorf("row of kind %q: %w: no such kind", key[0], relay.ErrCorrupt)
	}
}

func (v *verifier) due(key []byte) error {
	n := duePrefixLen(key)
	if n == 0 {
		return errUnfit
	}
	row, err := v.src.get(store.KindDelivery, appendDeliveryKey(nil, parseDue(key[n:]).EventID))
	if err != nil {
		return missingIsCorrupt(err)
	}
	d, err := store.DecodeDelivery(row)
	if err == nil && !bytes.Equal(key, appendDueKey(nil, d.Destination(), d.NextAt(), d.EventID)) {
		return errUnfit
	}
	return err
}

func (v *verifier) openOrder(key []byte) error {
	if len(key) < 1+8 {
		return errUnfit
	}
	k, _ := parseOrderKey(key[1+8:])
	row, err := v.src.get(store.KindOrder, appendOrderKey(nil, k))
	if err != nil {
		return missingIsCorrupt(err)
	}
	o, err := store.DecodeOrder(row)
	if err == nil && (!o.Status.Open() || !bytes.Equal(key, appendOpenKey(nil, o.ExpiresAt, k))) {
		return errUnfit
	}
	return err
}

func (v *verifier) token(key, row []byte) error {
	p, err := store.Open(store.KindIndex, row)
	if err != nil {
		return err
	}
	k, _ := parseOrderKey(p)
	row, err = v.src.get(store.KindOrder, appendOrderKey(nil, k))
	if err != nil {
		return missingIsCorrupt(err)
	}
	o, err := store.DecodeOrder(row)
	if err == nil && o.Token != string(key[1:]) {
		return errUnfit
	}
	return err
}

func (v *verifier) eventID(key, row []byte) error {
	p, err := store.Open(store.KindIndex, row)
	if err != nil {
		return err
	}
	if len(p) < 8 {
		return errIndexRow
	}
	row, err = v.src.get(store.KindEvent, appendEventKey(nil, string(p[8:]), binary.BigEndian.Uint64(p)))
	if err != nil {
		return missingIsCorrupt(err)
	}
	e, err := store.DecodeEvent(row)
	if err == nil && e.ID != string(key[1:]) {
		return errUnfit
	}
	return err
}

func (v *verifier) caseOf(key, row []byte) error {
	p, err := store.Open(store.KindIndex, row)
	if err != nil {
		return err
	}
	row, err = v.src.get(store.KindCase, appendCaseKey(nil, string(p)))
	if err != nil {
		return missingIsCorrupt(err)
	}
	c, err := store.DecodeCase(row)
	if err == nil && !bytes.Equal(key, appendCaseOfKey(nil, c.Kind, c.Payment)) {
		return errUnfit
	}
	return err
}
