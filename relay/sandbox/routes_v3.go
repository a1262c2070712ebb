package sandbox

import (
	"net/http"
	"strings"
)

// apiOperation is one call of APIv3.
type apiOperation struct {
	method string
	path   string // behind /v3/, with * for one variable part
	name   string // as fault filters spell it
	play   func(s *Sandbox, c *apiCall, variable string) (apiReply, error)
}

// apiOperations are the calls that the sandbox plays.
var apiOperations = []apiOperation{
	{http.MethodGet, "certificates", "certificates", plain((*Sandbox).certificates)},

	{http.MethodPost, "pay/transactions/jsapi", "prepay", prepaying(tradeJSAPI, direct)},
	{http.MethodPost, "pay/transactions/native", "prepay", prepaying(tradeNative, direct)},
	{http.MethodPost, "pay/transactions/h5", "prepay", prepaying(tradeH5, direct)},
	{http.MethodPost, "pay/transactions/app", "prepay", prepaying(tradeApp, direct)},
	{http.MethodGet, "pay/transactions/id/*", "query", asking((*Sandbox).queryByID, direct)},
	{http.MethodGet, "pay/transactions/out-trade-no/*", "query", asking((*Sandbox).queryByNumber, direct)},
	{http.MethodPost, "pay/transactions/out-trade-no/*/close", "close", asking((*Sandbox).closeOrder, direct)},

	{http.MethodPost, "pay/partner/transactions/jsapi", "prepay", prepaying(tradeJSAPI, provider)},
	{http.MethodPost, "pay/partner/transactions/native", "prepay", prepaying(tradeNative, provider)},
	{http.MethodPost, "pay/partner/transactions/h5", "prepay", prepaying(tradeH5, provider)},
	{http.MethodPost, "pay/partner/transactions/app", "prepay", prepaying(tradeApp, provider)},
	{http.MethodGet, "pay/partner/transactions/id/*", "query", asking((*Sandbox).queryByID, provider)},
	{http.MethodGet, "pay/partner/transactions/out-trade-no/*", "query", asking((*Sandbox).queryByNumber, provider)},
	{http.MethodPost, "pay/partner/transactions/out-trade-no/*/close", "close", asking((*Sandbox).closeOrder, provider)},

	{http.MethodPost, "refund/domestic/refunds", "refund", plain((*Sandbox).startRefund)},
	{http.MethodGet, "refund/domestic/refunds/*", "refund_query", (*Sandbox).queryRefund},
	{http.MethodPost, "refund/domestic/refunds/*/apply-abnormal-refund", "refund", (*Sandbox).mendRefund},

	{http.MethodPost, "profitsharing/orders", "profit_sharing", plain((*Sandbox).startShare)},
	{http.MethodPost, "profitsharing/orders/unfreeze", "profit_sharing", plain((*Sandbox).unfreezeShare)},
	{http.MethodGet, "profitsharing/orders/*", "profit_sharing", (*Sandbox).queryShare},
	{http.MethodPost, "profitsharing/return-orders", "profit_sharing", plain((*Sandbox).startReturn)},
	{http.MethodGet, "profitsharing/return-orders/*", "profit_sharing", (*Sandbox).queryReturn},
	{http.MethodGet, "profitsharing/transactions/*/amounts", "profit_sharing", (*Sandbox).queryUnsplit},
	{http.MethodGet, "profitsharing/merchant-configs/*", "profit_sharing", (*Sandbox).queryRatio},
	{http.MethodPost, "profitsharing/receivers/add", "profit_sharing", plain((*Sandbox).startReceiver)},
	{http.MethodPost, "profitsharing/receivers/delete", "profit_sharing", plain((*Sandbox).endReceiver)},

	{http.MethodGet, "bill/tradebill", "bill", plain((*Sandbox).tradeBill)},
	{http.MethodGet, "billdownload/file", "bill", plain((*Sandbox).billFile)},
}

// mode says for whom a merchant calls: for itself, or as a service provider
// for a sub merchant. The two have different paths and names of members.
type mode bool

const (
	direct   mode = false
	provider mode = true
)

// plain is a call without a variable part.
func plain(play func(*Sandbox, *apiCall) (apiReply, error)) func(*Sandbox, *apiCall, string) (apiReply, error) {
	return func(s *Sandbox, c *apiCall, _ string) (apiReply, error) { return play(s, c) }
}

// prepaying is a call that creates an order.
func prepaying(tradeType string, m mode) func(*Sandbox, *apiCall, string) (apiReply, error) {
	rules := prepayRules(tradeType, m)
	return func(s *Sandbox, c *apiCall, _ string) (apiReply, error) { return s.prepay(c, rules, tradeType, m) }
}

// asking is a call about an order.
func asking(play func(*Sandbox, *apiCall, mode, string) (apiReply, error), m mode) func(*Sandbox, *apiCall, string) (apiReply, error) {
	return func(s *Sandbox, c *apiCall, variable string) (apiReply, error) { return play(s, c, m, variable) }
}

// routeV3 finds the operation of a request and the variable part of its path.
func routeV3(r *http.Request) (*apiOperation, string, error) {
	path := strings.TrimPrefix(r.URL.Path, "/v3/")
	known := false
	for i := range apiOperations {
		operation := &apiOperations[i]
		variable, fits := matchPath(operation.path, path)
		if !fits {
			continue
		}
		if operation.method == r.Method {
			return operation, variable, nil
		}
		known = true
	}
	if known {
		return nil, "", refuse(http.StatusMethodNotAllowed, "PARAM_ERROR", "HTTP方法不正确", logBadParameter)
	}
	return nil, "", refuse(http.StatusNotFound, "RESOURCE_NOT_EXISTS", "the sandbox does not play this address", logNoError)
}

// matchPath compares a path with a pattern, part by part.
func matchPath(pattern, path string) (variable string, fits bool) {
	before, after, varies := strings.Cut(pattern, "*")
	if !varies {
		return "", pattern == path
	}
	rest, ok := strings.CutPrefix(path, before)
	if !ok {
		return "", false
	}
	variable, ok = strings.CutSuffix(rest, after)
	return variable, ok && variable != "" && !strings.Contains(variable, "/")
}
