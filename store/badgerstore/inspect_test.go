package badgerstore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/wxrelay/wxrelay/store"
)

// entry builds one entry of a log.
func entry(meta byte, key, value []byte) []byte {
	b := []byte{meta, 0}
	for _, n := range []int{len(key), len(value), 0} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = append(append(b, key...), value...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// groupEntries builds the entries of a group as Badger writes them.
func groupEntries(t testing.TB, seq uint64) []byte {
	t.Helper()
	row, err := store.Seal(nil, store.KindMeta, appendSequence(nil, seq, seq))
	if err != nil {
		t.Fatal(err)
	}
	ts := make([]byte, 8)
	b := entry(bitTxn, append([]byte("oc\x00order"), ts...), []byte("row"))
	b = append(b, entry(bitTxn, append(slices.Clip(keySequence), ts...), row)...)
	return append(b, entry(bitFinTxn, append([]byte("!badger!txn"), ts...), []byte("1"))...)
}

func logOf(t testing.TB, seqs ...uint64) []byte {
	t.Helper()
	b := make([]byte, logHeader)
	for _, s := range seqs {
		b = append(b, groupEntries(t, s)...)
	}
	return append(b, make([]byte, 100)...)
}

func TestParseLog(t *testing.T) {
	t.Parallel()
	three := logOf(t, 5, 6, 7)
	size := len(groupEntries(t, 5))
	damaged := func(at int) []byte {
		b := append([]byte{}, three...)
		b[at] ^= 1
		return b
	}
	for _, c := range []struct {
		name                       string
		log                        []byte
		first, last, beyond, acked uint64
	}{
		{"empty", nil, 0, 0, 0, 0},
		{"shorter than its header", make([]byte, 7), 0, 0, 0, 0},
		{"no group", logOf(t), 0, 0, 0, 0},
		{"whole", three, 5, 7, 0, 7},
		{"last group torn", damaged(logHeader + 2*size + 3), 5, 6, 7, 6},
		{"last group cut short", three[:logHeader+3*size-1], 5, 6, 7, 6},
		{"middle damaged", damaged(logHeader + size + 3), 5, 5, 7, 6},
		{"first damaged", damaged(logHeader + 3), 0, 0, 7, 6},
		{"end of a group damaged", damaged(logHeader + 2*size - 1), 5, 5, 7, 6},
	} {
		w := parseLog(c.log)
		if w.first != c.first || w.last != c.last || w.beyond != c.beyond || w.acked() != c.acked {
			t.Errorf("%s: got %+v, acked %d, want first %d, last %d, beyond %d, acked %d",
				c.name, w, w.acked(), c.first, c.last, c.beyond, c.acked)
		}
	}
}

// Logs must follow each other without a gap: damage in an older one is not
// hidden by a newer one.
func TestCompareLogs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name             string
		mark             uint64
		logs             []wal
		lossWant, lossAt uint64 // 0: none
	}{
		{"nothing", 0, nil, 0, 0},
		{"none left after a clean stop", 9, nil, 0, 0},
		{"one, complete", 9, []wal{{first: 4, last: 9}}, 0, 0},
		{"mark is behind", 7, []wal{{first: 4, last: 9}}, 0, 0},
		{"mark is ahead", 10, []wal{{first: 4, last: 9}}, 10, 9},
		{"two in a row", 9, []wal{{first: 1, last: 5}, {first: 6, last: 9}}, 0, 0},
		{"new and still empty", 9, []wal{{first: 1, last: 9}, {}}, 0, 0},
		{"gap between two", 9, []wal{{first: 1, last: 4}, {first: 6, last: 9}}, 5, 4},
		{"damaged before its end", 3, []wal{{first: 1, last: 4, beyond: 9}}, 8, 4},
		{"torn at its end", 4, []wal{{first: 1, last: 4, beyond: 5}}, 0, 0},
		{"newest damaged at its start", 4, []wal{{first: 1, last: 4}, {beyond: 7}}, 6, 4},
	} {
		s := &Store{opts: Options{Path: "dir"}}
		in := inspection{want: c.mark}
		err := s.compareLogs(&in, c.logs)
		loss, ok := errors.AsType[*LossError](err)
		if ok != (c.lossWant > 0) || ok && (loss.Want != c.lossWant || loss.Have != c.lossAt) {
			t.Errorf("%s: got %v, want a loss of %d to %d", c.name, err, c.lossAt+1, c.lossWant)
		}
	}
}

func FuzzParseLog(f *testing.F) {
	f.Add(logOf(f, 1, 2, 3))
	f.Add(logOf(f, 9)[:60])
	f.Fuzz(func(t *testing.T, b []byte) {
		if w := parseLog(b); w.first > w.last || w.acked() < w.last {
			t.Errorf("got %+v", w)
		}
	})
}

func TestWater(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, _, err := readWater(dir); !missing(err) {
		t.Errorf("no file: got %v", err)
	}
	if err := createWater(dir, 5, 50); err != nil {
		t.Fatal(err)
	}
	w, err := openWater(dir)
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(6); seq < 100; seq++ {
		if err := w.record(seq, seq*10); err != nil {
			t.Fatal(err)
		}
		if got, events, err := readWater(dir); err != nil || got != seq || events != seq*10 {
			t.Fatalf("after %d: got %d, %d, %v", seq, got, events, err)
		}
	}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, waterName)
	if info, err := os.Stat(name); err != nil || info.Size() > 2*slotSize {
		t.Errorf("size: got %v, %v, want at most %d", info, err, 2*slotSize)
	}
	flip(t, name, slotSize+9) // the newest, an odd number
	if got, _, err := readWater(dir); err != nil || got != 98 {
		t.Errorf("newest slot damaged: got %d, %v, want 98", got, err)
	}
	flip(t, name, 9)
	if _, _, err := readWater(dir); !errors.Is(err, errWaterDamaged) {
		t.Errorf("both slots damaged: got %v, want %v", err, errWaterDamaged)
	}
}
