package safehttp

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// quick is bounds short enough to wait for; tests that wait for one keep the
// others long.
func quick(edit func(*bounds)) bounds {
	b := bounds{total: time.Minute, dial: time.Minute, tls: time.Minute, answer: time.Minute}
	edit(&b)
	return b
}

func get(t *testing.T, c *Client, url string) (Result, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Do(t.Context(), req)
}

// wantReason checks that the error is of the reason and shows nothing else.
func wantReason(t *testing.T, err error, want Reason) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Reason != want || e.Error() != string(want) {
		t.Errorf("error = %v (%v), want %q alone", err, errors.Unwrap(err), want)
	}
}

// listen opens a raw listener whose connections are given to serve.
func listen(t *testing.T, address string, serve func(net.Conn)) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l
}

// canary is a listener that must never be reached.
func canary(t *testing.T, address string) net.Listener {
	t.Helper()
	var hits atomic.Int32
	l := listen(t, address, func(c net.Conn) { hits.Add(1); c.Close() })
	t.Cleanup(func() {
		if hits.Load() != 0 {
			t.Errorf("the canary at %v was reached", l.Addr())
		}
	})
	return l
}

func portOfListener(l net.Listener) uint16 { return l.Addr().(*net.TCPAddr).AddrPort().Port() }

// F01 to F04, F35: nothing private is dialled, whatever the spelling and
// whatever the name resolves to.
func TestDo_F01_F02_F03_F04_F35_Canary(t *testing.T) {
	t.Parallel()
	l := canary(t, "127.0.0.1:0")
	port := portOfListener(l)
	dns := &fakeDNS{answers: map[string][][]string{
		"a.example":                  {{"127.0.0.1"}},
		"aaaa.example":               {{"::1"}},
		"mapped.example":             {{"::ffff:127.0.0.1"}},
		"nat64.example":              {{"64:ff9b::7f00:1"}},
		"metadata.tencentyun.com":    {{"169.254.0.23"}},
		"several.example":            {{"127.0.0.1", "::1", "10.0.0.1"}},
		"unspecified.example":        {{"0.0.0.0"}},
		"unspecified-aaaa.example":   {{"::"}},
		"upper.example":              {{"127.0.0.1"}},
		"100-100-100-200.nip.exampl": {{"100.100.100.200"}},
	}}
	c := New(Options{AllowPorts: []uint16{port}, Resolver: dns.resolver(t)})
	hosts := []string{
		"localhost", "LOCALHOST.", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "[::]",
		"2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0", "169.254.169.254", "[fd00:ec2::254]", "[fe80::1%25lo]",
	}
	for name := range dns.answers {
		hosts = append(hosts, name, strings.ToUpper(name))
	}
	for _, host := range hosts {
		_, err := get(t, c, fmt.Sprintf("http://%s:%d/", host, port))
		wantReason(t, err, ReasonAddress)
	}
}

// F04: should a spelling pass the check of the URL, the dial check stops it
// still, with the Go resolver and with the system's.
func TestDial_F04_OddSpellings(t *testing.T) {
	t.Parallel()
	l := canary(t, "127.0.0.1:0")
	port := portOfListener(l)
	for _, resolver := range []*net.Resolver{{PreferGo: true}, {PreferGo: false}} {
		c := New(Options{AllowPorts: []uint16{port}, Resolver: resolver})
		for _, host := range []string{"127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0", "::ffff:127.0.0.1", "0.0.0.0", ""} {
			conn, err := c.transport.DialContext(t.Context(), "tcp", net.JoinHostPort(host, fmt.Sprint(port)))
			if err == nil {
				conn.Close()
				t.Errorf("%q was dialled", host)
			}
		}
	}
}

