package relay_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

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

// TestSplitsOfASilentMerchant: when WeChat does not answer, a round asks about
// one split per slot and no more, and what was not asked about stays due.
func TestSplitsOfASilentMerchant(t *testing.T) {
	t.Parallel()
	s := newSharing(t, memstore.New(), time.Hour)
	for n := range 12 {
		s.mustSplit(splitOf("S"+string(rune('a'+n)), partFor("1900000300", 1)))
	}
	s.w.fail["query_split"] = errLost
	s.w.results["1900000300"] = relay.ShareSuccess
	s.later(time.Minute)
	if n := strings.Count(strings.Join(s.w.calls, "\n"), "query_split "); n < 1 || n > 4 {
		t.Errorf("a silent WeChat was asked %d times in one round, want at most once per slot", n)
	}
	delete(s.w.fail, "query_split")
	s.later(time.Minute)
	for n := range 12 {
		if v := s.shown("S" + string(rune('a'+n))); v.Status != relay.SplitFinished {
			t.Errorf("%s: %s, want it finished when WeChat answers again", v.SplitNo, v.Status)
		}
	}
}
