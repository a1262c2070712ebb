package web

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/wxrelay/wxrelay/relay"
)

// notifyKeyAge is how long an answer may be kept. The key does not change, but
// an operator who lost it wants the new one seen.
const notifyKeyAge = "public, max-age=300"

// notifyKeyView is the key for programs that read no PEM.
type notifyKeyView struct {
	KeyID     string `json:"key_id"`
	PublicKey string `json:"public_key"` // PEM
}

// showNotifyKey gives out the public half of the relay's own key, for anybody
// who verifies notifications in the form of WeChat's v3 (contract section 7):
// PEM, whose readers skip the line with the id, or JSON for those who ask for
// it.
func (x *exchange) showNotifyKey() error {
	key := x.notifyKey
	if key == nil {
		return &relay.Error{Kind: relay.KindUnavailable, Message: "the relay has no key of its own"}
	}
	h := x.w.Header()
	h.Set("Wechatpay-Serial", key.ID())
	h.Add("Vary", "Accept")
	if wantsMedia(x.r.Header.Values("Accept"), "application/json") {
		return writeJSON(x.w, http.StatusOK, notifyKeyView{KeyID: key.ID(), PublicKey: string(key.PublicPEM())})
	}
	body := "Key-Id: " + key.ID() + "\n" + string(key.PublicPEM())
	h.Set("Content-Type", "application/x-pem-file")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", notifyKeyAge)
	h.Set("X-Content-Type-Options", "nosniff")
	x.w.WriteHeader(http.StatusOK)
	_, err := x.w.Write([]byte(body))
	return err
}

// wantsMedia reports whether an Accept header names a media type.
func wantsMedia(accept []string, want string) bool {
	for _, line := range accept {
		for item := range strings.SplitSeq(line, ",") {
			media, _, _ := strings.Cut(item, ";")
			if strings.EqualFold(strings.TrimSpace(media), want) {
				return true
			}
		}
	}
	return false
}
