package badgerstore

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// The high-water mark is the number of the last committed group in a file of
// its own. Badger opens without an error when its log is damaged and drops
// all that comes after the damage; a store that is behind its mark shows it.
//
// The file has two slots, written in turn, so that a torn write leaves the
// other. A mark is written before its group is acknowledged, so that after a
// crash of the process it is exact. It is synced by a goroutine, a few times a
// second at most: syncing it with each group would take the disk's time from
// the groups. After a power cut it may be behind by that much, never ahead;
// what lies behind the damage in the log then shows the loss (inspect).
const (
	waterName  = "highwater"
	waterMagic = "wxhighw1"
	slotSize   = 512 // one sector
	slotLen    = 8 + 16 + 4
	// waterEvery is the least time between two syncs.
	waterEvery = 200 * time.Millisecond
)

var errWaterDamaged = errors.New("the high-water mark is damaged")

func appendSequence(b []byte, seq, eventSeq uint64) []byte {
	b = binary.LittleEndian.AppendUint64(b, seq)
	return binary.LittleEndian.AppendUint64(b, eventSeq)
}

func parseSequence(b []byte) (seq, eventSeq uint64, ok bool) {
	if len(b) != 16 {
		return 0, 0, false
	}
	return binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), true
}

func appendSlot(b []byte, seq, eventSeq uint64) []byte {
	from := len(b)
	b = appendSequence(append(b, waterMagic...), seq, eventSeq)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[from:], castagnoli))
}

func parseSlot(b []byte) (seq, eventSeq uint64, ok bool) {
	if len(b) < slotLen || string(b[:8]) != waterMagic ||
		crc32.Checksum(b[:slotLen-4], castagnoli) != binary.LittleEndian.Uint32(b[slotLen-4:]) {
		return 0, 0, false
	}
	return parseSequence(b[8:24])
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// readWater returns the mark in a directory; fs.ErrNotExist when there is no
// file, errWaterDamaged when no slot is whole.
func readWater(dir string) (seq, eventSeq uint64, err error) {
	b, err := os.ReadFile(filepath.Join(dir, waterName))
	if err != nil {
		return 0, 0, err
	}
	whole := false
	for off := 0; off < len(b); off += slotSize {
		if s, e, ok := parseSlot(b[off:]); ok {
			whole, seq, eventSeq = true, max(seq, s), max(eventSeq, e)
		}
	}
	if !whole {
		return 0, 0, errWaterDamaged
	}
	return seq, eventSeq, nil
}

// water writes the mark. Its goroutine is started by openWater and ends with
// close.
type water struct {
	f       *os.File
	dirty   chan struct{} // has room for one
	stop    chan struct{}
	stopped chan struct{}

	mu     sync.Mutex // guards what follows
	failed error
}

// createWater writes a new file with the given mark and makes it durable.
func createWater(dir string, seq, eventSeq uint64) error {
	b := make([]byte, 2*slotSize)
	copy(b[seq%2*slotSize:], appendSlot(nil, seq, eventSeq))
	name := filepath.Join(dir, waterName)
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err == nil {
		err = syncDir(dir)
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func openWater(dir string) (*water, error) {
	f, err := os.OpenFile(filepath.Join(dir, waterName), os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	w := &water{f: f, dirty: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{})}
	go w.syncLoop()
	return w, nil
}

// record writes the mark of a group that is committed. Only the committer
// calls it. An error may be that of an earlier mark's sync.
func (w *water) record(seq, eventSeq uint64) error {
	var buf [slotLen]byte
	if _, err := w.f.WriteAt(appendSlot(buf[:0], seq, eventSeq), int64(seq%2*slotSize)); err != nil {
		return err
	}
	select {
	case w.dirty <- struct{}{}:
	default:
	}
	return w.failure()
}

func (w *water) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

func (w *water) syncLoop() {
	defer close(w.stopped)
	pace := time.NewTimer(0)
	defer pace.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-pace.C:
		}
		select {
		case <-w.stop:
			return
		case <-w.dirty:
		}
		if err := syncData(w.f); err != nil {
			w.mu.Lock()
			w.failed = err
			w.mu.Unlock()
		}
		pace.Reset(waterEvery)
	}
}

// close makes the last mark durable. No record may follow.
func (w *water) close() error {
	close(w.stop)
	<-w.stopped
	return errors.Join(w.failure(), syncData(w.f), w.f.Close())
}

// LossError says that the store lacks groups that were committed: its files
// are damaged, or an old copy was put in their place.
type LossError struct {
	Dir  string `json:"dir"`
	Want uint64 `json:"want"` // group that was committed last, as far as is known
	Have uint64 `json:"have"` // group before the first that is missing
	Why  string `json:"why"`  // what shows it
}

// Error says what happened and what to do.
func (e *LossError) Error() string {
	return fmt.Sprintf("store %q has lost committed work: commits %d to %d were durable and are missing (%s). "+
		"Put the newest backup in place; or, to go on without them, start once with accept_loss in the store block",
		e.Dir, e.Have+1, e.Want, e.Why)
}

// lossName is the note of a loss that was found after Badger had opened.
const lossName = "loss.json"

func writeLoss(e *LossError) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(e.Dir, lossName), b, 0o600); err != nil {
		return err
	}
	return syncDir(e.Dir)
}

// readLoss reads the note, if there is one. One that cannot be read still
// says that there was a loss.
func readLoss(dir string) (LossError, bool) {
	b, err := os.ReadFile(filepath.Join(dir, lossName))
	if missing(err) {
		return LossError{}, false
	}
	var e LossError
	if err == nil {
		err = json.Unmarshal(b, &e)
	}
	if err != nil {
		e = LossError{Why: "an earlier start has left the note " + lossName}
	}
	return e, true
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
