package relay

import (
	"context"
	"encoding/base64"
	"errors"
)

// Caller is a client whose signature was verified.
type Caller struct {
	Client *Client
	nonce  string
}

// Authenticate checks a signed request in the order of contract section 3.4:
// form, time, client and signature, rate. An unknown client costs what a
// wrong signature costs and is answered alike (threats C17).
func (s *Service) Authenticate(req SignedRequest) (*Caller, error) {
	a, err := parseAuthorization(req.Authorization)
	if err != nil {
		return nil, err
	}
	client, err := s.signer(a.clientID, a.timestamp, func(c *Client) bool {
		return signatureMatches(c, &a, StringToSign(a.scheme, a.clientID, req.Method, s.host, req.Target, a.timestamp, a.nonce, req.Body))
	})
	if err != nil {
		return nil, err
	}
	if err := s.withinRate(client); err != nil {
		return nil, err
	}
	return &Caller{Client: client, nonce: a.nonce}, nil
}

// signer finds the client whose signature fits: time first, then client and
// signature together.
func (s *Service) signer(clientID, timestamp string, fits func(*Client) bool) (*Client, error) {
	if err := checkTimestamp(timestamp, s.rt.now()); err != nil {
		return nil, err
	}
	client, known := s.clients[clientID]
	if !known {
		client = s.nobody
	}
	if !fits(client) || !known {
		return nil, refuse(KindSign, "", "wrong client_id or signature")
	}
	return client, nil
}

// withinRate counts a request that its client signed.
func (s *Service) withinRate(c *Client) error {
	if !s.rt.limits.allow(c.ID, c.Rate, s.rt.now()) {
		return refuse(KindRate, "", "too many requests; slow down")
	}
	return nil
}

func signatureMatches(c *Client, a *authorization, text []byte) bool {
	signature := decodeExact(base64.StdEncoding, a.signature)
	if a.scheme == schemeEd25519 {
		return len(signature) > 0 && ed25519Matches(c.PublicKeys, text, signature)
	}
	return macMatches(c.Secrets, text, signature)
}

// decodeExact decodes the one spelling that the encoding itself would write,
// and nothing else: the package skips line ends and ignores spare bits.
func decodeExact(e *base64.Encoding, text string) []byte {
	b, err := e.DecodeString(text)
	if err != nil || e.EncodeToString(b) != text {
		return nil
	}
	return b
}

// CheckNonce refuses a write whose nonce was used before, without using it
// up: the write itself claims the nonce together with what it changes.
func (s *Service) CheckNonce(ctx context.Context, c *Caller) error {
	var used bool
	err := s.rt.store.View(ctx, func(r Reader) error {
		nr, ok := r.(NonceReader)
		if !ok {
			return nil
		}
		var err error
		used, err = nr.NonceUsed(c.Client.ID, c.nonce, s.rt.now())
		return err
	})
	if err == nil && used {
		return replayed()
	}
	return err
}

func replayed() *Error {
	return refuse(KindReplayed, "nonce", "used before; sign each request with a fresh nonce")
}

// claimNonce uses up the caller's nonce in the transaction of its write.
func (s *Service) claimNonce(tx Tx, c *Caller) error {
	err := tx.ClaimNonce(c.Client.ID, c.nonce, s.rt.now())
	if errors.Is(err, ErrReplayed) {
		return replayed()
	}
	return err
}

// useNonce uses up the caller's nonce for a write whose work lies outside the
// store.
func (s *Service) useNonce(ctx context.Context, caller *Caller) error {
	return outcome(s.rt.store.Update(ctx, func(tx Tx) error { return s.claimNonce(tx, caller) }))
}

// claimForOrder uses up the caller's nonce for a write on an order of its
// own whose work lies outside one transaction, because WeChat is asked. An
// order that does not exist is KindNotFound and leaves the nonce.
func (s *Service) claimForOrder(ctx context.Context, caller *Caller, key OrderKey) error {
	err := s.rt.store.Update(ctx, func(tx Tx) error {
		if _, err := tx.Order(key); err != nil {
			return err
		}
		return s.claimNonce(tx, caller)
	})
	if errors.Is(err, ErrNotFound) {
		return notFound("order")
	}
	return outcome(err)
}
