package errcode

import "testing"

func TestErrorText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err  Error
		want string
	}{
		{Error{Op: "exchange code", Code: 40029, HTTPStatus: 200, Message: "marker"}, "exchange code: WeChat answered errcode 40029"},
		{Error{Op: "get user info", HTTPStatus: 502}, "get user info: WeChat answered status 502"},
	}
	for _, tt := range tests {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestErrorKinds(t *testing.T) {
	t.Parallel()
	type kinds struct{ spent, restart, token, quota, retry, alarm bool }
	tests := []struct {
		err  Error
		want kinds
	}{
		{Error{Code: Busy, HTTPStatus: 200}, kinds{retry: true}},
		{Error{Code: TooMany, HTTPStatus: 200}, kinds{retry: true}},
		{Error{Code: InvalidCode, HTTPStatus: 200}, kinds{spent: true, restart: true}},
		{Error{Code: CodeUsed, HTTPStatus: 200}, kinds{spent: true, restart: true}},
		{Error{Code: CodeExpired, HTTPStatus: 200}, kinds{spent: true, restart: true}},
		{Error{Code: InvalidRefresh, HTTPStatus: 200}, kinds{restart: true}},
		{Error{Code: RefreshExpired, HTTPStatus: 200}, kinds{restart: true}},
		{Error{Code: TokensVoid, HTTPStatus: 200}, kinds{restart: true}},
		{Error{Code: InvalidSecret, HTTPStatus: 200}, kinds{token: true}},
		{Error{Code: InvalidToken, HTTPStatus: 200}, kinds{token: true}},
		{Error{Code: TokenExpired, HTTPStatus: 200}, kinds{token: true}},
		{Error{Code: DailyQuota, HTTPStatus: 200}, kinds{quota: true, alarm: true}},
		{Error{Code: WrongSecret, HTTPStatus: 200}, kinds{alarm: true}},
		{Error{Code: InvalidAppID, HTTPStatus: 200}, kinds{alarm: true}},
		{Error{Code: IPNotAllowed, HTTPStatus: 200}, kinds{alarm: true}},
		{Error{Code: SecretFrozen, HTTPStatus: 200}, kinds{alarm: true}},
		{Error{Code: IPRefusedHour, HTTPStatus: 200}, kinds{alarm: true}},
		{Error{Code: UserBlocked, HTTPStatus: 200}, kinds{}},
		{Error{Code: InvalidOpenID, HTTPStatus: 200}, kinds{}},
		{Error{HTTPStatus: 502}, kinds{retry: true}},
		{Error{HTTPStatus: 429}, kinds{retry: true}},
		{Error{HTTPStatus: 404}, kinds{}},
	}
	for _, tt := range tests {
		e := tt.err
		got := kinds{e.CodeSpent(), e.Restart(), e.TokenInvalid(), e.QuotaSpent(), e.Retryable(), e.Alarm()}
		if got != tt.want {
			t.Errorf("%+v: got %+v, want %+v", e, got, tt.want)
		}
	}
}

func TestAllowIP(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, message, want string
	}{
		{"both families", "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist", "203.0.113.7"},
		{"one family", "invalid ip 203.0.113.7, not in whitelist", "203.0.113.7"},
		{"version 6", "invalid ip 2001:DB8::0:7 ipv6 2001:db8::7, not in whitelist", "2001:db8::7"},
		{"mapped", "invalid ip ::ffff:203.0.113.7, not in whitelist", "203.0.113.7"},
		{"at the end", "invalid ip 203.0.113.7", "203.0.113.7"},
		{"no address", "invalid ip hint, not in whitelist", ""},
		{"zone", "invalid ip fe80::1%eth0, not in whitelist", ""},
		{"too many digits", "invalid ip 203.0.113.7000, not in whitelist", ""},
		{"other form", "ip 203.0.113.7 refused", ""},
		{"empty", "", ""},
	}
	for _, tt := range tests {
		if got := (&Error{Code: IPNotAllowed, HTTPStatus: 200, Message: tt.message}).AllowIP(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := (&Error{Code: WrongSecret, Message: "invalid ip 203.0.113.7"}).AllowIP(); got != "" {
		t.Errorf("another code gives %q", got)
	}
}
