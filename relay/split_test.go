package relay_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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
	changed []relay.Receiver
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
	return w.statement(sp.OutOrderNo), nil
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

// TestSplitAfterACrash: an answer that was lost is looked up with the same
// number and the same content; nothing is shared twice.
func TestSplitAfterACrash(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	s := newSharing(t, store, time.Hour)
	s.w.lost["split"] = true
	v := s.mustSplit(splitOf("S1", partFor("1900000300", 30)))
	if v.Status != relay.SplitProcessing {
		t.Errorf("answer while the outcome is unknown: %+v", v)
	}
	s.w.lost["split"] = false
	s.w.results["1900000300"] = relay.ShareSuccess
	s.bench = newBench(t, store, func(c *relay.Config) { c.Clients[0].AllowSharing = true }) // restarted
	s.PlayWeChat(s.w)
	s.later(time.Minute)
	if v := s.shown("S1"); v.Status != relay.SplitFinished || len(s.w.splits) != 1 {
		t.Errorf("after the crash: %+v, WeChat has %d splits", v, len(s.w.splits))
	}
}

// TestSplitFollower: a running relay brings splits and returns to their end by
// itself.
func TestSplitFollower(t *testing.T) {
	t.Parallel()
	merchantKey()
	platformKey()
	synctest.Test(t, func(t *testing.T) {
		s := newSharing(t, memstore.New(), time.Hour)
		s.rt.Start()
		defer func() {
			if err := s.rt.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		s.mustSplit(splitOf("S1", partFor("1900000300", 30)))
		set := func(change func()) {
			s.w.mu.Lock()
			defer s.w.mu.Unlock()
			change()
		}
		set(func() { s.w.results["1900000300"] = relay.ShareSuccess })
		time.Sleep(time.Minute)
		synctest.Wait()
		if v := s.shown("S1"); v.Status != relay.SplitFinished {
			t.Errorf("after a minute: %+v", v)
		}
		if _, _, err := s.ReturnSplit(t.Context(), s.caller(s.client), "S1", relay.SplitReturnRequest{ReturnNo: "B1", Account: "1900000300", Amount: 30, Description: "back"}); err != nil {
			t.Fatal(err)
		}
		set(func() { s.w.back = relay.ReturnSucceeded })
		time.Sleep(time.Minute)
		synctest.Wait()
		if v := s.shown("S1"); v.Returns[0].Status != relay.ReturnSucceeded {
			t.Errorf("after a minute: %+v", v)
		}
	})
}

// TestSplitRefresh: a client that keeps asking makes WeChat be asked now and
// then, and not at all about what is final.
func TestSplitRefresh(t *testing.T) {
	t.Parallel()
	s := newSharing(t, memstore.New(), time.Hour)
	s.mustSplit(splitOf("S1", partFor("1900000300", 30)))
	s.clock = time.Now()
	ask := func() relay.SplitView {
		v, err := s.Split(t.Context(), s.caller(s.client), "S1", true)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	asked := func() int { return strings.Count(strings.Join(s.w.calls, "\n"), "query_split ") }
	for range 5 {
		if v := ask(); v.Status != relay.SplitProcessing {
			t.Errorf("before the end: %+v", v)
		}
	}
	if n := asked(); n != 1 {
		t.Errorf("WeChat was asked %d times at once, want once", n)
	}
	s.w.results["1900000300"] = relay.ShareSuccess
	s.clock = s.clock.Add(6 * time.Second)
	if v := ask(); v.Status != relay.SplitFinished {
		t.Errorf("at the end: %+v", v)
	}
	s.clock = s.clock.Add(time.Hour)
	if ask(); asked() != 2 {
		t.Errorf("WeChat was asked %d times, want two: what is final is not asked about", asked())
	}
	s.w.fail["query_split"] = errLost
	s.mustSplit(splitOf("S2", partFor("1900000301", 30)))
	if _, err := s.Split(t.Context(), s.caller(s.client), "S2", true); kindOf(err) != relay.KindUpstreamTimeout {
		t.Errorf("without an answer: %v", err)
	}
}

func TestSplitRefusedForGood(t *testing.T) {
	t.Parallel()
	s := newSharing(t, memstore.New(), time.Hour)
	s.w.fail["split"] = &relay.GatewayError{Op: "split", HTTPStatus: 403, Code: "RULE_LIMIT"}
	req := splitOf("S1", partFor("1900000300", 100))
	_, _, err := s.split(req)
	var refused *relay.Error
	if !errors.As(err, &refused) || refused.Kind != relay.KindUpstream || refused.UpstreamCode != "RULE_LIMIT" {
		t.Errorf("refused: %v", err)
	}
	if v := s.shown("S1"); v.Status != relay.SplitFailed || v.FailCode != "RULE_LIMIT" || v.Receivers[0].Result != relay.ShareClosed {
		t.Errorf("refused: %+v", v)
	}
	if got := s.stored("S1"); got.Receivers[0].Name != "" || !got.DueAt.IsZero() {
		t.Errorf("refused: %+v is still followed or has names", got)
	}
	delete(s.w.fail, "split")
	s.mustSplit(splitOf("S2", partFor("1900000300", 100))) // the money is free again
}

// TestSplitRefusalAfterAnUnknownOutcome: a refusal of a repeat is believed
// only when WeChat does not know the split.
func TestSplitRefusalAfterAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		took bool // the first call took effect
		want relay.SplitStatus
	}{"it took effect": {true, relay.SplitFinished}, "it did not": {false, relay.SplitFailed}} {
		s := newSharing(t, memstore.New(), time.Hour)
		s.w.lost["split"] = tt.took
		s.w.fail["split"] = errLost
		s.mustSplit(splitOf("S1", partFor("1900000300", 30)))
		s.w.lost["split"] = false
		s.w.results["1900000300"] = relay.ShareSuccess
		s.w.fail["split"] = &relay.GatewayError{Op: "split", HTTPStatus: 401, Code: "SIGN_ERROR"}
		s.later(time.Minute)
		if v := s.shown("S1"); v.Status != tt.want {
			t.Errorf("%s: %+v, want %s", name, v, tt.want)
		}
	}
}

