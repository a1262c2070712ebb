package relay

import "context"

// SharingGateway is the power of a Gateway to share the money of payments,
// which only APIv3 has. Repeats with the same numbers are harmless.
type SharingGateway interface {
	// Split tells WeChat of a split, or of an unfreezing when it has no
	// receivers.
	Split(ctx context.Context, sp *Split) (SplitStatement, error)
	// QuerySplit asks what became of it.
	QuerySplit(ctx context.Context, sp *Split) (SplitStatement, error)
	// ReturnSplit takes back what a receiver got.
	ReturnSplit(ctx context.Context, sp *Split, r *SplitReturn) (ReturnStatement, error)
	// QueryReturn asks what became of that.
	QueryReturn(ctx context.Context, sp *Split, r *SplitReturn) (ReturnStatement, error)
	// AddReceiver makes somebody a receiver, and DeleteReceiver ends that.
	AddReceiver(ctx context.Context, r *Receiver) error
	DeleteReceiver(ctx context.Context, r *Receiver) error
}

// SplitStatement is WeChat's word on a split.
type SplitStatement struct {
	WeChatID  string
	Finished  bool                // the run ended; each receiver has a result
	Receivers []ReceiverStatement // others than ours may be among them
}

// ReceiverStatement is WeChat's word on one part of a split.
type ReceiverStatement struct {
	Type       ReceiverType
	Account    string
	AmountFen  int64
	Result     ShareResult
	FailReason string
}

// ReturnStatement is WeChat's word on a return.
type ReturnStatement struct {
	ReturnID   string
	Status     SplitReturnStatus
	FailReason string
}

// Receiver is who may get parts of a merchant's money.
type Receiver struct {
	SubMchID       string
	SubAppID       string
	AppID          string
	Type           ReceiverType
	Account        string
	Name           string
	RelationType   string // WeChat's word
	CustomRelation string
}
