package payv3

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

const (
	billTitles = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额," +
		"微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
	billPaid = "`2026-11-21 10:00:00,`wx1,`1900000001,`0,`,`4200000001,`A000000001,`o1,`JSAPI,`SUCCESS,`OTHERS,`CNY,`9.90,`0.10," +
		"`0,`0,`0.00,`0.00,`,`,`tea\\ green,`x,`0.05940,`0.60%,`10.00,`0.00,`"
	billRefunded = "`2026-11-21 23:59:59,`wx1,`1900000001,`1900000209,`,`4200000001,`A000000001,`o1,`JSAPI,`REFUND,`OTHERS,`CNY,`0.00,`0.00," +
		"`5030000001,`R1,`3.96,`0.00,`ORIGINAL,`PROCESSING,`tea\\ green,`x,`-0.02376,`0.60%,`0.00,`4.00,`"
	billEnd = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\n`2,`9.90,`3.96,`0.00,`0.03564,`10.00,`4.00\n"

	goodBill = billTitles + "\n" + billPaid + "\n" + billRefunded + "\n" + billEnd
)

func goodBillRows() []BillRow {
	return []BillRow{
		{
			TradeTime: time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC), AppID: "wx1", MchID: "1900000001", TransactionID: "4200000001",
			OutTradeNo: "A000000001", TradeType: "JSAPI", TradeState: "SUCCESS", BankType: "OTHERS", Currency: "CNY", TotalFen: 1000,
			SettledFen: 990, Description: `tea\ green`, Attach: "x",
		},
		{
			TradeTime: time.Date(2026, 11, 21, 15, 59, 59, 0, time.UTC), AppID: "wx1", MchID: "1900000001", SubMchID: "1900000209", TransactionID: "4200000001",
			OutTradeNo: "A000000001", TradeType: "JSAPI", TradeState: "REFUND", BankType: "OTHERS", Currency: "CNY",
			RefundID: "5030000001", OutRefundNo: "R1", RefundFen: 400, SettlementRefundFen: 396, RefundType: "ORIGINAL", RefundStatus: "PROCESSING",
			Description: `tea\ green`, Attach: "x",
		},
	}
}

func parseText(text string) ([]BillRow, error) {
	return parseBill(bufio.NewReader(strings.NewReader(text)))
}

func TestParseBill(t *testing.T) {
	t.Parallel()
	oldest := "交易时间,公众账号ID,商户号,子商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,总金额,代金券或立减优惠金额,商品名称,商户数据包,手续费,费率"
	oldestRow := "`2026-11-21 10:00:00,`wx1,`1900000001,`0,`,`4200000001,`A000000001,`o1,`JSAPI,`SUCCESS,`OTHERS,`CNY,`10.00,`0.0,`tea,`x,`0.06000,`0.60%"
	old := goodBillRows()[0]
	old.SettledFen, old.Description = 1000, "tea"
	tests := []struct {
		name, text string
		want       []BillRow
	}{
		{"as documented", goodBill, goodBillRows()},
		{"byte order mark and carriage returns", "\ufeff" + strings.ReplaceAll(goodBill, "\n", "\r\n"), goodBillRows()},
		{"nothing", billTitles + "\n" + billEnd, nil},
		{"oldest form", oldest + "\n" + oldestRow + "\n" + billEnd, []BillRow{old}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, err := parseText(tt.text); err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
	rows := goodBillRows()
	if rows[0].IsRefund() || !rows[1].IsRefund() {
		t.Error("IsRefund tells the two apart")
	}
}

func TestParseBillRefuses(t *testing.T) {
	t.Parallel()
	change := func(from, to string) string {
		changed := strings.Replace(goodBill, from, to, 1)
		if changed == goodBill {
			t.Fatalf("%s is not in the bill", from)
		}
		return changed
	}
	tests := map[string]string{
		"empty":                "",
		"no titles":            billPaid + "\n" + billEnd,
		"missing column":       change("商户订单号,", "号,"),
		"column twice":         change("设备号", "商户号"),
		"no summary":           billTitles + "\n" + billPaid + "\n",
		"cut":                  goodBill[:len(billTitles)+20],
		"cut in a character":   goodBill[:len(billTitles)-1],
		"value missing":        change(",`OTHERS", ""),
		"value too many":       change(",`OTHERS", ",`OTHERS,`x"),
		"comma in a value":     change("tea\\ green", "tea,`green"),
		"no back-tick":         change("`2026-11-21 10", "2026-11-21 10"),
		"bad time":             change("2026-11-21 10:00:00", "2026-11-21 25:00:00"),
		"time of another form": change("2026-11-21 10:00:00", "2026-11-21T10:00:00"),
		"exponent":             change("`10.00", "`1e1"),
		"three decimals":       change("`10.00", "`10.005"),
		"plus":                 change("`10.00", "`+10.00"),
		"no digits":            change("`10.00", "`.00"),
		"final point":          change("`10.00", "`10."),
		"huge":                 change("`10.00", "`99999999999999.00"),
		"thousands":            change("`10.00", "`1 000.00"),
		"amount missing":       change("`10.00", "`"),
		"no number":            change("`A000000001", "`"),
		"no merchant":          change("`1900000001", "`"),
		"invalid UTF-8":        change("green", "gr\xffen"),
		"long line":            change("green", strings.Repeat("x", maxBillLine)),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := parseText(text); err == nil || got != nil {
				t.Errorf("got %+v, %v", got, err)
			} else if strings.Contains(err.Error(), "green") || strings.Contains(err.Error(), "25:00") {
				t.Errorf("%v quotes the bill", err)
			}
		})
	}
}

