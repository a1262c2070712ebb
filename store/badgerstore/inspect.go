package badgerstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/wxrelay/wxrelay/store"
)

// inspection is what the files say before Badger opens them. Badger cuts its
// log at the first damaged byte and says nothing, so the log is read here
// first, and nothing has been changed when the store is refused.
type inspection struct {
	want     uint64 // group that was durable for sure
	eventSeq uint64
	first    uint64 // first group in the logs; 0 when they hold none
	lost     bool   // groups are missing, which was accepted
	tables   int    // that the manifest lists
	cut      bool   // the manifest was cut short and tables were set aside
}

// inspect reads the high-water mark and the logs. With AcceptLoss it reports
// what is lost and goes on.
func (s *Store) inspect() (inspection, error) {
	want, eventSeq, err := readWater(s.opts.Path)
	switch {
	case missing(err) && !s.dir.has("MANIFEST"):
		return inspection{}, createWater(s.opts.Path, 0, 0)
	case missing(err) || errors.Is(err, errWaterDamaged):
		why := fmt.Errorf("the file %q is damaged or missing, so it cannot be seen whether commits are; put the newest backup in place, "+
			"or, if the store is known to be whole, start once with accept_loss in the store block", waterName)
		if !s.opts.AcceptLoss {
			return inspection{}, why
		}
		s.alarm(why.Error() + " (accepted)")
		if err := createWater(s.opts.Path, 0, 0); err != nil {
			return inspection{}, err
		}
	case err != nil:
		return inspection{}, err
	}
	in := inspection{want: want, eventSeq: eventSeq}
	if noted, ok := readLoss(s.opts.Path); ok {
		if err := s.loss(&in, noted); err != nil {
			return in, err
		}
	}
	logs, err := readLogs(s.opts.Path)
	if err != nil {
		return inspection{}, err
	}
	if err := s.compareLogs(&in, logs); err != nil {
		return in, err
	}
	if in.tables, in.cut, err = inspectTables(s.opts.Path); err != nil {
		return in, err
	}
	if in.cut {
		if err := setAside(s.opts.Path); err != nil {
			return in, fmt.Errorf("keeping tables of a manifest that was cut short: %w", err)
		}
	}
	return in, dropEmpty(s.opts.Path)
}

// compareLogs looks for gaps between the logs and after the last one.
func (s *Store) compareLogs(in *inspection, logs []wal) error {
	for _, l := range logs {
		in.want = max(in.want, l.acked())
	}
	have := uint64(0)
	for _, l := range logs {
		switch {
		case l.last == 0:
			continue
		case have == 0:
			in.first = l.first
		case l.first != have+1:
			if err := s.loss(in, LossError{Want: l.first - 1, Have: have, Why: "the log before " + l.name + " ends early"}); err != nil {
				return err
			}
		}
		have = l.last
	}
	if have > 0 && have < in.want {
		return s.loss(in, LossError{Want: in.want, Have: have, Why: "the newest log ends early"})
	}
	return nil
}

// loss refuses, or reports and goes on when losses are accepted.
func (s *Store) loss(in *inspection, e LossError) error {
	e.Dir = s.opts.Path
	in.lost = true
	if !s.opts.AcceptLoss {
		return &e
	}
	s.alarm(fmt.Sprintf("store %q: commits %d to %d are lost (%s), as accepted", e.Dir, e.Have+1, e.Want, e.Why))
	return nil
}

// opened compares what Badger has with what the files said. have is the last
// group in it. Badger has rewritten its files by now, so that the next start
// would not see the loss; a note keeps refusing until it is accepted.
func (in *inspection) opened(s *Store, have uint64) error {
	err := in.behind(s, have)
	if loss, ok := errors.AsType[*LossError](err); ok {
		return errors.Join(err, writeLoss(loss))
	}
	if err != nil || in.lost {
		return err
	}
	if in.cut { // nothing is missing
		return os.RemoveAll(filepath.Join(s.opts.Path, asideName))
	}
	return nil
}

func (in *inspection) behind(s *Store, have uint64) error {
	if have < in.want && !in.lost {
		if err := s.loss(in, LossError{Want: in.want, Have: have, Why: in.why()}); err != nil {
			return err
		}
	}
	if in.first > 1 {
		// Compaction keeps only the newest number, so finding none proves
		// nothing while there are tables.
		before := groupBefore(s.db, in.first)
		if known := before > 0 || in.tables == 0 || in.cut; known && before < in.first-1 {
			return s.loss(in, LossError{Want: in.first - 1, Have: before, Why: in.why()})
		}
	}
	return nil
}

func (in *inspection) why() string {
	if in.cut {
		return "the file MANIFEST is cut short or lost; it and all tables are kept in " + asideName
	}
	return "the high-water mark and the logs say so"
}

