package sandbox

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// arrival is a notification as the merchant got it.
type arrival struct {
	at     time.Duration // since the payment
	header http.Header
	body   []byte
}

// merchantServer plays a merchant that notes what arrives and answers with
// the statuses in turn; the last one stays.
type merchantServer struct {
	statuses []int
	answer   string // default: what fails everywhere

	mu       sync.Mutex // guards what follows
	since    time.Time
	arrivals []arrival
}

func (m *merchantServer) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	status := m.statuses[min(len(m.arrivals), len(m.statuses)-1)]
	m.arrivals = append(m.arrivals, arrival{at: time.Since(m.since), header: r.Header.Clone(), body: body})
	if m.answer != "" {
		return reply(r, status, m.answer), nil
	}
	return reply(r, status, `{"code":"FAIL"}`), nil
}

// seen lists what arrived so far.
func (m *merchantServer) seen() []arrival {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.arrivals)
}

// times lists when something arrived.
func (m *merchantServer) times() []time.Duration {
	var list []time.Duration
	for _, a := range m.seen() {
		list = append(list, a.at)
	}
	return list
}

// paidOrder runs fn in a bubble, with a sandbox in which an order was just
// paid and faults were arranged before.
func paidOrder(t *testing.T, m *merchantServer, o Options, faults string, fn func(*testing.T, *Sandbox)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m.since = time.Now()
		o.Now, o.Transport = time.Now, m
		s := newSandbox(t, o)
		if faults != "" {
			mustStatus(t, post(t, s, "/sandbox/faults", faults), http.StatusOK)
		}
		payNow(t, s, "T00001")
		fn(t, s)
	})
}

// payNow creates an order and pays it at once.
func payNow(t *testing.T, s *Sandbox, outTradeNo string) {
	t.Helper()
	c := native(prepayBody(t, map[string]any{"out_trade_no": outTradeNo}))
	c.at = time.Now()
	mustStatus(t, c.send(t, s), http.StatusOK)
	mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"`+outTradeNo+`"}`), http.StatusOK)
}

// after waits in the bubble until everything of the next while has happened.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// opened verifies and decrypts an arrival as a merchant does.
func opened(t *testing.T, a arrival) (*payv3.Transaction, error) {
	t.Helper()
	note, err := parsedNote(t, a)
	if err != nil {
		return nil, err
	}
	return note.Transaction()
}

// openedNote is what a genuine arrival says.
func openedNote(t *testing.T, a arrival) *payv3.Notification {
	t.Helper()
	note, err := parsedNote(t, a)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	return note
}

// parsedNote verifies and decrypts an arrival.
func parsedNote(t *testing.T, a arrival) (*payv3.Notification, error) {
	t.Helper()
	credentials := DefaultCredentials()
	client, err := payv3.NewClient(payv3.ClientOptions{
		MchID: credentials.MchID, CertificateSerial: credentials.CertificateSerial, PrivateKey: credentials.PrivateKey,
		APIv3Key: credentials.APIv3Key, Keys: ring(t),
	})
	if err != nil {
		t.Fatalf("NewClient: %v", err)
	}
	return client.ParseNotification(t.Context(), a.header, a.body)
}

// wechatRhythm is when attempts are made if every one fails at once.
func wechatRhythm(scale float64) []time.Duration {
	list := []time.Duration{0}
	for _, pause := range []string{"15s", "15s", "30s", "3m", "10m", "20m", "30m", "30m", "30m", "60m", "3h", "3h", "3h", "6h", "6h"} {
		d, _ := time.ParseDuration(pause)
		list = append(list, list[len(list)-1]+time.Duration(float64(d)*scale))
	}
	return list
}

func TestNotificationRhythm(t *testing.T) {
	t.Parallel()
	for name, scale := range map[string]float64{"WeChat's own": 1, "minutes for hours": 1.0 / 60} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &merchantServer{statuses: []int{500}}
			paidOrder(t, m, Options{TimeScale: scale}, "", func(t *testing.T, _ *Sandbox) {
				after(72 * time.Hour)
				want := wechatRhythm(scale)
				if got := m.times(); !slices.Equal(got, want) {
					t.Errorf("attempts at %v, want %v", got, want)
				}
				if scale == 1 && want[15] != 24*time.Hour+4*time.Minute {
					t.Errorf("the rhythm takes %v, want 24h4m", want[15])
				}
			})
		})
	}
}

func TestNotificationEndsWithSuccess(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		statuses []int
		attempts int
	}{
		"200":                  {[]int{200}, 1},
		"204":                  {[]int{204}, 1},
		"201 is none":          {[]int{201, 200}, 2},
		"202 is none":          {[]int{202, 200}, 2},
		"a redirect is none":   {[]int{302, 200}, 2},
		"404 is none":          {[]int{404, 200}, 2},
		"the third one serves": {[]int{500, 401, 204, 500}, 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &merchantServer{statuses: test.statuses}
			paidOrder(t, m, Options{}, "", func(t *testing.T, s *Sandbox) {
				after(48 * time.Hour)
				if got := m.seen(); len(got) != test.attempts {
					t.Errorf("%d attempts, want %d", len(got), test.attempts)
				}
				if log := s.notifier.recent(1); !log[0].Success || log[0].Number != test.attempts {
					t.Errorf("log ends with %+v", log[0])
				}
			})
		})
	}
}

func TestNotificationIsSignedSealedAndTheSameEachTime(t *testing.T) {
	t.Parallel()
	m := &merchantServer{statuses: []int{500, 200}}
	paidOrder(t, m, Options{}, "", func(t *testing.T, _ *Sandbox) {
		after(20 * time.Second)
		got := m.seen()
		if len(got) != 2 || string(got[0].body) != string(got[1].body) {
			t.Fatalf("%d attempts, want 2 with the same body", len(got))
		}
		if got[0].header.Get("Wechatpay-Nonce") == got[1].header.Get("Wechatpay-Nonce") {
			t.Error("the nonce was used twice")
		}
		transaction, err := opened(t, got[1])
		if err != nil {
			t.Fatalf("opening: %v", err)
		}
		if transaction.OutTradeNo != "T00001" || transaction.Amount.Total != 100 || transaction.TradeState != "SUCCESS" {
			t.Errorf("transaction = %+v", transaction)
		}
	})
}

func TestNotificationFollowsTheKeyOfTheOrder(t *testing.T) {
	t.Parallel()
	for _, serial := range []string{defaultPlatformSerial, DefaultPublicKeyID} {
		synctest.Test(t, func(t *testing.T) {
			m := &merchantServer{statuses: []int{200}, since: time.Now()}
			s := newSandbox(t, Options{Now: time.Now, Transport: m})
			c := native(prepayBody(t, nil))
			c.at, c.header = time.Now(), http.Header{"Wechatpay-Serial": {serial}}
			mustStatus(t, c.send(t, s), http.StatusOK)
			mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001"}`), http.StatusOK)
			synctest.Wait()
			if got := m.seen()[0].header.Get("Wechatpay-Serial"); got != serial {
				t.Errorf("signed with %s, want %s", got, serial)
			}
		})
	}
}