// F05: a name that answers an allowed address first and 127.0.0.1 then.
func TestDo_F05_Rebinding(t *testing.T) {
	t.Parallel()
	bad := canary(t, "127.0.0.1:0")
	good := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	}))
	good.Listener.Close()
	good.Listener = mustListen(t, fmt.Sprintf("127.0.0.2:%d", portOfListener(bad)))
	good.Start()
	defer good.Close()
	dns := &fakeDNS{answers: map[string][][]string{"rebind.example": {{"127.0.0.2"}, {"127.0.0.1"}}}}
	c := New(Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}, Resolver: dns.resolver(t)})
	url := fmt.Sprintf("http://rebind.example:%d/", portOfListener(bad))
	if res, err := get(t, c, url); err != nil || res.Status != 200 {
		t.Fatalf("first answer: %+v, %v, want 200", res, err)
	}
	_, err := get(t, c, url)
	wantReason(t, err, ReasonAddress)
}

// F06: the second of several records is private; falling back to it is
// checked too.
func TestDo_F06_SeveralRecords(t *testing.T) {
	t.Parallel()
	bad := canary(t, "127.0.0.1:0")
	dns := &fakeDNS{answers: map[string][][]string{"two.example": {{"127.0.0.3", "127.0.0.1"}}}}
	c := New(Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.3/32")}, Resolver: dns.resolver(t)})
	_, err := get(t, c, fmt.Sprintf("http://two.example:%d/", portOfListener(bad)))
	if err == nil {
		t.Error("the second record was called")
	}
}

// F08: ports on public hosts are checked when dialled, for names too.
func TestDial_F08_Ports(t *testing.T) {
	t.Parallel()
	c := New(Options{Allow: loopback})
	for address, ok := range map[string]bool{
		"8.8.8.8:443": true, "8.8.8.8:80": true, "8.8.8.8:22": false, "8.8.8.8:2019": false, "8.8.8.8:6379": false,
		"127.0.0.1:2019": true, "10.0.0.1:443": false, "bad": false,
	} {
		if err := c.checkDial(t.Context(), "tcp4", address, nil); (err == nil) != ok {
			t.Errorf("dial check of %s = %v, want ok %v", address, err, ok)
		}
	}
	if err := c.checkDial(t.Context(), "udp4", "8.8.8.8:443", nil); err == nil {
		t.Error("another network than TCP passes")
	}
}

// F07, F36, G04: a redirect is a result.
func TestDo_F07_F36_RedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	bad := canary(t, "127.0.0.1:0")
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://"+bad.Addr().String()+"/load")
			w.WriteHeader(status)
		}))
		c := New(Options{Allow: loopback})
		if res, err := get(t, c, s.URL); err != nil || res.Status != status {
			t.Errorf("%d: %+v, %v", status, res, err)
		}
		s.Close()
	}
}

// F11, F37: the environment's proxy is not asked.
func TestDo_F11_F37_NoProxy(t *testing.T) {
	bad := canary(t, "127.0.0.1:0")
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, "http://"+bad.Addr().String())
	}
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	dns := &fakeDNS{answers: map[string][][]string{"shop.example": {{"127.0.0.1"}}}}
	c := New(Options{Allow: loopback, Resolver: dns.resolver(t)})
	if res, err := get(t, c, fmt.Sprintf("http://shop.example:%d/", portOfListener(s.Listener))); err != nil || res.Status != 200 {
		t.Errorf("%+v, %v, want 200 without the proxy", res, err)
	}
}

// F10: our own names are refused, and every request carries the marker.
func TestDo_F10_MarkerAndOwnNames(t *testing.T) {
	t.Parallel()
	var header atomic.Pointer[http.Header]
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { header.Store(&r.Header) }))
	defer s.Close()
	dns := &fakeDNS{answers: map[string][][]string{"pay.example.com": {{"127.0.0.1"}}, "shop.example": {{"127.0.0.1"}}}}
	c := New(Options{
		Allow: loopback, Resolver: dns.resolver(t), UserAgent: "wxrelay/1",
		Deny: func(u *url.URL) bool { return u.Hostname() == "pay.example.com" },
	})
	port := portOfListener(s.Listener)
	_, err := get(t, c, fmt.Sprintf("http://Pay.Example.com.:%d/", port))
	wantReason(t, err, ReasonAddress)
	if header.Load() != nil {
		t.Error("our own name was called")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://shop.example:%d/", port), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	got := *header.Load()
	if got.Get(MarkerHeader) != "1" || got.Get("User-Agent") != "wxrelay/1" || got.Get("Accept-Encoding") != "" {
		t.Errorf("header = %v, want marker and agent, no encoding", got)
	}
	if len(req.Header) != 0 || req.Body != nil {
		t.Error("Do changed the caller's request")
	}
}

