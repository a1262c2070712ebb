package relay

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// userAgent names us to WeChat, which may refuse requests without one.
const userAgent = "wxrelay/1"

// platformHTTP is the client for calls to WeChat's hosts, which the operator
// names, unlike the addresses of deliveries. It follows no redirect and keeps
// connections, because signing and TLS are what such a call costs.
func platformHTTP() *http.Client { return certifiedHTTP(nil) }

// certifiedHTTP is the same client with a merchant's certificate, which
// refunds of APIv2 show; nil for none.
func certifiedHTTP(certificate *tls.Certificate) *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  8 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        60 * time.Second,
		ForceAttemptHTTP2:      true,
	}
	if certificate != nil {
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*certificate}}
	}
	return &http.Client{
		Timeout:       10 * time.Second,
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
