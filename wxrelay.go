// Package wxrelay is WeChat Pay and WeChat login for any number of sites,
// as modules of the Caddy web server: one WeChat account and one merchant
// number stand behind it, third-party sites are its clients.
//
// Importing the package registers the modules, which is all that a build
// with xcaddy needs:
//
//	xcaddy build --with github.com/wxrelay/wxrelay
//
// It exports nothing. Operators begin with Caddyfile.example; developers
// with package relay, which decides, and package caddymodule, which turns
// configuration and requests into calls of it.
package wxrelay

import (
	_ "github.com/wxrelay/wxrelay/caddymodule" // registers the modules
)
