package miniprogram

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// vectors reads the known answers of a kind.
func vectors[T any](tb testing.TB, kind string) []T {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "vectors", kind+".json"))
	if err != nil {
		tb.Fatal(err)
	}
	var file struct{ Vectors []T }
	if err := json.Unmarshal(data, &file); err != nil || len(file.Vectors) == 0 {
		tb.Fatalf("%d vectors, %v", len(file.Vectors), err)
	}
	return file.Vectors
}

type decryptVector struct {
	ID    string
	Input struct {
		SessionKey    string `json:"session_key"`
		IV            string
		EncryptedData string `json:"encrypted_data"`
	}
	Expected struct {
		JSONFields     map[string]string `json:"json_fields"`
		WatermarkAppID string            `json:"watermark_appid"`
	}
}

func TestDecryptVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors[decryptVector](t, "wxa_decrypt") {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			key, appID := SessionKey(v.Input.SessionKey), v.Expected.WatermarkAppID
			got, err := Decrypt(key, v.Input.IV, v.Input.EncryptedData, appID)
			if err != nil {
				t.Fatal(err)
			}
			var object map[string]json.RawMessage
			if err := json.Unmarshal(got, &object); err != nil {
				t.Fatal(err)
			}
			for name, want := range v.Expected.JSONFields {
				if string(object[name]) != `"`+want+`"` {
					t.Errorf("%s is %s, want %s", name, object[name], want)
				}
			}
			if _, err := Decrypt(key, v.Input.IV, v.Input.EncryptedData, "wx0000000000000000"); !errors.Is(err, ErrData) {
				t.Errorf("data of another mini-program: %v", err)
			}
		})
	}
}

func TestVerifySignatureVectors(t *testing.T) {
	t.Parallel()
	type vector struct {
		ID    string
		Input struct {
			RawData    string `json:"raw_data"`
			SessionKey string `json:"session_key"`
		}
		Expected struct{ Signature string }
	}
	for _, v := range vectors[vector](t, "wxa_rawdata_signature") {
		key := SessionKey(v.Input.SessionKey)
		if !VerifySignature(v.Input.RawData, key, v.Expected.Signature) {
			t.Errorf("%s: refused", v.ID)
		}
		for name, ok := range map[string]bool{
			"changed data":   VerifySignature(v.Input.RawData+" ", key, v.Expected.Signature),
			"other key":      VerifySignature(v.Input.RawData, testKey, v.Expected.Signature),
			"upper case":     VerifySignature(v.Input.RawData, key, strings.ToUpper(v.Expected.Signature)),
			"cut":            VerifySignature(v.Input.RawData, key, v.Expected.Signature[:39]),
			"none":           VerifySignature(v.Input.RawData, key, ""),
			"key moved over": VerifySignature(v.Input.RawData+string(key), "", v.Expected.Signature),
		} {
			if ok {
				t.Errorf("%s: %s accepted", v.ID, name)
			}
		}
	}
}

const appID = "wx4f4bc4dec97d474b"

// seal encrypts a whole number of blocks without adding padding.
func seal(tb testing.TB, plain string) string {
	tb.Helper()
	key, ok := testKey.bytes()
	if !ok || len(plain)%aes.BlockSize != 0 {
		tb.Fatalf("%d bytes are no whole blocks", len(plain))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		tb.Fatal(err)
	}
	data := []byte(plain)
	cipher.NewCBCEncrypter(block, make([]byte, aes.BlockSize)).CryptBlocks(data, data)
	return encoding.EncodeToString(data)
}

const zeroIV = "AAAAAAAAAAAAAAAAAAAAAA=="

// pad pads as PKCS#7 says.
func pad(s string) string {
	n := aes.BlockSize - len(s)%aes.BlockSize
	return s + strings.Repeat(string(rune(n)), n)
}

