package web

const maxRefundNo = 32

// refundNo takes the refund number of the path. One that no refund can have
// is as unknown as one that no refund has.
func (x *exchange) refundNo() (string, error) {
	if len(x.param) > maxRefundNo || !plainName(x.param) {
		return "", notFound("refund")
	}
	return x.param, nil
}

func (x *exchange) createRefund() error { return create(x, x.orderNo, x.service.CreateRefund) }

func (x *exchange) showRefund() error { return show(x, x.refundNo, x.service.Refund) }