// A merchant that does not answer within five seconds has failed.
func TestNotificationTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := shopFunc(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		s := newSandbox(t, Options{Now: time.Now, Transport: hang})
		payNow(t, s, "T00001")
		after(5*time.Second + time.Millisecond)
		log := s.notifier.recent(10)
		if len(log) != 1 || log[0].Took != 5*time.Second || log[0].Failure != "no answer within 5 seconds" {
			t.Errorf("log = %+v, want one failure after 5s", log)
		}
		after(20 * time.Second)
		if got := len(s.notifier.recent(10)); got != 2 {
			t.Errorf("%d attempts, want the second one 15 s after the first ended", got)
		}
	})
}

// Faults that put an attacker's message, a probe or a stale one before the
// genuine notification: the merchant must refuse the first (B03, B05, B06,
// B07) and gets the genuine one at once.
func TestIntrudingFaults(t *testing.T) {
	t.Parallel()
	for _, name := range []string{faultForged, faultTampered, faultStale, faultProbe} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &merchantServer{statuses: []int{401, 200}}
			paidOrder(t, m, Options{}, `{"fault":"`+name+`"}`, func(t *testing.T, s *Sandbox) {
				synctest.Wait()
				got := m.seen()
				if len(got) != 2 || got[1].at != 0 {
					t.Fatalf("arrivals at %v, want two at once", m.times())
				}
				if _, err := opened(t, got[0]); err == nil {
					t.Error("the first notification is genuine")
				}
				if _, err := opened(t, got[1]); err != nil {
					t.Errorf("the second notification is not genuine: %v", err)
				}
				if log := s.notifier.recent(2); log[1].Fooled || log[1].Number != 0 || log[1].Fault != name {
					t.Errorf("log = %+v", log[1])
				}
			})
		})
	}
}

