package relay_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// sharingWeChat is a WeChat that shares: it takes splits and returns, and
// gives each the result that the test wants when it is asked.
type sharingWeChat struct {
	*fakeWeChat
	splits  map[string]relay.Split // as told first
	returns map[string]relay.SplitReturn
	results map[string]relay.ShareResult // by account; none: pending
	back    relay.SplitReturnStatus      // of returns
	lost    map[string]bool              // calls whose answer is lost after they took effect

	splitDone error // answers a split that took effect
	changed   []relay.Receiver
}

var errLost = errors.New("connection reset")

func (w *sharingWeChat) statement(no string) relay.SplitStatement {
	st := relay.SplitStatement{WeChatID: "wx" + no, Finished: true}
	sp := w.splits[no]
	for _, r := range sp.Receivers {
		result := w.results[r.Account]
		if result == "" {
			result, st.Finished = relay.SharePending, false
		}
		one := relay.ReceiverStatement{Type: r.Type, Account: r.Account, AmountFen: r.AmountFen, Result: result}
		if result == relay.ShareClosed {
			one.FailReason = "NO_RELATION"
		}
		st.Receivers = append(st.Receivers, one)
	}
	// WeChat names the merchant itself as the receiver of what it unfreezes.
	st.Receivers = append(st.Receivers, relay.ReceiverStatement{Type: relay.ReceiverMerchant, Account: testMchID, AmountFen: 1, Result: relay.ShareSuccess})
	return st
}

func (w *sharingWeChat) Split(_ context.Context, sp *relay.Split) (relay.SplitStatement, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.called("split", sp.OutOrderNo); err != nil && !w.lost["split"] {
		return relay.SplitStatement{}, err
	}
	told := *sp
	told.DueAt, told.Calls, told.FailCode = time.Time{}, 0, ""
	if before, ok := w.splits[sp.OutOrderNo]; ok && !reflect.DeepEqual(before, told) {
		return relay.SplitStatement{}, &relay.GatewayError{Op: "split", HTTPStatus: 400, Code: "INVALID_REQUEST"}
	}
	w.splits[sp.OutOrderNo] = told
	if w.lost["split"] {
		return relay.SplitStatement{}, errLost
	}
	return w.statement(sp.OutOrderNo), w.splitDone
}

func (w *sharingWeChat) QuerySplit(_ context.Context, sp *relay.Split) (relay.SplitStatement, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.called("query_split", sp.OutOrderNo); err != nil {
		return relay.SplitStatement{}, err
	}
	if _, ok := w.splits[sp.OutOrderNo]; !ok {
		return relay.SplitStatement{}, &relay.GatewayError{Op: "query_split", HTTPStatus: 404, Code: "RESOURCE_NOT_EXISTS"}
	}
	return w.statement(sp.OutOrderNo), nil
}

func (w *sharingWeChat) ReturnSplit(_ context.Context, _ *relay.Split, r *relay.SplitReturn) (relay.ReturnStatement, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.called("return_split", r.OutReturnNo); err != nil {
		return relay.ReturnStatement{}, err
	}
	w.returns[r.OutReturnNo] = *r
	return relay.ReturnStatement{ReturnID: "wx" + r.OutReturnNo, Status: w.back}, nil
}

func (w *sharingWeChat) QueryReturn(_ context.Context, _ *relay.Split, r *relay.SplitReturn) (relay.ReturnStatement, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.called("query_return", r.OutReturnNo); err != nil {
		return relay.ReturnStatement{}, err
	}
	return relay.ReturnStatement{ReturnID: "wx" + r.OutReturnNo, Status: w.back}, nil
}

func (w *sharingWeChat) AddReceiver(_ context.Context, r *relay.Receiver) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changed = append(w.changed, *r)
	return w.called("add_receiver", r.Account)
}

func (w *sharingWeChat) DeleteReceiver(ctx context.Context, r *relay.Receiver) error {
	return w.AddReceiver(ctx, r)
}

