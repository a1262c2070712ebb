package sandbox

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// The rules of profit sharing (v3.md 16).
const (
	shareEarliest = time.Minute // after the payment; only while a fault says so
	sharePeriod   = 30 * 24 * time.Hour
	returnPeriod  = 180 * 24 * time.Hour
	maxShares     = 50   // of an order
	maxReceivers  = 50   // of a share
	standardRatio = 3000 // of 10000: what of an order can be shared at most

	// shareDelay is how long a share or a return is processed, before scaling.
	shareDelay = 2 * time.Second
)

// The kinds of receivers.
const (
	receiverMerchant  = "MERCHANT_ID"
	receiverOpenID    = "PERSONAL_OPENID"
	receiverSubOpenID = "PERSONAL_SUB_OPENID"
)

// shareState is how far a share has come. FINISHED says that the run is
// over; what became of the money is told receiver by receiver.
type shareState string

const (
	shareProcessing shareState = "PROCESSING"
	shareFinished   shareState = "FINISHED"
)

// shareResult is what became of the money of one receiver.
type shareResult string

const (
	resultPending shareResult = "PENDING"
	resultSuccess shareResult = "SUCCESS"
	resultClosed  shareResult = "CLOSED"
)

// returnResult is what became of money that a receiver gives back.
type returnResult string

const (
	returnProcessing returnResult = "PROCESSING"
	returnSuccess    returnResult = "SUCCESS"
	returnFailed     returnResult = "FAILED"
)

// failAccount is WeChat's reason when a receiver's account does not work.
const failAccount = "ACCOUNT_ABNORMAL"

// Conditions that the ledger reports of profit sharing. Beside these it
// reports errNoOrder, errNotPaid and errOtherContent.
var (
	errNoShare       = errors.New("no such share")
	errNoReturn      = errors.New("no such return")
	errNotShared     = errors.New("the order was not made for profit sharing")
	errShareTooSoon  = errors.New("the order was paid less than a minute ago")
	errShareOver     = errors.New("nothing of the order is frozen any more")
	errShareExceeds  = errors.New("more than what is left of the order would be shared")
	errShareRatio    = errors.New("more than the agreed part of the order would be shared")
	errShareTooMany  = errors.New("the order has 50 shares")
	errNoReceiver    = errors.New("the receiver was not added before")
	errReturnFrom    = errors.New("the merchant got nothing of this share")
	errReturnExceeds = errors.New("more than the receiver got would be returned")
	errReturnOverdue = errors.New("the share is older than 180 days")
	errReturnEarly   = errors.New("the share is still processed")
)

// receiver is who may get a part of a merchant's money.
type receiver struct {
	MchID    string // that shares
	SubMchID string
	Kind     string
	Account  string
}

// shareKey names a share: the number is unique per merchant.
type shareKey struct{ MchID, OutOrderNo string }

// sharePart is what one receiver gets.
type sharePart struct {
	Kind        string
	Account     string
	AmountFen   int64
	Description string
	Result      shareResult
	FailReason  string
	DetailID    string
	ReturnedFen int64
	CreatedAt   time.Time
	FinishedAt  time.Time
}

// share is one run of profit sharing of an order. Values are copies; the
// ledger keeps its own.
type share struct {
	shareKey
	SubMchID      string
	TransactionID string
	Content       string // what a repeat must be equal to
	Parts         []sharePart
	Unfreeze      bool // the rest goes to the merchant
	UnfreezeOnly  bool // nobody else gets anything

	OutTradeNo string
	OrderID    string
	State      shareState
	Closed     bool // the first receiver's account will not work
	CreatedAt  time.Time
}

// returnKey names a return: the number is unique per merchant.
type returnKey struct{ MchID, OutReturnNo string }

// shareReturn is money that a receiver gives back.
type shareReturn struct {
	returnKey
	SubMchID    string
	OutOrderNo  string
	ReturnMchID string
	AmountFen   int64
	Description string

	OrderID    string
	ReturnID   string
	Result     returnResult
	FailReason string
	Fails      bool
	CreatedAt  time.Time
	FinishedAt time.Time
}

// sameRequest reports whether two returns ask for the same.
func (r *shareReturn) sameRequest(asked *shareReturn) bool {
	return r.OutOrderNo == asked.OutOrderNo && r.ReturnMchID == asked.ReturnMchID &&
		r.AmountFen == asked.AmountFen && r.Description == asked.Description && r.SubMchID == asked.SubMchID
}

// copied returns a share whose parts nobody else holds.
func (sh *share) copied() share {
	c := *sh
	c.Parts = slices.Clone(sh.Parts)
	return c
}

// sum is what the receivers get together.
func (sh *share) sum() int64 {
	var sum int64
	for _, part := range sh.Parts {
		sum += part.AmountFen
	}
	return sum
}

// frozen is what of an order can still be shared; after 30 days it is the
// merchant's own.
func (o *order) frozen(now time.Time) int64 {
	if now.Sub(o.PaidAt) > sharePeriod {
		return 0
	}
	return o.FrozenFen
}

// share starts a share and sees to its end.
func (s *Sandbox) share(m *merchant, asked share) (share, error) {
	made, fresh, err := s.ledger.share(asked, m.shareRatio(), s.faults.happens)
	if err != nil || !fresh {
		return made, err
	}
	key := made.shareKey
	if err := s.notifier.after(s.notifier.scaled(shareDelay), func() { s.ledger.finishShare(key) }); err != nil {
		return share{}, fmt.Errorf("processing a share: %w", err)
	}
	return made, nil
}

// returnShare starts a return and sees to its end.
func (s *Sandbox) returnShare(asked shareReturn) (shareReturn, error) {
	made, fresh, err := s.ledger.returnShare(asked, s.faults.happens)
	if err != nil || !fresh {
		return made, err
	}
	key := made.returnKey
	if err := s.notifier.after(s.notifier.scaled(shareDelay), func() { s.ledger.finishReturn(key) }); err != nil {
		return shareReturn{}, fmt.Errorf("processing a return: %w", err)
	}
	return made, nil
}

// shareRatio is what of an order the merchant can share, in ten-thousandths.
func (m *merchant) shareRatio() int64 {
	if m.MaxShareRatio == 0 {
		return standardRatio
	}
	return int64(m.MaxShareRatio)
}