// A merchant that takes a forged notification is shown to be fooled, and
// the genuine one is sent all the same.
func TestForgedNotificationThatIsTaken(t *testing.T) {
	t.Parallel()
	m := &merchantServer{statuses: []int{200}}
	paidOrder(t, m, Options{}, `{"fault":"forged"}`, func(t *testing.T, s *Sandbox) {
		synctest.Wait()
		log := s.notifier.recent(2)
		if len(log) != 2 || !log[1].Fooled || log[0].Fooled {
			t.Errorf("log = %+v, want the first taken wrongly", log)
		}
	})
}

func TestUnknownEventComesFirst(t *testing.T) {
	t.Parallel()
	m := &merchantServer{statuses: []int{200}}
	paidOrder(t, m, Options{}, `{"fault":"unknown_event"}`, func(t *testing.T, s *Sandbox) {
		synctest.Wait()
		got := m.seen()
		if len(got) != 2 {
			t.Fatalf("%d arrivals, want 2", len(got))
		}
		if _, err := ring(t).Verify(t.Context(), got[0].header, got[0].body, time.Now()); err != nil {
			t.Errorf("the unknown event is not authentic: %v", err)
		}
		if transaction, err := opened(t, got[0]); err == nil {
			t.Errorf("the unknown event gives the transaction %+v", transaction)
		}
		if s.notifier.recent(2)[1].Fooled {
			t.Error("taking an unknown event is no fault of the merchant")
		}
	})
}

func TestLostNotification(t *testing.T) {
	t.Parallel()
	m := &merchantServer{statuses: []int{200}}
	paidOrder(t, m, Options{}, `{"fault":"lost","times":2}`, func(t *testing.T, s *Sandbox) {
		after(time.Hour)
		if got := m.times(); !slices.Equal(got, []time.Duration{30 * time.Second}) {
			t.Errorf("arrivals at %v, want one after two lost ones", got)
		}
		if log := s.notifier.recent(10); len(log) != 3 || log[2].Failure == "" {
			t.Errorf("log = %+v, want the lost ones too", log)
		}
	})
}

func TestLostForGood(t *testing.T) {
	t.Parallel()
	m := &merchantServer{statuses: []int{200}}
	paidOrder(t, m, Options{}, `{"fault":"lost","times":16}`, func(t *testing.T, _ *Sandbox) {
		after(48 * time.Hour)
		if got := m.times(); len(got) != 0 {
			t.Errorf("arrivals at %v, want none", got)
		}
	})
}

func TestLateNotification(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]time.Duration{
		`{"fault":"late","seconds":90}`: 90 * time.Second,
		`{"fault":"late"}`:              time.Minute,
	} {
		m := &merchantServer{statuses: []int{200}}
		paidOrder(t, m, Options{}, fault, func(t *testing.T, _ *Sandbox) {
			after(time.Hour)
			if got := m.times(); !slices.Equal(got, []time.Duration{want}) {
				t.Errorf("%s: arrivals at %v, want %v", fault, got, want)
			}
		})
	}
}

func TestDoubledNotification(t *testing.T) {
	t.Parallel()
	m := &merchantServer{statuses: []int{200}}
	paidOrder(t, m, Options{}, `{"fault":"doubled"}`, func(t *testing.T, _ *Sandbox) {
		after(time.Hour)
		got := m.seen()
		if len(got) != 2 || got[0].at != got[1].at || string(got[0].body) != string(got[1].body) {
			t.Errorf("arrivals at %v, want the same twice at once", m.times())
		}
	})
}

func TestReorderedNotification(t *testing.T) {
	t.Parallel()
	m := &merchantServer{statuses: []int{200}}
	paidOrder(t, m, Options{}, `{"fault":"reordered","seconds":600}`, func(t *testing.T, s *Sandbox) {
		after(time.Minute)
		if got := m.times(); len(got) != 0 {
			t.Fatalf("arrivals at %v, want none before another was sent", got)
		}
		payNow(t, s, "T00002")
		synctest.Wait()
		var order []string
		for _, a := range m.seen() {
			transaction, err := opened(t, a)
			if err != nil {
				t.Fatalf("opening: %v", err)
			}
			order = append(order, transaction.OutTradeNo)
		}
		if !slices.Equal(order, []string{"T00002", "T00001"}) {
			t.Errorf("order = %v, want the second first", order)
		}
	})
}

