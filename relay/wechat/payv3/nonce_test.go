package payv3

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func TestNewNonce(t *testing.T) {
	t.Parallel()
	got, err := newNonce(bytes.NewReader([]byte{0x00, 0x9a, 0xff}), 6)
	if err != nil || got != "009aff" {
		t.Errorf("newNonce = %q, %v", got, err)
	}
	if got, err := newNonce(bytes.NewReader([]byte{1}), 6); !errors.Is(err, io.ErrUnexpectedEOF) || got != "" {
		t.Errorf("newNonce = %q, %v", got, err)
	}
}
