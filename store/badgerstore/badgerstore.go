// Package badgerstore is the relay.Store of a single machine, on Badger.
// Begin with Open.
//
// It promises what relay.Store promises, on a file system that honours
// syncs: when Update returns nil, a crash, a kernel panic or a power cut
// takes nothing of it away. Badger alone does not promise that; what the
// package adds, and against what, is told at committer (one writer, groups),
// poisoned (failed syncs), space (full disks), the high-water mark (damaged
// logs) and snapshots (readers behind a slow disk).
//
// One handle owns the directory; close it after its last user. Badger ends
// the process on its own in some cases that no caller can catch: on a bus
// error in its memory maps, and where its y.Check finds a broken invariant.
package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

// Store is an open store. Open starts two goroutines of its own, the
// committer and the one that syncs the high-water mark, beside Badger's;
// Close ends and awaits them.
type Store struct {
	opts      Options
	dir       *directory
	db        *badger.DB
	queue     queue
	space     *space
	water     *water
	marks     *marks
	snapshots snapshots
	committed chan struct{} // closed when the committer has ended
	poison    atomic.Pointer[poisonError]

	life   sync.RWMutex // read-held while a reader uses Badger; Close takes it
	closed bool         // guarded by life
}

var (
	_ relay.Store         = (*Store)(nil)
	_ relay.HealthChecker = (*Store)(nil)
)

// Open opens the store in a directory, or makes one. Its errors say what to
// do; ask with errors.Is for ErrInUse and with errors.As for LossError.
func Open(o Options) (*Store, error) {
	s, err := open(o.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("opening store %q: %w", o.Path, err)
	}
	return s, nil
}

var errUnsupported = errors.New("the Badger engine does not sync its log on this platform; choose another store")

func open(o Options) (_ *Store, err error) {
	if !supported {
		return nil, errUnsupported
	}
	s := &Store{opts: o, marks: newMarks(), committed: make(chan struct{})}
	s.queue.wake = make(chan struct{}, 1)
	if s.dir, err = openDirectory(o.Path); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.abandon())
		}
	}()
	s.space = &space{
		dir: o.Path, free: o.FreeSpace, floor: o.Floor, ballast: o.Ballast, alarm: s.alarm,
		least: max(minFloor, 4*uint64(o.MemTableSize)*uint64(o.NumMemtables+2)),
	}
	if err := s.space.start(); err != nil {
		return nil, err
	}
	c, err := s.openBadger()
	if err != nil {
		return nil, err
	}
	if err := s.dir.protect(); err != nil {
		return nil, err
	}
	if s.water, err = openWater(o.Path); err != nil {
		return nil, err
	}
	s.snapshots.replace(s.db, c.seq)
	s.marks.load(committed{s.snapshots.current.txn}, c.seq)
	go func() {
		defer close(s.committed)
		c.run()
	}()
	return s, nil
}

// abandon closes what a failed open has opened.
func (s *Store) abandon() error {
	var errs []error
	s.snapshots.close()
	if s.water != nil {
		errs = append(errs, s.water.close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	return errors.Join(append(errs, s.dir.close())...)
}

// openBadger opens the engine and proves that nothing that was committed is
// missing.
func (s *Store) openBadger() (*committer, error) {
	check, err := s.inspect()
	if err != nil {
		return nil, err
	}
	if err := awaitEngineLock(s.opts.Path); err != nil {
		return nil, err
	}
	if s.db, err = openEngine(s.opts.badger(logger{s.opts.Logger, s.alarm})); err != nil {
		return nil, err
	}
	seq, eventSeq, err := s.lastGroup()
	if err != nil {
		return nil, err
	}
	if err := check.opened(s, seq); err != nil {
		return nil, err
	}
	if check.lost {
		// Clients may have read events that are lost; what comes must not
		// have their numbers.
		eventSeq = max(eventSeq, check.eventSeq) + lostEvents
		if err := createWater(s.opts.Path, seq, eventSeq); err != nil {
			return nil, err
		}
		if err := os.Remove(filepath.Join(s.opts.Path, lossName)); err != nil && !missing(err) {
			return nil, err
		}
	}
	c := &committer{
		s: s, over: newOverlay(), seq: seq, eventSeq: eventSeq,
		limit: int(s.db.MaxBatchSize() / 3), maxSize: int(s.db.MaxBatchSize() * 9 / 10), maxCount: int(s.db.MaxBatchCount() * 9 / 10),
	}
	return c, nil
}

// lostEvents is more events than can be lost with the mark of them.
const lostEvents = 1 << 16

// openEngine opens Badger and turns its panics into errors.
func openEngine(o badger.Options) (db *badger.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the engine cannot read its files (%v); %s", p, restoreAdvice)
		}
	}()
	db, err = badger.Open(o)
	if err != nil {
		return nil, fmt.Errorf("%w; %s", err, restoreAdvice)
	}
	return db, nil
}