// TestSplitRefusedForNow: a refusal that may pass is tried again with the same
// number, and the client sees its code meanwhile.
func TestSplitRefusedForNow(t *testing.T) {
	t.Parallel()
	s := newSharing(t, memstore.New(), time.Hour)
	s.w.fail["split"] = &relay.GatewayError{Op: "split", HTTPStatus: 429, Code: "FREQUENCY_LIMITED", Retryable: true}
	if v := s.mustSplit(splitOf("S1", partFor("1900000300", 30))); v.Status != relay.SplitProcessing || v.FailCode != "FREQUENCY_LIMITED" {
		t.Errorf("made %+v", v)
	}
	delete(s.w.fail, "split")
	s.w.results["1900000300"] = relay.ShareSuccess
	s.later(time.Minute)
	if v := s.shown("S1"); v.Status != relay.SplitFinished || v.FailCode != "" {
		t.Errorf("later %+v", v)
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

func TestSplitReturns(t *testing.T) {
	t.Parallel()
	s := newSharing(t, memstore.New(), time.Hour)
	s.w.results["1900000300"], s.w.results["1900000301"] = relay.ShareSuccess, relay.ShareClosed
	person := relay.SplitReceiverRequest{Type: relay.ReceiverOpenID, Account: "1900000302", Amount: 5, Description: "part"}
	s.w.results["1900000302"] = relay.ShareSuccess
	s.mustSplit(splitOf("S1", partFor("1900000300", 30), partFor("1900000301", 10), person))
	back := func(no, account string, fen int64) (relay.SplitReturnView, bool, error) {
		return s.ReturnSplit(t.Context(), s.caller(s.client), "S1", relay.SplitReturnRequest{ReturnNo: no, Account: account, Amount: fen, Description: "back"})
	}
	for name, tt := range map[string]struct {
		no, account string
		fen         int64
		kind        relay.Kind
	}{
		"more than was given":    {"B1", "1900000300", 31, relay.KindAmountExceeded},
		"of one who got nothing": {"B1", "1900000301", 1, relay.KindAmountExceeded},
		"of a stranger":          {"B1", "1900000309", 1, relay.KindAmountExceeded},
		"of a person":            {"B1", "1900000302", 1, relay.KindAmountExceeded},
		"of an openid":           {"B1", "o-person", 1, relay.KindParam},
		"nothing":                {"B1", "1900000300", 0, relay.KindParam},
		"without number":         {"", "1900000300", 1, relay.KindParam},
	} {
		if v, _, err := back(tt.no, tt.account, tt.fen); kindOf(err) != tt.kind {
			t.Errorf("%s: %+v, %v, want kind %d", name, v, err, tt.kind)
		}
	}
	v, made, err := back("B1", "1900000300", 20)
	if err != nil || !made || v.Status != relay.ReturnProcessing || v.SplitNo != "S1" {
		t.Fatalf("return = %+v, made %t, %v", v, made, err)
	}
	if again, made, err := back("B1", "1900000300", 20); err != nil || made || again != v {
		t.Errorf("repeat = %+v, made %t, %v", again, made, err)
	}
	if _, _, err := back("B1", "1900000300", 19); kindOf(err) != relay.KindSplitConflict {
		t.Errorf("other content: %v", err)
	}
	if _, _, err := back("B2", "1900000300", 11); kindOf(err) != relay.KindAmountExceeded {
		t.Errorf("more than is left while one is on its way: %v", err)
	}
	s.w.back = relay.ReturnSucceeded
	s.later(time.Minute)
	if got := s.shown("S1"); got.Returns[0].Status != relay.ReturnSucceeded || len(s.w.returns) != 1 {
		t.Errorf("done: %+v", got.Returns)
	}
	s.w.fail["return_split"] = &relay.GatewayError{Op: "return_split", HTTPStatus: 403, Code: "NOT_ENOUGH"}
	if _, _, err := back("B3", "1900000300", 10); kindOf(err) != relay.KindUpstream {
		t.Errorf("refused return: %v", err)
	}
	delete(s.w.fail, "return_split")
	if v, _, err := back("B4", "1900000300", 10); err != nil || v.Status != relay.ReturnSucceeded {
		t.Errorf("after a refused one the money can still come back: %+v, %v", v, err)
	}
	if got := s.shown("S1"); len(got.Returns) != 3 || got.Returns[1].Status != relay.ReturnFailed || got.Returns[1].FailReason != "NOT_ENOUGH" {
		t.Errorf("returns %+v", got.Returns)
	}
	s.clock = s.now().Add(181 * 24 * time.Hour)
	if _, _, err := back("B5", "1900000300", 1); kindOf(err) != relay.KindOrderConflict {
		t.Errorf("after 180 days: %v", err)
	}
}

// TestRefundOfSharedMoney_C09: what receivers have does not go back to the
// buyer before it came back from them, and what goes back to the buyer is not
// shared.
func TestRefundOfSharedMoney_C09(t *testing.T) {
	t.Parallel()
	s := newSharing(t, memstore.New(), time.Hour)
	s.w.results["1900000300"], s.w.back = relay.ShareSuccess, relay.ReturnSucceeded
	s.mustSplit(splitOf("S1", partFor("1900000300", 30)))
	number := 0
	refund := func(fen int64) error {
		number++
		return s.rt.Store().Update(t.Context(), func(tx relay.Tx) error {
			o, err := tx.Order(relay.OrderKey{ClientID: s.client.ID, OrderNo: "A000000001"})
			if err != nil {
				return err
			}
			p, err := tx.Payment(relay.PaymentKey{MchID: o.MchID, OutTradeNo: o.PaidBy})
			if err != nil {
				return err
			}
			r := &relay.Refund{RefundKey: relay.RefundKey{OutRefundNo: fmt.Sprint("out", number)}, RefundNo: fmt.Sprint("R", number), Source: relay.RefundByClient, AmountFen: fen}
			if err := s.ReserveRefund(tx, &p, &o, r); err != nil {
				return err
			}
			return errors.Join(tx.PutOrder(&o), tx.PutPayment(&p))
		})
	}
	err := refund(80)
	if kindOf(err) != relay.KindAmountExceeded || !strings.Contains(err.Error(), "return 10 fen from the receivers first") {
		t.Errorf("refund of shared money: %v", err)
	}
	if err := refund(50); err != nil {
		t.Fatalf("refund of what nobody has: %v", err)
	}
	if _, _, err := s.split(splitOf("S2", partFor("1900000301", 21))); kindOf(err) != relay.KindAmountExceeded {
		t.Errorf("split of refunded money: %v", err)
	}
	if err := refund(21); kindOf(err) != relay.KindAmountExceeded {
		t.Errorf("refund of shared money: %v", err)
	}
	if _, _, err := s.ReturnSplit(t.Context(), s.caller(s.client), "S1", relay.SplitReturnRequest{ReturnNo: "B1", Account: "1900000300", Amount: 30, Description: "back"}); err != nil {
		t.Fatal(err)
	}
	if err := refund(50); err != nil {
		t.Errorf("refund after the return: %v", err)
	}
}

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
