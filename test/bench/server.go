package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

const (
	clientID     = "1000000000000001"
	clientSecret = "0123456789abcdef0123456789ABCDEF"
	// tick is the unit of /proc/<pid>/stat.
	tick = 10 * time.Millisecond
)

// server is the measured process.
type server struct {
	cmd      *exec.Cmd
	http     *http.Client
	relayURL string // with wxrelay before respond
	plainURL string // the same without
	nonces   atomic.Uint64
}

// startServer builds the server unless there is one, and starts it.
func startServer(ctx context.Context, binary, dir string, w *wechat) (*server, error) {
	if binary == "" {
		binary = filepath.Join(dir, "caddy")
		build := exec.CommandContext(ctx, "go", "build", "-tags", "nobadger,nomysql,nopgx", "-o", binary, "./cmd/caddy")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return nil, fmt.Errorf("building the server: %w", err)
		}
	}
	relayURL, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	plainURL, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "Caddyfile")
	text, err := w.caddyfile(dir, relayURL, plainURL)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	s := &server{
		relayURL: relayURL, plainURL: plainURL,
		http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 1024}},
		cmd:  exec.CommandContext(ctx, binary, "run", "--config", config),
	}
	return s, s.start(dir)
}

// start starts the process and waits until it serves.
func (s *server) start(dir string) error {
	s.cmd.Dir = dir
	s.cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	log, err := s.cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "serving initial configuration") {
			go func() { _, _ = io.Copy(io.Discard, log) }() // ends with the process
			return nil
		}
	}
	return errors.Join(errors.New("the server ended: "+lines.Text()), s.cmd.Wait())
}

func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping the server: %w", err)
	}
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("stopping the server: %w", err)
	}
	return nil
}

// freeAddress finds a port that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a port: %w", err)
	}
	return "http://" + l.Addr().String(), l.Close()
}

// cpu is the processor time that the server has used; 0 where the system
// does not tell.
func (s *server) cpu() time.Duration {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(s.cmd.Process.Pid) + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	var used time.Duration
	for _, f := range fields[11:13] { // utime and stime, proc(5)
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0
		}
		used += time.Duration(n) * tick
	}
	return used
}

// memory is the anonymous memory of the server in bytes; 0 where the system
// does not tell.
func (s *server) memory() int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(s.cmd.Process.Pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// send sends a request whose answer must have a status.
func (s *server) send(r *http.Request, status int, into any) error {
	response, err := s.http.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	if response.StatusCode != status {
		return fmt.Errorf("%s %s answered %s %s", r.Method, r.URL.Path, response.Status, body)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}

// get fetches what stands behind the relay.
func (s *server) get(url string) func(context.Context, int, int) error {
	return func(ctx context.Context, _, _ int) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/some/page?x=1", nil)
		if err != nil {
			return fmt.Errorf("making a request: %w", err)
		}
		return s.send(r, http.StatusOK, nil)
	}
}

// signed makes a request of the client.
func (s *server) signed(ctx context.Context, target string, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.relayURL+target, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	const scheme = "WXRELAY1-HMAC-SHA256"
	now := strconv.FormatInt(time.Now().Unix(), 10)
	nonce := fmt.Sprintf("bench-%016d", s.nonces.Add(1))
	mac := hmac.New(sha256.New, []byte(clientSecret))
	mac.Write(relay.StringToSign(scheme, clientID, http.MethodPost, strings.TrimPrefix(s.relayURL, "http://"), target, now, nonce, body))
	r.Header.Set("Authorization", fmt.Sprintf(`%s client_id="%s",timestamp="%s",nonce="%s",signature="%s"`,
		scheme, clientID, now, nonce, base64.StdEncoding.EncodeToString(mac.Sum(nil))))
	r.Header.Set("Content-Type", "application/json")
	return r, nil
}

func (s *server) createOrder(ctx context.Context, orderNo string) error {
	r, err := s.signed(ctx, "/v1/orders", []byte(`{"order_no":"`+orderNo+`","amount":100,"description":"a description of usual length"}`))
	if err != nil {
		return err
	}
	return s.send(r, http.StatusCreated, nil)
}

func (s *server) createPayment(ctx context.Context, orderNo string) (outTradeNo string, err error) {
	r, err := s.signed(ctx, "/v1/orders/"+orderNo+"/payments", []byte(`{"trade_type":"native"}`))
	if err != nil {
		return "", err
	}
	var made struct {
		OutTradeNo string `json:"out_trade_no"`
	}
	err = s.send(r, http.StatusCreated, &made)
	return made.OutTradeNo, err
}

func (s *server) notify(ctx context.Context, n *notification) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.relayURL+"/wechat/notify/main", bytes.NewReader(n.body))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	r.Header = n.header
	return s.send(r, http.StatusNoContent, nil)
}
