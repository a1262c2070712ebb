package caddymodule

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/sandbox"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// APIv2 holds what a merchant needs to speak WeChat Pay's APIv2, the older
// protocol.
type APIv2 struct {
	// Key is the APIv2 key, exactly 32 characters, that was set in the
	// merchant console. Write a placeholder, {env.NAME} or {file./path}.
	// Required, except that with a sandbox platform it is the sandbox's by
	// default.
	Key string `json:"key,omitempty"`

	// SignType is the algorithm of requests, and of the notifications of
	// orders made with it: "MD5", WeChat's own default and the default here,
	// or "HMAC-SHA256".
	SignType string `json:"sign_type,omitempty"`

	// ClientCertificate is the merchant's API certificate, with which WeChat
	// Pay takes refunds. Required where refunds are made by APIv2: when a
	// client of the merchant is allowed refunds or the anomaly block says
	// refund. With a sandbox platform and the sandbox's key it is the
	// sandbox's by default.
	ClientCertificate *ClientCertificate `json:"client_certificate,omitempty"`

	// AcceptMD5Notify takes notifications that are signed by MD5 where
	// HMAC-SHA256 was ordered. WeChat Pay has been seen to send such, and so
	// could somebody who breaks MD5.
	AcceptMD5Notify bool `json:"accept_md5_notify,omitempty"`
}

// ClientCertificate is a certificate with its key.
type ClientCertificate struct {
	// Certificate is the path of the certificate, which WeChat Pay calls
	// apiclient_cert.pem. A placeholder may fill in the path or the PEM text
	// itself.
	Certificate string `json:"certificate"`

	// Key is the path of its private key, which WeChat Pay calls
	// apiclient_key.pem, likewise.
	Key string `json:"key"`
}

// build resolves the credentials. On a sandbox platform what is missing
// becomes what the sandbox accepts.
func (c *APIv2) build(r *resolver, block string, onSandbox bool) *relay.APIv2Credentials {
	credentials := &relay.APIv2Credentials{
		SignType:  cmp.Or(relay.V2SignType(c.SignType), relay.V2SignMD5),
		AcceptMD5: c.AcceptMD5Notify,
	}
	if c.ClientCertificate != nil {
		credentials.Certificate = c.ClientCertificate.build(r, block)
	}
	if onSandbox && c.Key == "" {
		known := sandboxAPIv2()
		credentials.Key = known.Key
		if c.ClientCertificate == nil {
			credentials.Certificate = known.Certificate
		}
		return credentials
	}
	credentials.Key = r.secret(block, "api_v2 key", c.Key)
	r.refuseExample(block, "api_v2 key", credentials.Key, sandbox.DefaultAPIv2Key, onSandbox)
	return credentials
}

// build reads both files; nil after a failure, which is recorded. Whether they
// belong together is for Validate to judge.
func (c *ClientCertificate) build(r *resolver, block string) *tls.Certificate {
	const field = "api_v2 client_certificate"
	if c.Certificate == "" || c.Key == "" {
		r.fail(block, field, errors.New("needs two paths, those of apiclient_cert.pem and apiclient_key.pem"))
		return nil
	}
	text, _ := r.pem(block, field, c.Certificate)
	private := r.privatePEM(block, field, c.Key)
	if text == nil || private == nil {
		return nil
	}
	leaf, err := payv3.ParseCertificate(text)
	if r.fail(block, field, err) {
		return nil
	}
	key, err := payv3.ParsePrivateKey(private)
	if r.fail(block, field, err) {
		return nil
	}
	if now := time.Now(); now.After(leaf.NotAfter) {
		r.warn(block, field, fmt.Sprintf("the certificate expired on %s; WeChat Pay will refuse refunds by APIv2", leaf.NotAfter.Format(time.DateOnly)))
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

// sandboxAPIv2 are the APIv2 credentials that the sandbox accepts from a
// merchant that brings none.
func sandboxAPIv2() *relay.APIv2Credentials {
	c := sandbox.DefaultCredentials()
	return &relay.APIv2Credentials{
		Key:         relay.NewSecret(string(c.APIv2Key)),
		SignType:    relay.V2SignMD5,
		Certificate: &tls.Certificate{Certificate: [][]byte{c.Certificate.Raw}, PrivateKey: c.PrivateKey, Leaf: c.Certificate},
	}
}
