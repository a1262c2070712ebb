package relay

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/message"
)

// messageWindow bounds how far the time of a push may be from ours. WeChat
// sets no such rule. But the signature of a message in the clear covers its
// time and not the message, so that an address that somebody has seen would
// be good for ever to post anything to.
const messageWindow = 300 * time.Second

// messageReceivers verify and open the messages to each account that takes
// any, by account name.
type messageReceivers map[string]*message.Receiver

func newMessageReceivers(accounts []*Account) (messageReceivers, error) {
	receivers := make(messageReceivers)
	for _, a := range accounts {
		if a.MessageToken.Len() == 0 {
			continue
		}
		r, err := message.NewReceiver(message.ReceiverOptions{Token: a.MessageToken.Reveal, EncodingAESKey: a.MessageKey.Reveal(), AppID: a.AppID})
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", a.Name, err)
		}
		receivers[a.Name] = r
	}
	return receivers, nil
}

// CheckMessages answers WeChat's check of an account's message address, which
// comes with the parameters of the query: it returns the text that has to be
// the whole answer. It refuses with KindSign, without a word of the query, and
// with KindNotFound when there is no such account or it takes no messages.
func (s *Service) CheckMessages(accountName string, query url.Values) (echo string, err error) {
	receiver := s.receivers[accountName]
	if receiver == nil {
		return "", notFound("account that takes messages")
	}
	q, err := message.ParseQuery(query)
	if err == nil {
		// A stale check is harmless: it learns what it sent.
		echo, err = receiver.Echo(q)
	}
	if err != nil {
		return "", messageRefused(err)
	}
	return echo, nil
}

// TakeMessage takes a message that WeChat pushes to an account. It returns nil
// when WeChat may be told success: the message is genuine, and each client that
// subscribed will be told, which is on stable storage, or was before.
// Refusals are KindSign, KindTimestamp, KindParam and KindNotFound, with
// nothing changed; KindUnavailable when the store is in doubt, so that WeChat
// repeats.
func (s *Service) TakeMessage(ctx context.Context, accountName string, query url.Values, body []byte) error {
	result, err := s.takeMessage(ctx, accountName, query, body)
	if s.rt.observe.Message != nil {
		s.rt.observe.Message(result)
	}
	return err
}

// MessageOutcome is what came of a message that somebody posted.
type MessageOutcome string

// The outcomes.
const (
	MessageTold        MessageOutcome = "told"        // clients are told
	MessageRepeated    MessageOutcome = "repeated"    // they were told before
	MessageUnheard     MessageOutcome = "unheard"     // nobody subscribed
	MessageRefused     MessageOutcome = "refused"     // it is not WeChat's, or not a message
	MessageUnavailable MessageOutcome = "unavailable" // WeChat has to send it again
)

func (s *Service) takeMessage(ctx context.Context, accountName string, query url.Values, body []byte) (MessageOutcome, error) {
	receiver := s.receivers[accountName]
	if receiver == nil {
		return MessageRefused, notFound("account that takes messages")
	}
	q, err := message.ParseQuery(query)
	if err != nil {
		return MessageRefused, messageRefused(err)
	}
	m, err := receiver.Open(q, body)
	if err != nil {
		return MessageRefused, messageRefused(err)
	}
	if err := s.checkMessageTime(q.Timestamp); err != nil {
		return MessageRefused, err
	}
	result, err := s.tellMessage(ctx, &pushed{account: s.accounts[accountName], Message: m})
	if known, ok := errors.AsType[*Error](err); ok && known.Kind == KindTooLarge {
		return MessageRefused, err
	}
	if err != nil {
		// Whatever went wrong here, WeChat has to send it again.
		return MessageUnavailable, &Error{Kind: KindUnavailable, Message: "cannot take this now", Err: err}
	}
	return result, nil
}

func (s *Service) checkMessageTime(timestamp string) error {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || s.rt.now().Sub(time.Unix(seconds, 0)).Abs() > messageWindow {
		return &Error{Kind: KindTimestamp, Message: "message is too old or from the future"}
	}
	return nil
}

// messageRefused is the refusal of a push that was not believed, in words that
// tell a prober nothing; the log gets the cause, which quotes nothing.
func messageRefused(err error) error {
	if errors.Is(err, message.ErrForm) {
		return &Error{Kind: KindParam, Message: "message is malformed", Err: err}
	}
	return &Error{Kind: KindSign, Message: "message refused", Err: err}
}
