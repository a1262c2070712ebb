package shop

import (
	"context"
	"io"
	"net/http"
	"time"
)

// Bounds of what the orders page asks of the relay.
const (
	maxAsked   = 5
	askTimeout = 2 * time.Second
)

// serveNotify answers POST /shop/notify: notifications in the "standard"
// form.
func (s *Shop) serveNotify(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var told Told
	if err == nil {
		told, err = VerifyWebhook(s.notifySecret, r.Header, body, s.now())
	}
	entry := receipt{Form: "standard", EventID: r.Header.Get("webhook-id")}
	w.WriteHeader(s.take(entry, told, err, http.StatusNoContent))
}

// serveNotifyGet answers GET /shop/notify-get: notifications in the "get"
// form, whose success is the word success.
func (s *Shop) serveNotifyGet(w http.ResponseWriter, r *http.Request) {
	told, err := VerifyGet(s.notifySecret, r.URL.Query(), s.now())
	entry := receipt{Form: "get", EventID: r.URL.Query().Get("event_id")}
	status := s.take(entry, told, err, http.StatusOK)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	if status == http.StatusOK {
		_, _ = io.WriteString(w, "success") // a relay that left asks again
	}
}

// take acts on a notification, keeps it for the orders page, and returns the
// status to answer with. A shop that is down acts on nothing.
func (s *Shop) take(entry receipt, told Told, err error, success int) int {
	entry.At = s.now()
	entry.EventID = entry.EventID[:min(len(entry.EventID), 64)]
	entry.Verified = err == nil
	entry.Answer = success
	if err != nil {
		entry.Reason = err.Error()
		entry.Answer = http.StatusUnauthorized
	} else {
		entry.Type, entry.OrderNo = told.Type, told.OrderNo
	}
	if s.book.isDown() {
		entry.Answer = http.StatusServiceUnavailable
	} else if err == nil {
		s.book.settle(told, s.now())
	}
	s.book.receive(entry)
	return entry.Answer
}

// askRelay fills in when the relay will try again, for the newest orders
// whose latest notification was not taken.
func (s *Shop) askRelay(ctx context.Context, orders []orderView) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	asked := 0
	for i := range orders {
		o := &orders[i]
		if len(o.Receipts) == 0 || o.Receipts[0].Taken() || asked == maxAsked {
			continue
		}
		asked++
		event, err := s.relay.Event(ctx, o.Receipts[0].EventID)
		if err != nil {
			o.Delivery = "unknown"
			continue
		}
		o.Delivery, o.Next = event.Delivery.Status, event.Delivery.NextAttemptAt
	}
}