const restoreAdvice = "the files are damaged or not this program's: keep them, and put the newest backup in their place"

// lastGroup reads the number of the group that was committed last, 0 in a new
// store.
func (s *Store) lastGroup() (seq, eventSeq uint64, err error) {
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	row, err := committed{txn}.get(store.KindMeta, keySequence)
	if errors.Is(err, relay.ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	p, err := store.Open(store.KindMeta, row)
	if err != nil {
		return 0, 0, err
	}
	seq, eventSeq, ok := parseSequence(p)
	if !ok {
		return 0, 0, errIndexRow
	}
	return seq, eventSeq, nil
}

// Update runs fn in the committer and waits until it is durable.
func (s *Store) Update(ctx context.Context, fn func(relay.Tx) error) error {
	if err := ended(ctx); err != nil {
		return err
	}
	return s.submit(ctx, fn)
}

// View runs fn on the state after the last commit. It never waits for the
// disk's writes, so it goes on when Update does not. fn must not call the
// store: while Close waits for fn, it would wait for Close.
func (s *Store) View(ctx context.Context, fn func(relay.Reader) error) error {
	return s.view(ctx, func(r *reader) error { return call(func() error { return fn(r) }) })
}

func (s *Store) view(ctx context.Context, fn func(*reader) error) error {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.closed {
		return unavailable(errClosed)
	}
	if err := ended(ctx); err != nil {
		return err
	}
	sn := s.snapshots.acquire()
	defer s.snapshots.release(sn)
	return fn(&reader{src: committed{sn.txn}, marks: s.marks, seq: sn.seq})
}

// Health reports whether the store takes work, and if not, why and what to
// do.
func (s *Store) Health(ctx context.Context) error {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.closed {
		return unavailable(errClosed)
	}
	if err := ended(ctx); err != nil {
		return err
	}
	return s.refusal(s.opts.Now())
}

// refusal is why the store takes no work, if it does not.
func (s *Store) refusal(now time.Time) error {
	if p := s.poison.Load(); p != nil {
		return unavailable(p)
	}
	if err := s.space.check(now); err != nil {
		return unavailable(err)
	}
	return nil
}

// poisonError says why the store stopped for good.
type poisonError struct{ cause error }

func (e *poisonError) Error() string {
	return "a commit failed and nobody knows what of it is on the disk: " + e.cause.Error() +
		"; look after the disk, then restart the server, which reads the store anew"
}

func (e *poisonError) Unwrap() error { return e.cause }

// poisoned stops the store: after a failed sync the system may report the
// next one as good although pages are lost, so only a restart, which reads
// what is really there, may trust the files again.
func (s *Store) poisoned(cause error) error {
	p := &poisonError{cause}
	if s.poison.CompareAndSwap(nil, p) {
		s.alarm(p.Error())
		if s.opts.Hooks.Poisoned != nil {
			s.opts.Hooks.Poisoned(p)
		}
	}
	return unavailable(s.poison.Load())
}

func (s *Store) alarm(message string) {
	s.opts.Logger.Error(message, "component", "store")
	if s.opts.Hooks.Alarm != nil {
		s.opts.Hooks.Alarm(message)
	}
}

func (s *Store) commitTxn(txn *badger.Txn) error { return s.opts.commit(txn) }

// Close commits what waits, refuses more, and closes the store once its
// readers are done. Later calls do nothing.
func (s *Store) Close() error {
	s.queue.close()
	<-s.committed
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.snapshots.close()
	waterErr := s.water.close()
	dbErr := s.db.Close()
	return errors.Join(waterErr, dbErr, s.dir.protect(), s.dir.close())
}
