package payv3

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestAPIErrorRetryable(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status    int
		code      string
		retryable bool
		limited   bool
		host      bool
	}{
		{400, "PARAM_ERROR", false, false, false},
		{400, "INVALID_REQUEST", false, false, false},
		{401, "SIGN_ERROR", false, false, false},
		{403, "NOT_ENOUGH", false, false, false},
		{404, "ORDER_NOT_EXIST", false, false, false},
		{404, "", false, false, false},
		{429, "FREQUENCY_LIMITED", true, true, false},
		{429, "RATELIMIT_EXCEEDED", true, true, false},
		{429, "", true, true, false},
		{400, "RATE_LIMITED", true, true, false}, // the code decides
		{500, "SYSTEM_ERROR", true, false, false},
		{500, "SYSTEMERROR", true, false, false},
		{400, "SYSTEM_ERROR", true, false, false},
		{500, "BIZ_ERR_NEED_RETRY", true, false, false},
		{500, "BANK_ERROR", false, false, false},
		{500, "BANKERROR", false, false, false},
		{500, "INVALID_TRANSACTIONID", false, false, false},
		{500, "OPENID_MISMATCH", false, false, false},
		{500, "SOMETHING_NEW", true, false, false},
		{502, "", true, false, true},
		{503, "SERVICE_UNAVAILABLE", true, false, true},
		{504, "", true, false, true},
		{302, "", false, false, false},
	}
	for _, tt := range tests {
		e := &APIError{HTTPStatus: tt.status, Code: tt.code}
		if e.Retryable() != tt.retryable || e.limited() != tt.limited || e.hostAtFault() != tt.host {
			t.Errorf("%d %q: retryable %t, limited %t, host at fault %t; want %t, %t, %t",
				tt.status, tt.code, e.Retryable(), e.limited(), e.hostAtFault(), tt.retryable, tt.limited, tt.host)
		}
	}
}

func TestNewAPIError(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("长", 200)
	tests := []struct {
		name, body string
		want       APIError
	}{
		{"full", `{"code":"PARAM_ERROR","message":"bad","detail":{"field":"/amount/currency","value":"XYZ","issue":"x","location":"body"}}`, APIError{Code: "PARAM_ERROR", Message: "bad", Field: "/amount/currency"}},
		{"no detail", `{"code":"SIGN_ERROR","message":"bad"}`, APIError{Code: "SIGN_ERROR", Message: "bad"}},
		{"null detail", `{"code":"SIGN_ERROR","message":"bad","detail":null}`, APIError{Code: "SIGN_ERROR", Message: "bad"}},
		{"detail of another form", `{"code":"SIGN_ERROR","detail":["x"]}`, APIError{Code: "SIGN_ERROR"}},
		{"field of another form", `{"code":"SIGN_ERROR","detail":{"field":1}}`, APIError{Code: "SIGN_ERROR"}},
		{"code with a line feed", `{"code":"A\n{\"level\":\"info\"}","message":"m"}`, APIError{Message: "m"}},
		{"long message", `{"code":"A","message":"` + long + `"}`, APIError{Code: "A", Message: strings.Repeat("长", 85)}},
		{"page", `<html>`, APIError{}},
		{"empty", ``, APIError{}},
		{"two codes", `{"code":"SYSTEM_ERROR","code":"PARAM_ERROR"}`, APIError{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.want.Op, tt.want.HTTPStatus, tt.want.RequestID = "close", 400, "08F-268435461"
			got := newAPIError("close", 400, http.Header{"Request-Id": {"08F-\r\n268435461"}}, []byte(tt.body))
			if *got != tt.want {
				t.Errorf("got %+v, want %+v", *got, tt.want)
			}
		})
	}
}

func TestAPIErrorText(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]*APIError{
		"close: WeChat answered 400 PARAM_ERROR (request id 08F-1)": {Op: "close", HTTPStatus: 400, Code: "PARAM_ERROR", Message: "secret", RequestID: "08F-1"},
		"close: WeChat answered 502":                                {Op: "close", HTTPStatus: 502},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := (&APIError{Code: "ORDER_NOT_EXIST"}).NormalCode(); got != "ORDERNOTEXIST" {
		t.Errorf("NormalCode = %q", got)
	}
}

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{
		"": 0, "0": 0, "1": time.Second, "60": time.Minute, "3600": time.Minute, "99999": 0, "-1": 0, "1.5": 0, "soon": 0,
		"Sun, 22 Nov 2026 05:20:00 GMT": 0,
	} {
		if got := parseRetryAfter(in); got != want {
			t.Errorf("parseRetryAfter(%q) = %v, want %v", in, got, want)
		}
	}
}
