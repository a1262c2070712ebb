package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/relay/sandbox"
)

// TestDocumentedRedemption runs what docs/login.md shows to sites, in the
// languages that this machine has.
func TestDocumentedRedemption(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/login.md")
	if err != nil {
		t.Fatal(err)
	}
	s := loginServer(t)
	for _, tt := range []struct{ language, program, file, use string }{
		{"js", "node", "redeem.mjs", "\nconst [relay, id, secret, ticket] = process.argv.slice(2);\nconsole.log(JSON.stringify(await redeem(relay, id, secret, ticket)));\n"},
		{"python", "python3", "redeem.py", "\nimport sys\nprint(json.dumps(redeem(*sys.argv[1:])))\n"},
	} {
		t.Run(tt.language, func(t *testing.T) {
			t.Parallel()
			_, code, found := strings.Cut(string(page), "```"+tt.language+"\n")
			code, _, closed := strings.Cut(code, "```")
			if !found || !closed {
				t.Fatalf("docs/login.md has no code in %s", tt.language)
			}
			program, err := exec.LookPath(tt.program)
			if err != nil {
				t.Skipf("no %s here", tt.program)
			}
			file := filepath.Join(t.TempDir(), tt.file)
			writeFile(t, file, code+tt.use)
			v := s.visitor(t, wechatAgent)
			ticket := param(t, v.leads(t, v.silently(t, s.loginAt(shopID, shopBack, "s1", ""))), shopBack, "ticket")
			said, err := exec.CommandContext(t.Context(), program, file, s.url, shopID, shopSecret, ticket).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, said)
			}
			var who ticketJSON
			if err := json.Unmarshal(said, &who); err != nil || who.OpenID == "" || who.AppID != sandbox.DefaultAppID {
				t.Errorf("said %s, %v", said, err)
			}
		})
	}
}
