package payv2

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/internal/transport"
)

// WeChat's hosts (section 4): the nearest access point, and another city.
const (
	DefaultBaseURL   = transport.DefaultPayURL
	DefaultBackupURL = transport.DefaultPayBackupURL
)

// DefaultAttemptTimeout is how long one try of a call may take.
const DefaultAttemptTimeout = transport.DefaultAttemptTimeout

// ClientOptions are what NewClient needs.
type ClientOptions struct {
	// MchID is the merchant number, in digits.
	MchID string
	// Key is the APIv2 key, 32 bytes.
	Key Key
	// PreviousKey is accepted in notifications beside Key while the key is
	// being changed; nil for none. A reset of the key would otherwise spoil
	// what is under way (section 3).
	PreviousKey Key
	// SignType signs requests and is expected of answers and notifications;
	// MD5 when empty.
	SignType SignType
	// AcceptMD5 lets notifications be signed with MD5 where SignType is
	// HMAC-SHA256, as WeChat has done at times (threat A04).
	AcceptMD5 bool
	// Certificate is the merchant's API certificate with its key, which refunds
	// need; nil for none.
	Certificate *tls.Certificate

	// BaseURL and BackupURL are WeChat's addresses without a final slash. When
	// BaseURL is empty both have WeChat's own values; when only BackupURL is
	// empty there is no backup.
	BaseURL   string
	BackupURL string
	// HTTP makes the client for calls that show the given certificate; it is
	// called with nil for those that show none. Nil means clients of the
	// package's own. Redirects are never followed and cookies never kept,
	// whatever they say.
	HTTP func(*tls.Certificate) *http.Client
	// AttemptTimeout bounds one try, and a try of a refund at twice as much; 0
	// means DefaultAttemptTimeout. The context of a call bounds all tries
	// together.
	AttemptTimeout time.Duration
	// UserAgent is sent with each request; empty means "wxrelay".
	UserAgent string
	Now       func() time.Time // time.Now when nil
	Rand      io.Reader        // the system's when nil
	Hooks     Hooks
}

// Hooks are optional callbacks for logs and metrics. They must return soon
// and may be called from several goroutines at once.
type Hooks struct {
	// AttemptDone follows each try of a call.
	AttemptDone func(Attempt)
	// AnswerRefused follows an answer whose signature was not believed, which
	// is an alarm.
	AnswerRefused func(op string, reason VerifyReason)
	// MD5Accepted follows a notification that only AcceptMD5 let pass.
	MD5Accepted func()
}

// Attempt describes one try of a call.
type Attempt struct {
	Op         string
	Host       string
	Try        int // from 1
	HTTPStatus int // 0 without a complete answer
	Duration   time.Duration
	Err        error
}

// Client calls WeChat Pay for one merchant. It is safe for concurrent use.
type Client struct {
	mchID          string
	key            Key
	inboundKeys    []Key
	signType       SignType
	acceptMD5      bool
	hosts          *transport.Hosts
	plain          *http.Client
	certified      *http.Client // nil without a certificate
	attemptTimeout time.Duration
	userAgent      string
	now            func() time.Time
	rand           io.Reader
	hooks          Hooks
}

// NewClient returns a client. Its error names everything that is wrong with
// the options.
func NewClient(o ClientOptions) (*Client, error) {
	o.setDefaults()
	hosts, err := transport.NewHosts(o.BaseURL, o.BackupURL)
	if err := errors.Join(append(o.problems(), err)...); err != nil {
		return nil, err
	}
	c := &Client{
		mchID:          o.MchID,
		key:            o.Key,
		inboundKeys:    []Key{o.Key},
		signType:       o.SignType,
		acceptMD5:      o.AcceptMD5,
		hosts:          hosts,
		plain:          transport.NewClient(o.HTTP(nil)),
		attemptTimeout: o.AttemptTimeout,
		userAgent:      o.UserAgent,
		now:            o.Now,
		rand:           o.Rand,
		hooks:          o.Hooks,
	}
	if o.PreviousKey != nil {
		c.inboundKeys = append(c.inboundKeys, o.PreviousKey)
	}
	if o.Certificate != nil {
		c.certified = transport.NewClient(o.HTTP(o.Certificate))
	}
	return c, nil
}

func (o *ClientOptions) setDefaults() {
	if o.SignType == "" {
		o.SignType = SignMD5
	}
	if o.HTTP == nil {
		o.HTTP = transport.NewCertifiedClient
	}
	if o.AttemptTimeout == 0 {
		o.AttemptTimeout = DefaultAttemptTimeout
	}
	if o.UserAgent == "" {
		o.UserAgent = "wxrelay"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
}

func (o *ClientOptions) problems() (problems []error) {
	if !consistsOf(o.MchID, 32, isDigit) {
		problems = append(problems, errors.New("merchant number is not 1 to 32 digits"))
	}
	// An empty key would verify what is signed with none (threat A03).
	if len(o.Key) != keyLen {
		problems = append(problems, fmt.Errorf("APIv2 key has %d bytes, want %d", len(o.Key), keyLen))
	}
	if o.PreviousKey != nil && len(o.PreviousKey) != keyLen {
		problems = append(problems, fmt.Errorf("previous APIv2 key has %d bytes, want %d", len(o.PreviousKey), keyLen))
	}
	if !o.SignType.Known() {
		problems = append(problems, fmt.Errorf("signature type is neither %s nor %s", SignMD5, SignHMACSHA256))
	}
	if o.AttemptTimeout < 0 {
		problems = append(problems, errors.New("attempt timeout is negative"))
	}
	return problems
}

// consistsOf reports whether s has 1 to max bytes, all of them good.
func consistsOf(s string, maxLen int, good func(byte) bool) bool {
	if s == "" || len(s) > maxLen {
		return false
	}
	for i := range len(s) {
		if !good(s[i]) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
