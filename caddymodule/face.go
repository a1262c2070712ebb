package caddymodule

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/wxrelay/wxrelay/caddymodule/web"
)

// startWait bounds how long a request waits for the app to start. Caddy
// starts apps in random order, so a site may be there before the relay.
const startWait = 10 * time.Second

// face is what handlers see of an App: its verify files, which paths are the
// relay's, and, once it is open, the web.Handler that answers them.
type face struct {
	files web.VerifyFiles
	match func(path string) bool
	ready chan struct{} // closed once web is set
	web   *web.Handler
}

// init makes a closed face for the paths below an address; api says whether
// those of WeChat's server interface are among them.
func (f *face) init(publicURL *url.URL, api bool) {
	f.match = web.Matcher(publicURL, api)
	f.ready = make(chan struct{})
}

// open lets requests in. It is called once.
func (f *face) open(h *web.Handler) {
	f.web = h
	close(f.ready)
}

// drain ends live streams. Nothing happens when the face never opened.
func (f *face) drain() {
	select {
	case <-f.ready:
		f.web.Drain()
	default:
	}
}

// handler returns the web.Handler as soon as there is one.
func (f *face) handler(ctx context.Context) (*web.Handler, error) {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	select {
	case <-f.ready:
		return f.web, nil
	case <-ctx.Done():
		return nil, errors.New("the relay is not started yet")
	}
}
