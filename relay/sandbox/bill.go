package sandbox

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha1" //nolint:gosec // the hash that WeChat gives with bills (v3.md 14)
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
)

// What the sandbox keeps of bills that were asked for.
const (
	billLife = 5 * time.Minute
	maxBills = 100

	billFilePath = "/v3/billdownload/file"
)

// billType says which rows a bill has.
type billType string

const (
	billAll     billType = "ALL"
	billSuccess billType = "SUCCESS"
	billRefund  billType = "REFUND"
)

// billEntry is one line of a bill: a payment, or a refund with its order.
type billEntry struct {
	order  order
	refund *refund // nil in the line of a payment
	at     time.Time
}

// entries lists what belongs into the bill of a Beijing day, by time. With
// subMchID only that sub merchant's.
func (l *ledger) entries(mchID, subMchID, day string, kind billType) []billEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []billEntry
	fits := func(at time.Time) bool { return !at.IsZero() && at.In(beijing.Zone).Format(time.DateOnly) == day }
	for _, o := range l.orders {
		if o.MchID != mchID || subMchID != "" && o.SubMchID != subMchID {
			continue
		}
		if kind != billRefund && fits(o.PaidAt) {
			list = append(list, billEntry{order: *o, at: o.PaidAt})
		}
		for _, number := range o.Refunds {
			r := *l.refunds[refundKey{MchID: mchID, OutRefundNo: number}]
			if kind != billSuccess && fits(r.CreatedAt) {
				list = append(list, billEntry{order: *o, refund: &r, at: r.CreatedAt})
			}
		}
	}
	slices.SortFunc(list, func(a, b billEntry) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.order.TransactionID, b.order.TransactionID), cmp.Compare(a.refundID(), b.refundID()))
	})
	return list
}

// refundID is WeChat's number of the refund, or none.
func (e *billEntry) refundID() string {
	if e.refund == nil {
		return ""
	}
	return e.refund.RefundID
}

// billColumn is a column of a bill: in which bills it is, and what it says.
type billColumn struct {
	title string
	in    []billType // none means all
	value func(e *billEntry) string
}

// billColumns are those of WeChat's trade bills, in their order.
var billColumns = []billColumn{
	{"交易时间", nil, func(e *billEntry) string { return billTime(e.at) }},
	{"公众账号ID", nil, func(e *billEntry) string { return e.order.AppID }},
	{"商户号", nil, func(e *billEntry) string { return e.order.MchID }},
	{"特约商户号", nil, func(e *billEntry) string { return cmp.Or(e.order.SubMchID, "0") }},
	{"设备号", nil, func(*billEntry) string { return "" }},
	{"微信订单号", nil, func(e *billEntry) string { return e.order.TransactionID }},
	{"商户订单号", nil, func(e *billEntry) string { return e.order.OutTradeNo }},
	{"用户标识", nil, func(e *billEntry) string { return e.order.PaidBy }},
	{"交易类型", nil, func(e *billEntry) string { return e.order.TradeType }},
	{"交易状态", nil, func(e *billEntry) string { return ofRefund(e, stateRefund, stateSuccess) }},
	{"付款银行", nil, func(*billEntry) string { return "OTHERS" }},
	{"货币种类", nil, func(*billEntry) string { return "CNY" }},
	{"应结订单金额", nil, func(e *billEntry) string { return billYuan(e.paidFen()) }},
	{"代金券金额", nil, func(*billEntry) string { return billYuan(0) }},
	{"退款申请时间", []billType{billRefund}, func(e *billEntry) string { return billTime(e.refund.CreatedAt) }},
	{"退款成功时间", []billType{billRefund}, func(e *billEntry) string { return billTime(e.refund.succeededAt()) }},
	{"微信退款单号", []billType{billAll, billRefund}, func(e *billEntry) string { return cmp.Or(e.refundID(), "0") }},
	{"商户退款单号", []billType{billAll, billRefund}, func(e *billEntry) string { return e.outRefundNo() }},
	{"退款金额", []billType{billAll, billRefund}, func(e *billEntry) string { return billYuan(e.refundFen()) }},
	{"充值券退款金额", []billType{billAll, billRefund}, func(*billEntry) string { return billYuan(0) }},
	{"退款类型", []billType{billAll, billRefund}, func(e *billEntry) string { return ofRefund(e, "ORIGINAL", "") }},
	{"退款状态", []billType{billAll, billRefund}, func(e *billEntry) string { return e.refundState() }},
	{"商品名称", nil, func(e *billEntry) string { return billText(e.order.Description) }},
	{"商户数据包", nil, func(e *billEntry) string { return billText(e.order.Attach) }},
	{"手续费", nil, func(*billEntry) string { return "0.00000" }},
	{"费率", nil, func(*billEntry) string { return "0.00%" }},
	{"订单金额", nil, func(e *billEntry) string { return billYuan(e.paidFen()) }},
	{"申请退款金额", []billType{billAll, billRefund}, func(e *billEntry) string { return billYuan(e.refundFen()) }},
	{"费率备注", nil, func(*billEntry) string { return "" }},
}

