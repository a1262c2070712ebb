package payv3

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wxrelay/wxrelay/internal/beijing"
)

// BillRow is one payment or refund of a trade bill. Amounts are fen. Columns
// that the type of bill does not have are left empty.
type BillRow struct {
	TradeTime     time.Time // of the payment, or of the refund's request; UTC
	AppID         string
	MchID         string
	SubMchID      string // empty for a direct merchant
	TransactionID string
	OutTradeNo    string
	TradeType     string // JSAPI, NATIVE, APP, MWEB, MICROPAY
	TradeState    string // SUCCESS, REFUND, REVOKED
	BankType      string
	Currency      string
	TotalFen      int64 // of the order; 0 in the row of a refund
	SettledFen    int64 // the order without coupons that the merchant gave

	RefundID            string // WeChat's number; set in the row of a refund
	OutRefundNo         string // the merchant's number
	RefundFen           int64  // as asked for
	SettlementRefundFen int64  // without coupons that the merchant gave
	RefundType          string // ORIGINAL, BALANCE
	RefundStatus        string // SUCCESS, PROCESSING, FAIL, CHANGE

	Description string // the comma is written as `\ ` by WeChat
	Attach      string // likewise
}

// IsRefund reports whether the row is about a refund.
func (r *BillRow) IsRefund() bool { return r.RefundID != "" }

const (
	// maxBillLine is more than the longest row can have: some thirty columns,
	// of which the longest has 128 bytes.
	maxBillLine = 16 << 10
	// billSummary begins the line of titles that follows the last row.
	billSummary = "总交易单数"
)

// billColumns finds columns by their title, which the kinds and ages of bills
// order differently. Of several titles the first that a bill has is used.
type billColumn struct {
	titles   []string
	required bool
	set      func(r *BillRow, value string) error
}

var billColumns = []billColumn{
	{[]string{"交易时间"}, true, func(r *BillRow, v string) (err error) {
		r.TradeTime, err = beijing.Parse(beijing.Readable, v)
		return err
	}},
	{[]string{"公众账号ID"}, true, func(r *BillRow, v string) error { r.AppID = v; return nil }},
	{[]string{"商户号"}, true, func(r *BillRow, v string) error { r.MchID = v; return nil }},
	{[]string{"特约商户号", "子商户号"}, false, func(r *BillRow, v string) error { r.SubMchID = orNone(v); return nil }},
	{[]string{"微信订单号"}, true, func(r *BillRow, v string) error { r.TransactionID = v; return nil }},
	{[]string{"商户订单号"}, true, func(r *BillRow, v string) error { r.OutTradeNo = v; return nil }},
	{[]string{"交易类型"}, false, func(r *BillRow, v string) error { r.TradeType = v; return nil }},
	{[]string{"交易状态"}, true, func(r *BillRow, v string) error { r.TradeState = v; return nil }},
	{[]string{"付款银行"}, false, func(r *BillRow, v string) error { r.BankType = v; return nil }},
	{[]string{"货币种类"}, true, func(r *BillRow, v string) error { r.Currency = v; return nil }},
	// The oldest form has no coupons, and one amount.
	{[]string{"订单金额", "总金额"}, true, func(r *BillRow, v string) error { return setFen(&r.TotalFen, v) }},
	{[]string{"应结订单金额", "总金额"}, true, func(r *BillRow, v string) error { return setFen(&r.SettledFen, v) }},
	{[]string{"微信退款单号"}, false, func(r *BillRow, v string) error { r.RefundID = orNone(v); return nil }},
	{[]string{"商户退款单号"}, false, func(r *BillRow, v string) error { r.OutRefundNo = orNone(v); return nil }},
	{[]string{"申请退款金额", "退款金额"}, false, func(r *BillRow, v string) error { return setFen(&r.RefundFen, v) }},
	{[]string{"退款金额"}, false, func(r *BillRow, v string) error { return setFen(&r.SettlementRefundFen, v) }},
	{[]string{"退款类型"}, false, func(r *BillRow, v string) error { r.RefundType = v; return nil }},
	{[]string{"退款状态"}, false, func(r *BillRow, v string) error { r.RefundStatus = v; return nil }},
	{[]string{"商品名称"}, false, func(r *BillRow, v string) error { r.Description = v; return nil }},
	{[]string{"商户数据包"}, false, func(r *BillRow, v string) error { r.Attach = v; return nil }},
}

