package relay

import "time"

// SplitStatus says how far a split has come, spelled as clients read it.
type SplitStatus string

// The states of a split. It starts as processing, before WeChat is told.
const (
	SplitProcessing SplitStatus = "processing"
	SplitFinished   SplitStatus = "finished" // each receiver has a result
	SplitFailed     SplitStatus = "failed"   // WeChat refused all of it; nobody got anything
)

// ReceiverType is what kind of account a receiver's is, spelled as clients
// spell it.
type ReceiverType string

// The kinds of receivers (v3.md section 16).
const (
	ReceiverMerchant  ReceiverType = "merchant_id"
	ReceiverOpenID    ReceiverType = "personal_openid"
	ReceiverSubOpenID ReceiverType = "personal_sub_openid" // in the app of a service provider's merchant
)

// ShareResult is what became of one receiver's part.
type ShareResult string

// The results.
const (
	SharePending ShareResult = "pending"
	ShareSuccess ShareResult = "success"
	ShareClosed  ShareResult = "closed" // not given; the money is the merchant's again
)

// SplitReceiver is who gets a part of an order's money.
type SplitReceiver struct {
	Type        ReceiverType
	Account     string
	Name        string // in plain text until WeChat has taken the split, then forgotten
	AmountFen   int64
	Description string
	Result      ShareResult
	FailReason  string // WeChat's word, with ShareClosed
}

// SplitReturnStatus says how far a return is, spelled as clients read it.
type SplitReturnStatus string

// The states of a return. It starts as processing, before WeChat is told.
const (
	ReturnProcessing SplitReturnStatus = "processing"
	ReturnSucceeded  SplitReturnStatus = "succeeded"
	ReturnFailed     SplitReturnStatus = "failed"
)

// SplitReturn is shared money that comes back from a receiver.
type SplitReturn struct {
	OutReturnNo string // at WeChat, made by the relay
	ReturnNo    string // the client's own, unique within the split
	Account     string // the receiver, a merchant
	AmountFen   int64
	Description string
	Status      SplitReturnStatus
	FailReason  string // WeChat's word, with ReturnFailed
	CreatedAt   time.Time
	ReturnID    string // WeChat's own number; empty until WeChat accepted
}

// SplitKey names a split. WeChat wants the number unique per merchant.
type SplitKey struct {
	MchID      string
	OutOrderNo string
}

// Split shares money of a paid order, or ends the sharing. The store has it
// before WeChat is told, so that every repeat has the same number and cannot
// share twice. What comes back later is kept with it. Records read from a
// store share memory with it: change the fields of a copy, never what slices
// point to.
type Split struct {
	SplitKey
	ClientID string
	SplitNo  string // the client's own number
	OrderNo  string
	Digest   string // of what the client asked for, by which a repeat is told

	// What was and is sent to WeChat, the same on every repeat.
	SubMchID      string
	SubAppID      string
	AppID         string
	OutTradeNo    string
	TransactionID string
	Receivers     []SplitReceiver // none: only the unfreezing
	Unfreeze      bool            // what nobody shares is the merchant's at once
	Description   string          // of an unfreezing without receivers

	Status    SplitStatus
	CreatedAt time.Time
	WeChatID  string // WeChat's own number; empty until WeChat accepted
	FailCode  string // WeChat's code of the last refusal, kept while the split is tried again too

	Returns []SplitReturn

	// DueAt is when WeChat is told or asked next, of the split or of its
	// returns; zero when there is nothing to follow. Calls counts how often it
	// was since something new was to follow.
	DueAt time.Time
	Calls int
}

// SharedFen is what the split takes of the order's money: all that receivers
// got or may still get.
func (sp *Split) SharedFen() (fen int64) {
	if sp.Status == SplitFailed {
		return 0
	}
	for i := range sp.Receivers {
		if sp.Receivers[i].Result != ShareClosed {
			fen += sp.Receivers[i].AmountFen
		}
	}
	return fen
}

// ReturnedFen is what came back of it.
func (sp *Split) ReturnedFen() int64 {
	return sp.sumReturns(func(r *SplitReturn) bool { return r.Status == ReturnSucceeded })
}

// returningFen is what came back from one receiver, or is on its way.
func (sp *Split) returningFen(account string) int64 {
	return sp.sumReturns(func(r *SplitReturn) bool { return r.Account == account && r.Status != ReturnFailed })
}

func (sp *Split) sumReturns(counts func(*SplitReturn) bool) (fen int64) {
	for i := range sp.Returns {
		if counts(&sp.Returns[i]) {
			fen += sp.Returns[i].AmountFen
		}
	}
	return fen
}

// gotFen is what a merchant got by the split.
func (sp *Split) gotFen(account string) (fen int64) {
	for i := range sp.Receivers {
		if r := &sp.Receivers[i]; r.Type == ReceiverMerchant && r.Account == account && r.Result == ShareSuccess {
			fen += r.AmountFen
		}
	}
	return fen
}
