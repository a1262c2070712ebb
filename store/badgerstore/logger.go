package badgerstore

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// logger hands Badger's log on. Several failures show nowhere else, so what
// is a warning or worse raises an alarm too. Debug lines hold keys and are
// dropped.
type logger struct {
	log   *slog.Logger
	alarm func(string)
}

func (l logger) line(level slog.Level, format string, args []any) string {
	text := strings.TrimSpace(fmt.Sprintf(format, args...))
	l.log.Log(context.Background(), level, text, "component", "badger")
	return text
}

// Errorf logs and raises an alarm.
func (l logger) Errorf(format string, args ...any) {
	l.alarm(l.line(slog.LevelError, format, args))
}

// Warningf logs and raises an alarm.
func (l logger) Warningf(format string, args ...any) {
	l.alarm(l.line(slog.LevelWarn, format, args))
}

// Infof logs for debugging: what Badger finds worth telling is its own
// housekeeping.
func (l logger) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.line(slog.LevelDebug, format, args)
	}
}

// Debugf drops the line.
func (logger) Debugf(string, ...any) {}
