package caddymodule

import (
	"fmt"
	"io"
	"log/slog"
	"math"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/badgerstore"
)

func init() {
	caddy.RegisterModule(BadgerStore{})
}

// defaultBackend is the store of an App that names none.
const defaultBackend = "badger"

// storeModule is a guest of the namespace wxrelay.stores: it knows where
// records are kept and how to open that place.
type storeModule interface {
	// key names the place; two modules with the same key mean the same.
	key() string
	// open opens it. Only one may be open per key.
	open(logger *slog.Logger) (openStore, error)
}

// openStore is a store that has to be closed.
type openStore interface {
	relay.Store
	io.Closer
}

// BadgerStore keeps records in a Badger database, a directory of this
// machine that one process uses at a time. What is acknowledged is on stable
// storage; the file system must not be a network share.
type BadgerStore struct {
	// Path is the directory. The default is "wxrelay" in Caddy's data
	// directory. It is created when it is missing, for this user alone.
	// Placeholders are filled in; a relative path counts from the working
	// directory of the process.
	Path string `json:"path,omitempty"`

	// Ballast is the size in bytes of a file that is given up when the disk
	// is full, so that the store can start and be looked after. The default
	// is 134217728, 128 MiB; 0 keeps none.
	Ballast *int64 `json:"ballast,omitempty"`

	// AcceptLoss opens a store that lacks commits which it once had, after
	// its files were damaged. Without it such a store refuses to open and
	// says what is missing; with it the loss is logged. Remove it after the
	// start for which it was needed.
	AcceptLoss bool `json:"accept_loss,omitempty"`

	path string // clean and absolute
}

// CaddyModule returns the Caddy module information.
func (BadgerStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "wxrelay.stores.badger",
		New: func() caddy.Module { return new(BadgerStore) },
	}
}

// Provision resolves the path. It looks at no file.
func (s *BadgerStore) Provision(caddy.Context) error {
	path := filepath.Join(caddy.AppDataDir(), "wxrelay")
	if s.Path != "" {
		resolved, err := caddy.NewReplacer().ReplaceOrErr(s.Path, true, true)
		if err != nil {
			return fmt.Errorf("path: %w", err)
		}
		path = resolved
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("path: %w", err)
	}
	s.path = absolute
	return nil
}

// Validate refuses a ballast that is no size.
func (s *BadgerStore) Validate() error {
	if s.Ballast != nil && *s.Ballast < 0 {
		return fmt.Errorf("ballast: %d must be a number of bytes, or 0 for none", *s.Ballast)
	}
	return nil
}

// unmarshalBlock reads the block of the store:
//
//	store badger {
//		path        <directory>
//		ballast     <size>
//		accept_loss
//	}
func (s *BadgerStore) unmarshalBlock(d *caddyfile.Dispenser) error {
	return parseBlock(d, words{
		"path":        text(&s.Path, nil),
		"ballast":     single(s.setBallast),
		"accept_loss": alone(&s.AcceptLoss),
	})
}

func (s *BadgerStore) setBallast(value string) error {
	size, err := humanize.ParseBytes(value)
	if err != nil || size > math.MaxInt64 {
		return fmt.Errorf("%q must be a size such as 128MiB, or 0", value)
	}
	bytes := int64(size)
	s.Ballast = &bytes
	return nil
}

func (s *BadgerStore) key() string { return s.path }

func (s *BadgerStore) open(logger *slog.Logger) (openStore, error) {
	ballast := int64(badgerstore.DefaultBallast)
	if s.Ballast != nil {
		ballast = *s.Ballast
	}
	return badgerstore.Open(badgerstore.Options{
		Path:       s.path,
		Logger:     logger,
		AcceptLoss: s.AcceptLoss,
		Ballast:    ballast,
		Hooks: badgerstore.Hooks{
			Committed: observeCommit,
			Alarm:     func(string) { storeAlarms.Inc() },
		},
	})
}

// Interface guards.
var (
	_ caddy.Provisioner = (*BadgerStore)(nil)
	_ caddy.Validator   = (*BadgerStore)(nil)
	_ storeModule       = (*BadgerStore)(nil)
)