// F12, F32: certificates that are expired, for another name, or of nobody.
func TestDo_F12_Certificates(t *testing.T) {
	t.Parallel()
	now := time.Now()
	tests := []struct {
		name    string
		host    string
		until   time.Time
		trusted bool
		want    Reason
	}{
		{"good", "shop.example", now.Add(time.Hour), true, ""},
		{"self-signed", "shop.example", now.Add(time.Hour), false, ReasonCertificate},
		{"expired", "shop.example", now.Add(-time.Hour), true, ReasonCertificate},
		{"other name", "other.example", now.Add(time.Hour), true, ReasonCertificate},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cert := certificate(t, tt.host, tt.until)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			s.StartTLS()
			defer s.Close()
			pool := x509.NewCertPool()
			if tt.trusted {
				pool.AddCert(cert.Leaf)
			}
			dns := &fakeDNS{answers: map[string][][]string{"shop.example": {{"127.0.0.1"}}}}
			c := New(Options{Allow: loopback, Resolver: dns.resolver(t), RootCAs: pool})
			res, err := get(t, c, fmt.Sprintf("https://shop.example:%d/", portOfListener(s.Listener)))
			if tt.want != "" {
				wantReason(t, err, tt.want)
			} else if err != nil || res.Status != 200 {
				t.Errorf("%+v, %v (%v), want 200", res, err, errors.Unwrap(err))
			}
		})
	}
}

func certificate(t *testing.T, host string, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host},
		NotBefore: until.Add(-24 * time.Hour), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// F32, G02, G03, G05: peers that misbehave, each in its own way. Those that
// answer in the clear read the request first: to answer before is another
// fault.
func TestDo_F32_G02_G03_G05_BadPeers(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\n"
	write := func(c net.Conn, text string) bool { _, err := io.WriteString(c, text); return err == nil }
	short := 60 * time.Millisecond
	tests := []struct {
		name   string
		scheme string
		bounds bounds
		serve  func(net.Conn)
		want   Reason
		status int
	}{
		{"never answers", "http", quick(func(b *bounds) { b.answer = short }), func(c net.Conn) { drain(c) }, ReasonNoAnswer, 0},
		{"never ends its header", "http", quick(func(b *bounds) { b.answer = short }), func(c net.Conn) {
			readRequest(c)
			write(c, ok)
			drain(c)
		}, ReasonNoAnswer, 0},
		{"drips its body", "http", quick(func(b *bounds) { b.total = 2 * time.Second }), func(c net.Conn) {
			readRequest(c)
			write(c, ok+"Content-Length: 1000\r\n\r\nx")
			drain(c)
		}, ReasonTimeout, 200},
		{"never says hello", "https", quick(func(b *bounds) { b.tls = short }), func(c net.Conn) { drain(c) }, ReasonTLSTimeout, 0},
		{"speaks no TLS", "https", quick(func(*bounds) {}), func(c net.Conn) { write(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); drain(c) }, ReasonTLS, 0},
		{"speaks no HTTP", "http", quick(func(*bounds) {}), func(c net.Conn) {
			readRequest(c)
			write(c, "220 mail.example ESMTP\r\n")
			drain(c)
		}, ReasonProtocol, 0},
		{"closes early", "http", quick(func(*bounds) {}), func(c net.Conn) { readRequest(c); c.Close() }, ReasonClosed, 0},
		{"closes in the body", "http", quick(func(*bounds) {}), func(c net.Conn) {
			readRequest(c)
			write(c, ok+"Content-Length: 10\r\n\r\nsucc")
			c.Close()
		}, ReasonClosed, 200},
		{"resets", "http", quick(func(*bounds) {}), func(c net.Conn) {
			readRequest(c)
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}, ReasonReset, 0},
		{"floods headers", "http", quick(func(*bounds) {}), func(c net.Conn) {
			readRequest(c)
			write(c, ok)
			for i := 0; write(c, fmt.Sprintf("X-%d: %s\r\n", i, strings.Repeat("x", 100))); i++ {
			}
		}, ReasonHeaders, 0},
		{"floods interim answers", "http", quick(func(*bounds) {}), func(c net.Conn) {
			readRequest(c)
			for write(c, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n") {
			}
		}, ReasonHeaders, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := listen(t, "127.0.0.1:0", func(c net.Conn) { defer c.Close(); tt.serve(c) })
			c := newBounded(Options{Allow: loopback}, tt.bounds)
			res, err := get(t, c, tt.scheme+"://"+l.Addr().String()+"/")
			wantReason(t, err, tt.want)
			if res.Status != tt.status {
				t.Errorf("status = %d, want %d", res.Status, tt.status)
			}
		})
	}
}