// groupBefore finds the last group before the logs that the tables know of, 0
// when compaction has dropped it for a newer one.
func groupBefore(db *badger.DB, first uint64) uint64 {
	txn := db.NewTransaction(false)
	defer txn.Discard()
	it := txn.NewKeyIterator(keySequence, badger.IteratorOptions{AllVersions: true})
	defer it.Close()
	var before uint64
	for it.Rewind(); it.Valid(); it.Next() {
		row, err := value(store.KindMeta, it.Item())
		if err != nil {
			continue
		}
		if p, err := store.Open(store.KindMeta, row); err == nil {
			if seq, _, ok := parseSequence(p); ok && seq < first {
				before = max(before, seq)
			}
		}
	}
	return before
}

// wal is what a log of Badger's holds: groups first to last without a gap,
// and beyond the first damage perhaps the group beyond.
type wal struct {
	name                string
	first, last, beyond uint64
}

// acked is the newest group that was durable for sure: one that was written
// after it proves it, because the next group starts after the sync of the
// last.
func (w *wal) acked() uint64 {
	if w.beyond > w.last+1 {
		return w.beyond - 1
	}
	return w.last
}

// readLogs reads all logs, oldest first.
func readLogs(dir string) ([]wal, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(names, func(a, b string) int { // 100000.mem comes after 99999.mem
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	logs := make([]wal, 0, len(names))
	for _, name := range names {
		l, err := readLog(name)
		if err != nil {
			return nil, fmt.Errorf("reading the log: %w", err)
		}
		logs = append(logs, l)
	}
	return logs, nil
}

func readLog(name string) (wal, error) {
	f, err := os.Open(name)
	if err != nil {
		return wal{}, err
	}
	defer f.Close() // it was read only
	info, err := f.Stat()
	if err != nil {
		return wal{}, err
	}
	b, err := mapFile(f, info.Size())
	if err != nil {
		return wal{}, err
	}
	w := parseLog(b)
	w.name = filepath.Base(name)
	return w, unmapFile(b)
}

const (
	logHeader = 20   // key id and initialisation vector
	bitTxn    = 0x40 // entry of a transaction
	bitFinTxn = 0x80 // its end
)

// parseLog follows the entries of a log until the first that is not whole, as
// Badger does when it opens the log.
func parseLog(b []byte) wal {
	var w wal
	var seq uint64
	end := min(logHeader, len(b))
	for rest := b[end:]; ; {
		e, n := parseEntry(rest)
		if n == 0 {
			break
		}
		rest = rest[n:]
		switch {
		case e.meta&bitFinTxn != 0:
			if seq > 0 && w.first == 0 {
				w.first = seq
			}
			w.last = max(w.last, seq)
			end = len(b) - len(rest)
		case e.meta&bitTxn != 0:
			if s, ok := e.sequence(); ok {
				seq = s
			}
		}
	}
	w.beyond = findSequence(b[end:])
	return w
}

type logEntry struct {
	meta       byte
	key, value []byte
}

// parseEntry reads one entry: meta, user meta, key length, value length,
// expiry, key, value, checksum. The length is 0 when it is not whole.
func parseEntry(b []byte) (logEntry, int) {
	if len(b) < 2 {
		return logEntry{}, 0
	}
	var nums [3]uint64
	off := 2
	for i := range nums {
		v, n := binary.Uvarint(b[off:])
		if n <= 0 || v > uint64(len(b)) {
			return logEntry{}, 0
		}
		nums[i], off = v, off+n
	}
	keyEnd := off + int(nums[0])
	valueEnd := keyEnd + int(nums[1])
	if nums[0] == 0 || valueEnd+4 > len(b) ||
		crc32.Checksum(b[:valueEnd], castagnoli) != binary.BigEndian.Uint32(b[valueEnd:]) {
		return logEntry{}, 0
	}
	return logEntry{b[0], b[off:keyEnd], b[keyEnd:valueEnd]}, valueEnd + 4
}

// sequence reads the number of the group from its entry.
func (e *logEntry) sequence() (uint64, bool) {
	if len(e.key) != len(keySequence)+8 || !bytes.HasPrefix(e.key, keySequence) {
		return 0, false
	}
	p, err := store.Open(store.KindMeta, e.value)
	if err != nil {
		return 0, false
	}
	seq, _, ok := parseSequence(p)
	return seq, ok
}

// findSequence searches what follows the first damage for the newest group
// whose number can still be read, 0 when there is none.
func findSequence(b []byte) uint64 {
	var newest uint64
	for {
		i := bytes.Index(b, keySequence)
		if i < 0 {
			return newest
		}
		if head := i - 5; head >= 0 { // meta, user meta, and three short lengths
			if e, n := parseEntry(b[head:]); n > 0 {
				if seq, ok := e.sequence(); ok {
					newest = max(newest, seq)
				}
			}
		}
		b = b[i+len(keySequence):]
	}
}
