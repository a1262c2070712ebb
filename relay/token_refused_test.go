package relay_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// called makes a call that WeChat refuses where its token is dead, and counts
// how often it went out.
func (n *node) called(api *fakeAPI) int {
	n.t.Helper()
	var calls atomic.Int32
	err := n.WithToken(n.t.Context(), "shop", func(access relay.Secret) (bool, error) {
		calls.Add(1)
		time.Sleep(time.Second)
		api.mu.Lock()
		defer api.mu.Unlock()
		return api.dead[string(access.Reveal())], nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return int(calls.Load())
}

// TestTokenRefused: somebody else ended the token. Another is fetched once, by
// one of two hundred callers, and each makes its call once more.
func TestTokenRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newFakeAPI()
		n := newNode(t, memstore.New(), api)
		n.run()
		n.token()
		api.end()
		atOnce(200, func() {
			if calls := n.called(api); calls != 2 {
				t.Errorf("the call went out %d times", calls)
			}
		})
		if api.count("stable") != 2 || api.count("force") != 0 {
			t.Errorf("calls = %v", api.calls)
		}
		api.end()
		if n.ticket(); api.count("ticket") != 2 || api.count("stable") != 3 {
			t.Errorf("for a ticket: %v", api.calls)
		}
		n.quiet()
	})
}

// TestTokenRefusedByOtherNode: the other node renewed by force. This one finds
// its token in the store.
func TestTokenRefusedByOtherNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, api := memstore.New(), newFakeAPI()
		one, two := newNode(t, store, api), newNode(t, store, api)
		one.token()
		two.token()
		api.end()
		one.called(api)
		if calls := two.called(api); calls != 2 || api.count("stable") != 2 {
			t.Errorf("%d tries, %v", calls, api.calls)
		}
	})
}

// TestTokenRefusedForGood: WeChat refuses its own latest token. It is forced to
// make another one after the second refusal, once; calls that are refused
// whatever the token cost no more than that.
func TestTokenRefusedForGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newFakeAPI()
		n := newNode(t, memstore.New(), api)
		n.run()
		old := n.token()
		tries := 0
		refuse := func() {
			err := n.WithToken(t.Context(), "shop", func(relay.Secret) (bool, error) { tries++; return true, refusal(errcode.InvalidSecret) })
			if err == nil {
				t.Error("the refusal is lost")
			}
		}
		refuse()
		if tries != 2 || api.count("force") != 0 {
			t.Errorf("%d tries, %v", tries, api.calls)
		}
		synctest.Wait()
		if n.token() == old || api.count("force") != 1 {
			t.Errorf("WeChat was not made to give another: %v", api.calls)
		}
		before := api.count("stable")
		for range 30 * 60 {
			time.Sleep(time.Second)
			refuse()
		}
		if api.count("force") != 1 || api.count("stable")-before > 30*60/5+1 || tries > 2+30*60+30*60/5+1 {
			t.Errorf("half an hour of refused calls: %d tries, %v", tries, api.calls)
		}
	})
}
