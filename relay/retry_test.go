package relay

import (
	"strings"
	"testing"
	"time"
)

func TestDefaultSchedule(t *testing.T) {
	t.Parallel()
	s := DefaultSchedule()
	if len(s) != 13 || s[0] != time.Minute || s[12] != 24*time.Hour {
		t.Errorf("schedule = %v, want thirteen from 1m to 24h", s)
	}
	if err := ValidateSchedule(s); err != nil {
		t.Errorf("the default schedule is refused: %v", err)
	}
	s[0] = 0
	if DefaultSchedule()[0] != time.Minute {
		t.Error("a caller can change the default schedule")
	}
}

func TestValidateSchedule(t *testing.T) {
	t.Parallel()
	long := make([]time.Duration, maxScheduleLen+1)
	for i := range long {
		long[i] = time.Duration(i+1) * time.Second
	}
	tests := []struct {
		name    string
		offsets []time.Duration
		errs    int
	}{
		{"one", []time.Duration{time.Second}, 0},
		{"at the most", long[:maxScheduleLen], 0},
		{"to the last", []time.Duration{maxScheduleOffset}, 0},
		{"none", nil, 1},
		{"too many", long, 1},
		{"too soon", []time.Duration{time.Second - 1}, 1},
		{"negative", []time.Duration{-time.Minute}, 1},
		{"equal", []time.Duration{time.Minute, time.Minute}, 1},
		{"falling", []time.Duration{2 * time.Minute, time.Minute}, 1},
		{"too close", []time.Duration{time.Minute, time.Minute + 999*time.Millisecond}, 1},
		{"too late", []time.Duration{maxScheduleOffset + 1}, 1},
		{"several mistakes", []time.Duration{0, 0, maxScheduleOffset + 1}, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := ValidateSchedule(tt.offsets)
			got := 0
			if err != nil {
				got = strings.Count(err.Error(), "\n") + 1
			}
			if got != tt.errs {
				t.Errorf("ValidateSchedule(%v) = %v, want %d mistakes", tt.offsets, err, tt.errs)
			}
		})
	}
}

func TestRetryDue(t *testing.T) {
	t.Parallel()
	callback := time.Date(2026, 11, 22, 5, 20, 0, 0, time.UTC)
	tests := []struct {
		name   string
		made   int
		ended  time.Duration // after callback
		after  time.Duration // Retry-After
		jitter float64
		want   time.Duration
	}{
		{"first failed at once", 1, 0, 0, 0, time.Minute},
		{"jitter is 5 % of the distance", 1, 0, 0, 1, 63 * time.Second},
		{"jitter is at most 5 s", 10, 61 * time.Minute, 0, 1, 2*time.Hour + 5*time.Second},
		{"first hung", 1, 10 * time.Second, 0, 1, 70 * time.Second},
		{"gap of a minute decides", 2, 70 * time.Second, 0, 0, 130 * time.Second},
		{"gap is five minutes at most", 12, 30 * time.Hour, 0, 0, 30*time.Hour + 5*time.Minute},
		{"the last", 13, 12 * time.Hour, 0, 0, 24 * time.Hour},
		{"retry after within the schedule", 1, time.Second, 90 * time.Second, 0, 91 * time.Second},
		{"retry after sooner than planned", 1, time.Second, 5 * time.Second, 0, time.Minute + time.Second},
		{"retry after beyond the next", 1, time.Second, time.Hour, 0, 2 * time.Minute},
		{"retry after at the last", 13, 12 * time.Hour, 48 * time.Hour, 0, 24*time.Hour + 5*time.Minute},
		{"retry after long past", 3, 30 * time.Hour, time.Hour, 0, 30*time.Hour + time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			due, more := retryDue(callback, DefaultSchedule(), tt.made, callback.Add(tt.ended), tt.after, tt.jitter)
			if got := due.Sub(callback); !more || got != tt.want {
				t.Errorf("due %v after the callback, more %v; want %v", got, more, tt.want)
			}
		})
	}
	for _, made := range []int{0, 14, 15} {
		if due, more := retryDue(callback, DefaultSchedule(), made, callback, 0, 0); more || !due.IsZero() {
			t.Errorf("retryDue with %d made = %v, want none left", made, due)
		}
	}
}
