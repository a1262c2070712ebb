package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// localPublicURL is the address of the relay for people who try it on their
// own machine and gave none: localhost with the lowest port on which a server
// with the handler listens. It is asked for after all servers are
// provisioned.
func localPublicURL(servers []*caddyhttp.Server) (*url.URL, error) {
	type listener struct {
		port uint
		tls  bool
	}
	var listeners []listener
	for _, server := range servers {
		for _, listen := range server.Listen {
			address, err := caddy.ParseNetworkAddress(listen)
			if err != nil || address.IsUnixNetwork() || address.IsFdNetwork() {
				continue
			}
			listeners = append(listeners, listener{address.StartPort, len(server.TLSConnPolicies) > 0})
		}
	}
	if len(listeners) == 0 {
		return nil, errors.New("public_url: is required when no server with a port has the handler wxrelay")
	}
	first := slices.MinFunc(listeners, func(a, b listener) int { return cmp.Compare(a.port, b.port) })
	scheme, byDefault := "http", uint(caddyhttp.DefaultHTTPPort)
	if first.tls {
		scheme, byDefault = "https", uint(caddyhttp.DefaultHTTPSPort)
	}
	host := "localhost"
	if first.port != byDefault {
		host = net.JoinHostPort(host, strconv.FormatUint(uint64(first.port), 10))
	}
	publicURL, err := url.Parse(scheme + "://" + host)
	if err != nil {
		return nil, fmt.Errorf("public_url: %w", err)
	}
	return publicURL, nil
}
