package oauth

import (
	"errors"
	"strings"
	"testing"
)

func TestErrorFromAnswer(t *testing.T) {
	t.Parallel()
	c, _ := scripted(t, answer(200, `{"errcode":40029,"errmsg":"invalid code, rid: 5f1b2c3d-0a1b2c3d\n"}`))
	_, err := c.Exchange(t.Context(), "CODE")
	e, ok := errors.AsType[*Error](err)
	if !ok || *e != (Error{Op: "exchange code", Code: 40029, HTTPStatus: 200, Message: "invalid code"}) {
		t.Errorf("got %#v", err)
	}
	if got := e.Error(); got != "exchange code: WeChat answered errcode 40029" {
		t.Errorf("text %q", got)
	}
	if got := (&Error{Op: "get user info", HTTPStatus: 502}).Error(); got != "get user info: WeChat answered status 502" {
		t.Errorf("text %q", got)
	}
}

func TestErrorKinds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err              Error
		spent, retryable bool
	}{
		{Error{Code: CodeBusy, HTTPStatus: 200}, false, true},
		{Error{Code: CodeTooMany, HTTPStatus: 200}, false, true},
		{Error{Code: CodeInvalid, HTTPStatus: 200}, true, false},
		{Error{Code: CodeUsed, HTTPStatus: 200}, true, false},
		{Error{Code: CodeExpired, HTTPStatus: 200}, true, false},
		{Error{Code: CodeSecret, HTTPStatus: 200}, false, false},
		{Error{Code: CodeIPNotAllowed, HTTPStatus: 200}, false, false},
		{Error{HTTPStatus: 502}, false, true},
		{Error{HTTPStatus: 429}, false, true},
		{Error{HTTPStatus: 404}, false, false},
	}
	for _, tt := range tests {
		if tt.err.CodeSpent() != tt.spent || tt.err.Retryable() != tt.retryable {
			t.Errorf("%+v: spent %t, retryable %t", tt.err, tt.err.CodeSpent(), tt.err.Retryable())
		}
	}
}

func TestCleanMessage(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                 "",
		"ok":                               "ok",
		"invalid code, rid: 1-2-3":         "invalid code",
		"rid: 1":                           "",
		"a\nrid: b, rid: c":                "arid: b",
		strings.Repeat("长", 100) + ", rid": strings.Repeat("长", 66),
	} {
		if got := cleanMessage(in); got != want {
			t.Errorf("cleanMessage(%q) = %q, want %q", in, got, want)
		}
	}
}
