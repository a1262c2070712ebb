package sandbox

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// billing asks for a bill.
func billing(query string) call {
	return call{method: http.MethodGet, target: "/v3/bill/tradebill?" + query}
}

// announced is the answer to a request for a bill.
type announced struct {
	HashType    string `json:"hash_type"`
	HashValue   string `json:"hash_value"`
	DownloadURL string `json:"download_url"`
}

// announcedOf decodes the announcement and returns it with the path to fetch.
func announcedOf(t *testing.T, w *httptest.ResponseRecorder) (announced, string) {
	t.Helper()
	mustStatus(t, w, http.StatusOK)
	var a announced
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("decoding %q: %v", w.Body, err)
	}
	u, err := url.Parse(a.DownloadURL)
	if err != nil || u.Host == "" {
		t.Fatalf("download_url = %q, %v", a.DownloadURL, err)
	}
	return a, u.RequestURI()
}

// billSandbox has two payments, one refunded in part, and an unpaid order.
func billSandbox(t *testing.T) *Sandbox {
	t.Helper()
	s := paidSandbox(t)
	for _, number := range []string{"T00002", "T00003"} {
		mustStatus(t, native(prepayBody(t, map[string]any{"out_trade_no": number, "description": "书,笔", "attach": "a,b"})).send(t, s), http.StatusOK)
	}
	mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00002"}`), http.StatusOK)
	refundOf(t, refunding(refundBody(t, "R1", 30, nil)).send(t, s))
	return s
}

func TestTradeBill(t *testing.T) {
	t.Parallel()
	s := billSandbox(t)
	tests := map[string]struct {
		query string
		lines int // with titles and sums
		sums  string
	}{
		"all":     {"bill_date=2026-11-22&bill_type=ALL", 6, "`3,`2.00,`0.30,`0.00,`0.00000,`2.00,`0.30"},
		"default": {"bill_date=2026-11-22", 6, "`3,`2.00,`0.30,`0.00,`0.00000,`2.00,`0.30"},
		"success": {"bill_date=2026-11-22&bill_type=SUCCESS", 5, "`2,`2.00,`0.00,`0.00,`0.00000,`2.00,`0.00"},
		"refund":  {"bill_date=2026-11-22&bill_type=REFUND", 4, "`1,`0.00,`0.30,`0.00,`0.00000,`0.00,`0.30"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, packed := range []bool{false, true} {
				query := test.query
				if packed {
					query += "&tar_type=GZIP"
				}
				a, path := announcedOf(t, billing(query).send(t, s))
				w := call{method: http.MethodGet, target: path}.send(t, s)
				mustStatus(t, w, http.StatusOK)
				if w.Header().Get("Wechatpay-Signature") != "" {
					t.Error("the file is signed")
				}
				file := w.Body.Bytes()
				if packed {
					file = unpacked(t, file)
				}
				sum := sha1.Sum(file)
				if a.HashType != "SHA1" || a.HashValue != hex.EncodeToString(sum[:]) {
					t.Errorf("announced %s %s, which is not the file's", a.HashType, a.HashValue)
				}
				checkBill(t, string(file), test.lines, test.sums)
			}
		})
	}
}

