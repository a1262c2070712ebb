package relay

import (
	"crypto/hmac"
)

// CompatRequest is a request signed v2-style, contract section 3.3.
type CompatRequest struct {
	// Call is the request's method and path, which the signature does not
	// cover.
	Call string

	// Fields are all fields as sent, each once. Their names were compared
	// with those that the call documents: the v2 rule joins names and values
	// without escaping, so that with unknown names one signature would fit
	// several requests (threats C15).
	Fields map[string]string

	// Strong refuses MD5, also for clients that may use it.
	Strong bool
}

// AuthenticateV2 checks a request signed v2-style, in the order of contract
// section 3.4 as Authenticate does, with the same refusals. Only who signed
// rightly is told that the client's configuration does not allow it.
func (s *Service) AuthenticateV2(req CompatRequest) (*Caller, error) {
	a, err := parseCompat(req.Fields)
	if err != nil {
		return nil, err
	}
	client, err := s.signer(a.clientID, a.timestamp, func(c *Client) bool { return compatMatches(c, &a, req.Fields) })
	if err != nil {
		return nil, err
	}
	if err := checkCompat(client, a.signType, req.Strong); err != nil {
		return nil, err
	}
	if err := s.withinRate(client); err != nil {
		return nil, err
	}
	if !s.rt.compat.pin(client.ID, a.nonce, req.Call, s.rt.now()) {
		return nil, replayed()
	}
	return &Caller{Client: client, nonce: a.nonce}, nil
}

// compatSignature is what the fields say of the signature.
type compatSignature struct {
	clientID  string
	timestamp string
	nonce     string
	signType  V2SignType
	sign      string
}

// parseCompat reads the fields of a v2-style signature. Without a sign_type
// the algorithm is MD5, as WeChat's rule has it (v2.md section 3).
func parseCompat(fields map[string]string) (compatSignature, error) {
	a := compatSignature{
		clientID:  fields["client_id"],
		timestamp: fields["timestamp"],
		nonce:     fields["nonce_str"],
		signType:  V2SignType(fields["sign_type"]),
		sign:      fields["sign"],
	}
	if a.signType == "" {
		a.signType = V2SignMD5
	}
	switch {
	case a.sign == "":
		return a, refuse(KindSign, "sign", "sign the request")
	case a.signType != V2SignMD5 && a.signType != V2SignHMACSHA256:
		return a, refuse(KindSign, "sign_type", "unknown algorithm; use HMAC-SHA256")
	case !validClientID(a.clientID):
		return a, refuse(KindParam, "client_id", "16 characters of 0-9 A-Z a-z")
	case !validNonce(a.nonce):
		return a, refuse(KindParam, "nonce_str", "16 to 64 characters of A-Z a-z 0-9 _ -")
	}
	return a, nil
}

// compatMatches compares with every live secret, so that the time taken does
// not tell which one fits.
func compatMatches(c *Client, a *compatSignature, fields map[string]string) bool {
	ok := false
	for _, secret := range c.Secrets {
		ok = hmac.Equal([]byte(SignV2(fields, secret, a.signType)), []byte(a.sign)) || ok
	}
	return ok
}

// checkCompat tells whether the client may sign so. It is asked only about
// signatures that are right, so that its words tell strangers nothing
// (threats C02, C17).
func checkCompat(c *Client, signType V2SignType, strong bool) error {
	switch {
	case c.Compat == "":
		return refuse(KindSign, "sign", "this client signs by the Authorization header; v2-style signatures need compat v2 in its configuration")
	case signType == V2SignMD5 && c.Compat != CompatMD5:
		return refuse(KindSign, "sign_type", "this client signs by HMAC-SHA256; say so in sign_type, which is part of what is signed")
	case signType == V2SignMD5 && strong:
		return refuse(KindSign, "sign_type", "MD5 is not taken for this call; sign by HMAC-SHA256")
	}
	return nil
}
