package payv3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// ReceiverRequest makes somebody a receiver of shared money, or ends that.
type ReceiverRequest struct {
	SubMchID string       `json:"sub_mchid,omitempty"` // service providers
	AppID    string       `json:"appid"`
	SubAppID string       `json:"sub_appid,omitempty"`
	Type     ReceiverType `json:"type"`
	Account  string       `json:"account"`
	// Name is the full name in plain text, needed for merchants; the client
	// sends it encrypted.
	Name           string `json:"name,omitempty"`
	RelationType   string `json:"relation_type,omitempty"`   // such as STORE, STAFF, PARTNER, SUPPLIER, CUSTOM
	CustomRelation string `json:"custom_relation,omitempty"` // with CUSTOM
}

// receiverReply echoes a receiver.
type receiverReply struct {
	Type    ReceiverType `json:"type"`
	Account string       `json:"account"`
}

// AddReceiver makes somebody a receiver; doing it twice is harmless.
func (c *Client) AddReceiver(ctx context.Context, r *ReceiverRequest) error {
	return c.receiver(ctx, "add receiver", "add", *r)
}

// DeleteReceiver ends that somebody is a receiver; doing it twice is
// harmless. Name and relation are not sent.
func (c *Client) DeleteReceiver(ctx context.Context, r *ReceiverRequest) error {
	sent := *r
	sent.Name, sent.RelationType, sent.CustomRelation = "", "", ""
	return c.receiver(ctx, "delete receiver", "delete", sent)
}

func (c *Client) receiver(ctx context.Context, op, action string, r ReceiverRequest) error {
	if err := checkSubMchID(r.SubMchID); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	cl := call{op: op, method: http.MethodPost, target: "/v3/profitsharing/receivers/" + action}
	var err error
	if r.Name, cl.serial, err = c.encryptName(ctx, r.Name, ""); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	_, err = postFor(ctx, c, cl, &r, func(reply *receiverReply) error {
		if reply.Type != r.Type || reply.Account != r.Account {
			return errors.New("answer is about another receiver")
		}
		return nil
	})
	return err
}
