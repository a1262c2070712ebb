package relay

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
)

// Paths of WeChat's server interface: what they begin with, and the calls for
// tokens and tickets.
const (
	APIPrefix          = "/cgi-bin/"
	APITokenPath       = APIPrefix + "token"
	APIStableTokenPath = APIPrefix + "stable_token"
	apiTicketPath      = APIPrefix + "ticket/getticket"
)

const (
	// apiTokenLife is that of WeChat's own tokens, which libraries expect.
	apiTokenLife = 2 * time.Hour
	// apiTokenLabel keeps tokens apart from everything else that the client's
	// secret signs.
	apiTokenLabel = "wxrelay api token v1\n" //nolint:gosec // a public label, not a credential
	apiTokenHead  = 8 + 16                   // when it ends, whose it is
	apiTokenSize  = apiTokenHead + 32
)

// APIToken is what a client shows as access_token with its calls. Its text is
// secret.
type APIToken struct {
	Value     Secret
	ExpiresIn time.Duration
}

// OffersAPI reports whether any client may call WeChat's server interface
// through the relay. Without one the paths below APIPrefix are not the
// relay's.
func (c *Config) OffersAPI() bool {
	return slices.ContainsFunc(c.Clients, func(c *Client) bool { return len(c.AllowAPI) > 0 })
}

// OffersAPI is that of its configuration.
func (s *Service) OffersAPI() bool { return s.cfg.OffersAPI() }

// APIToken gives a client that sent its id and secret a token for its calls:
// one of the relay's own, which works here alone, or the account's, where the
// client has RawToken and path, by which it asks, is granted.
//
// A token of the relay's own is a statement of until when it is good and for
// whom, signed with the client's secret: nothing is written for it, and it
// ends at once when the secret does. Asking again gives another one while
// those before live on.
func (s *Service) APIToken(ctx context.Context, caller *Caller, path string) (APIToken, error) {
	c := caller.Client
	if len(c.AllowAPI) == 0 {
		return APIToken{}, apiNotGranted()
	}
	if !c.RawToken || !c.mayCall(path) {
		until := s.rt.now().Add(apiTokenLife)
		return APIToken{Value: newAPIToken(c, until), ExpiresIn: apiTokenLife}, nil
	}
	a, err := s.apiAccount(c, "")
	if err != nil {
		return APIToken{}, err
	}
	t, err := s.lendToken(ctx, a, TokenAccess)
	if err != nil {
		return APIToken{}, err
	}
	return APIToken{Value: t.value, ExpiresIn: t.expiresAt.Sub(s.rt.now())}, nil
}

func newAPIToken(c *Client, until time.Time) Secret {
	b := make([]byte, 8, apiTokenSize)
	binary.BigEndian.PutUint64(b, uint64(until.Unix()))
	b = append(b, c.ID...)
	b = append(b, mac(c.Secrets[0], apiTokenText(b))...)
	return NewSecret(base64.RawURLEncoding.EncodeToString(b))
}

func apiTokenText(head []byte) []byte { return append([]byte(apiTokenLabel), head...) }

// AuthenticateAPIToken checks a client that shows a token of the relay's own.
// Like a call with id and secret it has no nonce. What WeChat's code for the
// refusal is makes libraries fetch another token.
func (s *Service) AuthenticateAPIToken(token string) (*Caller, error) {
	b := decodeExact(base64.RawURLEncoding, token)
	if len(b) != apiTokenSize {
		b = make([]byte, apiTokenSize)
	}
	head, sum := b[:apiTokenHead], b[apiTokenHead:]
	client, known := s.clients[string(head[8:])]
	if !known {
		client = s.nobody
	}
	if !macMatches(client.Secrets, apiTokenText(head), sum) || !known {
		return nil, &Error{Kind: KindSign, Message: "invalid credential, access_token is invalid or not latest", WeChatCode: errcode.InvalidSecret}
	}
	now, until := s.rt.now().Unix(), int64(binary.BigEndian.Uint64(head))
	if now >= until || until > now+int64((apiTokenLife+tokenSkew).Seconds()) { // the latter by a clock that was wrong
		return nil, &Error{Kind: KindSign, Message: "access_token expired", WeChatCode: errcode.TokenExpired}
	}
	if err := s.withinRate(client); err != nil {
		return nil, err
	}
	return &Caller{Client: client}, nil
}
