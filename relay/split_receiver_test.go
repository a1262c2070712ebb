package relay_test

import (
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

func TestReceivers(t *testing.T) {
	t.Parallel()
	s := newSharing(t, memstore.New(), time.Hour)
	good := relay.ReceiverRequest{Type: relay.ReceiverMerchant, Account: "1900000300", Name: "Marker Ltd", RelationType: "SUPPLIER"}
	v, err := s.AddReceiver(t.Context(), s.caller(s.client), good)
	if err != nil || v.Account != good.Account || len(s.w.changed) != 1 || s.w.changed[0].Name != "Marker Ltd" || s.w.changed[0].AppID != testAppID {
		t.Errorf("AddReceiver = %+v, %v, WeChat got %+v", v, err, s.w.changed)
	}
	if _, err := s.DeleteReceiver(t.Context(), s.caller(s.client), relay.ReceiverRequest{Type: relay.ReceiverMerchant, Account: "1900000300"}); err != nil {
		t.Errorf("DeleteReceiver: %v", err)
	}
	for name, change := range map[string]func(*relay.ReceiverRequest){
		"merchant without a name":      func(r *relay.ReceiverRequest) { r.Name = "" },
		"unknown relation":             func(r *relay.ReceiverRequest) { r.RelationType = "FRIEND" },
		"custom without words":         func(r *relay.ReceiverRequest) { r.RelationType = "CUSTOM" },
		"words without custom":         func(r *relay.ReceiverRequest) { r.CustomRelation = "friend" },
		"long words":                   func(r *relay.ReceiverRequest) { r.RelationType, r.CustomRelation = "CUSTOM", strings.Repeat("友", 11) },
		"account of no merchant":       func(r *relay.ReceiverRequest) { r.Account = "x" },
		"kind of receiver":             func(r *relay.ReceiverRequest) { r.Type = "person" },
		"account with a second header": func(r *relay.ReceiverRequest) { r.Type, r.Account = relay.ReceiverOpenID, "o\r\nx" },
	} {
		r := good
		change(&r)
		if _, err := s.AddReceiver(t.Context(), s.caller(s.client), r); kindOf(err) != relay.KindParam {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.DeleteReceiver(t.Context(), s.caller(s.client), good); kindOf(err) != relay.KindParam {
		t.Errorf("deleting with a name: %v", err)
	}
	s.w.fail["add_receiver"] = &relay.GatewayError{Op: "add_receiver", HTTPStatus: 403, Code: "NO_AUTH"}
	if _, err := s.AddReceiver(t.Context(), s.caller(s.client), good); kindOf(err) != relay.KindUpstream {
		t.Errorf("refused: %v", err)
	}
	other := s.ClientByID("2000000000000002")
	if _, err := s.AddReceiver(t.Context(), s.caller(other), good); kindOf(err) != relay.KindNoAuth {
		t.Errorf("client without the right: %v", err)
	}
}
