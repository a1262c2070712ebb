package payv2

import (
	"crypto/aes"
	"crypto/md5" //nolint:gosec // WeChat's rule for the key of req_info
	"encoding/base64"
	"encoding/hex"
	"errors"
)

// errReqInfo is the one error about encrypted content. Whether base64, the
// padding or the document was wrong would help a forger (threat A23).
var errReqInfo = errors.New("req_info cannot be read")

// sealReqInfo encrypts the content of a refund notification (section 12).
func sealReqInfo(key, plaintext []byte) (string, error) { return sealECB(reqInfoKey(key), plaintext) }

// openReqInfo decrypts the content of a refund notification. The mode gives
// no integrity: blocks can be left out and rearranged.
func openReqInfo(key []byte, text string) ([]byte, error) { return openECB(reqInfoKey(key), text) }

// reqInfoKey derives the key: the lower-case hex MD5 of the APIv2 key, as 32
// bytes of text.
func reqInfoKey(key []byte) []byte {
	sum := md5.Sum(key) //nolint:gosec // see the import
	return hex.AppendEncode(nil, sum[:])
}

// sealECB encrypts with AES-256 in ECB mode and PKCS #7 padding, into base64.
func sealECB(key, plaintext []byte) (string, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", err
	}
	pad := aes.BlockSize - len(plaintext)%aes.BlockSize
	data := make([]byte, 0, len(plaintext)+pad)
	data = append(data, plaintext...)
	for range pad {
		data = append(data, byte(pad))
	}
	for i := 0; i < len(data); i += aes.BlockSize {
		block.Encrypt(data[i:], data[i:])
	}
	return base64.StdEncoding.EncodeToString(data), nil
}

func openECB(key []byte, text string) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return nil, errReqInfo
	}
	for i := 0; i < len(data); i += aes.BlockSize {
		block.Decrypt(data[i:], data[i:])
	}
	pad := int(data[len(data)-1])
	if pad == 0 || pad > aes.BlockSize {
		return nil, errReqInfo
	}
	for _, b := range data[len(data)-pad:] {
		if int(b) != pad {
			return nil, errReqInfo
		}
	}
	return data[:len(data)-pad], nil
}