// orNone reads a number; WeChat writes 0 where there is none.
func orNone(v string) string {
	if v == "0" {
		return ""
	}
	return v
}

func setFen(to *int64, v string) (err error) {
	*to, err = parseYuan(v)
	return err
}

var errYuan = errors.New("amount is not yuan with up to two decimals")

// parseYuan reads yuan exactly: no rounding, no float.
func parseYuan(s string) (fen int64, err error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, cents, _ := strings.Cut(digits, ".")
	if !consistsOf(whole, 13, isDigit) || len(cents) > 2 || cents != "" && !consistsOf(cents, 2, isDigit) || strings.HasSuffix(digits, ".") {
		return 0, errYuan
	}
	if fen, err = strconv.ParseInt(whole+(cents + "00")[:2], 10, 64); err != nil {
		return 0, errYuan
	}
	if negative {
		fen = -fen
	}
	return fen, nil
}

// billSetter reads one cell of a row.
type billSetter struct {
	at  int
	set func(r *BillRow, value string) error
}

// readHeader finds the columns.
func readHeader(line string) (setters []billSetter, columns int, err error) {
	titles := strings.Split(strings.TrimPrefix(line, "\ufeff"), ",")
	at := make(map[string]int, len(titles))
	for i, title := range titles {
		if _, twice := at[title]; twice {
			return nil, 0, errors.New("a column's title is there twice")
		}
		at[title] = i
	}
	for _, c := range billColumns {
		found := false
		for _, title := range c.titles {
			if i, ok := at[title]; ok {
				setters, found = append(setters, billSetter{i, c.set}), true
				break
			}
		}
		if !found && c.required {
			return nil, 0, fmt.Errorf("column %s is missing", c.titles[0])
		}
	}
	return setters, len(titles), nil
}

// parseBill reads titles, rows and summary (v2.md section 13). Every value of
// a row begins with a back-tick, which no title does.
func parseBill(r *bufio.Reader) ([]BillRow, error) {
	line, err := readLine(r)
	if err != nil {
		return nil, fmt.Errorf("titles: %w", err)
	}
	setters, columns, err := readHeader(line)
	if err != nil {
		return nil, fmt.Errorf("titles: %w", err)
	}
	var rows []BillRow
	for n := 2; ; n++ {
		line, err := readLine(r)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", n, err)
		case strings.HasPrefix(line, billSummary):
			return rows, nil
		}
		row, err := readRow(line, setters, columns)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		rows = append(rows, row)
	}
}

func readRow(line string, setters []billSetter, columns int) (row BillRow, err error) {
	values, ok := strings.CutPrefix(line, "`")
	if !ok {
		return row, errors.New("row does not begin with a back-tick")
	}
	cells := strings.Split(values, ",`")
	if len(cells) != columns {
		return row, fmt.Errorf("row has %d values, want %d", len(cells), columns)
	}
	for _, s := range setters {
		if err := s.set(&row, strings.Clone(cells[s.at])); err != nil {
			// The parser of times quotes what it read.
			return row, fmt.Errorf("value %d is malformed", s.at+1)
		}
	}
	if row.TransactionID == "" || row.OutTradeNo == "" || row.MchID == "" {
		return row, errors.New("a number is missing")
	}
	return row, nil
}

// readLine reads one line without its end. The last line must have one too:
// a file that breaks off is not read to the summary.
func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxBillLine:
			return "", errors.New("line is too long")
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return "", errors.New("bill ends without a summary")
		case err != nil:
			return "", err
		}
		text := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
		if !utf8.ValidString(text) {
			return "", errors.New("line is not UTF-8")
		}
		return text, nil
	}
}
