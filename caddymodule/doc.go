// Package caddymodule is the only code of wxrelay that knows Caddy. It
// turns configuration into a running relay and requests into calls of it.
//
// Begin with App, the app module "wxrelay": its fields are the JSON form of
// the configuration and their comments are the manual. Files named
// *_caddyfile.go hold the Caddyfile grammar of the type beside them. Handler
// is the directive that answers the relay's paths, engine is what outlives a
// configuration: the open store and the workers.
//
// The lifecycle follows from two facts. Old and new configuration live side
// by side during a reload, so whatever is exclusive is opened in Start, out
// of a process-wide pool, and given back in Cleanup. And "caddy validate"
// provisions in a process of its own beside a live server, so Provision and
// Validate open, create and call nothing.
package caddymodule
