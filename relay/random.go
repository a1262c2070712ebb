package relay

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"time"

	"github.com/segmentio/ksuid"
)

// random makes the relay's unguessable and unique names from the Runtime's
// source of randomness.
type random struct{ source io.Reader }

func (r random) bytes(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(r.source, b)
	return b, err
}

// token is 128 bits in 22 characters of base64url.
func (r random) token() (string, error) {
	b, err := r.bytes(16)
	return base64.RawURLEncoding.EncodeToString(b), err
}

// state is 128 bits in 32 hex characters: WeChat hands back letters and
// digits alone unchanged.
func (r random) state() (string, error) {
	b, err := r.bytes(16)
	return hex.EncodeToString(b), err
}

// id is a KSUID: 27 letters and digits that sort by second.
func (r random) id(now time.Time) (string, error) {
	b, err := r.bytes(16)
	if err != nil {
		return "", err
	}
	k, err := ksuid.FromParts(now, b)
	return k.String(), err
}
