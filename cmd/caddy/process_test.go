package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// patience bounds every wait of these tests. None of them depends on how
	// long a wait really takes.
	patience = 30 * time.Second
	// served is what Caddy logs when the first configuration answers.
	served = "serving initial configuration"
)

// process is a running server.
type process struct {
	cmd  *exec.Cmd
	log  *logBook
	done chan struct{} // closed when it has ended
	err  error         // why, once done is closed
}

// caddyCommand is a command of the server's binary, in a home of its own.
func caddyCommand(ctx context.Context, t *testing.T, home string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Dir = home
	cmd.Env = append(os.Environ(),
		mainVariable+"=1",
		"HOME="+home,
		"XDG_DATA_HOME="+filepath.Join(home, "data"),
		"XDG_CONFIG_HOME="+filepath.Join(home, "config"),
		"XDG_RUNTIME_DIR="+home,
	)
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// launch starts the server with a configuration file and does not wait for
// it to be ready. It is stopped when the test ends.
func launch(t *testing.T, home, config string, env []string) *process {
	t.Helper()
	cmd := caddyCommand(context.WithoutCancel(t.Context()), t, home, env, "run", "--config", config)
	p := &process{cmd: cmd, log: newLogBook(), done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = cmd.Wait()
		p.log.end()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("the server's log:\n%s", p.log.tail(6<<10))
		}
	})
	return p
}

// run is launch and the wait for the server to be ready.
func run(t *testing.T, home, config string, env []string) *process {
	t.Helper()
	p := launch(t, home, config, env)
	if err := p.log.await(t.Context(), served); err != nil {
		t.Fatalf("the server is not ready: %v", err)
	}
	return p
}

// stop ends the server as an operator does, and kills it if it hangs.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.kill()
	}
}

// kill ends the server without a chance to tidy up.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// exited waits until the server has ended by itself and returns its log.
func (p *process) exited(t *testing.T) string {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.log.String()
	case <-timer.C:
		t.Fatal("the server runs on")
		return ""
	}
}

func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// logBook is what a server has written.
type logBook struct {
	mu    sync.Mutex // guards what follows
	text  bytes.Buffer
	more  chan struct{} // closed and replaced when text grows
	ended bool
}

func newLogBook() *logBook { return &logBook{more: make(chan struct{})} }

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.Write(p)
	b.wake()
	return len(p), nil
}

func (b *logBook) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.wake()
}

func (b *logBook) wake() {
	close(b.more)
	b.more = make(chan struct{})
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *logBook) tail(n int) string {
	text := b.String()
	return text[max(0, len(text)-n):]
}

// await waits until something was written.
func (b *logBook) await(ctx context.Context, what string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		b.mu.Lock()
		found, ended, more := strings.Contains(b.text.String(), what), b.ended, b.more
		b.mu.Unlock()
		switch {
		case found:
			return nil
		case ended:
			return fmt.Errorf("the process ended and never wrote %q", what)
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %q: %w", what, ctx.Err())
		}
	}
}

// shortDir is a directory whose name is short enough for a socket in it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wx") //nolint:usetesting // t.TempDir is too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// eventually asks again and again until the answer is nil, in bounded time.
func eventually(t *testing.T, what string, ask func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		}
	}
}