// G05: headers at the limit and above it.
func TestDo_G05_HeaderLimit(t *testing.T) {
	t.Parallel()
	var size atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", int(size.Load())))
	}))
	defer s.Close()
	c := New(Options{Allow: loopback})
	size.Store(MaxHeader - 512)
	if _, err := get(t, c, s.URL); err != nil {
		t.Errorf("a header below the limit: %v", err)
	}
	size.Store(MaxHeader + 4<<10)
	_, err := get(t, c, s.URL)
	wantReason(t, err, ReasonHeaders)
}

// drain reads until the peer closes.
func drain(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// readRequest reads to the end of a request's header.
func readRequest(c net.Conn) {
	var got []byte
	b := make([]byte, 1)
	for !bytes.HasSuffix(got, []byte("\r\n\r\n")) {
		if _, err := c.Read(b); err != nil {
			return
		}
		got = append(got, b[0])
	}
}

// F32: a closed port; F35: names that do not exist, or never resolve.
func TestDo_F32_F35_NoConnection(t *testing.T) {
	t.Parallel()
	l := mustListen(t, "127.0.0.1:0")
	l.Close()
	c := New(Options{Allow: loopback, Resolver: (&fakeDNS{answers: map[string][][]string{}}).resolver(t)})
	_, err := get(t, c, "http://"+l.Addr().String()+"/")
	wantReason(t, err, ReasonRefused)
	_, err = get(t, c, "http://nobody.example/")
	wantReason(t, err, ReasonNameUnknown)

	silent := newBounded(Options{Resolver: (&fakeDNS{}).resolver(t)}, quick(func(b *bounds) { b.dial = 60 * time.Millisecond }))
	_, err = get(t, silent, "http://silent.example/")
	wantReason(t, err, ReasonNameTimeout)
}

// G01: nothing is unpacked, and 4 KiB are read.
func TestDo_G01_CompressionBomb(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := io.CopyN(z, zeros{}, 64<<20); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	}))
	defer s.Close()
	res, err := get(t, New(Options{Allow: loopback}), s.URL)
	if err != nil || len(res.Body) != MaxBody || !res.Truncated || !bytes.HasPrefix(packed.Bytes(), res.Body) {
		t.Errorf("%d bytes, truncated %v, %v; want the packed bytes, cut", len(res.Body), res.Truncated, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// G02: an endless body is cut and the connection closed.
func TestDo_G02_EndlessBody(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		defer close(closed)
		for {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	}))
	defer s.Close()
	res, err := get(t, New(Options{Allow: loopback}), s.URL)
	if err != nil || res.Status != 200 || len(res.Body) != MaxBody || !res.Truncated {
		t.Errorf("%d with %d bytes, truncated %v, %v", res.Status, len(res.Body), res.Truncated, err)
	}
	select {
	case <-closed:
	case <-t.Context().Done():
	}
}

