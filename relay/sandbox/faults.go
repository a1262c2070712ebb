package sandbox

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// The faults of notifications. Each use of one counts its times down.
const (
	// faultLost does not send the attempt at all; the rhythm goes on.
	faultLost = "lost"
	// faultLate sends the attempt after "seconds" (default 60, scaled).
	faultLate = "late"
	// faultDoubled sends the attempt twice at the same moment.
	faultDoubled = "doubled"
	// faultForged first sends the notification signed with an attacker's key
	// under WeChat's serial; the genuine one follows at once.
	faultForged = "forged"
	// faultTampered first sends the genuine notification with one byte added
	// after signing; the genuine one follows at once.
	faultTampered = "tampered"
	// faultStale first sends the notification with a genuine signature that
	// is ten minutes old; a fresh one follows at once.
	faultStale = "stale"
	// faultProbe first sends a signature probe, as WeChat now and then does;
	// the genuine notification follows at once.
	faultProbe = "probe"
	// faultUnknownEvent first sends an authentic notification of an event type
	// that nobody knows; the genuine one follows at once.
	faultUnknownEvent = "unknown_event"
	// faultReordered holds the attempt back until another notification was
	// sent, at most "seconds" (default 60, scaled).
	faultReordered = "reordered"
	// faultWrongAmount sends an authentic notification with another amount:
	// "amount" in fen, or one fen more than was paid.
	faultWrongAmount = "wrong_amount"
	// faultSlow lets the body of the attempt trickle in over "seconds"
	// (default 4).
	faultSlow = "slow"
	// faultKeyCertificate signs the attempt with the platform certificate.
	faultKeyCertificate = "key_certificate"
	// faultKeyPublic signs the attempt with the public-key mode's key.
	faultKeyPublic = "key_public"
)

// The faults of API answers. Calls that fail authentication use none up.
const (
	// faultAPI429 answers 429 FREQUENCY_LIMITED without effect.
	faultAPI429 = "api_429"
	// faultAPI500Before answers 500 SYSTEM_ERROR without effect.
	faultAPI500Before = "api_500_before"
	// faultAPI500After takes effect and answers 500 SYSTEM_ERROR.
	faultAPI500After = "api_500_after"
	// faultAPI502 answers 502 with an HTML page, without effect.
	faultAPI502 = "api_502"
	// faultAPISlow answers after "seconds" (default 3).
	faultAPISlow = "api_slow"
	// faultAPITimeout takes effect and answers nothing for "seconds"
	// (default 60), then cuts the connection.
	faultAPITimeout = "api_timeout"
	// faultAPICutBefore cuts the connection without effect.
	faultAPICutBefore = "api_cut_before"
	// faultAPICut takes effect and cuts the connection.
	faultAPICut = "api_cut"
	// faultAPIUnsigned answers a success without signature.
	faultAPIUnsigned = "api_unsigned"
	// faultAPIWrongSignature answers a success signed with an attacker's key.
	faultAPIWrongSignature = "api_wrong_signature"
	// faultAPIProbe answers a success with a signature probe.
	faultAPIProbe = "api_probe"
)

// The faults of refunds. They are used up when a refund is asked for.
const (
	// faultRefundNotEnough refuses a refund: the merchant's balance is not
	// enough. Nothing is booked.
	faultRefundNotEnough = "refund_not_enough"
	// faultRefundTooSoon refuses a refund that comes less than a minute after
	// another one of the same order. WeChat always does; demos would wait.
	faultRefundTooSoon = "refund_too_soon"
	// faultRefundAbnormal ends a refund as ABNORMAL: the buyer's card is gone.
	faultRefundAbnormal = "refund_abnormal"
	// faultRefundClosed ends a refund as CLOSED: nothing was paid back.
	faultRefundClosed = "refund_closed"
	// faultRefundStuck leaves a refund in process until it was asked for
	// "asks" times (default 3).
	faultRefundStuck = "refund_stuck"
)

// The faults of profit sharing.
const (
	// faultShareTooSoon refuses a share within a minute of the payment.
	// WeChat always does; demos would wait.
	faultShareTooSoon = "share_too_soon"
	// faultShareClosed ends a share without its first receiver, whose account
	// does not work.
	faultShareClosed = "share_closed"
	// faultReturnFailed ends a return as FAILED.
	faultReturnFailed = "return_failed"
)

