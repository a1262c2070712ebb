package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/wxrelay/wxrelay/relay"
)

func init() {
	caddy.RegisterModule(Admin{})
}

// maxAdminBody bounds the body of a request to the admin endpoint.
const maxAdminBody = 16 << 10

// Admin serves the operator's view of the relay on Caddy's admin endpoint:
// the anomalies that hold money, and their resolution. Who reaches that
// endpoint may do everything, so it shows no secrets and no buyers; Caddy
// itself checks Host and Origin.
//
//	GET  /wxrelay/cases?status=&after=&limit=
//	GET  /wxrelay/cases/{id}
//	POST /wxrelay/cases/{id}/resolve   {"action","reason","by"}
type Admin struct{}

// CaddyModule returns the Caddy module information.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.wxrelay",
		New: func() caddy.Module { return new(Admin) },
	}
}

// Routes implements caddy.AdminRouter.
func (a *Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/wxrelay/cases", Handler: caddy.AdminHandlerFunc(a.listCases)},
		{Pattern: "/wxrelay/cases/", Handler: caddy.AdminHandlerFunc(a.oneCase)},
	}
}

// caseList is the answer to GET /wxrelay/cases.
type caseList struct {
	Cases   []relay.CaseRecord `json:"cases"`
	Next    string             `json:"next,omitempty"`
	HasMore bool               `json:"has_more"`
}

// caseDecision is the body of POST /wxrelay/cases/{id}/resolve.
type caseDecision struct {
	Action relay.CaseAction `json:"action"`
	Reason string           `json:"reason"`
	By     string           `json:"by"`
}

// running finds the relay that serves now, and keeps its store open until
// done is called. The running configuration is asked for anew by every
// request: after a failed reload this router belongs to the dead one.
func running() (service *relay.Service, done func(), err error) {
	ctx := caddy.ActiveContext()
	value, err := ctx.AppIfConfigured("wxrelay")
	app, ok := value.(*App)
	if err != nil || !ok {
		return nil, nil, adminError(http.StatusNotFound, errors.New("the running configuration has no app wxrelay"))
	}
	select {
	case <-app.face.ready:
	default:
		return nil, nil, adminError(http.StatusServiceUnavailable, errors.New("the relay is not started yet"))
	}
	if !app.engine.users.enter() {
		return nil, nil, adminError(http.StatusServiceUnavailable, errors.New("the relay is stopping"))
	}
	return app.lease.service, app.engine.users.leave, nil
}

func (a *Admin) listCases(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return wrongMethod(w, http.MethodGet)
	}
	service, done, err := running()
	if err != nil {
		return err
	}
	defer done()
	query := r.URL.Query()
	filter := relay.CaseFilter{Status: relay.CaseStatus(query.Get("status")), After: query.Get("after"), Limit: 100}
	if limit := query.Get("limit"); limit != "" {
		if filter.Limit, err = strconv.Atoi(limit); err != nil {
			return adminError(http.StatusBadRequest, errors.New("limit: 1 to 200"))
		}
	}
	page, err := service.Cases(r.Context(), filter)
	if err != nil {
		return adminFailure(err)
	}
	list := caseList{Cases: make([]relay.CaseRecord, 0, len(page.Cases)), Next: page.Next, HasMore: page.HasMore}
	for i := range page.Cases {
		list.Cases = append(list.Cases, page.Cases[i].Record())
	}
	return answerAdmin(w, list)
}

func (a *Admin) oneCase(w http.ResponseWriter, r *http.Request) error {
	id, verb, resolve := strings.Cut(strings.TrimPrefix(r.URL.Path, "/wxrelay/cases/"), "/")
	switch {
	case id == "" || resolve && verb != "resolve":
		return adminError(http.StatusNotFound, errors.New("no such address"))
	case resolve && r.Method != http.MethodPost:
		return wrongMethod(w, http.MethodPost)
	case !resolve && r.Method != http.MethodGet:
		return wrongMethod(w, http.MethodGet)
	}
	service, done, err := running()
	if err != nil {
		return err
	}
	defer done()
	var c relay.Case
	if resolve {
		c, err = resolveCase(service, id, r)
	} else {
		c, err = service.Case(r.Context(), id)
	}
	if err != nil {
		return adminFailure(err)
	}
	return answerAdmin(w, c.Record())
}

func resolveCase(service *relay.Service, id string, r *http.Request) (relay.Case, error) {
	var decision caseDecision
	body := json.NewDecoder(io.LimitReader(r.Body, maxAdminBody))
	body.DisallowUnknownFields()
	if err := body.Decode(&decision); err != nil {
		return relay.Case{}, &relay.Error{Kind: relay.KindParam, Message: `the body must be {"action","reason","by"}`, Err: err}
	}
	if body.More() {
		return relay.Case{}, &relay.Error{Kind: relay.KindParam, Message: "more than one body"}
	}
	return service.ResolveCase(r.Context(), id, relay.Resolution{Action: decision.Action, Reason: decision.Reason, By: decision.By})
}

func answerAdmin(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(v)
}

func wrongMethod(w http.ResponseWriter, allowed string) error {
	w.Header().Set("Allow", allowed)
	return adminError(http.StatusMethodNotAllowed, fmt.Errorf("only %s is answered here", allowed))
}

func adminError(status int, err error) error {
	return caddy.APIError{HTTPStatus: status, Err: err}
}

// adminFailure gives a refusal of the relay its status. The operator may read
// the cause.
func adminFailure(err error) error {
	known, ok := errors.AsType[*relay.Error](err)
	if !ok {
		return adminError(http.StatusInternalServerError, err)
	}
	status := http.StatusBadRequest
	switch known.Kind {
	case relay.KindNotFound:
		status = http.StatusNotFound
	case relay.KindCaseConflict:
		status = http.StatusConflict
	case relay.KindUnavailable:
		status = http.StatusServiceUnavailable
	default:
	}
	return adminError(status, err)
}

// Interface guard.
var _ caddy.AdminRouter = (*Admin)(nil)
