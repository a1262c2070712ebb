package payv3

import "testing"

func TestHosts(t *testing.T) {
	t.Parallel()
	h, err := newHosts("https://a.example", "https://b.example")
	if err != nil {
		t.Fatal(err)
	}
	if h.first(testNow) != 0 {
		t.Error("begins at the backup")
	}
	if h.failed(0, testNow) != 1 || h.first(testNow.Add(backupHold-1)) != 1 || h.first(testNow.Add(backupHold)) != 0 {
		t.Error("after a failure of the primary, calls begin at the backup for a while")
	}
	if h.failed(1, testNow) != 0 || h.first(testNow) != 0 {
		t.Error("after a failure of the backup, calls begin at the primary again")
	}
}

func TestHostsAlone(t *testing.T) {
	t.Parallel()
	h, err := newHosts("http://127.0.0.1:8080", "")
	if err != nil {
		t.Fatal(err)
	}
	if h.failed(0, testNow) != 0 || h.first(testNow) != 0 {
		t.Error("without a backup there is nothing to change to")
	}
}

func TestHostsRefuses(t *testing.T) {
	t.Parallel()
	for _, urls := range [][2]string{{"https://a.example/", ""}, {"a.example", ""}, {"https://a.example", "b.example"}, {"", "ftp://b.example"}} {
		if _, err := newHosts(urls[0], urls[1]); err == nil {
			t.Errorf("newHosts(%q) succeeds", urls)
		}
	}
}
