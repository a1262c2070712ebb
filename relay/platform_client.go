package relay

import (
	"net"
	"net/http"
	"time"
)

// userAgent names us to WeChat, which may refuse requests without one.
const userAgent = "wxrelay/1"

// platformHTTP is the client for calls to WeChat's hosts, which the operator
// names, unlike the addresses of deliveries. It follows no redirect and keeps
// connections, because signing and TLS are what such a call costs.
func platformHTTP() *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    5 * time.Second,
			ResponseHeaderTimeout:  8 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConnsPerHost:    32,
			IdleConnTimeout:        60 * time.Second,
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func newLoginClient(*Account, Platform) loginClient { return nil }