// A held notification is sent in the end, though no other one comes.
func TestReorderedNotificationAlone(t *testing.T) {
	t.Parallel()
	m := &merchantServer{statuses: []int{200}}
	paidOrder(t, m, Options{}, `{"fault":"reordered"}`, func(t *testing.T, _ *Sandbox) {
		after(time.Hour)
		if got := m.times(); !slices.Equal(got, []time.Duration{time.Minute}) {
			t.Errorf("arrivals at %v, want one after a minute", got)
		}
	})
}

func TestWrongAmount(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]int64{
		`{"fault":"wrong_amount"}`:            101,
		`{"fault":"wrong amount","amount":1}`: 1,
	} {
		m := &merchantServer{statuses: []int{500, 200}}
		paidOrder(t, m, Options{}, fault, func(t *testing.T, s *Sandbox) {
			after(time.Minute)
			first, err := opened(t, m.seen()[0])
			if err != nil || first.Amount.Total != want {
				t.Errorf("%s: first = %+v, %v, want %d fen", fault, first, err, want)
			}
			second, err := opened(t, m.seen()[1])
			if err != nil || second.Amount.Total != 100 {
				t.Errorf("%s: second = %+v, %v, want 100 fen", fault, second, err)
			}
		})
	}
}

func TestSlowNotification(t *testing.T) {
	t.Parallel()
	m := &merchantServer{statuses: []int{200}}
	paidOrder(t, m, Options{}, `{"fault":"slow"}`, func(t *testing.T, _ *Sandbox) {
		after(time.Hour)
		if got := m.times(); !slices.Equal(got, []time.Duration{4 * time.Second}) {
			t.Errorf("complete at %v, want 4s", got)
		}
	})
}

func TestKeyFaults(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]string{
		faultKeyCertificate: defaultPlatformSerial,
		faultKeyPublic:      DefaultPublicKeyID,
	} {
		m := &merchantServer{statuses: []int{200}}
		paidOrder(t, m, Options{}, `{"fault":"`+fault+`"}`, func(t *testing.T, _ *Sandbox) {
			synctest.Wait()
			if got := m.seen()[0].header.Get("Wechatpay-Serial"); got != want {
				t.Errorf("%s: signed with %s, want %s", fault, got, want)
			}
		})
	}
}

func TestCloseEndsNotifications(t *testing.T) {
	t.Parallel()
	m := &merchantServer{statuses: []int{500}}
	paidOrder(t, m, Options{}, "", func(t *testing.T, s *Sandbox) {
		after(20 * time.Second)
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		before := len(m.seen())
		after(time.Hour)
		if got := len(m.seen()); got != before {
			t.Errorf("%d attempts after Close", got-before)
		}
		c := native(prepayBody(t, map[string]any{"out_trade_no": "T00002"}))
		c.at = time.Now()
		mustStatus(t, c.send(t, s), http.StatusOK)
		mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00002"}`), http.StatusInternalServerError)
	})
}

func TestAttemptLogIsBounded(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	for i := range maxLog + 10 {
		s.notifier.record(&attempt{ID: fmt.Sprint(i)})
	}
	if log := s.notifier.recent(maxLog + 10); len(log) != maxLog || log[0].ID != fmt.Sprint(maxLog+9) {
		t.Errorf("%d attempts are kept, newest %s", len(log), log[0].ID)
	}
}

// The real client: it follows no redirect and reaches no public address,
// whatever a name resolves to (F05, F07).
func TestGuardedTransport(t *testing.T) {
	t.Parallel()
	var followed bool
	mux := http.NewServeMux()
	mux.HandleFunc("/there", func(http.ResponseWriter, *http.Request) { followed = true })
	mux.Handle("/notify", http.RedirectHandler("/there", http.StatusTemporaryRedirect))
	server := httptest.NewServer(mux)
	defer server.Close()

	s := newSandbox(t, Options{Transport: guardedTransport(false)})
	a := attempt{}
	request := httptest.NewRequest(http.MethodPost, server.URL+"/notify", nil)
	request.RequestURI = ""
	if err := s.notifier.exchange(request.WithContext(t.Context()), &a); err != nil || a.Status != http.StatusTemporaryRedirect || followed {
		t.Errorf("status = %d, %v, followed %v, want an unfollowed 307", a.Status, err, followed)
	}

	request = httptest.NewRequest(http.MethodPost, "http://8.8.8.8/notify", nil)
	request.RequestURI = ""
	if err := s.notifier.exchange(request.WithContext(t.Context()), &a); !errors.Is(err, errPublicAddress) {
		t.Errorf("error = %v, want %v", err, errPublicAddress)
	}
}
