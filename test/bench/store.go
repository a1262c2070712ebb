package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/badgerstore"
)

// storeAlone settles the same number of orders in a store of this process,
// without HTTP and without signatures: the rows of a settlement and nothing
// else.
func storeAlone(ctx context.Context, path string, callers, n int) (r result, err error) {
	s, err := badgerstore.Open(badgerstore.Options{Path: path})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return spread(ctx, callers, n, func(ctx context.Context, _, i int) error {
		return s.Update(ctx, settlement(i))
	})
}

// settlement writes what the relay writes when a notification settles an
// order.
func settlement(i int) func(relay.Tx) error {
	now := time.Now().UTC()
	key := relay.OrderKey{ClientID: clientID, OrderNo: fmt.Sprintf("N%d", i)}
	payment := relay.PaymentKey{MchID: mchID, OutTradeNo: fmt.Sprintf("3MRLNXvuv4NEtfZ1XDDH4S%05d", i)}
	order := &relay.Order{
		OrderKey: key, Token: fmt.Sprintf("token-of-the-page-%04x", i), AmountFen: 100, Description: "a description of usual length",
		NotifyURL: "http://127.0.0.1:9/notify", MchID: mchID, Status: relay.OrderPaid, Version: 3, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
		Payments: []string{payment.OutTradeNo}, PaidFen: 100, PaidAt: now, TransactionID: "42000" + payment.OutTradeNo, TradeType: relay.TradeNative,
		PaidBy: payment.OutTradeNo, PayerOpenID: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", PaidAppID: appID,
	}
	event := &relay.Event{
		ID: fmt.Sprintf("evt_3MRLNXvuv4NEtfZ1XDDH%07d", i), ClientID: clientID, Type: relay.EventOrderPaid, OrderNo: key.OrderNo,
		CreatedAt: now, Body: make([]byte, 480),
	}
	delivery := relay.NewDelivery(event, order.NotifyURL, relay.NotifyStandard, relay.DefaultSchedule(), now)
	return func(tx relay.Tx) error {
		return errors.Join(
			tx.PutEvidence(&relay.Evidence{
				Payment: payment, ID: "EV-" + payment.OutTradeNo, Source: "notification", ReceivedAt: now, Serial: publicKeyID,
				EventType: "TRANSACTION.SUCCESS", Plaintext: make([]byte, 420),
			}),
			tx.PutPayment(&relay.Payment{
				PaymentKey: payment, Order: key, TradeType: relay.TradeNative, AppID: appID, AmountFen: 100, Description: order.Description,
				NotifyURL: "http://127.0.0.1:8080/wechat/notify/main", Status: relay.PaymentPaid, CreatedAt: now, ExpiresAt: order.ExpiresAt,
				CodeURL: "weixin://wxpay/bizpayurl?pr=bench", PrepaidAt: now, TransactionID: order.TransactionID, PaidFen: 100, PaidAt: now,
				PayerOpenID: order.PayerOpenID,
			}),
			tx.PutOrder(order),
			tx.AddEvent(event),
			tx.PutDelivery(&delivery),
		)
	}
}
