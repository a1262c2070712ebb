package relay

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
)

const (
	// tokenAlarm is the least time between two lines in the log that tell of
	// the same trouble with the same token.
	tokenAlarm = 10 * time.Minute
	// tokenRetry is the first wait after WeChat did not answer; it doubles up
	// to tokenRetryMax.
	tokenRetry    = time.Second
	tokenRetryMax = 30 * time.Second
	// tokenMend is the wait after a refusal that a person must mend: short, so
	// that the cure is noticed.
	tokenMend = 30 * time.Second
	// tokenMinute is the wait after the limit per minute.
	tokenMinute = time.Minute
)

// tokenTrouble is why a token is not renewed. A token that was got before is
// lent meanwhile, as long as it lives.
type tokenTrouble struct {
	until       time.Time // WeChat is not asked before
	failures    int       // in a row
	err         error     // what who needs a token is told until then
	told        map[int]time.Time
	missingIP   string
	ipRefusedAt time.Time
}

// paused is the refusal of those who come while WeChat is not to be asked.
func (c *tokenCentre) paused(key TokenKey) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.of(key); c.rt.now().Before(h.trouble.until) {
		return h.trouble.err
	}
	return nil
}

// failed notes that WeChat gave no token, and decides when it is asked again.
// It returns what the caller may read.
func (c *tokenCentre) failed(ctx context.Context, s *Service, a *Account, kind TokenKind, err error) error {
	refused, answered := errors.AsType[*errcode.Error](err)
	if !answered {
		refused = &errcode.Error{}
	}
	now := c.rt.now()
	c.mu.Lock()
	h := c.of(TokenKey{a.AppID, kind})
	h.account = a.Name
	t := &h.trouble
	t.failures++
	t.err = tokenError(err)
	t.until = now.Add(tokenWait(refused, t.failures))
	if refused.QuotaSpent() {
		t.until = nextBeijingDay(now).Add(c.jitter())
	}
	if refused.Code == errcode.IPNotAllowed {
		t.missingIP, t.ipRefusedAt = refused.AllowIP(), now
	}
	said := t.err
	until, tell := t.until, now.Sub(t.told[refused.Code]) >= tokenAlarm
	if tell {
		if t.told == nil {
			t.told = map[int]time.Time{}
		}
		t.told[refused.Code] = now
	}
	c.mu.Unlock()
	if tell {
		tellTrouble(ctx, s.log, a, kind, err, refused, until)
	}
	return said
}

// tokenWait is how long WeChat is left alone after a failure.
func tokenWait(refused *errcode.Error, failures int) time.Duration {
	switch {
	case refused.Code == errcode.TooMany:
		return tokenMinute
	case refused.Code != 0 && refused.Code != errcode.Busy:
		return tokenMend
	}
	return min(tokenRetry<<min(failures-1, 10), tokenRetryMax)
}

// nextBeijingDay is when daily quotas begin anew (oauth.md section 8).
func nextBeijingDay(now time.Time) time.Time {
	year, month, day := now.In(beijing.Zone).Date()
	return time.Date(year, month, day+1, 0, 0, 0, 0, beijing.Zone).UTC()
}

// tokenError says what who needs a token may read about why there is none.
func tokenError(err error) error {
	refused, answered := errors.AsType[*errcode.Error](err)
	switch {
	case !answered:
		return &Error{Kind: KindUnavailable, Message: "WeChat did not answer; try again in a moment", Err: err}
	case refused.QuotaSpent():
		return &Error{Kind: KindUnavailable, Message: "WeChat's daily quota for this account is used up; it begins anew at midnight in Beijing", Err: err}
	case refused.Retryable():
		return &Error{Kind: KindUnavailable, Message: "WeChat is busy; try again in a moment", Err: err}
	}
	return &Error{
		Kind: KindUpstream, Message: "WeChat gives this account no token; ask the operator",
		UpstreamCode: strconv.Itoa(refused.Code), Err: err,
	}
}

// tellTrouble tells the operator, and what to mend where that is known.
func tellTrouble(ctx context.Context, log *slog.Logger, a *Account, kind TokenKind, err error, refused *errcode.Error, until time.Time) {
	attrs := []slog.Attr{
		slog.String("account", a.Name), slog.String("app_id", a.AppID), slog.String("kind", string(kind)),
		slog.Time("next_try", until), slog.Any("error", err),
	}
	level, text := slog.LevelWarn, "WeChat gave no token; it is asked again"
	switch {
	case refused.Code == errcode.IPNotAllowed:
		level, text = slog.LevelError, "WeChat refuses the relay's address; add it to the IP list (IP白名单) of the account in WeChat's console"
		if ip := refused.AllowIP(); ip != "" {
			attrs = append(attrs, slog.String("add_ip", ip))
		} else {
			attrs = append(attrs, slog.String("wechat_says", refused.Message))
		}
	case refused.Alarm(), refused.Code == errcode.InvalidSecret:
		level, text = slog.LevelError, "WeChat gives the account no token; look at its app_id and secret and at WeChat's console"
		attrs = append(attrs, slog.String("wechat_says", refused.Message))
	}
	log.LogAttrs(ctx, level, text, attrs...)
}
