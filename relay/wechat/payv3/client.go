package payv3

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
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
	// never followed and cookies never kept, whatever it says.
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

// PrepayJSAPI creates a payment for a page or mini-program inside WeChat and
// returns its prepay id, which lives for two hours.
func (c *Client) PrepayJSAPI(ctx context.Context, r *PrepayRequest) (prepayID string, err error) {
	reply, err := c.prepay(ctx, "jsapi", r)
	if err != nil {
		return "", err
	}
	if reply.PrepayID == "" {
		return "", errors.New("prepay jsapi: answer has no prepay_id")
	}
	return reply.PrepayID, nil
}

// PrepayNative creates a payment that is begun by scanning a code and returns
// the code's content, which lives for two hours.
func (c *Client) PrepayNative(ctx context.Context, r *PrepayRequest) (codeURL string, err error) {
	reply, err := c.prepay(ctx, "native", r)
	if err != nil {
		return "", err
	}
	if reply.CodeURL == "" {
		return "", errors.New("prepay native: answer has no code_url")
	}
	return reply.CodeURL, nil
}

func (c *Client) prepay(ctx context.Context, kind string, r *PrepayRequest) (prepayReply, error) {
	op := "prepay " + kind
	if r.MchID != c.mchID {
		return prepayReply{}, fmt.Errorf("%s: request is for another merchant", op)
	}
	body, err := json.Marshal(r)
	if err != nil {
		return prepayReply{}, fmt.Errorf("%s: encoding request: %w", op, err)
	}
	answer, err := c.do(ctx, call{op: op, method: http.MethodPost, target: "/v3/pay/transactions/" + kind, body: body})
	if err != nil {
		return prepayReply{}, err
	}
	var reply prepayReply
	if err := decodePeer(answer, &reply); err != nil {
		return prepayReply{}, fmt.Errorf("%s: %w", op, err)
	}
	return reply, nil
}

// TransactionByOutTradeNo asks for the payment with a merchant's number and
// returns it with the answer as WeChat sent it.
func (c *Client) TransactionByOutTradeNo(ctx context.Context, outTradeNo string) (*Transaction, []byte, error) {
	const op = "query by out_trade_no"
	if !isOutTradeNo(outTradeNo) {
		return nil, nil, fmt.Errorf("%s: %w", op, errOutTradeNo)
	}
	t, raw, err := c.query(ctx, op, "/v3/pay/transactions/out-trade-no/"+url.PathEscape(outTradeNo))
	if err == nil && t.OutTradeNo != outTradeNo {
		return nil, nil, fmt.Errorf("%s: answer is about another payment", op)
	}
	return t, raw, err
}

// TransactionByID asks for the payment with WeChat's number, which only paid
// ones have.
func (c *Client) TransactionByID(ctx context.Context, id string) (*Transaction, []byte, error) {
	const op = "query by transaction_id"
	if !consistsOf(id, 32, isAlphanumeric) {
		return nil, nil, fmt.Errorf("%s: number is not 1 to 32 letters and digits", op)
	}
	t, raw, err := c.query(ctx, op, "/v3/pay/transactions/id/"+id)
	if err == nil && t.TransactionID != id {
		return nil, nil, fmt.Errorf("%s: answer is about another payment", op)
	}
	return t, raw, err
}

func (c *Client) query(ctx context.Context, op, path string) (*Transaction, []byte, error) {
	answer, err := c.do(ctx, call{op: op, method: http.MethodGet, target: path + "?mchid=" + c.mchID})
	if err != nil {
		return nil, nil, err
	}
	t, err := decodeTransaction(answer)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", op, err)
	}
	if t.MchID != c.mchID {
		return nil, nil, fmt.Errorf("%s: answer is about another merchant", op)
	}
	return t, answer, nil
}

// CloseTransaction closes an unpaid payment; closing twice is harmless. A
// payment under way may still win, so query afterwards.
func (c *Client) CloseTransaction(ctx context.Context, outTradeNo string) error {
	const op = "close"
	if !isOutTradeNo(outTradeNo) {
		return fmt.Errorf("%s: %w", op, errOutTradeNo)
	}
	body, err := json.Marshal(closeRequest{MchID: c.mchID})
	if err != nil {
		return fmt.Errorf("%s: encoding request: %w", op, err)
	}
	target := "/v3/pay/transactions/out-trade-no/" + url.PathEscape(outTradeNo) + "/close"
	_, err = c.do(ctx, call{op: op, method: http.MethodPost, target: target, body: body})
	return err
}

var errOutTradeNo = errors.New("number is not 6 to 32 of [0-9A-Za-z_|*-]")

// isOutTradeNo keeps what is no number out of an address, where "." or ".."
// would name another resource.
func isOutTradeNo(s string) bool {
	return len(s) >= 6 && consistsOf(s, 32, func(c byte) bool {
		return isAlphanumeric(c) || c == '_' || c == '-' || c == '|' || c == '*'
	})
}

// decodePeer decodes what WeChat signed: strictly, but for new members.
func decodePeer(data []byte, v any) error {
	return strictjson.Decode(data, v, strictjson.Options{AllowUnknown: true})
}
