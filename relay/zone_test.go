package relay

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of this test, whatever the machine has
)

// zoneTests are the tests at whose border with WeChat a time is written or
// read: APIv2 means Beijing's without saying so, APIv3 says its offset.
var zoneTests = []string{"TestZone", "TestGatewayV2Prepay", "TestGatewayV2QueryAndClose", "TestGatewayV2QueryRefund", "TestTransactionV3"}

// TestZone makes sure that the machine's zone is the one that TestZones asked
// for.
func TestZone(t *testing.T) {
	t.Parallel()
	name := os.Getenv("TZ")
	want, err := time.LoadLocation(name)
	if name == "" || err != nil {
		t.Skip("the machine's zone is not set by name")
	}
	at := time.Date(2026, 11, 22, 5, 20, 0, 0, time.UTC)
	if got := at.In(time.Local).Format(time.RFC3339); got != at.In(want).Format(time.RFC3339) {
		t.Errorf("the machine says %s, which is not %s", got, name)
	}
}

// TestZones runs the tests of times on machines of several zones: nothing but
// the environment of a new process sets the zone that Go takes for its own.
func TestZones(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"UTC", "Asia/Shanghai", "America/New_York", "Pacific/Auckland", "Asia/Kolkata"} {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^("+strings.Join(zoneTests, "|")+")$")
			child.Env = append(os.Environ(), "TZ="+zone)
			out, err := child.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, name := range zoneTests {
				if !strings.Contains(string(out), "--- PASS: "+name+" ") {
					t.Errorf("%s did not run:\n%s", name, out)
				}
			}
		})
	}
}