// ofRefund chooses by the kind of the line.
func ofRefund(e *billEntry, refunded, paid string) string {
	if e.refund != nil {
		return refunded
	}
	return paid
}

// paidFen is the amount of a payment; the line of a refund has none.
func (e *billEntry) paidFen() int64 {
	if e.refund != nil {
		return 0
	}
	return e.order.PaidFen
}

// refundFen is the amount of a refund; the line of a payment has none.
func (e *billEntry) refundFen() int64 {
	if e.refund == nil {
		return 0
	}
	return e.refund.RefundFen
}

// outRefundNo is the merchant's number of the refund, or 0.
func (e *billEntry) outRefundNo() string {
	if e.refund == nil {
		return "0"
	}
	return e.refund.OutRefundNo
}

// refundState spells the state of a refund as bills do.
func (e *billEntry) refundState() string {
	switch {
	case e.refund == nil:
		return ""
	case e.refund.Status == refundClosed:
		return "FAIL"
	case e.refund.Status == refundAbnormal:
		return "CHANGE"
	default:
		return string(e.refund.Status)
	}
}

// billYuan writes fen as the yuan of bills.
func billYuan(fen int64) string { return fmt.Sprintf("%d.%02d", fen/100, fen%100) }

// billTime writes a time as bills do.
func billTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(beijing.Zone).Format(time.DateTime)
}

// billText keeps a text from being taken for two columns.
func billText(s string) string { return strings.ReplaceAll(s, ",", " ") }

// renderBill writes a bill: titles, lines whose values begin with a
// back-tick, titles of the sums, sums (v2.md 13).
func renderBill(kind billType, entries []billEntry) []byte {
	var columns []billColumn
	for _, c := range billColumns {
		if c.in == nil || slices.Contains(c.in, kind) {
			columns = append(columns, c)
		}
	}
	var file bytes.Buffer
	file.WriteString("\ufeff")
	line := func(mark string, values []string) {
		file.WriteString(mark + strings.Join(values, ","+mark) + "\r\n")
	}
	titles := make([]string, len(columns))
	for i, c := range columns {
		titles[i] = c.title
	}
	line("", titles)
	var paid, refunded int64
	for i := range entries {
		values := make([]string, len(columns))
		for j, c := range columns {
			values[j] = c.value(&entries[i])
		}
		line("`", values)
		paid += entries[i].paidFen()
		refunded += entries[i].refundFen()
	}
	line("", []string{"总交易单数", "应结订单总金额", "退款总金额", "充值券退款总金额", "手续费总金额", "订单总金额", "申请退款总金额"})
	line("`", []string{
		fmt.Sprint(len(entries)), billYuan(paid), billYuan(refunded), billYuan(0), "0.00000", billYuan(paid), billYuan(refunded),
	})
	return file.Bytes()
}

// bill is a file that was announced.
type bill struct {
	mchID string
	file  []byte
	at    time.Time
}

