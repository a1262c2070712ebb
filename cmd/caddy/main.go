// Command caddy is the Caddy web server with its standard modules and
// wxrelay: the binary of the first command in the README, of daily builds
// and of tests. Production builds come from xcaddy in the same way.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // the modules of a plain Caddy

	_ "github.com/wxrelay/wxrelay" // the modules of wxrelay
)

func main() {
	caddycmd.Main()
}
