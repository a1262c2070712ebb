package relay

import (
	"crypto/sha256"
	"crypto/subtle"
)

// AuthenticateSecret checks a client that sends its secret itself, as sites
// that speak WeChat's own calls do: id and secret stand where appid and
// AppSecret would (oauth.md sections 3 and 5). Such a request has no time and
// no nonce, so that its caller may write nothing that needs one. An unknown
// client costs what a wrong secret costs and is answered alike (threats C17).
func (s *Service) AuthenticateSecret(id, secret string) (*Caller, error) {
	client, known := s.clients[id]
	if !known {
		client = s.nobody
	}
	if !secretMatches(client.Secrets, secret) || !known {
		return nil, refuse(KindSign, "", "wrong appid or secret")
	}
	if err := s.withinRate(client); err != nil {
		return nil, err
	}
	return &Caller{Client: client}, nil
}

// secretMatches compares with every live secret, and by digests, so that the
// time taken tells neither which one fits nor how much of it (threats H01).
func secretMatches(live []Secret, given string) bool {
	digest := sha256.Sum256([]byte(given))
	fits := 0
	for _, s := range live {
		want := sha256.Sum256(s.Reveal())
		fits |= subtle.ConstantTimeCompare(want[:], digest[:])
	}
	return fits == 1
}
