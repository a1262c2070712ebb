package badgerstore

import (
	"log/slog"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/wxrelay/wxrelay/store"
)

// Options say where and how to open a store. The zero value of each field but
// Path is a sensible default.
type Options struct {
	// Path is the store's directory. It is made if missing.
	Path string

	// Logger takes Badger's log and the store's own. Default: none.
	Logger *slog.Logger

	// Now is the clock of everything but records. It is called from several
	// goroutines. Default: time.Now.
	Now func() time.Time

	// AcceptLoss opens a store that lacks commits, see LossError. What is
	// lost is logged.
	AcceptLoss bool

	// MemTableSize is the size in bytes of one table in memory. Default:
	// 16 MiB. A transaction holds at most 15 % of it.
	MemTableSize int64

	// NumMemtables is how many full tables may wait in memory. Default: 3.
	NumMemtables int

	// Floor is the free space in bytes below which the store takes no work.
	// Default: 256 MiB, four times all memtables, or a twentieth of the file
	// system, whichever is the largest.
	Floor uint64

	// Ballast is the size in bytes of a file that is given up when the disk
	// is full, so that the store can start; see DefaultBallast. Default: none.
	Ballast int64

	// FreeSpace returns the free and total bytes of the directory's file
	// system. Default: asks the system.
	FreeSpace func(dir string) (free, total uint64, err error)

	Hooks Hooks

	// commit stands for Txn.Commit in tests.
	commit func(*badger.Txn) error
}

// Hooks are told of what happens, for metrics and alarms. Each may be nil.
// They must not block and not call the store.
type Hooks struct {
	// Committed is told of each group: its number of requests and the time
	// from running the first to the end of the commit.
	Committed func(requests int, took time.Duration)
	// Poisoned is told once why the store stopped taking work.
	Poisoned func(error)
	// Alarm is told of what an operator should know, without secrets.
	Alarm func(message string)
}

// withDefaults fills in what is not set.
func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MemTableSize == 0 {
		o.MemTableSize = 16 << 20
	}
	if o.NumMemtables == 0 {
		o.NumMemtables = 3
	}
	if o.FreeSpace == nil {
		o.FreeSpace = freeSpace
	}
	if o.commit == nil {
		o.commit = (*badger.Txn).Commit
	}
	return o
}

// badger returns Badger's options. Values stay inline and uncompressed: the
// value log swallows failed syncs, and checksums of compressed tables crash
// instead of reporting damage. No row has a time to live, which would make a
// clock that jumps delete records of money.
func (o *Options) badger(log badger.Logger) badger.Options {
	return badger.DefaultOptions(o.Path).
		WithSyncWrites(true).
		WithMemTableSize(o.MemTableSize).
		WithNumMemtables(o.NumMemtables).
		WithValueThreshold(min(1<<20, o.MemTableSize/8)).
		WithValueLogFileSize(16 << 20).
		WithCompression(options.None).
		WithChecksumVerificationMode(options.OnTableRead).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithNumVersionsToKeep(1).
		WithNumCompactors(2).
		WithNumLevelZeroTables(5).
		WithNumLevelZeroTablesStall(15).
		WithDetectConflicts(true).
		WithMetricsEnabled(false).
		WithExternalMagic(store.SchemaVersion).
		WithLogger(log)
}
