package web

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
)

// fakeSharing is the part of the fake relay that shares.
type fakeSharing struct {
	createSplit func(orderNo string, req relay.SplitRequest) (relay.SplitView, bool, error)
	split       func(splitNo string, refresh bool) (relay.SplitView, error)
	returnSplit func(splitNo string, req relay.SplitReturnRequest) (relay.SplitReturnView, bool, error)
	receiver    func(action string, req relay.ReceiverRequest) (relay.ReceiverView, error)
}

func (f *fakeSharing) CreateSplit(_ context.Context, _ *relay.Caller, orderNo string, req relay.SplitRequest) (v relay.SplitView, created bool, err error) {
	return f.createSplit(orderNo, req)
}

func (f *fakeSharing) Split(_ context.Context, _ *relay.Caller, splitNo string, refresh bool) (relay.SplitView, error) {
	return f.split(splitNo, refresh)
}

func (f *fakeSharing) ReturnSplit(_ context.Context, _ *relay.Caller, splitNo string, req relay.SplitReturnRequest) (v relay.SplitReturnView, created bool, err error) {
	return f.returnSplit(splitNo, req)
}

func (f *fakeSharing) AddReceiver(_ context.Context, _ *relay.Caller, req relay.ReceiverRequest) (relay.ReceiverView, error) {
	return f.receiver("add", req)
}

func (f *fakeSharing) DeleteReceiver(_ context.Context, _ *relay.Caller, req relay.ReceiverRequest) (relay.ReceiverView, error) {
	return f.receiver("delete", req)
}

