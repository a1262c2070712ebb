package web

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
)

// fakeMini is the part of the fake relay that knows mini-programs.
type fakeMini struct {
	session func(relay.MiniSessionRequest) (relay.MiniSessionView, error)
	decrypt func(sessionID string, req relay.MiniDataRequest) (relay.MiniDataView, error)
	verify  func(sessionID string, req relay.MiniSignatureRequest) (relay.MiniSignatureView, error)
}

func (f *fakeMini) CreateMiniSession(_ context.Context, _ *relay.Caller, req relay.MiniSessionRequest) (relay.MiniSessionView, error) {
	return f.session(req)
}

func (f *fakeMini) DecryptMiniData(_ context.Context, _ *relay.Caller, sessionID string, req relay.MiniDataRequest) (relay.MiniDataView, error) {
	return f.decrypt(sessionID, req)
}

func (f *fakeMini) VerifyMiniData(_ context.Context, _ *relay.Caller, sessionID string, req relay.MiniSignatureRequest) (relay.MiniSignatureView, error) {
	return f.verify(sessionID, req)
}

// TestMiniRoutes: what is sent reaches relay as it is, and what relay says the
// client.
func TestMiniRoutes(t *testing.T) {
	t.Parallel()
	service := &fakeService{}
	f := newFace(t, service)
	service.session = func(req relay.MiniSessionRequest) (relay.MiniSessionView, error) {
		if req != (relay.MiniSessionRequest{Account: "till", Code: "c0de"}) {
			t.Errorf("relay got %+v", req)
		}
		return relay.MiniSessionView{OpenID: "o1", UnionID: "u1", AppID: "wx1", SessionID: token, ExpiresAt: "then"}, nil
	}
	service.decrypt = func(id string, req relay.MiniDataRequest) (relay.MiniDataView, error) {
		if id != token || req != (relay.MiniDataRequest{EncryptedData: "e", IV: "i", RawData: "r", Signature: "s"}) {
			t.Errorf("relay got %s %+v", id, req)
		}
		return relay.MiniDataView{Data: json.RawMessage(`{"phoneNumber":"1"}`)}, nil
	}
	service.verify = func(id string, req relay.MiniSignatureRequest) (relay.MiniSignatureView, error) {
		if id != token || req != (relay.MiniSignatureRequest{RawData: "r", Signature: "s"}) {
			t.Errorf("relay got %s %+v", id, req)
		}
		return relay.MiniSignatureView{Valid: true}, nil
	}
	for _, tt := range []struct {
		name, path, body string
		status           int
		want             string // code of a refusal, or the answer
	}{
		{"session", "/v1/mini-program/sessions", `{"account":"till","code":"c0de"}`, http.StatusCreated, `{"openid":"o1","unionid":"u1","app_id":"wx1","session_id":"` + token + `","expires_at":"then"}`},
		{"decrypt", "/v1/mini-program/sessions/" + token + "/decrypt", `{"encrypted_data":"e","iv":"i","raw_data":"r","signature":"s"}`, http.StatusOK, `{"data":{"phoneNumber":"1"}}`},
		{"verify", "/v1/mini-program/sessions/" + token + "/verify", `{"raw_data":"r","signature":"s"}`, http.StatusOK, `{"valid":true}`},
		{"unknown name", "/v1/mini-program/sessions", `{"code":"c0de","appid":"wx1"}`, http.StatusBadRequest, "PARAM_ERROR"},
		{"twice the name", "/v1/mini-program/sessions", `{"code":"a","code":"b"}`, http.StatusBadRequest, "PARAM_ERROR"},
		{"short session", "/v1/mini-program/sessions/AbC/decrypt", `{}`, http.StatusNotFound, "NOT_FOUND"},
		{"odd session", "/v1/mini-program/sessions/AbCdEfGhIjKlMnOpQrSt%20/verify", `{}`, http.StatusNotFound, "NOT_FOUND"},
		{"parameters in the address", "/v1/mini-program/sessions?code=c0de", `{"code":"c0de"}`, http.StatusBadRequest, "PARAM_ERROR"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := f.do(t, http.MethodPost, tt.path, tt.body, "Content-Type", "application/json")
			got := w.Body.String()
			if tt.status >= http.StatusBadRequest {
				got = errorBody(t, w).Code
			}
			if w.Code != tt.status || got != tt.want {
				t.Errorf("got %d %s, want %d %s", w.Code, got, tt.status, tt.want)
			}
		})
	}
}

// TestMiniRoutesAreSigned_C01: nobody without a client's signature learns who
// a user is.
func TestMiniRoutesAreSigned_C01(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{authenticate: func(relay.SignedRequest) error { return refusal(relay.KindSign, "not signed") }})
	for _, rt := range []route{routeSessions, routeDecrypt, routeVerify} {
		if w := f.do(t, http.MethodPost, routePaths[rt], `{}`, "Content-Type", "application/json"); w.Code != http.StatusUnauthorized {
			t.Errorf("%s: status %d", routePaths[rt], w.Code)
		}
	}
}

// TestMiniRoutesTakeAFreshNonce_C05: a session's data is opened once per
// signed request.
func TestMiniRoutesTakeAFreshNonce_C05(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{checkNonce: refusal(relay.KindReplayed, "used before")})
	for _, rt := range []route{routeSessions, routeDecrypt, routeVerify} {
		if w := f.do(t, http.MethodPost, routePaths[rt], `{}`, "Content-Type", "application/json"); w.Code != http.StatusConflict {
			t.Errorf("%s: status %d", routePaths[rt], w.Code)
		}
	}
}
