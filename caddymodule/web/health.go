package web

import (
	"context"
	"net/http"
	"time"
)

// healthTime bounds a health check. Those who ask count no answer as a bad
// one after a few seconds.
const healthTime = 2 * time.Second

type health struct {
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

// showHealth tells whether store and workers are well. It is asked often and
// by machines, so that being unwell is no line in the log of requests.
func (x *exchange) showHealth() error {
	ctx, cancel := context.WithTimeout(x.r.Context(), healthTime)
	defer cancel()
	if err := x.ready(ctx); err != nil {
		return writeJSON(x.w, http.StatusServiceUnavailable, health{Status: "unavailable", Reason: err.Error()})
	}
	return writeJSON(x.w, http.StatusOK, health{Status: "ok"})
}