// TestSharingRoutes: what is sent reaches relay as it is, and what relay says
// the client; a thing that was made answers 201 and a repeat 200.
func TestSharingRoutes(t *testing.T) {
	t.Parallel()
	view := relay.SplitView{
		SplitNo: "S1", OrderNo: "A1", OutOrderNo: "out1", Status: relay.SplitProcessing, Unfreeze: true, Returns: []relay.SplitReturnView{}, CreatedAt: "now",
		Receivers: []relay.SplitReceiverView{{Type: relay.ReceiverMerchant, Account: "19", Amount: 30, Description: "part", Result: relay.SharePending}},
	}
	const viewJSON = `{"split_no":"S1","order_no":"A1","out_order_no":"out1","status":"processing","receivers":[{"type":"merchant_id",` +
		`"account":"19","amount":30,"description":"part","result":"pending"}],"unfreeze":true,"returns":[],"created_at":"now"}`
	wantSplit := relay.SplitRequest{SplitNo: "S1", Unfreeze: true, Receivers: []relay.SplitReceiverRequest{
		{Type: relay.ReceiverMerchant, Account: "19", Name: "N", Amount: 30, Description: "part"},
	}}
	wantReturn := relay.SplitReturnRequest{ReturnNo: "B1", Account: "19", Amount: 5, Description: "back"}
	wantReceiver := relay.ReceiverRequest{Type: relay.ReceiverMerchant, Account: "19", Name: "N", RelationType: "CUSTOM", CustomRelation: "friend"}
	made, asksWeChat := true, false
	same := func(got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("relay got %+v, want %+v", got, want)
		}
	}
	f := newFace(t, &fakeService{fakeSharing: fakeSharing{
		createSplit: func(orderNo string, req relay.SplitRequest) (relay.SplitView, bool, error) {
			same(orderNo, "A1")
			same(req, wantSplit)
			return view, made, nil
		},
		split: func(splitNo string, refresh bool) (relay.SplitView, error) {
			same(splitNo, "S1")
			same(refresh, asksWeChat)
			return view, nil
		},
		returnSplit: func(splitNo string, req relay.SplitReturnRequest) (relay.SplitReturnView, bool, error) {
			same(splitNo, "S1")
			same(req, wantReturn)
			return relay.SplitReturnView{ReturnNo: "B1", OutReturnNo: "out2", SplitNo: "S1", Account: "19", Amount: 5, Description: "back", Status: relay.ReturnProcessing, CreatedAt: "now"}, made, nil
		},
		receiver: func(action string, req relay.ReceiverRequest) (relay.ReceiverView, error) {
			same(req, wantReceiver)
			return relay.ReceiverView{Type: req.Type, Account: req.Account, RelationType: action}, nil
		},
	}})
	const (
		splitBody    = `{"split_no":"S1","receivers":[{"type":"merchant_id","account":"19","name":"N","amount":30,"description":"part"}],"unfreeze":true}`
		returnBody   = `{"return_no":"B1","account":"19","amount":5,"description":"back"}`
		returnJSON   = `{"return_no":"B1","out_return_no":"out2","split_no":"S1","account":"19","amount":5,"description":"back","status":"processing","created_at":"now"}`
		receiverBody = `{"type":"merchant_id","account":"19","name":"N","relation_type":"CUSTOM","custom_relation":"friend"}`
	)
	for _, tt := range []struct {
		name, method, path, body string
		made                     bool
		status                   int
		want                     string // empty: an error
	}{
		{"split made", "POST", "/v1/orders/A1/profit-sharing", splitBody, true, 201, viewJSON},
		{"split repeated", "POST", "/v1/orders/A1/profit-sharing", splitBody, false, 200, viewJSON},
		{"split shown", "GET", "/v1/profit-sharing/S1", "", false, 200, viewJSON},
		{"split asked about", "GET", "/v1/profit-sharing/S1?refresh=true", "", false, 200, viewJSON},
		{"split asked about wrongly", "GET", "/v1/profit-sharing/S1?refresh=1", "", false, 400, ""},
		{"return made", "POST", "/v1/profit-sharing/S1/returns", returnBody, true, 201, returnJSON},
		{"return repeated", "POST", "/v1/profit-sharing/S1/returns", returnBody, false, 200, returnJSON},
		{"receiver added", "POST", "/v1/profit-sharing/receivers", receiverBody, false, 200, `{"type":"merchant_id","account":"19","relation_type":"add"}`},
		{"receiver deleted", "POST", "/v1/profit-sharing/receivers/delete", receiverBody, false, 200, `{"type":"merchant_id","account":"19","relation_type":"delete"}`},
		{"unknown member", "POST", "/v1/orders/A1/profit-sharing", `{"split_no":"S1","amount":1}`, false, 400, ""},
		{"unknown member of a receiver", "POST", "/v1/orders/A1/profit-sharing", `{"split_no":"S1","receivers":[{"id":"1"}]}`, false, 400, ""},
		{"amount as text", "POST", "/v1/profit-sharing/S1/returns", `{"return_no":"B1","amount":"5"}`, false, 400, ""},
		{"read with a query", "GET", "/v1/profit-sharing/S1?x=1", "", false, 400, ""},
		{"number that none can have", "GET", "/v1/profit-sharing/%2e", "", false, 404, ""},
		{"order that none can have", "POST", "/v1/orders/A%201/profit-sharing", splitBody, false, 404, ""},
		{"wrong method", "DELETE", "/v1/profit-sharing/receivers", "", false, 405, ""},
	} {
		made, asksWeChat = tt.made, strings.HasSuffix(tt.path, "refresh=true")
		w := f.do(t, tt.method, tt.path, tt.body, "Content-Type", "application/json")
		if w.Code != tt.status || tt.want != "" && w.Body.String() != tt.want {
			t.Errorf("%s: got %d %s, want %d %s", tt.name, w.Code, w.Body, tt.status, tt.want)
		}
	}
}

func TestSplitConflict(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{fakeSharing: fakeSharing{
		createSplit: func(string, relay.SplitRequest) (relay.SplitView, bool, error) {
			return relay.SplitView{}, false, refusal(relay.KindSplitConflict, "x")
		},
	}})
	w := f.do(t, http.MethodPost, "/v1/orders/A1/profit-sharing", `{"split_no":"S1"}`, "Content-Type", "application/json")
	if got := errorBody(t, w).Code; w.Code != http.StatusConflict || got != "SPLIT_CONFLICT" {
		t.Errorf("got %d %s, want 409 SPLIT_CONFLICT", w.Code, got)
	}
}
