package beijing_test

import (
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ layout, text, want string }{
		{beijing.Compact, "20261122052000", "2026-11-21T21:20:00Z"},
		{beijing.Compact, "19910101000000", "1990-12-31T16:00:00Z"},
		{beijing.Readable, "2026-11-22 05:20:00", "2026-11-21T21:20:00Z"},
		{beijing.Compact, "2026112205200", ""},
		{beijing.Compact, "20261322052000", ""},
		{beijing.Compact, "20261122052000Z", ""},
		{beijing.Readable, "2026-11-22T05:20:00", ""},
		{beijing.Readable, "2026-11-22 05:20:00.5", ""},
		{beijing.Compact, "", ""},
	} {
		got, err := beijing.Parse(c.layout, c.text)
		if text := got.Format(time.RFC3339); (err == nil) != (c.want != "") || err == nil && text != c.want {
			t.Errorf("Parse(%q) = %s, %v; want %q", c.text, text, err, c.want)
		}
	}
}

// The day is Beijing's wherever the machine stands.
func TestDay(t *testing.T) {
	for _, zone := range []string{"UTC", "Asia/Shanghai", "America/New_York"} {
		location, err := time.LoadLocation(zone)
		if err != nil {
			t.Skipf("no zone data on this machine: %v", err)
		}
		at := time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC).In(location)
		if day := beijing.Day(at); day != "2026-11-22" {
			t.Errorf("Day in %s = %s", zone, day)
		}
		if day := beijing.Day(at.Add(-time.Nanosecond)); day != "2026-11-21" {
			t.Errorf("Day in %s = %s a moment before", zone, day)
		}
	}
}
