package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// merchant is a configured merchant number with its connections to WeChat,
// one for each protocol generation that it has credentials for.
type merchant struct {
	*Merchant
	connections map[API]connection
	prefer      API
	noH5        noLeave
}

// connection is a merchant's connection in one generation.
type connection struct {
	gateway  Gateway
	parser   notificationParser
	maintain func(context.Context) // runs while the configuration is current; nil when nothing needs it
}

// notificationParser verifies and decrypts what WeChat posts to the
// merchant's address.
type notificationParser interface {
	ParseNotification(ctx context.Context, n RawNotification) (Notification, error)
}

// merchantID names a merchant as orders do: a service provider's number may
// collect for several.
type merchantID struct {
	MchID, SubMchID string
}

// connect makes a merchant's connections to WeChat. It calls nobody.
func connect(m *Merchant, p Platform, rt *Runtime, logger *slog.Logger) (*merchant, error) {
	connected := &merchant{Merchant: m, connections: make(map[API]connection, 2), prefer: m.generation()}
	if m.APIv3 != nil {
		c, err := connectV3(m, p, rt, logger)
		if err != nil {
			return nil, fmt.Errorf("api_v3: %w", err)
		}
		connected.connections[APIv3] = c
	}
	if m.APIv2 != nil {
		c, err := connectV2(m, p, rt, logger)
		if err != nil {
			return nil, fmt.Errorf("api_v2: %w", err)
		}
		connected.connections[APIv2] = c
	}
	if len(connected.connections) == 0 {
		return nil, errors.New("no credentials")
	}
	return connected, nil
}

// gateway is the connection for a record of a generation: that generation's,
// or the other one's when the merchant's credentials were taken away since.
// Either finds what the other one made (v2.md section 1).
func (m *merchant) gateway(api API) Gateway {
	if c, ok := m.connections[api]; ok {
		return c.gateway
	}
	return m.connections[m.prefer].gateway
}

// speaks reports whether the merchant has credentials of a generation.
func (m *merchant) speaks(api API) bool {
	_, ok := m.connections[api]
	return ok
}

// merchantFor is the configured merchant of an order or a payment.
func (s *Service) merchantFor(mchID, subMchID string) (*merchant, error) {
	m := s.byNumber[merchantID{mchID, subMchID}]
	if m == nil {
		return nil, refuse(KindUnavailable, "", "this order's merchant is not configured")
	}
	return m, nil
}

// APIOf tells by its first character which generation a notification is in:
// XML or JSON. One address takes both.
func APIOf(body []byte) API {
	if bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), " \t\r\n"), []byte("<")) {
		return APIv2
	}
	return APIv3
}

// parse verifies a notification by the keys of its generation.
func (m *merchant) parse(ctx context.Context, n RawNotification) (Notification, error) {
	c, ok := m.connections[APIOf(n.Body)]
	if !ok {
		return Notification{}, &VerificationError{Reason: "generation", Err: errors.New("the merchant has no credentials of this generation")}
	}
	return c.parser.ParseNotification(ctx, n)
}
