package transport

import (
	"testing"
	"time"
)

var now = time.Date(2026, 11, 22, 5, 20, 0, 0, time.UTC)

func TestHosts(t *testing.T) {
	t.Parallel()
	h, err := NewHosts("https://a.example", "https://b.example")
	if err != nil {
		t.Fatal(err)
	}
	if h.First(now) != 0 {
		t.Error("begins at the backup")
	}
	if h.Failed(0, now) != 1 || h.First(now.Add(BackupHold-1)) != 1 || h.First(now.Add(BackupHold)) != 0 {
		t.Error("after a failure of the primary, calls begin at the backup for a while")
	}
	if h.Failed(1, now) != 0 || h.First(now) != 0 {
		t.Error("after a failure of the backup, calls begin at the primary again")
	}
}

func TestHostsAlone(t *testing.T) {
	t.Parallel()
	h, err := NewHosts("http://127.0.0.1:8080", "")
	if err != nil {
		t.Fatal(err)
	}
	if h.Failed(0, now) != 0 || h.First(now) != 0 {
		t.Error("without a backup there is nothing to change to")
	}
}

func TestHostsRefuses(t *testing.T) {
	t.Parallel()
	for _, urls := range [][2]string{{"https://a.example/", ""}, {"a.example", ""}, {"https://a.example", "b.example"}, {"", "ftp://b.example"}} {
		if _, err := NewHosts(urls[0], urls[1]); err == nil {
			t.Errorf("NewHosts(%q) succeeds", urls)
		}
	}
}
