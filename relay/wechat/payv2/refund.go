package payv2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
)

// RefundStatus is the state of a refund, spelled as WeChat spells it.
type RefundStatus string

// The states (section 11). PROCESSING alone is not final, and CHANGE waits for
// somebody to act.
const (
	RefundSuccess    RefundStatus = "SUCCESS"
	RefundClosed     RefundStatus = "REFUNDCLOSE"
	RefundProcessing RefundStatus = "PROCESSING"
	RefundChange     RefundStatus = "CHANGE" // failed at the bank
)

// RefundRequest gives money back (section 11). One OutRefundNo refunds once,
// so that a repeat must keep it.
type RefundRequest struct {
	AppID string
	Partner
	OutTradeNo    string // or
	TransactionID string
	OutRefundNo   string // up to 64 of [0-9A-Za-z_|*@-]
	TotalFen      int64  // what the order cost
	RefundFen     int64
	Reason        string // what the user reads; up to 80 bytes
	Account       string // where the money comes from; WeChat's default when empty
	NotifyURL     string // the merchant console's when empty
}

// RefundReply is an accepted refund. The money has not moved yet.
type RefundReply struct {
	RefundID      string
	TransactionID string
	TotalFen      int64
	RefundFen     int64
}

// Refund asks WeChat to give money back, or repeats the request, which is
// harmless. It needs the merchant's certificate.
func (c *Client) Refund(ctx context.Context, r *RefundRequest) (RefundReply, Message, error) {
	const op = "refund"
	if (r.OutTradeNo == "") == (r.TransactionID == "") || r.OutRefundNo == "" {
		return RefundReply{}, nil, fmt.Errorf("%s: %w", op, errOneNumber)
	}
	fields := Message{fieldAppID: r.AppID, "refund_fee_type": Currency}
	r.addTo(fields)
	fields.set("out_trade_no", r.OutTradeNo)
	fields.set("transaction_id", r.TransactionID)
	fields.set("out_refund_no", r.OutRefundNo)
	fields.setFen("total_fee", r.TotalFen)
	fields.setFen("refund_fee", r.RefundFen)
	fields.set("refund_desc", r.Reason)
	fields.set("refund_account", r.Account)
	fields.set("notify_url", r.NotifyURL)
	m, err := c.do(ctx, call{op: op, path: "/secapi/pay/refund", certified: true, fields: fields})
	if err != nil {
		return RefundReply{}, nil, err
	}
	d := decoder{m: m}
	d.require("refund_id", "refund_fee", "total_fee", "transaction_id")
	reply := RefundReply{
		RefundID:      m["refund_id"],
		TransactionID: m["transaction_id"],
		TotalFen:      d.fen("total_fee"),
		RefundFen:     d.fen("refund_fee"),
	}
	if m["out_refund_no"] != r.OutRefundNo || reply.RefundFen != r.RefundFen {
		d.fail("out_refund_no", errors.New("or refund_fee is another one"))
	}
	if d.err != nil {
		return RefundReply{}, nil, fmt.Errorf("%s: answer: %w", op, d.err)
	}
	return reply, m, nil
}

// RefundQueryRequest names refunds by exactly one number: one refund by its
// own, all of an order by the order's.
type RefundQueryRequest struct {
	AppID string
	Partner
	RefundID      string
	OutRefundNo   string
	TransactionID string
	OutTradeNo    string
}

func (r *RefundQueryRequest) encode() (Message, error) {
	fields := Message{fieldAppID: r.AppID}
	numbers := 0
	for name, number := range map[string]string{
		"refund_id": r.RefundID, "out_refund_no": r.OutRefundNo, "transaction_id": r.TransactionID, "out_trade_no": r.OutTradeNo,
	} {
		if number != "" {
			fields[name] = number
			numbers++
		}
	}
	if numbers != 1 {
		return nil, errOneNumber
	}
	r.addTo(fields)
	return fields, nil
}

// Refund is WeChat's statement about one refund.
type Refund struct {
	RefundID    string
	OutRefundNo string
	RefundFen   int64
	Status      RefundStatus
	Channel     string // ORIGINAL, BALANCE, …
	Account     string // where the money came from
	Receiver    string // where it went, in words
	SuccessTime time.Time
}

// Refunds are the refunds of one order.
type Refunds struct {
	TransactionID string
	OutTradeNo    string
	TotalFen      int64 // what the order cost
	List          []Refund
}

// maxRefunds is how many refunds an order can have (section 11).
const maxRefunds = 50

