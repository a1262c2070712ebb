package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// errPublicAddress says that an address is not one a sandbox may reach.
var errPublicAddress = errors.New("the sandbox only notifies loopback and private addresses")

// carrierNAT is private in all but name.
var carrierNAT = netip.MustParsePrefix("100.64.0.0/10")

// dialAllowed reports whether notifications may go to the address: to this
// machine and to private networks, so that play money never reaches a real
// shop. Link-local addresses are refused always, because clouds serve their
// secrets there.
func dialAllowed(address netip.Addr, allowPublic bool) bool {
	address = address.Unmap()
	switch {
	case address.IsLoopback(), address.IsPrivate(), carrierNAT.Contains(address):
		return true
	case address.IsLinkLocalUnicast(), address.IsMulticast(), address.IsUnspecified(), address.Zone() != "":
		return false
	}
	return allowPublic
}

// guardedTransport makes the transport of notifications. Every address is
// checked when it is dialled, so that a name cannot change its mind between
// check and use; no proxy of the environment is asked.
func guardedTransport(allowPublic bool) *http.Transport {
	dialer := &net.Dialer{
		Timeout: notifyTimeout,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			target, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("reading the dialled address: %w", err)
			}
			if !dialAllowed(target.Addr(), allowPublic) {
				return errPublicAddress
			}
			return nil
		},
	}
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    notifyTimeout,
		ResponseHeaderTimeout:  notifyTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        30 * time.Second,
		DisableCompression:     true,
	}
}
