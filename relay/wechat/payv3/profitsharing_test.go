package payv3

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

const goodShare = `{"transaction_id":"4200","out_order_no":"S1","order_id":"3008450740201411110007820472","state":"PROCESSING",` +
	`"receivers":[{"amount":30,"description":"part","type":"MERCHANT_ID","account":"1900000300","result":"PENDING","create_time":"2015-05-20T13:29:35.120+08:00",` +
	`"finish_time":"2015-05-20T13:29:35.120+08:00","detail_id":"36011111111111111111111"}]}`

func goodShareRequest() *ProfitSharingRequest {
	return &ProfitSharingRequest{
		AppID: "wx1", TransactionID: "4200", OutOrderNo: "S1",
		Receivers: []ShareReceiver{{Type: ReceiverMerchant, Account: "1900000300", Amount: 30, Description: "part"}},
	}
}

func TestClientShareProfit(t *testing.T) {
	t.Parallel()
	const path = "/v3/profitsharing/orders"
	const receivers = `"transaction_id":"4200","out_order_no":"S1","receivers":[{"type":"MERCHANT_ID","account":"1900000300","amount":30,"description":"part"}],`
	tests := []struct {
		name   string
		change func(*ProfitSharingRequest)
		body   string
		answer string
		ok     bool
	}{
		{"direct", func(*ProfitSharingRequest) {}, `{"appid":"wx1",` + receivers + `"unfreeze_unsplit":false}`, goodShare, true},
		{
			"provider", func(r *ProfitSharingRequest) { r.SubMchID, r.SubAppID, r.UnfreezeUnsplit = "1900000209", "wx2", true },
			`{"sub_mchid":"1900000209","appid":"wx1","sub_appid":"wx2",` + receivers + `"unfreeze_unsplit":true}`, goodShare, true,
		},
		{"other share", func(*ProfitSharingRequest) {}, `{"appid":"wx1",` + receivers + `"unfreeze_unsplit":false}`, strings.Replace(goodShare, `"S1"`, `"S2"`, 1), false},
		{"other payment", func(*ProfitSharingRequest) {}, `{"appid":"wx1",` + receivers + `"unfreeze_unsplit":false}`, strings.Replace(goodShare, `"4200"`, `"4201"`, 1), false},
		{"unknown state", func(*ProfitSharingRequest) {}, `{"appid":"wx1",` + receivers + `"unfreeze_unsplit":false}`, strings.Replace(goodShare, "PROCESSING", "DONE", 1), false},
		{"unknown result", func(*ProfitSharingRequest) {}, `{"appid":"wx1",` + receivers + `"unfreeze_unsplit":false}`, strings.Replace(goodShare, "PENDING", "LOST", 1), false},
		{"B15 duplicate", func(*ProfitSharingRequest) {}, `{"appid":"wx1",` + receivers + `"unfreeze_unsplit":false}`, strings.Replace(goodShare, "{", `{"state":"FINISHED",`, 1), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := goodShareRequest()
			tt.change(r)
			c := newTestClient(t, func(o *ClientOptions) { o.HTTP = wechat(t, http.MethodPost, path, tt.body, 200, tt.answer) })
			got, err := c.ShareProfit(t.Context(), r)
			if (err == nil) != tt.ok || (got != nil) != tt.ok {
				t.Fatalf("got %+v, %v", got, err)
			}
			if tt.ok && (got.State != ShareProcessing || len(got.Receivers) != 1 || got.Receivers[0].Result != SharePending || got.Receivers[0].Amount != 30) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestClientShareProfitName: a receiver's name travels encrypted, with the
// serial of its key, and the caller's request keeps the plain one.
func TestClientShareProfitName(t *testing.T) {
	t.Parallel()
	p := publicKeyPlatform(t)
	c := newTestClient(t, func(o *ClientOptions) {
		o.HTTP = serve(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			var got ProfitSharingRequest
			if err := json.Unmarshal(body, &got); err != nil {
				t.Error(err)
			}
			if strings.Contains(string(body), "张三") || r.Header.Get(headerSerial) != testPublicKey {
				t.Errorf("sent %s with serial %s", body, r.Header.Get(headerSerial))
			}
			if name, err := DecryptSensitive(testKeys().platform, got.Receivers[0].Name); err != nil || name != "张三" {
				t.Errorf("WeChat reads %q, %v", name, err)
			}
			reply(t, w, p, testPublicKey, http.StatusOK, goodShare)
		})
	})
	r := goodShareRequest()
	r.Receivers[0].Name = "张三"
	if _, err := c.ShareProfit(t.Context(), r); err != nil || r.Receivers[0].Name != "张三" {
		t.Errorf("ShareProfit: %v, the request's name is %q", err, r.Receivers[0].Name)
	}
}

func TestClientProfitSharingCalls(t *testing.T) {
	t.Parallel()
	const (
		goodReturn = `{"order_id":"3008","out_order_no":"S1","out_return_no":"B1","return_id":"3009","return_mchid":"1900000300","amount":10,` +
			`"description":"back","result":"SUCCESS","create_time":"2015-05-20T13:29:35.120+08:00","finish_time":"2015-05-20T13:29:35.120+08:00"}`
		goodReceiver = `{"type":"MERCHANT_ID","account":"1900000300","relation_type":"STORE"}`
	)
	returning := &ShareReturnRequest{OutOrderNo: "S1", OutReturnNo: "B1", ReturnMchID: "1900000300", Amount: 10, Description: "back"}
	receiver := &ReceiverRequest{AppID: "wx1", Type: ReceiverMerchant, Account: "1900000300", RelationType: "STORE"}
	named := *receiver
	named.Name = "unsent"
	tests := []struct {
		name           string
		method, target string
		body           string
		answer         string
		bad            []string // replacements, in pairs, each of which spoils the answer
		call           func(c *Client) error
	}{
		{
			"unfreeze", http.MethodPost, "/v3/profitsharing/orders/unfreeze", `{"transaction_id":"4200","out_order_no":"S1","description":"done"}`, goodShare,
			[]string{`"S1"`, `"S2"`, `"4200"`, `"1"`},
			func(c *Client) error { _, err := c.UnfreezeProfit(t.Context(), "4200", "S1", "done", ""); return err },
		},
		{
			"unfreeze for a sub merchant", http.MethodPost, "/v3/profitsharing/orders/unfreeze",
			`{"sub_mchid":"1900000209","transaction_id":"4200","out_order_no":"S1","description":"done"}`, goodShare, nil,
			func(c *Client) error {
				_, err := c.UnfreezeProfit(t.Context(), "4200", "S1", "done", "1900000209")
				return err
			},
		},
		{
			"query", http.MethodGet, "/v3/profitsharing/orders/S1?transaction_id=4200", "", goodShare,
			[]string{`"S1"`, `"S2"`, `"4200"`, `"1"`, `"PENDING"`, `""`},
			func(c *Client) error {
				_, err := c.ProfitSharingByOutOrderNo(t.Context(), "4200", "S1", "")
				return err
			},
		},
		{
			"query for a sub merchant", http.MethodGet, "/v3/profitsharing/orders/S1?transaction_id=4200&sub_mchid=1900000209", "", goodShare, nil,
			func(c *Client) error {
				_, err := c.ProfitSharingByOutOrderNo(t.Context(), "4200", "S1", "1900000209")
				return err
			},
		},
		{
			"return", http.MethodPost, "/v3/profitsharing/return-orders",
			`{"out_order_no":"S1","out_return_no":"B1","return_mchid":"1900000300","amount":10,"description":"back"}`, goodReturn,
			[]string{`"B1"`, `"B2"`, `"S1"`, `"S2"`, `"amount":10`, `"amount":11`, `"1900000300"`, `"1900000301"`, `"SUCCESS"`, `"DONE"`},
			func(c *Client) error { _, err := c.ReturnShare(t.Context(), returning); return err },
		},
		{
			"query of a return", http.MethodGet, "/v3/profitsharing/return-orders/B1?out_order_no=S1", "", goodReturn,
			[]string{`"B1"`, `"B2"`, `"amount":10`, `"amount":0`},
			func(c *Client) error { _, err := c.ShareReturnByOutReturnNo(t.Context(), "S1", "B1", ""); return err },
		},
		{
			"query of a return for a sub merchant", http.MethodGet, "/v3/profitsharing/return-orders/B1?out_order_no=S1&sub_mchid=1900000209", "", goodReturn, nil,
			func(c *Client) error {
				_, err := c.ShareReturnByOutReturnNo(t.Context(), "S1", "B1", "1900000209")
				return err
			},
		},
		{
			"add receiver", http.MethodPost, "/v3/profitsharing/receivers/add", `{"appid":"wx1","type":"MERCHANT_ID","account":"1900000300","relation_type":"STORE"}`, goodReceiver,
			[]string{`"1900000300"`, `"1"`},
			func(c *Client) error { return c.AddReceiver(t.Context(), receiver) },
		},
		{
			"delete receiver", http.MethodPost, "/v3/profitsharing/receivers/delete", `{"appid":"wx1","type":"MERCHANT_ID","account":"1900000300"}`, goodReceiver,
			[]string{`"1900000300"`, `"1"`},
			func(c *Client) error { return c.DeleteReceiver(t.Context(), &named) },
		},
		{
			"unsplit amount", http.MethodGet, "/v3/profitsharing/transactions/4200/amounts", "", `{"transaction_id":"4200","unsplit_amount":70}`,
			[]string{`"4200"`, `"1"`, `,"unsplit_amount":70`, ``, `70`, `-1`},
			func(c *Client) error {
				fen, err := c.UnsplitAmount(t.Context(), "4200")
				if err == nil && fen != 70 {
					t.Errorf("unsplit amount %d, want 70", fen)
				}
				return err
			},
		},
		{
			"ratio", http.MethodGet, "/v3/profitsharing/merchant-configs/1900000209", "", `{"sub_mchid":"1900000209","max_ratio":2000}`,
			[]string{`"1900000209"`, `"1"`, `,"max_ratio":2000`, ``, `2000`, `10001`},
			func(c *Client) error {
				ratio, err := c.MaxShareRatio(t.Context(), "1900000209")
				if err == nil && ratio != 2000 {
					t.Errorf("ratio %d, want 2000", ratio)
				}
				return err
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			answering := func(answer string) *Client {
				return newTestClient(t, func(o *ClientOptions) { o.HTTP = wechat(t, tt.method, tt.target, tt.body, 200, answer) })
			}
			if err := tt.call(answering(tt.answer)); err != nil {
				t.Error(err)
			}
			for i := 0; i+1 < len(tt.bad); i += 2 {
				if err := tt.call(answering(strings.Replace(tt.answer, tt.bad[i], tt.bad[i+1], 1))); err == nil {
					t.Errorf("answer with %s for %s is taken", tt.bad[i+1], tt.bad[i])
				}
			}
		})
	}
}

func TestProfitSharingRefusesBeforeTheCall(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, func(o *ClientOptions) {
		o.HTTP = serve(func(http.ResponseWriter, *http.Request) { t.Error("called WeChat") })
	})
	ctx := t.Context()
	r := goodShareRequest()
	r.Receivers = nil
	if _, err := c.ShareProfit(ctx, r); err == nil {
		t.Error("share without receivers succeeds")
	}
	for _, no := range []string{"", "..", "a/b", "a?b", strings.Repeat("1", 65)} {
		if _, err := c.ProfitSharingByOutOrderNo(ctx, "4200", no, ""); !errors.Is(err, errOutNo) {
			t.Errorf("number %q: %v", no, err)
		}
		if _, err := c.ShareReturnByOutReturnNo(ctx, "S1", no, ""); !errors.Is(err, errOutNo) {
			t.Errorf("return %q: %v", no, err)
		}
		if _, err := c.UnfreezeProfit(ctx, "4200", no, "x", ""); !errors.Is(err, errOutNo) {
			t.Errorf("unfreeze %q: %v", no, err)
		}
	}
	if _, err := c.UnsplitAmount(ctx, "../x"); !errors.Is(err, errTransactionID) {
		t.Errorf("unsplit: %v", err)
	}
	for _, sub := range []string{"x", "1&a=b"} {
		if _, err := c.ProfitSharingByOutOrderNo(ctx, "4200", "S1", sub); !errors.Is(err, errSubMchID) {
			t.Errorf("sub merchant %q: %v", sub, err)
		}
		if err := c.AddReceiver(ctx, &ReceiverRequest{SubMchID: sub}); !errors.Is(err, errSubMchID) {
			t.Errorf("receiver of %q: %v", sub, err)
		}
	}
	if _, err := c.MaxShareRatio(ctx, ""); !errors.Is(err, errSubMchID) {
		t.Errorf("ratio of nobody: %v", err)
	}
}