// TestDecryptIsUniform: every fault is the same error, so that nobody learns
// from it which of padding, JSON and watermark was wrong.
func TestDecryptIsUniform(t *testing.T) {
	t.Parallel()
	const good = `{"phoneNumber":"13800000000","watermark":{"appid":"` + appID + `","timestamp":1}}`
	if got, err := Decrypt(testKey, zeroIV, seal(t, pad(good)), appID); err != nil || string(got) != good {
		t.Fatalf("good data: %q, %v", got, err)
	}
	blocks := strings.Repeat(" ", 2*aes.BlockSize)
	tests := []struct {
		name           string
		key            SessionKey
		iv, data, want string
	}{
		{"no key", "", zeroIV, seal(t, pad(good)), appID},
		{"short key", "c2hvcnQ=", zeroIV, seal(t, pad(good)), appID},
		{"other key", "HyVFkGl5F5OQWJZZaNzBBg==", zeroIV, seal(t, pad(good)), appID},
		{"no iv", testKey, "", seal(t, pad(good)), appID},
		{"short iv", testKey, "AAAA", seal(t, pad(good)), appID},
		{"other iv", testKey, "/////////////////////w==", seal(t, pad(good)), appID},
		{"no data", testKey, zeroIV, "", appID},
		{"no base64", testKey, zeroIV, "****", appID},
		{"line ends", testKey, zeroIV, seal(t, pad(good)) + "\n", appID},
		{"half a block", testKey, zeroIV, "AAAAAAAAAAA=", appID},
		{"too long", testKey, zeroIV, strings.Repeat("A", MaxData+4), appID},
		{"padding 0", testKey, zeroIV, seal(t, blocks[1:]+"\x00"), appID},
		{"padding 17", testKey, zeroIV, seal(t, blocks[17:]+strings.Repeat("\x11", 17)), appID},
		{"padding uneven", testKey, zeroIV, seal(t, blocks[2:]+"\x03\x02"), appID},
		{"padding alone", testKey, zeroIV, seal(t, pad("")), appID},
		{"no JSON", testKey, zeroIV, seal(t, pad("13800000000x")), appID},
		{"array", testKey, zeroIV, seal(t, pad("["+good+"]")), appID},
		{"two objects", testKey, zeroIV, seal(t, pad(good+good)), appID},
		{"no watermark", testKey, zeroIV, seal(t, pad(`{"phoneNumber":"13800000000"}`)), appID},
		{"watermark is text", testKey, zeroIV, seal(t, pad(`{"watermark":"`+appID+`"}`)), appID},
		{"two watermarks", testKey, zeroIV, seal(t, pad(`{"watermark":{"appid":"x"},"watermark":{"appid":"`+appID+`"}}`)), appID},
		{"appid outside", testKey, zeroIV, seal(t, pad(`{"appid":"`+appID+`","watermark":{}}`)), appID},
		{"other mini-program", testKey, zeroIV, seal(t, pad(good)), "wx0000000000000000"},
		{"no mini-program", testKey, zeroIV, seal(t, pad(`{"watermark":{"appid":""}}`)), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Decrypt(tt.key, tt.iv, tt.data, tt.want)
			if err != ErrData || got != nil { //nolint:errorlint // the very error, nothing around it
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestEncrypt(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 15, 16, 17} {
		plain := `{"a":"` + strings.Repeat("x", n) + `","watermark":{"appid":"` + appID + `"}}`
		data, iv, err := Encrypt(bytes.NewReader([]byte("0123456789abcdef")), testKey, []byte(plain))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Decrypt(testKey, iv, data, appID); err != nil || string(got) != plain {
			t.Errorf("%d: got %q, %v", n, got, err)
		}
	}
	if _, _, err := Encrypt(iotest.ErrReader(errors.New("dry")), testKey, nil); err == nil {
		t.Error("encrypts without randomness")
	}
	if _, _, err := Encrypt(bytes.NewReader(make([]byte, 16)), "short", nil); err == nil {
		t.Error("encrypts with a bad key")
	}
}

// FuzzDecrypt: what decrypts is a JSON object for the mini-program and nothing
// else comes out.
func FuzzDecrypt(f *testing.F) {
	for _, v := range vectors[decryptVector](f, "wxa_decrypt") {
		f.Add(v.Input.SessionKey, v.Input.IV, v.Input.EncryptedData)
	}
	f.Add(string(testKey), zeroIV, seal(f, pad(`{"watermark":{"appid":"`+appID+`"}}`)))
	f.Fuzz(func(t *testing.T, key, iv, data string) {
		got, err := Decrypt(SessionKey(key), iv, data, appID)
		if err != nil {
			if got != nil || !errors.Is(err, ErrData) {
				t.Fatalf("got %q, %v", got, err)
			}
			return
		}
		var mark watermark
		if err := json.Unmarshal(got, &mark); err != nil || mark.Watermark.AppID != appID {
			t.Fatalf("got %q, %v", got, err)
		}
	})
}
