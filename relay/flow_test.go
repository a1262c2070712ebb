package relay

import (
	"testing"
	"time"
)

// TestHandshakeSurvivesTheLogin: one tab passes the second handshake while
// WeChat is asked who opened the other one. What is written after that, with
// what was known before, takes nothing back.
func TestHandshakeSurvivesTheLogin(t *testing.T) {
	t.Parallel()
	at := time.Unix(1795296000, 0)
	for name, write := range map[string]func(*flows, flow){
		"who it is":    func(f *flows, fl flow) { fl.who.OpenID = "o-1"; f.put(fl, at) },
		"another code": func(f *flows, fl flow) { fl.restarted = true; f.note(fl) },
	} {
		var f flows
		asked, _ := f.join(flow{id: "s1", browserID: "b", token: "t", appID: "wx1"}, at)
		confirmed, ok := f.join(flow{id: "s2", browserID: "b", token: "t", confirmed: true}, at)
		if !ok || confirmed.id != "s1" || confirmed.appID != "wx1" {
			t.Errorf("%s: the second tab is on trip %+v", name, confirmed)
		}
		write(&f, asked)
		if fl, _ := f.get("b", "t", at); !fl.confirmed || fl.id != "s1" {
			t.Errorf("%s: the handshake is forgotten: %+v", name, fl)
		}
	}
}

// TestAnotherAccountIsAnotherTrip: WeChat's word about one account says
// nothing of another, which the page needs since a reload.
func TestAnotherAccountIsAnotherTrip(t *testing.T) {
	t.Parallel()
	at := time.Unix(1795296000, 0)
	var f flows
	first, _ := f.join(flow{id: "s1", browserID: "b", token: "t", appID: "wx1", confirmed: true}, at)
	first.who.OpenID = "o-1"
	f.note(first)
	second, ok := f.join(flow{id: "s2", browserID: "b", token: "t", appID: "wx2"}, at)
	if _, old := f.byState("s1", at); !ok || second.id != "s2" || second.who.OpenID != "" || !second.confirmed || old {
		t.Errorf("the trip to the other account is %+v, the first one is kept: %t", second, old)
	}
}