// unpacked undoes GZIP.
func unpacked(t *testing.T, file []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// checkBill checks that every line has as many values as there are titles,
// each marked, and the sums.
func checkBill(t *testing.T, file string, lines int, sums string) {
	t.Helper()
	file, marked := strings.CutPrefix(file, "\ufeff")
	list := strings.Split(strings.TrimSuffix(file, "\r\n"), "\r\n")
	if !marked || len(list) != lines || !strings.HasPrefix(list[0], "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号") {
		t.Fatalf("bill of %d lines, want %d: %s", len(list), lines, file)
	}
	titles := strings.Split(list[0], ",")
	for _, line := range list[1 : len(list)-2] {
		values := strings.Split(line, ",")
		if len(values) != len(titles) || strings.Count(line, "`") != len(titles) || !strings.HasPrefix(line, "`2026-11-22 12:00:00,`"+DefaultAppID) {
			t.Errorf("line %q does not fit the %d titles", line, len(titles))
		}
	}
	if list[len(list)-1] != sums {
		t.Errorf("sums %q, want %q", list[len(list)-1], sums)
	}
}

func TestTradeBillRefuses(t *testing.T) {
	t.Parallel()
	s := billSandbox(t)
	for name, test := range map[string]struct {
		query  string
		status int
		code   string
	}{
		"another day":          {"bill_date=2026-11-21", 400, "NO_STATEMENT_EXIST"},
		"nothing of the kind":  {"bill_date=2026-11-22&sub_mchid=" + DefaultSubMchID, 400, "NO_STATEMENT_EXIST"},
		"no day":               {"bill_type=ALL", 400, "PARAM_ERROR"},
		"day of v2":            {"bill_date=20261122", 400, "PARAM_ERROR"},
		"other type":           {"bill_date=2026-11-22&bill_type=MINE", 400, "PARAM_ERROR"},
		"other packing":        {"bill_date=2026-11-22&tar_type=ZIP", 400, "PARAM_ERROR"},
		"unknown parameter":    {"bill_date=2026-11-22&mchid=1", 400, "PARAM_ERROR"},
		"unknown sub merchant": {"bill_date=2026-11-22&sub_mchid=404", 403, "NO_AUTH"},
	} {
		refused(t, name, billing(test.query).send(t, s), test.status, test.code)
	}
}

// A bill is fetched by the merchant that asked for it, for five minutes.
func TestBillFileRefuses(t *testing.T) {
	t.Parallel()
	clock := newClock(testNow)
	other := Merchant{
		MchID: "2", APIv3Key: []byte(DefaultAPIv3Key), AppIDs: []string{DefaultAppID},
		Certificates: []MerchantCertificate{{Serial: "2", PublicKey: &merchantKey().PublicKey}},
	}
	s := newSandbox(t, Options{Now: clock.now, Merchants: []Merchant{other}})
	mustStatus(t, native(prepayBody(t, nil)).send(t, s), http.StatusOK)
	mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001"}`), http.StatusOK)
	_, path := announcedOf(t, billing("bill_date=2026-11-22").send(t, s))
	refused(t, "another merchant", call{method: http.MethodGet, target: path, mchID: "2", serial: "2"}.send(t, s), 400, "INVALID_REQUEST")
	refused(t, "unknown token", call{method: http.MethodGet, target: billFilePath + "?token=x"}.send(t, s), 400, "INVALID_REQUEST")
	refused(t, "no token", call{method: http.MethodGet, target: billFilePath}.send(t, s), 400, "PARAM_ERROR")
	if w := get(s, path); w.Code != http.StatusUnauthorized {
		t.Errorf("without signature: %d, want 401", w.Code)
	}
	mustStatus(t, call{method: http.MethodGet, target: path}.send(t, s), http.StatusOK)
	clock.set(testNow.Add(billLife))
	refused(t, "after five minutes", call{method: http.MethodGet, target: path, at: clock.now()}.send(t, s), 400, "INVALID_REQUEST")
}

// The day is that of Beijing, whatever the clock's zone is.
func TestBillDayIsBeijings(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC) // midnight in Beijing
	s := newSandbox(t, Options{Now: func() time.Time { return now }})
	c := native(prepayBody(t, nil))
	c.at = now
	mustStatus(t, c.send(t, s), http.StatusOK)
	mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001"}`), http.StatusOK)
	for day, want := range map[string]int{"2026-11-22": http.StatusOK, "2026-11-21": http.StatusBadRequest} {
		c := billing("bill_date=" + day)
		c.at = now
		mustStatus(t, c.send(t, s), want)
	}
}

func TestBillBoxIsBounded(t *testing.T) {
	t.Parallel()
	box := &billBox{now: time.Now, bills: map[string]bill{}}
	for i := range maxBills + 10 {
		box.put(string(rune('A'+i)), "1", nil)
	}
	if len(box.bills) != maxBills || len(box.order) != maxBills {
		t.Errorf("%d bills are kept, want %d", len(box.bills), maxBills)
	}
}
