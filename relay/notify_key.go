package relay

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// NotifyKey is the relay's own key, with which it signs notifications in
// WeChat's form: clients hold the public half in the place of WeChat's. It
// prints and logs its id alone.
type NotifyKey struct {
	id      string
	private *rsa.PrivateKey
	public  []byte // PEM
}

// NewNotifyKey takes a private key as the relay's own.
func NewNotifyKey(private *rsa.PrivateKey) (*NotifyKey, error) {
	if private == nil {
		return nil, errors.New("taking notify key: there is none")
	}
	if err := payv3.CheckKeySize(&private.PublicKey); err != nil {
		return nil, fmt.Errorf("taking notify key: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("taking notify key: %w", err)
	}
	return &NotifyKey{
		id:      notifyKeyID(der),
		private: private,
		public:  pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
	}, nil
}

// notifyKeyDigits is how many digits the ids of WeChat's own public keys have.
const notifyKeyDigits = 28

// notifyKeyID derives the id from the public key, so that another key never
// has the same, in the form in which SDKs know WeChat's public keys from its
// certificates.
func notifyKeyID(der []byte) string {
	sum := sha256.Sum256(der)
	n := new(big.Int).SetBytes(sum[:])
	n.Mod(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(notifyKeyDigits), nil))
	return fmt.Sprintf("PUB_KEY_ID_%0*d", notifyKeyDigits, n)
}

// ID names the key in the header Wechatpay-Serial.
func (k *NotifyKey) ID() string { return k.id }

// PublicPEM is the public half, one PEM block as WeChat's console gives its
// own out.
func (k *NotifyKey) PublicPEM() []byte { return k.public }

// String is the id.
func (k *NotifyKey) String() string { return k.id }

// GoString is the id.
func (k *NotifyKey) GoString() string { return k.id }

// LogValue is the id.
func (k *NotifyKey) LogValue() slog.Value { return slog.StringValue(k.id) }

// MarshalText is the id.
func (k *NotifyKey) MarshalText() ([]byte, error) { return []byte(k.id), nil }

// NotifyKey is the relay's own key; nil when it has none.
func (s *Service) NotifyKey() *NotifyKey { return s.rt.notifyKey }

// needsNotifyKey finds a client that cannot be told without the relay's key.
func (cfg *Config) needsNotifyKey() (client string, needed bool) {
	for _, c := range cfg.Clients {
		if c.Notify == NotifyWeChatV3 {
			return c.Name, true
		}
	}
	return "", false
}
