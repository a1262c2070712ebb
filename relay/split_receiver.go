package relay

import (
	"context"
	"slices"
	"unicode/utf8"
)

// receiversWord stands in the paths where a split's number would, so that no
// split may be called so.
const receiversWord = "receivers"

const relationCustom = "CUSTOM"

// relations are WeChat's words for what a receiver is to a merchant.
var relations = []string{
	"SERVICE_PROVIDER", "STORE", "STAFF", "STORE_OWNER", "PARTNER", "HEADQUARTER", "BRAND", "DISTRIBUTOR", "USER", "SUPPLIER", relationCustom,
}

// ReceiverRequest is the body of POST /v1/profit-sharing/receivers and of
// …/receivers/delete, where type and account are enough.
type ReceiverRequest struct {
	Type           ReceiverType `json:"type"`
	Account        string       `json:"account"`
	Name           string       `json:"name"`
	RelationType   string       `json:"relation_type"`
	CustomRelation string       `json:"custom_relation"`
}

// ReceiverView is the answer to both.
type ReceiverView struct {
	Type         ReceiverType `json:"type"`
	Account      string       `json:"account"`
	RelationType string       `json:"relation_type,omitempty"`
}

func (req *ReceiverRequest) check() error {
	if err := checkReceiver("", req.Type, req.Account, req.Name); err != nil {
		return err
	}
	switch {
	case req.Type == ReceiverMerchant && req.Name == "":
		return refuse(KindParam, "name", "needed for merchant_id: the merchant's full name")
	case !slices.Contains(relations, req.RelationType):
		return refuse(KindParam, "relation_type", "one of WeChat's words, such as STORE, STAFF, PARTNER, SUPPLIER or CUSTOM")
	case (req.RelationType == relationCustom) != (req.CustomRelation != ""):
		return refuse(KindParam, "custom_relation", "goes with relation_type CUSTOM, and that with it")
	case req.CustomRelation != "" && (!shareText(req.CustomRelation, 4*maxCustomRelation) || utf8.RuneCountInString(req.CustomRelation) > maxCustomRelation):
		return refuse(KindParam, "custom_relation", "at most 10 characters")
	}
	return nil
}

// AddReceiver makes somebody a receiver of the money of the client's
// merchant; doing it twice is harmless.
func (s *Service) AddReceiver(ctx context.Context, caller *Caller, req ReceiverRequest) (ReceiverView, error) {
	if err := req.check(); err != nil {
		return ReceiverView{}, err
	}
	return s.changeReceiver(ctx, caller, &req, SharingGateway.AddReceiver)
}

// DeleteReceiver ends that somebody is a receiver; doing it twice is harmless.
func (s *Service) DeleteReceiver(ctx context.Context, caller *Caller, req ReceiverRequest) (ReceiverView, error) {
	if err := checkReceiver("", req.Type, req.Account, ""); err != nil {
		return ReceiverView{}, err
	}
	if req.Name != "" || req.RelationType != "" || req.CustomRelation != "" {
		return ReceiverView{}, refuse(KindParam, "", "type and account are enough to delete a receiver")
	}
	return s.changeReceiver(ctx, caller, &req, SharingGateway.DeleteReceiver)
}

func (s *Service) changeReceiver(ctx context.Context, caller *Caller, req *ReceiverRequest, change func(SharingGateway, context.Context, *Receiver) error) (ReceiverView, error) {
	m, err := s.merchantOf(caller.Client)
	if err != nil {
		return ReceiverView{}, err
	}
	g, err := s.sharing(caller.Client, m)
	if err != nil {
		return ReceiverView{}, err
	}
	if err := s.useNonce(ctx, caller); err != nil {
		return ReceiverView{}, err
	}
	err = change(g, ctx, &Receiver{
		SubMchID: m.SubMchID, SubAppID: m.SubAppID, AppID: s.ownApp(m),
		Type: req.Type, Account: req.Account, Name: req.Name, RelationType: req.RelationType, CustomRelation: req.CustomRelation,
	})
	if err != nil {
		return ReceiverView{}, upstream(err)
	}
	return ReceiverView{Type: req.Type, Account: req.Account, RelationType: req.RelationType}, nil
}