// RefundQuery asks for refunds, page by page until it has all of them, and
// returns them with the fields of the last answer.
func (c *Client) RefundQuery(ctx context.Context, r RefundQueryRequest) (*Refunds, Message, error) {
	const op = "refundquery"
	fields, err := r.encode()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", op, err)
	}
	all := &Refunds{}
	for offset := 0; offset <= maxRefunds; {
		if r.ofOrder() {
			fields["offset"] = strconv.Itoa(offset) // without it, WeChat does not say how many there are
		}
		m, err := c.do(ctx, call{op: op, path: "/pay/refundquery", fields: fields})
		if err != nil {
			return nil, nil, err
		}
		page, total, err := decodeRefunds(m)
		if err == nil {
			err = r.check(page)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: answer: %w", op, err)
		}
		all.add(page)
		offset += len(page.List)
		if len(page.List) == 0 || offset >= total || !r.ofOrder() {
			return all, m, nil
		}
	}
	return nil, nil, fmt.Errorf("%s: answer: more refunds than an order can have", op)
}

// ofOrder reports whether the request is for all refunds of an order.
func (r *RefundQueryRequest) ofOrder() bool { return r.TransactionID != "" || r.OutTradeNo != "" }

// add joins the next page. A refund made between two pages moves the others,
// so that the pages may overlap.
func (r *Refunds) add(page *Refunds) {
	r.TransactionID, r.OutTradeNo, r.TotalFen = page.TransactionID, page.OutTradeNo, page.TotalFen
	for _, one := range page.List {
		if !slices.ContainsFunc(r.List, func(known Refund) bool { return known.RefundID == one.RefundID }) {
			r.List = append(r.List, one)
		}
	}
}

// check makes sure that a page is about what was asked.
func (r *RefundQueryRequest) check(page *Refunds) error {
	if r.TransactionID != "" && page.TransactionID != r.TransactionID || r.OutTradeNo != "" && page.OutTradeNo != r.OutTradeNo {
		return errors.New("is about another order")
	}
	if !r.ofOrder() && len(page.List) != 1 {
		return errors.New("has not exactly one refund")
	}
	for _, one := range page.List {
		if r.RefundID != "" && one.RefundID != r.RefundID || r.OutRefundNo != "" && one.OutRefundNo != r.OutRefundNo {
			return errors.New("is about another refund")
		}
	}
	return nil
}

// decodeRefunds reads one page, and how many refunds there are in all if the
// answer says so.
func decodeRefunds(m Message) (*Refunds, int, error) {
	d := decoder{m: m}
	d.require("transaction_id", "out_trade_no", "total_fee", "refund_count")
	page := &Refunds{TransactionID: m["transaction_id"], OutTradeNo: m["out_trade_no"], TotalFen: d.fen("total_fee")}
	count, total := d.fen("refund_count"), d.fen("total_refund_count")
	if count > maxRefunds || total > maxRefunds {
		d.fail("refund_count", errors.New("is more than an order can have"))
	}
	for i := range count {
		if d.err != nil {
			return nil, 0, d.err
		}
		page.List = append(page.List, decodeRefund(&d, "_"+strconv.FormatInt(i, 10)))
	}
	return page, int(total), d.err
}

func decodeRefund(d *decoder, suffix string) Refund {
	d.require("out_refund_no"+suffix, "refund_id"+suffix, "refund_fee"+suffix, "refund_status"+suffix)
	return Refund{
		RefundID:    d.m["refund_id"+suffix],
		OutRefundNo: d.m["out_refund_no"+suffix],
		RefundFen:   d.fen("refund_fee" + suffix),
		Status:      RefundStatus(d.m["refund_status"+suffix]),
		Channel:     d.m["refund_channel"+suffix],
		Account:     d.m["refund_account"+suffix],
		Receiver:    d.m["refund_recv_accout"+suffix], // misspelt on the wire
		SuccessTime: d.time("refund_success_time"+suffix, beijing.Readable),
	}
}

// Fields returns the refunds as the fields of an answer to a query, without
// the common ones and the number of those on other pages. It is the platform's
// end of decodeRefunds.
func (r *Refunds) Fields() Message {
	m := Message{
		"transaction_id": r.TransactionID,
		"out_trade_no":   r.OutTradeNo,
		"total_fee":      strconv.FormatInt(r.TotalFen, 10),
		"cash_fee":       strconv.FormatInt(r.TotalFen, 10),
		"fee_type":       Currency,
		"refund_count":   strconv.Itoa(len(r.List)),
	}
	for i, one := range r.List {
		suffix := "_" + strconv.Itoa(i)
		m.set("refund_id"+suffix, one.RefundID)
		m.set("out_refund_no"+suffix, one.OutRefundNo)
		m.setFen("refund_fee"+suffix, one.RefundFen)
		m.set("refund_status"+suffix, string(one.Status))
		m.set("refund_channel"+suffix, one.Channel)
		m.set("refund_account"+suffix, one.Account)
		m.set("refund_recv_accout"+suffix, one.Receiver)
		m.setTime("refund_success_time"+suffix, beijing.Readable, one.SuccessTime)
	}
	return m
}
