package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/message"
)

// maxMessageBody bounds the standard notification of a message, so that its
// event fits into a row of the store. WeChat's messages have some 1 KiB.
const maxMessageBody = 24 << 10

// pushed is a message of WeChat to an account, after it was verified and
// opened.
type pushed struct {
	*message.Message
	account *Account
}

// messageBody is the JSON of the standard notification.
type messageBody struct {
	Type      EventType   `json:"type"`
	Timestamp string      `json:"timestamp"`
	Data      messageData `json:"data"`
}

type messageData struct {
	ClientID  string `json:"client_id"`
	Account   string `json:"account"`
	AppID     string `json:"app_id"`
	OpenID    string `json:"openid"`
	ToUser    string `json:"to_user"`
	MsgType   string `json:"msg_type"`
	Event     string `json:"event,omitempty"`
	EventKey  string `json:"event_key,omitempty"`
	MsgID     string `json:"msg_id,omitempty"`
	CreatedAt string `json:"created_at"`
	XML       string `json:"xml,omitempty"`  // as WeChat wrote it
	JSON      string `json:"json,omitempty"` // instead of XML, where the account has it pushed so
	TooLong   bool   `json:"too_long,omitempty"`
}

// listeners are the clients that subscribed to an account's messages.
func (s *Service) listeners(a *Account) []*Client {
	var listeners []*Client
	for _, c := range s.cfg.Clients {
		if c.MessagesURL != "" && s.cfg.hears(c, a) {
			listeners = append(listeners, c)
		}
	}
	return listeners
}

// tellMessage commits one event for each client that subscribed, with the
// delivery of it. A message that was told before changes nothing: WeChat
// repeats what it had no answer to.
func (s *Service) tellMessage(ctx context.Context, m *pushed) (MessageOutcome, error) {
	listeners := s.listeners(m.account)
	if len(listeners) == 0 {
		return MessageUnheard, nil
	}
	now := s.rt.now()
	events := make([]*Event, 0, len(listeners))
	for _, c := range listeners {
		event, err := m.tellable(c, now)
		if err != nil {
			return "", err
		}
		events = append(events, event)
	}
	var told []*Delivery
	err := s.rt.store.Update(ctx, func(tx Tx) error {
		for i, event := range events {
			_, err := tx.Event(event.ClientID, event.ID)
			if err == nil {
				continue
			}
			if !errors.Is(err, ErrNotFound) {
				return err
			}
			if err := tx.AddEvent(event); err != nil {
				return err
			}
			// Always in the standard form: the others are about orders.
			d := NewDelivery(event, listeners[i].MessagesURL, NotifyStandard, listeners[i].Schedule, now)
			if err := tx.PutDelivery(&d); err != nil {
				return err
			}
			told = append(told, &d)
		}
		return nil
	})
	if err != nil {
		return "", outcome(err)
	}
	s.wake(told...)
	if len(told) == 0 {
		return MessageRepeated, nil
	}
	return MessageTold, nil
}

// tellable is the event of a message for one client. Its id comes from the
// message, so that a repeat of the message is a repeat of the event. Messages
// are told apart by MsgId, and events by who, when and what, as WeChat's
// documents say (oauth.md section 7).
func (m *pushed) tellable(c *Client, now time.Time) (*Event, error) {
	step := []string{"message", m.account.AppID, c.ID, m.MsgType, m.Event, "id", m.MsgID}
	if m.MsgID == "" {
		step = append(step, m.FromUserName, m.EventKey) // and the time, which stepID takes itself
	}
	id, err := stepID(m.CreateTime, step...)
	if err != nil {
		return nil, err
	}
	body, err := m.body(c, now)
	if err != nil {
		return nil, err
	}
	return &Event{ID: id, ClientID: c.ID, Type: EventMessageReceived, CreatedAt: now, Body: body}, nil
}

// body writes the standard notification. What is too long for the store is
// told without the message itself.
func (m *pushed) body(c *Client, now time.Time) ([]byte, error) {
	b := messageBody{Type: EventMessageReceived, Timestamp: stamp(now), Data: messageData{
		ClientID:  c.ID,
		Account:   m.account.Name,
		AppID:     m.account.AppID,
		OpenID:    m.FromUserName,
		ToUser:    m.ToUserName,
		MsgType:   m.MsgType,
		Event:     m.Event,
		EventKey:  m.EventKey,
		MsgID:     m.MsgID,
		CreatedAt: stamp(m.CreateTime),
	}}
	if m.Format == message.FormatJSON {
		b.Data.JSON = string(m.Raw)
	} else {
		b.Data.XML = string(m.Raw)
	}
	text, err := plainJSON(b)
	if err != nil || len(text) <= maxMessageBody {
		return text, err
	}
	b.Data.XML, b.Data.JSON, b.Data.TooLong = "", "", true
	if text, err = plainJSON(b); err == nil && len(text) > maxMessageBody {
		return nil, refuse(KindTooLarge, "", "message too large")
	}
	return text, err
}

// plainJSON is json.Marshal without the escapes for web pages, which would
// make XML three times as long. Answers to browsers escape it again.
func plainJSON(b messageBody) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(b); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}
