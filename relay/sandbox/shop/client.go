package shop

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// callTimeout bounds every call to the relay.
const callTimeout = 15 * time.Second

// ticketForm is what a ticket looks like.
var ticketForm = regexp.MustCompile(`^[0-9A-Za-z_-]{16,64}$`)

// Client asks the relay. It signs each request in the header form,
// WXRELAY1-HMAC-SHA256. It is safe for concurrent use.
type Client struct {
	base     *url.URL
	clientID string
	secret   Secret
	http     *http.Client
	now      func() time.Time
	rand     io.Reader
}

// OrderRequest is what a site asks to be paid. AmountFen counts fen.
type OrderRequest struct {
	OrderNo     string `json:"order_no"`
	AmountFen   int64  `json:"amount"`
	Description string `json:"description"`
	ReturnURL   string `json:"return_url,omitempty"`
	NotifyURL   string `json:"notify_url,omitempty"`
	OpenID      string `json:"openid,omitempty"` // who pays, if the site knows
}

// Order is the relay's answer to an OrderRequest, shortened.
type Order struct {
	OrderNo     string `json:"order_no"`
	Status      string `json:"status"`
	CheckoutURL string `json:"checkout_url"`
}

// Event is a fact as the relay keeps it, shortened to how far its delivery
// has come.
type Event struct {
	ID       string   `json:"id"`
	Type     string   `json:"type"`
	Delivery Delivery `json:"delivery"`
}

// Delivery says how far the relay has come with telling the site.
type Delivery struct {
	Status        string          `json:"status"` // pending, delivered, exhausted, cancelled
	NextAttemptAt time.Time       `json:"next_attempt_at"`
	Attempts      json.RawMessage `json:"attempts"`
}

// RefusalError is an error that the relay answered.
type RefusalError struct {
	HTTPStatus int    `json:"-"`
	Code       string `json:"code"`
	Message    string `json:"message"`
	Field      string `json:"field"`
	RequestID  string `json:"request_id"`
}

// Error words the refusal.
func (e *RefusalError) Error() string {
	s := fmt.Sprintf("the relay answered %d %s: %s", e.HTTPStatus, e.Code, e.Message)
	if e.Field != "" {
		s += " (" + e.Field + ")"
	}
	return s
}

// NewClient makes a client of the relay. It reports every fault at once.
func NewClient(o Options) (*Client, error) {
	var faults []error
	base, err := url.Parse(strings.TrimRight(o.RelayURL, "/"))
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		faults = append(faults, errors.New("shop: the relay's address must be a full http or https address"))
	}
	if len(o.ClientID) != 16 {
		faults = append(faults, errors.New("shop: the client id must have 16 characters"))
	}
	if o.Secret == "" {
		faults = append(faults, errors.New("shop: the secret is empty"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return &Client{
		base: base, clientID: o.ClientID, secret: o.Secret, now: o.Now, rand: o.Rand,
		http: &http.Client{
			Transport:     o.Transport,
			Timeout:       callTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// CreateOrder creates an order, or finds the one that the same request made
// before.
func (c *Client) CreateOrder(ctx context.Context, request OrderRequest) (Order, error) {
	var made Order
	err := c.call(ctx, http.MethodPost, "/v1/orders", request, &made)
	return made, err
}

// Event asks for one event and how far its delivery has come.
func (c *Client) Event(ctx context.Context, id string) (Event, error) {
	var e Event
	err := c.call(ctx, http.MethodGet, "/v1/events/"+url.PathEscape(id), nil, &e)
	return e, err
}

// RedeemTicket asks who logged in. A ticket can be redeemed once, and within
// a minute.
func (c *Client) RedeemTicket(ctx context.Context, ticket string) (Visitor, error) {
	// It comes from the browser and becomes part of an address.
	if !ticketForm.MatchString(ticket) {
		return Visitor{}, errors.New("the ticket is malformed")
	}
	var who Visitor
	err := c.call(ctx, http.MethodPost, "/v1/tickets/"+ticket, nil, &who)
	if err == nil && who.OpenID == "" {
		err = errors.New("the relay's answer names nobody")
	}
	return who, err
}

// call makes one signed request and decodes the answer.
func (c *Client) call(ctx context.Context, method, path string, content, into any) error {
	var body []byte
	if content != nil {
		var err error
		if body, err = json.Marshal(content); err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, bytes.NewReader(body)) //nolint:gosec // the relay's own address; see ticketForm
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	raw := make([]byte, 16)
	if _, err := io.ReadFull(c.rand, raw); err != nil {
		return fmt.Errorf("reading random bytes: %w", err)
	}
	request.Header.Set("Authorization", c.authorization(method, request.URL.RequestURI(), c.now(), hex.EncodeToString(raw), body))
	request.Header.Set("Accept", "application/json")
	if content != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request) //nolint:gosec // as above
	if err != nil {
		return errors.New("the relay cannot be reached")
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return errors.New("the relay's answer broke off")
	}
	if response.StatusCode/100 != 2 {
		refusal := &RefusalError{HTTPStatus: response.StatusCode}
		if json.Unmarshal(answer, refusal) != nil || refusal.Code == "" {
			refusal.Code = http.StatusText(response.StatusCode)
		}
		return refusal
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("decoding the relay's answer: %w", err)
	}
	return nil
}

// authorization signs a request. The message has eight lines, each ended by
// a line feed; target is path and query as they are sent.
func (c *Client) authorization(method, target string, now time.Time, nonce string, body []byte) string {
	const scheme = "WXRELAY1-HMAC-SHA256"
	timestamp := strconv.FormatInt(now.Unix(), 10)
	digest := sha256.Sum256(body)
	message := strings.Join([]string{
		scheme, c.clientID, method, signedHost(c.base.Scheme, c.base.Host), target, timestamp, nonce,
		hex.EncodeToString(digest[:]),
	}, "\n") + "\n"
	signature := base64.StdEncoding.EncodeToString(hmacSHA256(c.secret, message))
	return fmt.Sprintf(`%s client_id="%s",timestamp="%s",nonce="%s",signature="%s"`, scheme, c.clientID, timestamp, nonce, signature)
}

// signedHost writes a host as it is signed: lower case, with the port only
// when it is not the scheme's own.
func signedHost(scheme, host string) string {
	host = strings.ToLower(host)
	if scheme == "https" {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

// hmacSHA256 is the one way in which relay and site sign.
func hmacSHA256(key Secret, message string) []byte {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(message))
	return mac.Sum(nil)
}
