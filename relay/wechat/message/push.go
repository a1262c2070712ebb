package message

import (
	"encoding/json"
	"io"
	"strings"
)

// Push is a request that WeChat makes to the account's server: a POST of Body
// with the parameters of Query.
type Push struct {
	Query       Query
	ContentType string
	Body        []byte
}

// NewPush returns the push of a message in the clear. The timestamp is in
// decimal seconds.
func NewPush(token, timestamp, nonce string, message []byte) Push {
	return Push{
		Query:       Query{Signature: Sign(token, timestamp, nonce), Timestamp: timestamp, Nonce: nonce},
		ContentType: contentType(message),
		Body:        message,
	}
}

// envelope is the JSON around an encrypted message.
type envelope struct {
	ToUserName string `json:"ToUserName"`
	Encrypt    string `json:"Encrypt"`
}

// NewEncryptedPush returns the push of a message that is encrypted, in safe
// mode: nothing of it stands in the clear but toUserName. The envelope has the
// message's own format.
func NewEncryptedPush(random io.Reader, c *Cipher, token, timestamp, nonce, toUserName string, message []byte) (Push, error) {
	encrypt, err := c.Seal(random, message)
	if err != nil {
		return Push{}, err
	}
	p := NewPush(token, timestamp, nonce, message)
	p.Query.EncryptType = encryptAES
	p.Query.MsgSignature = SignEncrypted(token, timestamp, nonce, encrypt)
	if p.ContentType == contentTypeJSON {
		p.Body, err = json.Marshal(envelope{toUserName, encrypt})
		return p, err
	}
	p.Body = []byte("<xml><ToUserName><![CDATA[" + strings.ReplaceAll(toUserName, "]]>", "") + "]]></ToUserName>" +
		"<Encrypt><![CDATA[" + encrypt + "]]></Encrypt></xml>")
	return p, nil
}

// What WeChat labels pushes with.
const (
	contentTypeXML  = "text/xml"
	contentTypeJSON = "application/json"
)

func contentType(message []byte) string {
	if len(message) > 0 && message[0] == '{' {
		return contentTypeJSON
	}
	return contentTypeXML
}