// sharing is a bench with an order of 100 fen that was paid for sharing.
type sharing struct {
	*bench
	w *sharingWeChat
}

func newSharing(t *testing.T, store relay.Store, paidBefore time.Duration) *sharing {
	t.Helper()
	b := newBench(t, store, func(c *relay.Config) { c.Clients[0].AllowSharing, c.Clients[0].AllowRefund = true, true })
	s := &sharing{bench: b, w: &sharingWeChat{
		fakeWeChat: b.wechat, splits: map[string]relay.Split{}, returns: map[string]relay.SplitReturn{}, results: map[string]relay.ShareResult{},
		lost: map[string]bool{}, back: relay.ReturnProcessing,
	}}
	b.wechat.fail = map[string]error{}
	b.PlayWeChat(s.w)
	s.payOrder("A000000001", paidBefore)
	return s
}

func (s *sharing) payOrder(no string, before time.Duration) {
	s.t.Helper()
	req := goodOrder(no)
	req.ProfitSharing = true
	if _, _, err := s.CreateOrder(s.t.Context(), s.caller(s.client), req); err != nil {
		s.t.Fatal(err)
	}
	p := s.native(relay.OrderKey{ClientID: s.client.ID, OrderNo: no})
	if err := s.notify(s.w.paid(p.OutTradeNo, time.Now().Add(-before))); err != nil {
		s.t.Fatal(err)
	}
}

func partFor(account string, fen int64) relay.SplitReceiverRequest {
	return relay.SplitReceiverRequest{Type: relay.ReceiverMerchant, Account: account, Name: "Marker Ltd", Amount: fen, Description: "part"}
}

func splitOf(no string, receivers ...relay.SplitReceiverRequest) relay.SplitRequest {
	return relay.SplitRequest{SplitNo: no, Receivers: receivers}
}

func (s *sharing) split(req relay.SplitRequest) (relay.SplitView, bool, error) {
	return s.CreateSplit(s.t.Context(), s.caller(s.client), "A000000001", req)
}

func (s *sharing) mustSplit(req relay.SplitRequest) relay.SplitView {
	s.t.Helper()
	v, created, err := s.split(req)
	if err != nil || !created {
		s.t.Fatalf("CreateSplit = created %t, %v", created, err)
	}
	return v
}

