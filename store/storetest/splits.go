package storetest

import (
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

func splitKey(no string) relay.SplitKey {
	return relay.SplitKey{MchID: "m", OutOrderNo: no}
}

// split makes one that a client asked for under a number of its own.
func split(out, client, no string) *relay.Split {
	sp := new(relay.Split)
	Fill(sp, 6)
	sp.SplitKey, sp.ClientID, sp.SplitNo, sp.DueAt = splitKey(out), client, no, time.Time{}
	return sp
}

// A client's number is one split's for ever, so that a repeat finds it and no
// second one shares the money again.
func testSplitNumbers(t *testing.T, b Backend) {
	s := b.Open(t)
	for _, c := range []struct {
		name            string
		out, client, no string
		want            error
	}{
		{"first", "s1", "c", "1", nil},
		{"again", "s1", "c", "1", nil},
		{"taken by another split", "s2", "c", "1", store.ErrExists},
		{"another client's is free", "s3", "d", "1", nil},
		{"another number", "s4", "c", "2", nil},
		{"changed number", "s4", "c", "3", store.ErrExists},
		{"changed client", "s4", "d", "2", store.ErrExists},
		{"without a number", "s5", "c", "", store.ErrKey},
		{"without a client", "s5", "", "1", store.ErrKey},
		{"a number with a zero byte", "s5", "c", "1\x00", store.ErrKey},
	} {
		err := s.Update(t.Context(), func(tx relay.Tx) error { return tx.PutSplit(split(c.out, c.client, c.no)) })
		if c.want == nil && err != nil || c.want != nil {
			wantIs(t, c.name, err, c.want)
		}
	}
	s = b.Reopen(t, s)
	view(t, s, func(rd relay.Reader) error {
		for no, out := range map[[2]string]string{
			{"c", "1"}: "s1", {"d", "1"}: "s3", {"c", "2"}: "s4", {"c", "3"}: "", {"d", "2"}: "", {"c\x00", "1"}: "",
		} {
			k, err := rd.SplitByNo(no[0], no[1])
			if out == "" {
				wantIs(t, "SplitByNo", err, relay.ErrNotFound)
				continue
			}
			if err != nil {
				return err
			}
			wantEqual(t, "SplitByNo", k, splitKey(out))
		}
		for _, out := range []string{"s2", "s5"} {
			_, err := rd.Split(splitKey(out))
			wantIs(t, "Split", err, relay.ErrNotFound)
		}
		return nil
	})
}
