// Package cbc encrypts and decrypts where WeChat uses AES-CBC: behind padding
// by PKCS#7, to blocks that are not always those of AES.
//
// CBC does not tell who encrypted, and the difference between wrong padding and
// wrong content would let a stranger decrypt by asking often enough: callers
// answer both alike.
package cbc

import (
	"bytes"
	"crypto/cipher"
)

// Seal pads plain to a multiple of pad bytes and encrypts it. The iv has one
// block of the cipher, of which pad, up to 255, is a multiple.
func Seal(block cipher.Block, iv, plain []byte, pad int) []byte {
	n := pad - len(plain)%pad
	data := append(bytes.Clone(plain), bytes.Repeat([]byte{byte(n)}, n)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)
	return data
}

// Open decrypts what Seal made, in its own memory, and takes the padding off.
// It reports false for a length and a padding that Seal never makes.
func Open(block cipher.Block, iv, sealed []byte, pad int) ([]byte, bool) {
	if len(sealed) == 0 || len(sealed)%block.BlockSize() != 0 {
		return nil, false
	}
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(sealed, sealed)
	n := int(sealed[len(sealed)-1])
	if n == 0 || n > pad || n > len(sealed) {
		return nil, false
	}
	plain, padding := sealed[:len(sealed)-n], sealed[len(sealed)-n:]
	return plain, bytes.Equal(padding, bytes.Repeat([]byte{byte(n)}, n))
}