func (s *sharing) shown(no string) relay.SplitView {
	s.t.Helper()
	v, err := s.Split(s.t.Context(), s.caller(s.client), no, false)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// later runs the follower as if some time had passed.
func (s *sharing) later(d time.Duration) {
	s.t.Helper()
	s.clock = s.now().Add(d)
	s.rt.FollowSplits(s.t.Context())
}

func (s *sharing) stored(no string) (sp relay.Split) {
	s.t.Helper()
	err := s.rt.Store().View(s.t.Context(), func(r relay.Reader) error {
		k, err := r.SplitByNo(s.client.ID, no)
		if err != nil {
			return err
		}
		sp, err = r.Split(k)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return sp
}

func TestSplitToItsEnd(t *testing.T) {
	t.Parallel()
	s := newSharing(t, memstore.New(), 2*time.Minute)
	req := splitOf("S1", partFor("1900000300", 20), partFor("1900000301", 10))
	v := s.mustSplit(req)
	if v.Status != relay.SplitProcessing || v.OrderNo != "A000000001" || len(v.Receivers) != 2 || v.Receivers[0].Result != relay.SharePending {
		t.Errorf("made %+v", v)
	}
	told := s.w.splits[v.OutOrderNo]
	if told.TransactionID == "" || told.AppID != testAppID || told.Receivers[0].Name != "Marker Ltd" || told.Receivers[1].AmountFen != 10 {
		t.Errorf("WeChat was told %+v", told)
	}
	if got := s.stored("S1"); got.Receivers[0].Name != "" || got.Receivers[1].Name != "" {
		t.Errorf("names are kept after WeChat took them: %+v", got.Receivers)
	}
	s.w.results["1900000300"] = relay.ShareSuccess
	s.later(time.Minute)
	if v := s.shown("S1"); v.Status != relay.SplitProcessing || v.Receivers[0].Result != relay.ShareSuccess {
		t.Errorf("half done: %+v", v)
	}
	s.w.results["1900000301"] = relay.ShareClosed
	s.later(time.Minute)
	v = s.shown("S1")
	if v.Status != relay.SplitFinished || v.Receivers[1].Result != relay.ShareClosed || v.Receivers[1].FailReason != "NO_RELATION" {
		t.Errorf("done: %+v", v)
	}
	calls := strings.Join(s.w.calls, "\n")
	if n := strings.Count(calls, "\nsplit "); n != 1 {
		t.Errorf("WeChat was told %d times, want once:\n%s", n, calls)
	}
	before := len(s.w.calls)
	s.later(24 * time.Hour)
	if len(s.w.calls) != before {
		t.Errorf("a finished split is followed: %v", s.w.calls[before:])
	}
	again, created, err := s.split(req)
	if err != nil || created || !reflect.DeepEqual(again, v) {
		t.Errorf("repeat = %+v, created %t, %v, want %+v", again, created, err, v)
	}
	if left, _, err := s.split(splitOf("S2", partFor("1900000302", 81))); kindOf(err) != relay.KindAmountExceeded {
		t.Errorf("81 fen of 80 left: %+v, %v", left, err)
	}
	s.mustSplit(splitOf("S3", partFor("1900000302", 80)))
}

// TestSplitRefusals: what WeChat would refuse, or what would share money
// twice, is refused before anything is stored.
func TestSplitRefusals_C09(t *testing.T) {
	t.Parallel()
	s := newSharing(t, memstore.New(), 2*time.Minute)
	s.mustSplit(splitOf("S1", partFor("1900000300", 30)))
	with := func(change func(*relay.SplitReceiverRequest)) relay.SplitRequest {
		r := partFor("1900000301", 10)
		change(&r)
		return splitOf("S2", r)
	}
	many := splitOf("S2")
	for n := range 51 {
		many.Receivers = append(many.Receivers, partFor(fmt.Sprint(1900000300+n), 1))
	}
	tests := []struct {
		name string
		req  relay.SplitRequest
		kind relay.Kind
	}{
		{"same number, other amount", splitOf("S1", partFor("1900000300", 31)), relay.KindSplitConflict},
		{"same number, other name", relay.SplitRequest{SplitNo: "S1", Receivers: []relay.SplitReceiverRequest{
			{Type: relay.ReceiverMerchant, Account: "1900000300", Name: "Other", Amount: 30, Description: "part"},
		}}, relay.KindSplitConflict},
		{"same number, unfreezing", relay.SplitRequest{SplitNo: "S1", Unfreeze: true}, relay.KindSplitConflict},
		{"more than is left", splitOf("S2", partFor("1900000301", 71)), relay.KindAmountExceeded},
		{"more than is left, together", splitOf("S2", partFor("1900000301", 40), partFor("1900000302", 31)), relay.KindAmountExceeded},
		{"nothing to do", relay.SplitRequest{SplitNo: "S2"}, relay.KindParam},
		{"no number", relay.SplitRequest{Unfreeze: true}, relay.KindParam},
		{"number of another path", relay.SplitRequest{SplitNo: "receivers", Unfreeze: true}, relay.KindParam},
		{"number of a path", relay.SplitRequest{SplitNo: "../x", Unfreeze: true}, relay.KindParam},
		{"too many receivers", many, relay.KindParam},
		{"receiver twice", splitOf("S2", partFor("1900000301", 1), partFor("1900000301", 2)), relay.KindParam},
		{"no amount", with(func(r *relay.SplitReceiverRequest) { r.Amount = 0 }), relay.KindParam},
		{"negative amount", with(func(r *relay.SplitReceiverRequest) { r.Amount = -10 }), relay.KindParam},
		{"overflowing amounts", splitOf("S2", partFor("1900000301", 1<<62), partFor("1900000302", 1<<62)), relay.KindParam},
		{"no description", with(func(r *relay.SplitReceiverRequest) { r.Description = "" }), relay.KindParam},
		{"long description", with(func(r *relay.SplitReceiverRequest) { r.Description = strings.Repeat("分", 27) }), relay.KindParam},
		{"emoji", with(func(r *relay.SplitReceiverRequest) { r.Description = "🍵" }), relay.KindParam},
		{"kind of receiver", with(func(r *relay.SplitReceiverRequest) { r.Type = "MERCHANT_ID" }), relay.KindParam},
		{"merchant with letters", with(func(r *relay.SplitReceiverRequest) { r.Account = "abc" }), relay.KindParam},
		{"openid with blanks", with(func(r *relay.SplitReceiverRequest) { r.Type, r.Account = relay.ReceiverOpenID, "o 1" }), relay.KindParam},
		{"long name", with(func(r *relay.SplitReceiverRequest) { r.Name = strings.Repeat("x", 101) }), relay.KindParam},
		{"description of the whole", relay.SplitRequest{SplitNo: "S2", Description: "x", Receivers: []relay.SplitReceiverRequest{partFor("1900000301", 1)}}, relay.KindParam},
	}
	calls := len(s.w.calls)
	for _, tt := range tests {
		if v, _, err := s.split(tt.req); kindOf(err) != tt.kind {
			t.Errorf("%s: %+v, %v, want kind %d", tt.name, v, err, tt.kind)
		}
	}
	if len(s.w.calls) != calls {
		t.Errorf("WeChat was called: %v", s.w.calls[calls:])
	}
}

// TestSplitNeedsItsOrder: times are WeChat's, counted from its time of
// payment.
func TestSplitNeedsItsOrder(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		before time.Duration
		kind   relay.Kind
	}{
		"just paid": {30 * time.Second, relay.KindOrderConflict}, "a minute ago": {61 * time.Second, 0},
		"30 days ago": {30*24*time.Hour - time.Minute, 0}, "31 days ago": {31 * 24 * time.Hour, relay.KindOrderConflict},
	} {
		s := newSharing(t, memstore.New(), tt.before)
		if _, _, err := s.split(splitOf("S1", partFor("1900000300", 1))); kindOf(err) != tt.kind {
			t.Errorf("%s: %v, want kind %d", name, err, tt.kind)
		}
	}
	s := newSharing(t, memstore.New(), time.Hour)
	s.order("A000000002") // not for sharing
	p := s.native(relay.OrderKey{ClientID: s.client.ID, OrderNo: "A000000002"})
	if err := s.notify(s.w.paid(p.OutTradeNo, time.Now().Add(-time.Hour))); err != nil {
		t.Fatal(err)
	}
	unpaid := goodOrder("A000000003")
	unpaid.ProfitSharing = true
	if _, _, err := s.CreateOrder(t.Context(), s.caller(s.client), unpaid); err != nil {
		t.Fatal(err)
	}
	for no, kind := range map[string]relay.Kind{"A000000002": relay.KindOrderConflict, "A000000003": relay.KindOrderConflict, "A000000009": relay.KindNotFound} {
		if _, _, err := s.CreateSplit(t.Context(), s.caller(s.client), no, splitOf("S"+no, partFor("1900000300", 1))); kindOf(err) != kind {
			t.Errorf("order %s: %v, want kind %d", no, err, kind)
		}
	}
}

// TestSplitOfAnotherClient_C06: another client's order and split do not exist.
func TestSplitOfAnotherClient_C06(t *testing.T) {
	t.Parallel()
	s := newSharing(t, memstore.New(), time.Hour)
	s.mustSplit(splitOf("S1", partFor("1900000300", 1)))
	other := s.ClientByID("2000000000000002")
	if _, _, err := s.CreateSplit(t.Context(), s.caller(other), "A000000001", splitOf("S2", partFor("1900000300", 1))); kindOf(err) != relay.KindNoAuth {
		t.Errorf("split by a client without the right: %v", err)
	}
	other.AllowSharing = true
	if _, _, err := s.CreateSplit(t.Context(), s.caller(other), "A000000001", splitOf("S2", partFor("1900000300", 1))); kindOf(err) != relay.KindNotFound {
		t.Errorf("split of another's order: %v", err)
	}
	if v, err := s.Split(t.Context(), s.caller(other), "S1", true); kindOf(err) != relay.KindNotFound {
		t.Errorf("another's split: %+v, %v", v, err)
	}
	if v, _, err := s.ReturnSplit(t.Context(), s.caller(other), "S1", relay.SplitReturnRequest{ReturnNo: "B1", Account: "1900000300", Amount: 1, Description: "x"}); kindOf(err) != relay.KindNotFound {
		t.Errorf("return of another's split: %+v, %v", v, err)
	}
}

// TestSplitNeedsAPIv3: a merchant that speaks APIv2 alone says plainly that it
// cannot share.
func TestSplitNeedsAPIv3(t *testing.T) {
	t.Parallel()
	s := newSharing(t, memstore.New(), time.Hour)
	s.PlayWeChat(s.wechat) // a gateway that does not share
	_, _, err := s.split(splitOf("S1", partFor("1900000300", 1)))
	if kindOf(err) != relay.KindNoAuth || !strings.Contains(err.Error(), "api_v3") {
		t.Errorf("split: %v, want NO_AUTH that names api_v3", err)
	}
}

func TestUnfreeze(t *testing.T) {
	t.Parallel()
	s := newSharing(t, memstore.New(), time.Hour)
	s.w.results["1900000300"] = relay.ShareSuccess
	s.mustSplit(splitOf("S1", partFor("1900000300", 30)))
	v := s.mustSplit(relay.SplitRequest{SplitNo: "S2", Unfreeze: true})
	if told := s.w.splits[v.OutOrderNo]; len(told.Receivers) != 0 || !told.Unfreeze || told.Description == "" {
		t.Errorf("WeChat was told %+v", told)
	}
	if v.Status != relay.SplitFinished || !v.Unfreeze || len(v.Receivers) != 0 {
		t.Errorf("made %+v, want it finished", v)
	}
	if _, _, err := s.split(splitOf("S3", partFor("1900000301", 1))); kindOf(err) != relay.KindOrderConflict {
		t.Errorf("split after the end: %v", err)
	}
}

// TestSplitRace_C09: of two splits of all the money at once, one is made.
func TestSplitRace_C09(t *testing.T) {
	t.Parallel()
	s := newSharing(t, memstore.New(), time.Hour)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			_, _, errs[i] = s.split(splitOf(fmt.Sprint("S", i), partFor("1900000300", 100)))
		})
	}
	wg.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else if kindOf(err) != relay.KindAmountExceeded {
			t.Errorf("loser: %v", err)
		}
	}
	if made != 1 || len(s.w.splits) != 1 {
		t.Errorf("%d splits made, WeChat has %d, want one", made, len(s.w.splits))
	}
}

// TestSplitErrors_H03: names, accounts and texts of receivers are not for
// logs.
func TestSplitErrors_H03(t *testing.T) {
	t.Parallel()
	s := newSharing(t, memstore.New(), time.Hour)
	r := partFor("1900000300", 1000)
	r.Description = "marker text"
	if _, _, err := s.split(splitOf("S1", r)); err == nil || strings.Contains(err.Error(), "arker") || strings.Contains(err.Error(), "1900000300") {
		t.Errorf("got %v, want an error without the content", err)
	}
}
