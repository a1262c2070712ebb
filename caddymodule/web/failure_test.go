package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
)

func TestEveryKindHasItsAnswer(t *testing.T) {
	t.Parallel()
	want := map[relay.Kind]struct {
		status int
		code   string
	}{
		relay.KindParam:           {400, "PARAM_ERROR"},
		relay.KindSign:            {401, "SIGN_ERROR"},
		relay.KindTimestamp:       {401, "TIMESTAMP_OUT_OF_RANGE"},
		relay.KindRate:            {429, "FREQUENCY_LIMITED"},
		relay.KindReplayed:        {409, "REPLAYED"},
		relay.KindNoAuth:          {403, "NO_AUTH"},
		relay.KindNotFound:        {404, "NOT_FOUND"},
		relay.KindOrderConflict:   {409, "ORDER_CONFLICT"},
		relay.KindOrderPaid:       {409, "ORDER_PAID"},
		relay.KindOrderClosed:     {409, "ORDER_CLOSED"},
		relay.KindUpstream:        {502, "UPSTREAM_ERROR"},
		relay.KindUpstreamTimeout: {504, "UPSTREAM_TIMEOUT"},
		relay.KindUnavailable:     {503, "UNAVAILABLE"},
		relay.KindTooLarge:        {413, "BODY_TOO_LARGE"},
		relay.KindRefundConflict:  {409, "REFUND_CONFLICT"},
		relay.KindAmountExceeded:  {409, "AMOUNT_EXCEEDED"},
		relay.KindCaseConflict:    {409, "CASE_CONFLICT"},
		relay.KindSplitConflict:   {409, "SPLIT_CONFLICT"},
	}
	if got := len(answers) - 1; got != len(want) {
		t.Errorf("the table has %d kinds, this test %d", got, len(want))
	}
	for kind, w := range want {
		t.Run(w.code, func(t *testing.T) {
			t.Parallel()
			err := &relay.Error{Kind: kind, Message: "said", Field: "amount", UpstreamCode: "X", Err: errors.New("secret cause")}
			rec := httptest.NewRecorder()
			f := failureOf(fmt.Errorf("wrapped: %w", err))
			f.RequestID = "id-1"
			if err := writeFailure(rec, f); err != nil {
				t.Fatal(err)
			}
			wantBody := fmt.Sprintf(`{"code":%q,"message":"said","request_id":"id-1","field":"amount","upstream_code":"X"}`, w.code)
			if got := rec.Body.String(); rec.Code != w.status || got != wantBody {
				t.Errorf("got %d %s, want %d %s", rec.Code, got, w.status, wantBody)
			}
			again := w.status == http.StatusServiceUnavailable || w.status == http.StatusTooManyRequests
			if got := rec.Header().Get("Retry-After") != ""; got != again {
				t.Errorf("Retry-After given: %v, want %v", got, again)
			}
			if got := rec.Header().Get("WWW-Authenticate") != ""; got != (w.status == http.StatusUnauthorized) {
				t.Errorf("WWW-Authenticate given: %v", got)
			}
		})
	}
}

func TestErrorsWithoutKind(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"store in doubt":   {fmt.Errorf("committing: %w", relay.ErrUnavailable), 503, "UNAVAILABLE"},
		"out of time":      {fmt.Errorf("asking: %w", context.DeadlineExceeded), 503, "UNAVAILABLE"},
		"sender gone":      {context.Canceled, 503, "UNAVAILABLE"},
		"damaged record":   {relay.ErrCorrupt, 500, "INTERNAL"},
		"anything":         {errors.New("pq: password authentication failed"), 500, "INTERNAL"},
		"kind of nothing":  {&relay.Error{Message: "pq: password"}, 500, "INTERNAL"},
		"kind not in list": {&relay.Error{Kind: 99, Message: "pq: password"}, 500, "INTERNAL"},
		"method":           {errMethod, 405, "METHOD_NOT_ALLOWED"},
		"media type":       {errMedia, 415, "UNSUPPORTED_MEDIA_TYPE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := failureOf(c.err)
			if f.status != c.status || f.Code != c.code {
				t.Errorf("got %d %s, want %d %s", f.status, f.Code, c.status, c.code)
			}
			if strings.Contains(f.Message, "pq:") || strings.Contains(f.Message, "committing") {
				t.Errorf("message %q tells the cause", f.Message)
			}
			if !errors.Is(f.cause, c.err) {
				t.Error("the cause is lost for the log")
			}
		})
	}
}

// JSON that a browser took for a page would run what clients wrote (threats
// I12).
func TestJSONIsNoPage_I12(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	if err := writeJSON(w, http.StatusOK, map[string]string{"attach": "<script>alert(1)</script>"}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(w.Body.String(), "<") {
		t.Errorf("body %s has a tag", w.Body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestWhatCannotBeMarshalledIsNotHalfSent(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	if err := writeJSON(w, http.StatusOK, func() {}); err == nil {
		t.Error("no error")
	}
	if w.Body.Len() > 0 || len(w.Header()) > 0 {
		t.Errorf("sent %q with %v", w.Body, w.Header())
	}
}
