package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
)

func TestListEvents(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"":                                   " 50",
		"?limit=1":                           " 1",
		"?limit=200":                         " 200",
		"?after=":                            " 50",
		"?after=00a-_Z&limit=7":              "00a-_Z 7",
		"?after=" + strings.Repeat("9", 64):  strings.Repeat("9", 64) + " 50",
		"?after=" + strings.Repeat("9", 65):  "refused after",
		"?limit=0":                           "refused limit",
		"?limit=201":                         "refused limit",
		"?limit=1&limit=2":                   "refused limit",
		"?limit=":                            "refused limit",
		"?before=1":                          "refused ",
		"?after=1&after=2&limit=3&another=4": "refused after",
	} {
		var got string
		f := newFace(t, &fakeService{events: func(after string, limit int) (relay.EventPage, error) {
			got = fmt.Sprint(after, " ", limit)
			return relay.EventPage{Events: []relay.EventView{}, Next: "9"}, nil
		}})
		w := f.do(t, http.MethodGet, "/v1/events"+query, "")
		if w.Code == http.StatusBadRequest {
			got = "refused " + errorBody(t, w).Field
		} else if want := `{"events":[],"next":"9","has_more":false}`; w.Body.String() != want {
			t.Errorf("%s: %s, want %s", query, w.Body, want)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
}

func TestShowAndDeliverEvent(t *testing.T) {
	t.Parallel()
	view := func(id string) (relay.EventView, error) {
		return relay.EventView{ID: id, Type: relay.EventOrderPaid, Data: json.RawMessage(`{}`)}, nil
	}
	f := newFace(t, &fakeService{event: view, deliver: view})
	const id = "evt_2KWPBgLlAfxdpx2AI54pPJ85f4W"
	want := `{"id":"` + id + `","type":"order.paid","timestamp":"","data":{}}`
	if w := f.do(t, http.MethodGet, "/v1/events/"+id, ""); w.Code != http.StatusOK || w.Body.String() != want {
		t.Errorf("show: got %d %s, want 200 %s", w.Code, w.Body, want)
	}
	if w := f.do(t, http.MethodPost, "/v1/events/"+id+"/deliver", ""); w.Code != http.StatusAccepted || w.Body.String() != want {
		t.Errorf("deliver: got %d %s, want 202 %s", w.Code, w.Body, want)
	}
	if w := f.do(t, http.MethodGet, "/v1/events/"+id+"?x=1", ""); w.Code != http.StatusBadRequest {
		t.Errorf("with a parameter: got %d, want 400", w.Code)
	}
	if w := f.do(t, http.MethodPost, "/v1/events/"+id+"/deliver", `{"again":true}`, "Content-Type", "application/json"); w.Code != http.StatusBadRequest {
		t.Errorf("with a field: got %d, want 400", w.Code)
	}
}
