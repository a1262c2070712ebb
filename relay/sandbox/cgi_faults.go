package sandbox

import "net/http"

// The faults of the calls below /cgi-bin. "operation" limits them to
// stable_token, token, ticket or api, which is every other call.
const (
	// faultCGIBusy answers errcode -1.
	faultCGIBusy = "cgi_busy"
	// faultCGIQuota answers errcode 45009.
	faultCGIQuota = "cgi_quota"
	// faultCGIRate answers errcode 45011.
	faultCGIRate = "cgi_rate"
	// faultCGI500 answers HTTP 500 without JSON.
	faultCGI500 = "cgi_500"
	// faultCGICut cuts the connection without effect.
	faultCGICut = "cgi_cut"
	// faultCGISlow answers after "seconds" (default 3).
	faultCGISlow = "cgi_slow"
	// faultCGIAddress answers errcode 40164 to who asks for an access token.
	faultCGIAddress = "cgi_address"
	// faultCGIFrozen answers errcode 40243 to who asks for an access token.
	faultCGIFrozen = "cgi_frozen"
	// faultTokenOutdated ends the access token that a call shows, as a forced
	// renewal by somebody else does: 40001 from then on.
	faultTokenOutdated = "token_outdated"
	// faultTokenExpired ends the access token that a call shows: 42001 from
	// then on.
	faultTokenExpired = "token_expired"
	// faultTokenRefused answers 40001 to a good access token, which stays the
	// account's.
	faultTokenRefused = "token_refused"
)

// The operations that a fault of the calls can be limited to.
const (
	cgiStableToken = "stable_token"
	cgiToken       = "token"
	cgiTicket      = "ticket"
	cgiAPI         = "api"
)

var cgiOperations = []string{cgiStableToken, cgiToken, cgiTicket, cgiAPI}

var cgiFaults = faultGroup{
	{faultCGIBusy, "服务端接口繁忙 -1", "errcode -1"},
	{faultCGIQuota, "服务端接口超每日限额 45009", "errcode 45009"},
	{faultCGIRate, "服务端接口超每分钟限额 45011", "errcode 45011"},
	{faultCGI500, "服务端接口 HTTP 500", "HTTP 500"},
	{faultCGICut, "服务端接口断开", "cut connection"},
	{faultCGISlow, "服务端接口很慢", "slow answer"},
}

// Those of calls that give access tokens, and of calls that show one.
var (
	cgiGivingFaults = faultGroup{
		{faultCGIAddress, "IP 不在白名单 40164", "errcode 40164: the address is not on the list"},
		{faultCGIFrozen, "AppSecret 已冻结 40243", "errcode 40243: the secret is frozen"},
	}
	cgiShowingFaults = faultGroup{
		{faultTokenOutdated, "access_token 已被他人刷新 40001", "the access token is outdated from now on: 40001"},
		{faultTokenExpired, "access_token 已过期 42001", "the access token is over from now on: 42001"},
		{faultTokenRefused, "误报 access_token 无效 40001", "40001 to a good access token"},
	}
)

// cgiFault plays a fault of a call that has not begun. It reports whether
// the call is over.
func (s *Sandbox) cgiFault(w http.ResponseWriter, r *http.Request, operation string) bool {
	f := s.faults.take(cgiFaults, operation)
	if f == nil {
		return false
	}
	switch f.Name {
	case faultCGIBusy:
		s.writeCGI(w, &wxBusy)
	case faultCGIQuota:
		s.writeCGI(w, &wxDailyQuota)
	case faultCGIRate:
		s.writeCGI(w, &wxMinuteQuota)
	case faultCGI500:
		http.Error(w, "SANDBOX: out of order on request", http.StatusInternalServerError)
	case faultCGICut:
		cut()
	case faultCGISlow:
		return !s.hold(r.Context(), f.wait(standardSlow))
	}
	return true
}

// givingFault is the refusal that a fault asks for of a call that gives
// access tokens.
func (s *Sandbox) givingFault(operation string) *wxError {
	f := s.faults.take(cgiGivingFaults, operation)
	switch {
	case f == nil:
		return nil
	case f.Name == faultCGIAddress:
		return &wxAddress
	}
	return &wxFrozen
}

// showingFault is the refusal that a fault asks for of a call that shows an
// access token which is good.
func (s *Sandbox) showingFault(operation, token string) *wxError {
	f := s.faults.take(cgiShowingFaults, operation)
	if f == nil {
		return nil
	}
	switch f.Name {
	case faultTokenOutdated:
		s.accountTokens.spoil(token, true)
	case faultTokenExpired:
		s.accountTokens.spoil(token, false)
		return &wxTokenExpired
	}
	return &wxNotLatest
}