// The faults of the OAuth pages and calls.
const (
	// faultOAuthBusy answers errcode -1.
	faultOAuthBusy = "oauth_busy"
	// faultOAuthQuota answers errcode 45009.
	faultOAuthQuota = "oauth_quota"
	// faultOAuthRate answers errcode 45011.
	faultOAuthRate = "oauth_rate"
	// faultOAuth500 answers HTTP 500 without JSON.
	faultOAuth500 = "oauth_500"
	// faultOAuthCut cuts the connection.
	faultOAuthCut = "oauth_cut"
	// faultOAuthSlow answers after "seconds" (default 3).
	faultOAuthSlow = "oauth_slow"
	// faultOAuthSnapshot makes the next code one of a snapshot user.
	faultOAuthSnapshot = "oauth_snapshot"
	// faultOAuthOutside shows the page for browsers outside WeChat.
	faultOAuthOutside = "oauth_outside"
)

// faultGroup is a list of faults that are asked for at the same place.
type faultGroup []faultKind

// faultKind is a fault as the control panel shows it.
type faultKind struct{ Name, ZH, EN string }

var notifyFaults = faultGroup{
	{faultLost, "通知丢失（不发送，按节奏重试）", "lost: not sent, the rhythm goes on"},
	{faultLate, "通知迟到", "late: sent after some time"},
	{faultDoubled, "同一通知同时发两次", "doubled: sent twice at the same moment"},
	{faultForged, "先来一条伪造的通知", "forged: an attacker's comes first"},
	{faultTampered, "先来一条被篡改的通知", "tampered: one byte is added after signing"},
	{faultStale, "先来一条过期时间戳的通知", "stale: ten minutes old"},
	{faultProbe, "先来一条签名探测（SIGNTEST）", "probe: WECHATPAY/SIGNTEST comes first"},
	{faultUnknownEvent, "先来一条未知事件", "unknown_event: an event nobody knows comes first"},
	{faultReordered, "通知乱序（等另一条先发）", "reordered: waits until another was sent"},
	{faultWrongAmount, "通知金额不符", "wrong_amount: authentic, but not the amount"},
	{faultSlow, "通知正文传得很慢", "slow: the body trickles in"},
	{faultKeyCertificate, "用平台证书签名", "key_certificate: signed with the certificate"},
	{faultKeyPublic, "用微信支付公钥模式签名", "key_public: signed with the public key's pair"},
}

var apiFaults = faultGroup{
	{faultAPI429, "接口限频 429", "429, no effect"},
	{faultAPI500Before, "接口 500（未生效）", "500, no effect"},
	{faultAPI500After, "接口 500（已生效）", "500 after the effect"},
	{faultAPI502, "接口 502 HTML", "502 with HTML, no effect"},
	{faultAPISlow, "接口很慢", "slow answer"},
	{faultAPITimeout, "接口超时（已生效）", "no answer, after the effect"},
	{faultAPICutBefore, "连接断开（未生效）", "cut connection, no effect"},
	{faultAPICut, "连接断开（已生效）", "cut connection after the effect"},
	{faultAPIUnsigned, "应答没有签名", "2xx without signature"},
	{faultAPIWrongSignature, "应答签名错误", "2xx with a wrong signature"},
	{faultAPIProbe, "应答为签名探测", "2xx with a signature probe"},
}

// The faults that APIv2 can play: it knows neither time stamps nor serial
// numbers, event types and signature probes.
var (
	notifyFaultsV2 = notifyFaults.without(faultStale, faultProbe, faultUnknownEvent, faultKeyCertificate, faultKeyPublic)
	apiFaultsV2    = apiFaults.without(faultAPIProbe)
)

var refundFaults = faultGroup{
	{faultRefundNotEnough, "退款时商户余额不足", "refused: balance not enough"},
	{faultRefundTooSoon, "一分钟内再次退款被拒", "refused: less than a minute after the last one"},
	{faultRefundAbnormal, "退款异常（退到银行卡失败）", "ends ABNORMAL: the buyer's card is gone"},
	{faultRefundClosed, "退款关闭", "ends CLOSED: nothing was paid back"},
	{faultRefundStuck, "退款一直处理中（查询几次后才结束）", "stays in process until it was asked for"},
}