func TestDo_BodyAtTheLimit(t *testing.T) {
	t.Parallel()
	var size atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		_, _ = w.Write(make([]byte, size.Load()))
	}))
	defer s.Close()
	c := New(Options{Allow: loopback})
	for _, n := range []int64{0, 1, MaxBody - 1, MaxBody, MaxBody + 1} {
		size.Store(n)
		res, err := get(t, c, s.URL)
		if err != nil || int64(len(res.Body)) != min(n, MaxBody) || res.Truncated != (n > MaxBody) || res.RetryAfter != "7" {
			t.Errorf("%d bytes: got %d, truncated %v, retry after %q, %v", n, len(res.Body), res.Truncated, res.RetryAfter, err)
		}
	}
}

// A request is sent once, also when a kept connection breaks under it: the
// peer must not see an attempt that is not recorded (F34).
func TestDo_F34_SentOnce(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			var requests, odd atomic.Int32
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if method == http.MethodGet && (r.ContentLength != 0 || len(r.TransferEncoding) != 0 || r.Header.Get("Content-Length") != "") {
					odd.Add(1)
				}
				if requests.Add(1) > 1 {
					panic(http.ErrAbortHandler) // recorded, then dead
				}
			}))
			defer s.Close()
			c := New(Options{Allow: loopback})
			do := func() error {
				var body io.Reader
				if method == http.MethodPost {
					body = strings.NewReader("{}")
				}
				req, err := http.NewRequestWithContext(t.Context(), method, s.URL, body)
				if err != nil {
					t.Fatal(err)
				}
				_, err = c.Do(t.Context(), req)
				return err
			}
			if err := do(); err != nil {
				t.Fatal(err)
			}
			wantReason(t, do(), ReasonClosed)
			if got := requests.Load(); got != 2 {
				t.Errorf("%d requests seen, want 2", got)
			}
			if odd.Load() != 0 {
				t.Error("a GET carried a body")
			}
		})
	}
}

// Connections made under one list of networks are not used under another;
// under the same list they are kept.
func TestAllowing_SharesNoConnection(t *testing.T) {
	t.Parallel()
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	base := New(Options{})
	open := base.Allowing(loopback...)
	if open != base.Allowing(netip.MustParsePrefix("127.1.2.3/8")) || base != open.Allowing() {
		t.Error("equal lists gave different clients")
	}
	for range 3 {
		if _, err := get(t, open, s.URL); err != nil {
			t.Fatal(err)
		}
	}
	if got := conns.Load(); got != 1 {
		t.Errorf("%d connections for three requests, want 1", got)
	}
	_, err := get(t, base, s.URL)
	wantReason(t, err, ReasonAddress)
	if _, err := get(t, base.Allowing(loopback[0], netip.MustParsePrefix("10.0.0.0/8")), s.URL); err != nil {
		t.Fatal(err)
	}
	if got := conns.Load(); got != 2 {
		t.Errorf("%d connections, want one for each list", got)
	}
	base.Close()
}

func TestAllowing_KeepsFew(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	for i := range 3 * maxFamily {
		c.Allowing(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 0}), 24))
	}
	if n := len(c.shared.members); n > maxFamily || n != len(c.shared.order) {
		t.Errorf("%d clients kept in %d places, want at most %d", n, len(c.shared.order), maxFamily)
	}
}

// Giving up is not the peer's fault.
func TestDo_Canceled(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	l := listen(t, "127.0.0.1:0", func(c net.Conn) { readRequest(c); asked <- struct{}{}; drain(c); c.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.Addr().String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(Options{Allow: loopback}).Do(ctx, req)
	wantReason(t, err, ReasonCanceled)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not lead to the cause", err)
	}
}

// F09: Do has no way around the check of the URL.
func TestDo_F09_Schemes(t *testing.T) {
	t.Parallel()
	c := New(Options{Allow: loopback})
	for _, url := range []string{"file:///etc/passwd", "ftp://good.example/", "http://user@127.0.0.1/"} {
		_, err := get(t, c, url)
		wantReason(t, err, ReasonAddress)
	}
}

func mustListen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
