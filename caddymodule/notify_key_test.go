package caddymodule

import (
	"context"
	"encoding/pem"
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// memoryStorage stands in for Caddy's storage.
type memoryStorage struct {
	making sync.Mutex // what Lock takes

	mu     sync.Mutex // guards what follows
	values map[string][]byte
	stores int
	fail   map[string]error // by call
}

func (s *memoryStorage) failure(call string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fail[call]
}

func (s *memoryStorage) Lock(context.Context, string) error {
	if err := s.failure("lock"); err != nil {
		return err
	}
	s.making.Lock()
	return nil
}

func (s *memoryStorage) Unlock(context.Context, string) error {
	s.making.Unlock()
	return nil
}

func (s *memoryStorage) Load(_ context.Context, key string) ([]byte, error) {
	if err := s.failure("load"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.values[key]; ok {
		return v, nil
	}
	return nil, fs.ErrNotExist
}

func (s *memoryStorage) Store(_ context.Context, key string, value []byte) error {
	if err := s.failure("store"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[key] = value
	s.stores++
	return nil
}

// Instances that start together on one storage agree on one key.
func TestNotifyKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	s := &memoryStorage{values: map[string][]byte{}}
	ids := make([]string, 4)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			k, err := loadNotifyKey(t.Context(), s)
			if err != nil {
				t.Errorf("loadNotifyKey: %v", err)
				return
			}
			ids[i] = k.ID()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Errorf("ids = %v, want all the same", ids)
		}
	}
	if s.stores != 1 {
		t.Errorf("the key was stored %d times, want once", s.stores)
	}
	if block, _ := pem.Decode(s.values[notifyKeyName]); block == nil || block.Type != "PRIVATE KEY" {
		t.Error("what is stored is no PKCS #8 key in PEM")
	}
}

// H03: what is wrong is said without the key.
func TestNotifyKeyThatCannotBeHad(t *testing.T) {
	t.Parallel()
	broken := errors.New("the storage is down")
	for _, c := range []struct {
		name    string
		storage *memoryStorage
		want    string
	}{
		{"cannot be read", &memoryStorage{fail: map[string]error{"load": broken}}, "the storage is down"},
		{"cannot be locked", &memoryStorage{fail: map[string]error{"lock": broken}}, "the storage is down"},
		{"cannot be written", &memoryStorage{fail: map[string]error{"store": broken}}, "the storage is down"},
		{"damaged", &memoryStorage{values: map[string][]byte{notifyKeyName: []byte("secret-words")}}, "is damaged; put it back"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k, err := loadNotifyKey(t.Context(), c.storage)
			if err == nil || k != nil {
				t.Fatalf("loadNotifyKey = %v, %v, want an error", k, err)
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), notifyKeyName) || strings.Contains(err.Error(), "secret-words") {
				t.Errorf("error %q, want it to say %q", err, c.want)
			}
		})
	}
}

// The key is given out by the running relay, and is the same after a restart.
func TestNotifyKeySurvivesRestart(t *testing.T) {
	s := newSetup(t)
	clients := []any{map[string]any{"name": "bookshop", "id": "1000000000000001", "secrets": []string{testSecret}, "notify": "wechat_v3"}}
	s = s.with("clients", clients)
	s.load(t)
	status, first := s.get(t, 0, "/v1/notify-key")
	if status != http.StatusOK || !strings.HasPrefix(first, "Key-Id: PUB_KEY_ID_") {
		t.Fatalf("GET /v1/notify-key: %d %q", status, first)
	}
	s.load(t)
	if _, again := s.get(t, 0, "/v1/notify-key"); again != first {
		t.Errorf("after a restart: %q, want %q", again, first)
	}
}