var shareFaults = faultGroup{
	{faultShareTooSoon, "支付后一分钟内分账被拒", "share refused: less than a minute after the payment"},
	{faultShareClosed, "分账：第一个接收方失败", "share: the first receiver's account does not work"},
	{faultReturnFailed, "分账回退失败", "return of a share fails"},
}

var oauthFaults = faultGroup{
	{faultOAuthBusy, "登录接口繁忙 -1", "errcode -1"},
	{faultOAuthQuota, "登录接口超每日限额 45009", "errcode 45009"},
	{faultOAuthRate, "登录接口超每分钟限额 45011", "errcode 45011"},
	{faultOAuth500, "登录接口 HTTP 500", "HTTP 500"},
	{faultOAuthCut, "登录接口断开", "cut connection"},
	{faultOAuthSlow, "登录接口很慢", "slow answer"},
}

var loginFaults = faultGroup{
	{faultOAuthSnapshot, "快照页虚拟用户", "snapshot user"},
	{faultOAuthOutside, "不在微信内打开", "opened outside WeChat"},
}

// allFaults lists every group.
func allFaults() []faultGroup {
	return []faultGroup{
		notifyFaults, apiFaults, refundFaults, shareFaults, loginFaults, oauthFaults, miniFaults,
		cgiFaults, cgiGivingFaults, cgiShowingFaults,
	}
}

// faultOperations are what an API fault can be limited to. Calls of both
// generations that do the same have the same name.
var faultOperations = []string{"prepay", "query", "close", "certificates", "refund", "refund_query", "profit_sharing", "bill"}

// operationsOf lists what a fault can be limited to.
func operationsOf(name string) []string {
	switch {
	case apiFaults.has(name):
		return faultOperations
	case cgiFaults.has(name), cgiShowingFaults.has(name):
		return cgiOperations
	case cgiGivingFaults.has(name):
		return []string{cgiStableToken, cgiToken}
	}
	return nil
}

// has reports whether the group has a fault of this name.
func (g faultGroup) has(name string) bool {
	return slices.ContainsFunc(g, func(k faultKind) bool { return k.Name == name })
}

// without returns the group without some of its faults.
func (g faultGroup) without(names ...string) faultGroup {
	return slices.DeleteFunc(slices.Clone(g), func(k faultKind) bool { return slices.Contains(names, k.Name) })
}

// fault is something that will go wrong, Times times.
type fault struct {
	Name      string  `json:"fault"`
	Times     int     `json:"times"`
	Seconds   float64 `json:"seconds,omitempty"`
	AmountFen int64   `json:"amount,omitempty"`
	Asks      int     `json:"asks,omitempty"`      // of refund_stuck: how many queries
	Operation string  `json:"operation,omitempty"` // of API faults and those of /cgi-bin; see operationsOf
}

// Bounds of what a fault may ask for.
const (
	maxFaultTimes   = 1000
	maxFaultSeconds = 24 * 60 * 60
	maxFaults       = 100
	standardAsks    = 3
)

// check fills defaults and says what is wrong with a fault.
func (f *fault) check() error {
	f.Name = strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(f.Name))
	f.Name = strings.TrimPrefix(f.Name, "notification_")
	if f.Times == 0 {
		f.Times = 1
	}
	if f.Name == faultRefundStuck && f.Asks == 0 {
		f.Asks = standardAsks
	}
	switch {
	case !slices.ContainsFunc(allFaults(), func(g faultGroup) bool { return g.has(f.Name) }):
		return fmt.Errorf("there is no fault %q; GET /sandbox lists them", f.Name)
	case f.Times < 1 || f.Times > maxFaultTimes:
		return fmt.Errorf("times must be 1 to %d", maxFaultTimes)
	case f.Seconds < 0 || f.Seconds > maxFaultSeconds:
		return fmt.Errorf("seconds must be 0 to %d", maxFaultSeconds)
	case f.AmountFen < 0:
		return errors.New("amount must be positive")
	case f.Asks < 0 || f.Asks > maxFaultTimes || f.Asks > 0 && f.Name != faultRefundStuck:
		return fmt.Errorf("asks goes with %s and is 1 to %d", faultRefundStuck, maxFaultTimes)
	case f.Operation != "" && !slices.Contains(operationsOf(f.Name), f.Operation):
		return fmt.Errorf("operation goes with API faults and is one of %s; with faults of /cgi-bin one of %s",
			strings.Join(faultOperations, ", "), strings.Join(cgiOperations, ", "))
	}
	return nil
}

