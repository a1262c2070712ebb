package caddymodule

import (
	"os"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "wxrelay",
		Short: "Looks after a running relay",
		Long: `
Looks after the relay that a running Caddy serves. Every command asks Caddy's
admin endpoint, never the store, which the running process holds.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(caseCommand())
		},
	})
}

// adminFlags say which Caddy is asked and how its answer is shown.
type adminFlags struct {
	address string
	config  string
	adapter string
	json    bool
}

func (f *adminFlags) register(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.address, "address", "", "Address of the admin endpoint, if it is not the default")
	flags.StringVarP(&f.config, "config", "c", "", "Configuration file to read the admin address from")
	flags.StringVarP(&f.adapter, "adapter", "a", "", "Adapter of that file")
	flags.BoolVar(&f.json, "json", false, "Show JSON instead of a table")
}

// operator names who decides, for the record.
func operator() string {
	for _, name := range []string{"SUDO_USER", "USER", "USERNAME"} {
		if who := os.Getenv(name); who != "" {
			return who
		}
	}
	return "operator"
}
