package cbc

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"testing"
)

var (
	testKey = []byte("0123456789abcdef")
	testIV  = []byte("fedcba9876543210")
)

func testBlock(t *testing.T) cipher.Block {
	t.Helper()
	block, err := aes.NewCipher(testKey)
	if err != nil {
		t.Fatal(err)
	}
	return block
}

func TestSealOpens(t *testing.T) {
	t.Parallel()
	for _, pad := range []int{16, 32} {
		for length := range 70 {
			plain := bytes.Repeat([]byte{'x'}, length)
			sealed := Seal(testBlock(t), testIV, plain, pad)
			if len(sealed) <= length || len(sealed)%pad != 0 {
				t.Fatalf("%d bytes to blocks of %d became %d", length, pad, len(sealed))
			}
			if got, ok := Open(testBlock(t), testIV, sealed, pad); !ok || !bytes.Equal(got, plain) {
				t.Errorf("%d bytes in blocks of %d opened as %q, %t", length, pad, got, ok)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	filled := func(n int, end ...byte) []byte { return append(bytes.Repeat([]byte{'x'}, n-len(end)), end...) }
	for _, tt := range []struct {
		name   string
		padded []byte // before it is encrypted
		pad    int
	}{
		{"nothing", nil, 16},
		{"padding of 0", filled(16, 0), 16},
		{"padding above its block", filled(32, bytes.Repeat([]byte{17}, 17)...), 16},
		{"padding longer than all", filled(16, 32), 32},
		{"padding that differs", filled(16, 2, 3, 3), 16},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sealed := bytes.Clone(tt.padded)
			cipher.NewCBCEncrypter(testBlock(t), testIV).CryptBlocks(sealed, sealed)
			if _, ok := Open(testBlock(t), testIV, sealed, tt.pad); ok {
				t.Errorf("%x was opened", tt.padded)
			}
		})
	}
	for _, length := range []int{1, 15, 17} {
		t.Run(fmt.Sprint(length, " bytes"), func(t *testing.T) {
			t.Parallel()
			if _, ok := Open(testBlock(t), testIV, make([]byte, length), 16); ok {
				t.Error("a part of a block was opened")
			}
		})
	}
}
