package relay

import (
	"context"
	"encoding/json"

	"github.com/wxrelay/wxrelay/relay/wechat/miniprogram"
)

// MiniDataRequest is data that WeChat encrypted for a mini-program's server,
// as the mini-program got it. RawData and Signature come with some of it.
type MiniDataRequest struct {
	EncryptedData string `json:"encrypted_data"`
	IV            string `json:"iv"`
	RawData       string `json:"raw_data"`
	Signature     string `json:"signature"`
}

// MiniDataView is what was in it: WeChat's own JSON, with its watermark.
type MiniDataView struct {
	Data json.RawMessage `json:"data"`
}

// MiniSignatureRequest is data that WeChat signed for a mini-program's server.
type MiniSignatureRequest struct {
	RawData   string `json:"raw_data"`
	Signature string `json:"signature"`
}

// MiniSignatureView says whether the signature is the session's. It is not
// for data that was changed, nor when WeChat has replaced the session's key.
type MiniSignatureView struct {
	Valid bool `json:"valid"`
}

// DecryptMiniData opens what WeChat encrypted with a session's key, such as a
// phone number, after checking the signature where one is given. Data of
// another app id is refused. Whatever is wrong with the ciphertext, the answer
// is the same, so that it tells nothing about the key.
func (s *Service) DecryptMiniData(ctx context.Context, caller *Caller, sessionID string, req MiniDataRequest) (MiniDataView, error) {
	if err := req.check(); err != nil {
		return MiniDataView{}, err
	}
	g, key, err := s.miniKey(ctx, caller, sessionID)
	if err != nil {
		return MiniDataView{}, err
	}
	if req.Signature != "" && !miniprogram.VerifySignature(req.RawData, key, req.Signature) {
		return MiniDataView{}, refuse(KindParam, "signature", "is not of raw_data and this session; call wx.login again")
	}
	data, err := miniprogram.Decrypt(key, req.IV, req.EncryptedData, g.AppID)
	if err != nil {
		return MiniDataView{}, &Error{
			Kind: KindParam, Field: "encrypted_data", Message: "does not open with this session and iv; call wx.login again before the data is asked for", Err: err,
		}
	}
	return MiniDataView{Data: data}, nil
}

// VerifyMiniData says whether WeChat signed data with a session's key.
func (s *Service) VerifyMiniData(ctx context.Context, caller *Caller, sessionID string, req MiniSignatureRequest) (MiniSignatureView, error) {
	if req.Signature == "" {
		return MiniSignatureView{}, refuse(KindParam, "signature", "is missing")
	}
	_, key, err := s.miniKey(ctx, caller, sessionID)
	if err != nil {
		return MiniSignatureView{}, err
	}
	return MiniSignatureView{Valid: miniprogram.VerifySignature(req.RawData, key, req.Signature)}, nil
}

func (r *MiniDataRequest) check() error {
	for _, f := range [...]struct{ name, value, with string }{
		{"encrypted_data", r.EncryptedData, "always"},
		{"iv", r.IV, "always"},
		{"raw_data", r.RawData, r.Signature},
		{"signature", r.Signature, r.RawData},
	} {
		if f.value == "" && f.with != "" {
			return refuse(KindParam, f.name, "is missing")
		}
	}
	return nil
}
