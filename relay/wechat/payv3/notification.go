package payv3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// MaxNotification is the longest notification that is looked at, in bytes.
const MaxNotification = 64 << 10

// Event types and the type of their content that settle payments
// (doc 4012791865).
const (
	EventTransactionSuccess = "TRANSACTION.SUCCESS"
	OriginalTypeTransaction = "transaction"
)

// Notification is what WeChat posted, verified and decrypted.
type Notification struct {
	ID           string // the same on every repeat
	EventType    string // such as TRANSACTION.SUCCESS
	OriginalType string // type of Plaintext; may be empty
	Serial       string // key that signed it
	CreateTime   time.Time
	Plaintext    []byte // JSON
}

// ParseNotification verifies the signature over the raw body, then decodes the
// envelope, then decrypts the content; there is no way to have a part of it
// without the rest. An error that is a [*VerifyError] means that the sender
// was not WeChat; one that is [ErrResource] or about the document means that
// WeChat's message cannot be used. Every error must be answered with a
// failure.
func (c *Client) ParseNotification(ctx context.Context, h http.Header, body []byte) (*Notification, error) {
	if len(body) > MaxNotification {
		return nil, fmt.Errorf("notification is longer than %d bytes", MaxNotification)
	}
	serial, err := c.keys.Verify(ctx, h, body, c.now())
	if err != nil {
		return nil, fmt.Errorf("notification: %w", err)
	}
	n, err := openNotification(c.cipher, body)
	if err != nil {
		return nil, fmt.Errorf("notification: %w", err)
	}
	n.Serial = serial
	return n, nil
}

// openNotification decodes and decrypts a body that was verified.
func openNotification(c *Cipher, body []byte) (*Notification, error) {
	var e envelope
	if err := decodePeer(body, &e); err != nil {
		return nil, err
	}
	if e.ID == "" || e.EventType == "" {
		return nil, errors.New("id or event_type is missing")
	}
	if e.ResourceType != resourceTypeEncrypted {
		return nil, errors.New("resource_type is not " + resourceTypeEncrypted)
	}
	created, err := time.Parse(time.RFC3339, e.CreateTime)
	if err != nil {
		return nil, errors.New("create_time is not RFC 3339")
	}
	plaintext, err := c.Open(e.Resource)
	if err != nil {
		return nil, err
	}
	return &Notification{
		ID:           e.ID,
		EventType:    e.EventType,
		OriginalType: e.Resource.OriginalType,
		CreateTime:   created.UTC(),
		Plaintext:    plaintext,
	}, nil
}

// ErrNotTransaction says that a notification is about something else than a
// payment.
var ErrNotTransaction = errors.New("notification is not about a payment")

// Transaction decodes the content of a TRANSACTION.SUCCESS notification. What
// the envelope says and what the content has must agree, so that a refund or
// a transfer never passes for a payment (threat B13). Whether it settles an
// order is for the caller to compare.
func (n *Notification) Transaction() (*Transaction, error) {
	if n.EventType != EventTransactionSuccess || n.OriginalType != OriginalTypeTransaction {
		return nil, ErrNotTransaction
	}
	t, err := decodeTransaction(n.Plaintext)
	if err != nil {
		return nil, fmt.Errorf("notification content: %w", err)
	}
	return t, nil
}
