package payv3

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/wxrelay/wxrelay/internal/strictjson"
	"github.com/wxrelay/wxrelay/relay/wechat/internal/transport"
)

// WeChat's hosts (doc 4012075113): the nearest access point, and another city.
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
	// CertificateSerial is the serial number of the merchant's API
	// certificate, in hex; PrivateKey is its key.
	CertificateSerial string
	PrivateKey        *rsa.PrivateKey
	// APIv3Key decrypts notifications and platform certificates; 32 bytes.
	APIv3Key APIv3Key
	// Keys verifies what WeChat signs.
	Keys *KeyRing

	// BaseURL and BackupURL are WeChat's addresses without a final slash. When
	// BaseURL is empty both have WeChat's own values; when only BackupURL is
	// empty there is no backup.
	BaseURL   string
	BackupURL string
	// HTTP makes the requests; nil means a client of its own. Redirects are
	// never followed and cookies never kept, whatever it says, and the time
	// is AttemptTimeout's, because files take longer than calls.
	HTTP *http.Client
	// AttemptTimeout bounds one try; 0 means DefaultAttemptTimeout. The
	// context of a call bounds all tries together.
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
	// AnswerRefused follows a success answer whose signature was not believed
	// (threats B08 and B09); anything but a probe is an alarm.
	AnswerRefused func(op string, reason VerifyReason)
	// CertificatesDownloaded follows each download of platform certificates.
	CertificatesDownloaded func(serials []string, err error)
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
	serial         string
	privateKey     *rsa.PrivateKey
	cipher         *Cipher
	keys           *KeyRing
	hosts          *transport.Hosts
	http           *http.Client
	attemptTimeout time.Duration
	userAgent      string
	now            func() time.Time
	rand           io.Reader
	hooks          Hooks
}

// NewClient returns a client. Its error names everything that is wrong with
// the options.
func NewClient(o ClientOptions) (*Client, error) {
	c := &Client{
		mchID:          o.MchID,
		serial:         strings.ToUpper(o.CertificateSerial),
		privateKey:     o.PrivateKey,
		keys:           o.Keys,
		http:           transport.NewClient(o.HTTP),
		attemptTimeout: o.AttemptTimeout,
		userAgent:      o.UserAgent,
		now:            o.Now,
		rand:           o.Rand,
		hooks:          o.Hooks,
	}
	c.http.Timeout = 0
	c.setDefaults()
	var err error
	problems := o.problems()
	if c.cipher, err = NewCipher(o.APIv3Key); err != nil {
		problems = append(problems, err)
	}
	if c.hosts, err = transport.NewHosts(o.BaseURL, o.BackupURL); err != nil {
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if err := c.keys.bind(c.DownloadCertificates); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Client) setDefaults() {
	if c.attemptTimeout == 0 {
		c.attemptTimeout = DefaultAttemptTimeout
	}
	if c.userAgent == "" {
		c.userAgent = "wxrelay"
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.rand == nil {
		c.rand = rand.Reader
	}
}

func (o *ClientOptions) problems() (problems []error) {
	if !consistsOf(o.MchID, 32, isDigit) {
		problems = append(problems, errors.New("merchant number is not 1 to 32 digits"))
	}
	if _, err := hex.DecodeString(o.CertificateSerial); err != nil || o.CertificateSerial == "" || len(o.CertificateSerial) > maxSerialLen {
		problems = append(problems, errors.New("certificate serial is not hex of whole bytes"))
	}
	if o.PrivateKey == nil {
		problems = append(problems, errors.New("private key is missing"))
	} else if err := CheckKeySize(&o.PrivateKey.PublicKey); err != nil {
		problems = append(problems, fmt.Errorf("private key: %w", err))
	}
	if o.Keys == nil {
		problems = append(problems, errors.New("key ring is missing"))
	}
	if o.AttemptTimeout < 0 {
		problems = append(problems, errors.New("attempt timeout is negative"))
	}
	return problems
}

// decodePeer decodes what WeChat signed: strictly, but for new members.
func decodePeer(data []byte, v any) error {
	return strictjson.Decode(data, v, strictjson.Options{AllowUnknown: true})
}