// billBox keeps announced bills for as long as they can be fetched. Safe for
// concurrent use.
type billBox struct {
	now func() time.Time

	mu    sync.Mutex // guards what follows
	bills map[string]bill
	order []string
}

// put keeps a bill and forgets the oldest above the limit.
func (b *billBox) put(token, mchID string, file []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bills[token] = bill{mchID: mchID, file: file, at: b.now()}
	b.order = append(b.order, token)
	for len(b.order) > maxBills {
		delete(b.bills, b.order[0])
		b.order = b.order[1:]
	}
}

// file returns a bill to the merchant that it was announced to.
func (b *billBox) file(token, mchID string) ([]byte, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	found, ok := b.bills[token]
	return found.file, ok && found.mchID == mchID && b.now().Sub(found.at) < billLife
}

// tradeBill plays GET /v3/bill/tradebill. A day has a bill as soon as
// something happened on it: nobody waits for a toy until ten o'clock of the
// next day.
func (s *Sandbox) tradeBill(c *apiCall) (apiReply, error) {
	values, err := c.query([]string{"bill_date"}, []string{"bill_type", "tar_type", "sub_mchid"})
	if err == nil {
		err = c.checkSubMchID(values["sub_mchid"])
	}
	if err != nil {
		return apiReply{}, err
	}
	kind, err := billAsked(values)
	if err != nil {
		return apiReply{}, err
	}
	entries := s.ledger.entries(c.merchant.MchID, values["sub_mchid"], values["bill_date"], kind)
	if len(entries) == 0 {
		return apiReply{}, refuse(http.StatusBadRequest, "NO_STATEMENT_EXIST", "请求的账单文件不存在", logNoError)
	}
	plain := renderBill(kind, entries)
	file := plain
	if values["tar_type"] != "" {
		if file, err = packed(plain); err != nil {
			return apiReply{}, err
		}
	}
	token := "SANDBOX" + s.randomHex(16)
	s.bills.put(token, c.merchant.MchID, file)
	sum := sha1.Sum(plain) //nolint:gosec // see the import
	return jsonReply(struct {
		HashType    string `json:"hash_type"`
		HashValue   string `json:"hash_value"`
		DownloadURL string `json:"download_url"`
	}{"SHA1", hex.EncodeToString(sum[:]), c.origin + billFilePath + "?token=" + token})
}

// billAsked checks day, type and packing of a bill.
func billAsked(values map[string]string) (billType, error) {
	wrong := func(name, issue string) error {
		return &parameterError{field: name, value: values[name], issue: issue, location: "query"}
	}
	if _, err := time.Parse(time.DateOnly, values["bill_date"]); err != nil {
		return "", wrong("bill_date", "the day must have the form yyyy-MM-dd")
	}
	if values["tar_type"] != "" && values["tar_type"] != "GZIP" {
		return "", wrong("tar_type", "the value must be GZIP")
	}
	switch kind := billType(values["bill_type"]); kind {
	case "":
		return billAll, nil
	case billAll, billSuccess, billRefund:
		return kind, nil
	default:
		return "", wrong("bill_type", "the value must be one of ALL, SUCCESS, REFUND")
	}
}

// packed compresses a file.
func packed(plain []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(plain)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("packing a bill: %w", err)
	}
	return out.Bytes(), nil
}

// billFile plays GET /v3/billdownload/file. The request is signed, the file
// is not (v3.md 14).
func (s *Sandbox) billFile(c *apiCall) (apiReply, error) {
	values, err := c.query([]string{"token"}, nil)
	if err != nil {
		return apiReply{}, err
	}
	file, ok := s.bills.file(values["token"], c.merchant.MchID)
	if !ok {
		return apiReply{}, refuse(http.StatusBadRequest, "INVALID_REQUEST", "账单下载地址已失效，请重新申请账单", logNoError)
	}
	return apiReply{status: http.StatusOK, body: file, contentType: "application/octet-stream", unsigned: true}, nil
}
