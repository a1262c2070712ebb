package message

import (
	"errors"
	"fmt"
)

// Why a push is refused, besides ErrQuery, ErrEncryption and ErrForm.
var (
	// ErrSignature says that the push is not signed with the account's token.
	ErrSignature = errors.New("signature of a push is wrong")
	// ErrPlain says that a push came in the clear although a key is set.
	ErrPlain = errors.New("push is not encrypted although the account has a message key")
	// ErrNoKey says that a push came encrypted and no key is set.
	ErrNoKey = errors.New("push is encrypted and the account has no message key")
)

// encryptAES is the encrypt_type of encrypted pushes.
const encryptAES = "aes"

// ReceiverOptions are what NewReceiver needs.
type ReceiverOptions struct {
	// Token returns the token of WeChat's console and is asked for each push.
	Token func() []byte
	// EncodingAESKey of the console, 43 characters. With it every message must
	// come encrypted, as in the console's safe or compatible mode; without it
	// none may.
	EncodingAESKey []byte
	// AppID names the account that encrypted messages must be for.
	AppID string
}

// Receiver is the server of one account. It is safe for concurrent use.
type Receiver struct {
	token  func() []byte
	cipher *Cipher // nil without a key
}

// NewReceiver returns a receiver.
func NewReceiver(o ReceiverOptions) (*Receiver, error) {
	if o.Token == nil {
		return nil, errors.New("message token is missing")
	}
	r := &Receiver{token: o.Token}
	if len(o.EncodingAESKey) > 0 {
		var err error
		if r.cipher, err = NewCipher(o.EncodingAESKey, o.AppID); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Echo returns what to answer to the check of the server's address, as the
// whole body and as plain text. The check is signed in the clear in every mode.
func (r *Receiver) Echo(q Query) (string, error) {
	if !r.signed(q) {
		return "", ErrSignature
	}
	if q.EchoStr == "" {
		return "", ErrQuery
	}
	return q.EchoStr, nil
}

func (r *Receiver) signed(q Query) bool {
	return q.Timestamp != "" && q.Nonce != "" && VerifyEcho(string(r.token()), q.Timestamp, q.Nonce, q.Signature)
}

// Open verifies a push, decrypts it if it is encrypted, and reads the message.
// Its errors are ErrSignature, ErrPlain, ErrNoKey, ErrEncryption and ErrForm.
// None of them comes with a message. ErrForm may be about a stranger's body, or
// about one that WeChat signed.
func (r *Receiver) Open(q Query, body []byte) (*Message, error) {
	if q.EncryptType != encryptAES {
		if !r.signed(q) {
			return nil, ErrSignature
		}
		if r.cipher != nil {
			return nil, ErrPlain
		}
		return parse(body)
	}
	if r.cipher == nil {
		// A message that the token signs tells the operator what is missing;
		// anybody else learns nothing.
		if !r.signed(q) {
			return nil, ErrSignature
		}
		return nil, ErrNoKey
	}
	// In compatible mode the message stands in the clear beside its Encrypt;
	// only what is encrypted is read.
	outer, _, err := fields(body)
	if err != nil {
		return nil, fmt.Errorf("reading envelope: %w", err)
	}
	encrypt, token := outer("Encrypt"), string(r.token())
	if encrypt == "" || token == "" || q.Timestamp == "" || q.Nonce == "" ||
		!equal(SignEncrypted(token, q.Timestamp, q.Nonce, encrypt), q.MsgSignature) {
		return nil, ErrSignature
	}
	plain, err := r.cipher.Open(encrypt)
	if err != nil {
		return nil, err
	}
	return parse(plain)
}