func TestParseYuan(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "0.00": 0, "0.01": 1, "0.1": 10, "10": 1000, "1299.02": 129902, "-3.96": -396, "9999999999999.99": 999999999999999, "-0.00": 0,
	} {
		if got, err := parseYuan(text); err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-", ".", "1.", ".1", "1.234", "+1", "--1", "1e2", " 1", "1 ", "1,000", "0x1", "１", "10000000000000"} {
		if got, err := parseYuan(text); err == nil || got != 0 {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func packedBill(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func hashOf(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestBillHashVector(t *testing.T) {
	t.Parallel()
	forEachVector(t, "sha1_hex", func(t *testing.T, v vector[struct{ Text string }, struct{ Hex string }]) {
		t.Helper()
		hash, err := hex.DecodeString(v.Expected.Hex)
		if err != nil {
			t.Fatal(err)
		}
		// The text is no bill, but with its hash that is the only complaint.
		if _, err := openBill(packedBill(t, v.Input.Text), hash, MaxBill); err == nil || errors.Is(err, errBillHash) {
			t.Errorf("right hash: %v", err)
		}
		if _, err := openBill(packedBill(t, v.Input.Text+"x"), hash, MaxBill); !errors.Is(err, errBillHash) {
			t.Errorf("other text: %v", err)
		}
	})
}

// billServer plays WeChat for a bill; the announcement is signed, the file is
// not.
func billServer(t *testing.T, announcement string, file []byte) *http.Client {
	t.Helper()
	p := publicKeyPlatform(t)
	return serve(func(w http.ResponseWriter, r *http.Request) {
		if err := VerifyRequest(r.Method, r.URL.RequestURI(), r.Header.Get("Authorization"), nil, &testKeys().merchant.PublicKey, testNow); err != nil {
			t.Error(err)
		}
		switch r.URL.RequestURI() {
		case "/v3/bill/tradebill?bill_date=2026-11-21&bill_type=ALL&tar_type=GZIP":
			reply(t, w, p, testPublicKey, http.StatusOK, announcement)
		case "/v3/billdownload/file?token=a%2Bb_c-d":
			if r.URL.Host != "primary.example" || r.Header.Get("Accept") != "*/*" {
				t.Errorf("file asked of %s with %v", r.URL.Host, r.Header)
			}
			_, _ = w.Write(file)
		default:
			t.Errorf("asked for %s", r.URL.RequestURI())
		}
	})
}

func TestClientTradeBill(t *testing.T) {
	t.Parallel()
	announce := func(hashType, hash, address string) string {
		return `{"hash_type":"` + hashType + `","hash_value":"` + hash + `","download_url":"` + address + `"}`
	}
	const address = "https://api.mch.weixin.qq.com/v3/billdownload/file?token=a%2Bb_c-d"
	day := time.Date(2026, 11, 20, 16, 0, 0, 0, time.UTC) // the 21st in Beijing
	good := announce("SHA1", hashOf(goodBill), address)
	tests := []struct {
		name         string
		announcement string
		file         []byte
		ok           bool
	}{
		{"packed", good, packedBill(t, goodBill), true},
		{"unpacked on the way", good, []byte(goodBill), true},
		{"upper-case hash", announce("SHA1", strings.ToUpper(hashOf(goodBill)), address), packedBill(t, goodBill), true},
		{"another host is not asked", announce("SHA1", hashOf(goodBill), "https://evil.example/v3/billdownload/file?token=a%2Bb_c-d"), packedBill(t, goodBill), true},
		{"behind a path", announce("SHA1", hashOf(goodBill), "https://api.example/wechat/v3/billdownload/file?token=a%2Bb_c-d"), packedBill(t, goodBill), true},
		{"amount changed on the way", good, packedBill(t, strings.Replace(goodBill, "`10.00", "`90.00", 1)), false},
		{"cut on the way", good, packedBill(t, goodBill)[:40], false},
		{"nothing", good, nil, false},
		{"rows behind the summary", good, packedBill(t, goodBill+billPaid), false},
		{"other hash", announce("MD5", hashOf(goodBill), address), packedBill(t, goodBill), false},
		{"short hash", announce("SHA1", "00", address), packedBill(t, goodBill), false},
		{"other path", announce("SHA1", hashOf(goodBill), "https://api.mch.weixin.qq.com/v3/certificates?token=1"), nil, false},
		{"no token", announce("SHA1", hashOf(goodBill), "https://api.mch.weixin.qq.com/v3/billdownload/file"), nil, false},
		{"no address", announce("SHA1", hashOf(goodBill), ""), nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newTestClient(t, func(o *ClientOptions) { o.HTTP, o.BackupURL = billServer(t, tt.announcement, tt.file), "" })
			got, err := c.TradeBill(t.Context(), day, BillAll, "")
			if !tt.ok {
				if err == nil || got != nil {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, goodBillRows()) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestClientTradeBillConditions(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]error{"NO_STATEMENT_EXIST": ErrNoStatement, "STATEMENT_CREATING": ErrStatementCreating, "NO_AUTH": nil} {
		c := newTestClient(t, func(o *ClientOptions) {
			o.HTTP = wechat(t, http.MethodGet, "/v3/bill/tradebill?bill_date=2026-11-22&bill_type=REFUND&tar_type=GZIP&sub_mchid=1900000209", "", 400, `{"code":"`+code+`"}`)
		})
		_, err := c.TradeBill(t.Context(), testNow, BillRefund, "1900000209")
		refused, ok := errors.AsType[*APIError](err)
		if !ok || refused.Code != code || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v", code, err)
		}
		if want == nil && (errors.Is(err, ErrNoStatement) || errors.Is(err, ErrStatementCreating)) {
			t.Errorf("%s passes for a condition: %v", code, err)
		}
	}
	if _, err := newTestClient(t, nil).TradeBill(t.Context(), testNow, BillAll, "x&y"); !errors.Is(err, errSubMchID) {
		t.Errorf("bad sub merchant: %v", err)
	}
}

// TestBillBomb: a small file that unpacks to more than a bill may have is
// given up, not cut.
func TestBillBomb(t *testing.T) {
	t.Parallel()
	hash, err := hex.DecodeString(hashOf(goodBill))
	if err != nil {
		t.Fatal(err)
	}
	packed, size := packedBill(t, goodBill), int64(len(goodBill))
	if rows, err := openBill(packed, hash, size); err != nil || len(rows) != 2 {
		t.Errorf("at the limit: %d rows, %v", len(rows), err)
	}
	for _, limit := range []int64{size - 1, int64(len(billTitles)), 0} {
		if rows, err := openBill(packed, hash, limit); !errors.Is(err, errBillTooLong) || rows != nil {
			t.Errorf("limit %d: %d rows, %v", limit, len(rows), err)
		}
	}
}

// FuzzTradeBill feeds files as they are after the hash was right: no panic,
// nothing beside an error, and only rows that name a payment.
func FuzzTradeBill(f *testing.F) {
	f.Add(goodBill)
	f.Add("\ufeff" + strings.ReplaceAll(goodBill, "\n", "\r\n"))
	f.Add(billTitles + "\n" + billEnd)
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := parseText(text)
		if err != nil {
			if rows != nil {
				t.Fatalf("%d rows beside %v", len(rows), err)
			}
			return
		}
		if got := strings.Count(text, "\n`"); len(rows) > got {
			t.Fatalf("%d rows of %d lines", len(rows), got)
		}
		for _, r := range rows {
			if r.TransactionID == "" || r.OutTradeNo == "" || r.MchID == "" || r.TradeTime.Location() != time.UTC {
				t.Fatalf("incomplete: %+v", r)
			}
		}
	})
}
