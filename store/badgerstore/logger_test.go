package badgerstore

import (
	"log/slog"
	"strings"
	"testing"
)

// Badger tells some failures nowhere but in its log: what is a warning or
// worse raises an alarm. Debug lines hold keys and must not get anywhere.
func TestLogger(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	var alarms []string
	l := logger{
		log:   slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})),
		alarm: func(m string) { alarms = append(alarms, m) },
	}
	l.Errorf("while syncing: %v\n", "input/output error")
	l.Warningf("tables: %d", 3)
	l.Infof("opened")
	l.Debugf("key %q", "secret")
	if want := []string{"while syncing: input/output error", "tables: 3"}; strings.Join(alarms, "|") != strings.Join(want, "|") {
		t.Errorf("alarms: got %q, want %q", alarms, want)
	}
	for _, want := range []string{"level=ERROR", "level=WARN", "level=DEBUG msg=opened", "component=badger"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("log: got %q, want it to hold %q", out.String(), want)
		}
	}
	if strings.Contains(out.String(), "secret") {
		t.Errorf("log: got %q, want no debug line", out.String())
	}
}
