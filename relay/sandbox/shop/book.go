package shop

import (
	"slices"
	"sync"
	"time"
)

// Bounds of the shop's memory.
const (
	maxOrders   = 200
	maxReceipts = 500
)

// order is what somebody bought.
type order struct {
	Buyer       *Visitor // nil for a guest
	OrderNo     string
	Product     product
	AmountFen   int64
	CheckoutURL string
	CreatedAt   time.Time
	PaidAt      time.Time // when the shop believed it; zero before
	Mismatch    bool      // a genuine notification named another amount
}

// Paid reports whether the goods can be handed out.
func (o order) Paid() bool { return !o.PaidAt.IsZero() }

// receipt is one notification as it came in.
type receipt struct {
	At       time.Time
	Form     string // standard or get
	EventID  string
	Type     string
	OrderNo  string
	Attempt  int // how often this event came so far
	Verified bool
	Reason   string // why not
	Answer   int    // HTTP status
}

// Taken reports whether the relay has been told that all is well.
func (r receipt) Taken() bool { return r.Answer/100 == 2 }

// orderView is an order with what came in for it and what is yet to come.
type orderView struct {
	order
	Receipts []receipt // newest first

	// Next is when the relay will try again; Delivery says how far it is.
	Next     time.Time
	Delivery string
}

// book holds the shop's orders and what it was told. Safe for concurrent
// use.
type book struct {
	mu       sync.Mutex // guards what follows
	down     bool
	orders   []order   // oldest first
	receipts []receipt // oldest first
}

// newBook makes an empty book.
func newBook() *book { return &book{} }

// isDown reports whether the shop answers 503.
func (b *book) isDown() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.down
}

// setDown opens or closes the shop's ears.
func (b *book) setDown(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

// add keeps a new order and forgets the oldest above the limit.
func (b *book) add(o order) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.orders = append(b.orders, o)
	b.orders = slices.Delete(b.orders, 0, max(0, len(b.orders)-maxOrders))
}

// order finds an order.
func (b *book) order(orderNo string) (order, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o := b.find(orderNo); o != nil {
		return *o, true
	}
	return order{}, false
}

// find returns the living record of an order. The caller holds mu.
func (b *book) find(orderNo string) *order {
	i := slices.IndexFunc(b.orders, func(o order) bool { return o.OrderNo == orderNo })
	if i < 0 {
		return nil
	}
	return &b.orders[i]
}

// settle acts on a genuine notification. A repeat changes nothing. An amount
// that is not the order's leaves the order unpaid, for somebody to look at.
func (b *book) settle(told Told, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.find(told.OrderNo)
	if o == nil || told.Type != "order.paid" || o.Paid() {
		return
	}
	if told.AmountFen != o.AmountFen || (told.Currency != "" && told.Currency != "CNY") {
		o.Mismatch = true
		return
	}
	o.PaidAt = now
}

// receive keeps a receipt, counting how often its event came.
func (b *book) receive(r receipt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.Attempt = 1
	for _, earlier := range b.receipts {
		if earlier.EventID == r.EventID && earlier.Verified == r.Verified {
			r.Attempt = max(r.Attempt, earlier.Attempt+1)
		}
	}
	b.receipts = append(b.receipts, r)
	b.receipts = slices.Delete(b.receipts, 0, max(0, len(b.receipts)-maxReceipts))
}

// view lists the orders, newest first, each with its genuine receipts, and
// apart from them the receipts that belong to no order or were not believed.
func (b *book) view() (orders []orderView, strays []receipt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := map[string]int{}
	for _, o := range slices.Backward(b.orders) {
		at[o.OrderNo] = len(orders)
		orders = append(orders, orderView{order: o})
	}
	for _, r := range slices.Backward(b.receipts) {
		if i, ok := at[r.OrderNo]; ok && r.Verified {
			orders[i].Receipts = append(orders[i].Receipts, r)
		} else {
			strays = append(strays, r)
		}
	}
	return orders, strays
}