// wait returns how long a fault waits.
func (f *fault) wait(standard time.Duration) time.Duration {
	if f.Seconds == 0 {
		return standard
	}
	return time.Duration(f.Seconds * float64(time.Second))
}

// faultBox is the list of faults to come. Safe for concurrent use.
type faultBox struct {
	mu   sync.Mutex // guards list
	list []*fault
}

// add appends faults, all or none.
func (b *faultBox) add(faults []fault) error {
	for i := range faults {
		if err := faults[i].check(); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.list)+len(faults) > maxFaults {
		return fmt.Errorf("more than %d faults are waiting; clear them first", maxFaults)
	}
	for _, f := range faults {
		b.list = append(b.list, &f)
	}
	return nil
}

// take returns the first waiting fault of the group that fits the operation,
// and counts it down; nil when nothing shall go wrong.
func (b *faultBox) take(group faultGroup, operation string) *fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, f := range b.list {
		if !group.has(f.Name) || (f.Operation != "" && f.Operation != operation) {
			continue
		}
		taken := *f
		f.Times--
		if f.Times == 0 {
			b.list = slices.Delete(b.list, i, i+1)
		}
		return &taken
	}
	return nil
}

// happens takes a waiting fault by its name; nil when there is none.
func (b *faultBox) happens(name string) *fault {
	return b.take(faultGroup{{Name: name}}, "")
}

// pending lists what will go wrong.
func (b *faultBox) pending() []fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]fault, 0, len(b.list))
	for _, f := range b.list {
		list = append(list, *f)
	}
	return list
}

// clear forgets all faults.
func (b *faultBox) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = nil
}

// faultRequest is the body of POST /sandbox/faults: one fault, or a list
// under "faults"; "clear" forgets earlier ones first; "rotate_certificate"
// takes the change of the platform certificate one step on.
type faultRequest struct {
	fault
	Faults            []fault `json:"faults"`
	Clear             bool    `json:"clear"`
	RotateCertificate bool    `json:"rotate_certificate"`
}

// faultState is the answer to requests of /sandbox/faults.
type faultState struct {
	Pending []fault `json:"pending"`
}

// serveFaults answers GET, POST and DELETE /sandbox/faults.
func (s *Sandbox) serveFaults(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodDelete:
		s.faults.clear()
	case http.MethodPost:
		request, form, err := readPanel(w, r, faultsOf)
		if err == nil {
			err = s.orderFaults(request)
		}
		if err != nil {
			writeJSON(w, http.StatusBadRequest, errorBody{Code: "PARAM_ERROR", Message: err.Error()})
			return
		}
		if form {
			http.Redirect(w, r, "/sandbox", http.StatusSeeOther)
			return
		}
	}
	writeJSON(w, http.StatusOK, faultState{Pending: s.faults.pending()})
}

// orderFaults does what a request for faults says.
func (s *Sandbox) orderFaults(request *faultRequest) error {
	if request.Clear {
		s.faults.clear()
	}
	if request.RotateCertificate {
		s.platform.rotate()
	}
	list := request.Faults
	if request.Name != "" {
		list = append(list, request.fault)
	}
	if len(list) == 0 && !request.Clear && !request.RotateCertificate {
		return errors.New("fault is missing")
	}
	return s.faults.add(list)
}

// faultsOf reads a request for faults from the control panel's form.
func faultsOf(values url.Values) (request faultRequest, err error) {
	request.Clear = values.Get("clear") != ""
	request.RotateCertificate = values.Get("rotate_certificate") != ""
	if values.Get("fault") == "" {
		return request, nil
	}
	request.Name = values.Get("fault")
	request.Operation = values.Get("operation")
	request.Times, err = formNumber(values, "times")
	if err != nil {
		return request, err
	}
	seconds, err := formNumber(values, "seconds")
	request.Seconds = float64(seconds)
	return request, err
}
