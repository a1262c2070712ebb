//go:build unix

package badgerstore

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
)

// The crash tests run this test binary again as a child that writes to a
// store and tells on its standard output what was acknowledged.
const (
	childDir   = "WXRELAY_CRASH_DIR"
	childRound = "WXRELAY_CRASH_ROUND"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir, os.Getenv(childRound))
		return
	}
	os.Exit(m.Run())
}

// child writes orders from eight goroutines until it is killed or refused.
func child(dir, round string) {
	s, err := Open(small(dir))
	if err != nil {
		fmt.Fprintln(os.Stdout, "open:", err)
		return
	}
	var mu sync.Mutex
	tell := func(what, id string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(os.Stdout, what, id)
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 100_000 {
				id := fmt.Sprintf("%s-%d-%d", round, w, i)
				ctx := context.Background()
				if err := s.Update(ctx, func(tx relay.Tx) error { return putOrder(tx, id) }); err != nil {
					tell("refused", id)
					// Once refused, always refused: that is what poison means.
					for j := range 20 {
						if err := s.Update(ctx, func(tx relay.Tx) error { return putOrder(tx, fmt.Sprint(id, "-", j)) }); err == nil {
							tell("late", id)
						}
					}
					return
				}
				tell("ack", id)
			}
		})
	}
	wg.Wait()
}

// startChild runs the child, under the given command if there is one, and
// returns its output.
func startChild(t *testing.T, dir, round string, under ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	args := append(under, os.Args[0], "-test.run=^$")
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), childDir+"="+dir, childRound+"="+round)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that what runs under a tracer dies with it
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// F01: the process is killed while it accepts. Whatever it acknowledged is
// there, whole, and the store opens without help.
func TestKill9_F01(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := t.TempDir()
	acked := map[string]bool{}
	for round := range 5 {
		cmd, out := startChild(t, dir, fmt.Sprint(round))
		for n := 0; out.Scan(); n++ {
			what, id, _ := strings.Cut(out.Text(), " ")
			if what != "ack" {
				t.Fatalf("round %d: the child says %q", round, out.Text())
			}
			acked[id] = true
			if n == 100+70*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // it was killed
		s, err := Open(small(dir))
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		for id := range acked {
			if !hasOrder(t, s, id) {
				t.Errorf("round %d: acknowledged order %s is missing", round, id)
			}
		}
		if r := verified(t, s); r.Orders < len(acked) || r.Events != r.Orders || r.Waiting != r.Orders {
			t.Errorf("round %d: %d orders were acknowledged, the store has %+v", round, len(acked), r)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// F07: the N-th msync or fsync of the process fails. From then on nothing is
// acknowledged, and after a restart all that was acknowledged is there.
func TestFailingSync_F07(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	if out, err := exec.CommandContext(t.Context(), strace, "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace may not trace here: %v: %s", err, out)
	}
	for _, n := range []int{3, 6, 11, 25, 60} {
		t.Run(fmt.Sprint("msync ", n), func(t *testing.T) {
			dir := stopped(t, 5)
			inject := fmt.Sprintf("inject=msync:error=EIO:when=%d", n)
			cmd, out := startChild(t, dir, "x", strace, "-f", "-qq", "-o", os.DevNull, "-e", "trace=msync", "-e", inject)
			failingSync(t, dir, cmd, out)
		})
	}
}

func failingSync(t *testing.T, dir string, cmd *exec.Cmd, out *bufio.Scanner) {
	t.Helper()
	var acked []string
	refused := false
	for n := 0; out.Scan(); n++ {
		what, id, _ := strings.Cut(out.Text(), " ")
		switch what {
		case "ack":
			acked = append(acked, id)
		case "late":
			t.Errorf("order %s was acknowledged after a refusal", id)
		case "refused":
			refused = true
		case "open:":
			refused = true
			wantText(t, fmt.Errorf("%s", id), dir)
		}
		if n == 3000 && !refused {
			t.Log("the failing sync was none of the store's log")
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
	}
	_ = cmd.Wait() // what it says counts, not how it ends
	t.Logf("%d orders were acknowledged, then refused: %v", len(acked), refused)
	if len(acked) == 0 && !refused {
		t.Error("the child has done nothing")
	}
	s, err := Open(small(dir))
	if err != nil {
		t.Fatalf("Open after %d acknowledged orders: %v", len(acked), err)
	}
	defer s.Close() // nothing is written any more
	for _, id := range acked {
		if !hasOrder(t, s, id) {
			t.Errorf("acknowledged order %s is missing", id)
		}
	}
	verified(t, s)
}
