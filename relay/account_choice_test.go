package relay_test

import (
	"testing"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// TestAccountOfKind: a client gets its own account, its merchant's, or the
// only one there is, and can name no other.
func TestAccountOfKind(t *testing.T) {
	t.Parallel()
	const official, mini, mobile = relay.AccountOfficial, relay.AccountMiniProgram, relay.AccountMobileApp
	account := func(name, appID string, kind relay.AccountKind) *relay.Account {
		return &relay.Account{Name: name, Kind: kind, AppID: appID, Secret: relay.NewSecret("s3cret")}
	}
	b := newBench(t, memstore.New(), func(cfg *relay.Config) {
		cfg.Accounts = append(cfg.Accounts,
			account("news", "wx0000000000000001", official),
			account("till", "wx0000000000000002", mini),
			account("game", "wx0000000000000003", mini),
			account("lone", "wx0000000000000004", mobile))
		cfg.Merchants[0].Accounts = []string{"shop", "till"}
	})
	for _, tt := range []struct {
		name, own, asked string
		kinds            []relay.AccountKind
		want             string // account, or kind of refusal
	}{
		{"merchant's", "", "", []relay.AccountKind{official}, "shop"},
		{"own before merchant's", "news", "", []relay.AccountKind{official}, "news"},
		{"own of another kind", "news", "", []relay.AccountKind{mini}, "till"},
		{"the only one", "", "", []relay.AccountKind{mobile}, "lone"},
		{"best kind first", "", "", []relay.AccountKind{mobile, official}, "lone"},
		{"second kind", "", "", []relay.AccountKind{"other", mini}, "till"},
		{"several, none the client's", "no merchant", "", []relay.AccountKind{mini}, "PARAM"},
		{"named, merchant's", "news", "shop", []relay.AccountKind{official}, "shop"},
		{"named, own", "game", "game", []relay.AccountKind{mini}, "game"},
		{"named, the only one", "", "lone", []relay.AccountKind{mobile}, "lone"},
		{"named, somebody else's", "", "game", []relay.AccountKind{mini}, "PARAM"},
		{"named, of another kind", "", "shop", []relay.AccountKind{mini}, "PARAM"},
		{"named, unknown", "", "nobody", []relay.AccountKind{mini}, "PARAM"},
		{"none of the kind", "", "", []relay.AccountKind{"other"}, "NO_AUTH"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := *b.client
			client.Account = tt.own
			if tt.own == "no merchant" {
				client.Account, client.Merchant = "", ""
			}
			got, err := b.AccountOfKind(&client, tt.asked, tt.kinds...)
			kinds := map[string]relay.Kind{"PARAM": relay.KindParam, "NO_AUTH": relay.KindNoAuth}
			switch kind, refused := kinds[tt.want]; {
			case refused && kindOf(err) != kind:
				t.Errorf("account %v, %v, want %s", got, err, tt.want)
			case !refused && (err != nil || got.Name != tt.want):
				t.Errorf("account %v, %v, want %s", got, err, tt.want)
			}
		})
	}
}
