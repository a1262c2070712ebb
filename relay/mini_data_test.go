package relay_test

import (
	"bytes"
	"crypto/aes"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/miniprogram"
	"github.com/wxrelay/wxrelay/store/memstore"
)

const phoneData = `{"phoneNumber":"13800000000","watermark":{"timestamp":1795296000,"appid":"` + tillAppID + `"}}`

// encrypted is what WeChat hands to the mini-program.
func encrypted(t *testing.T, plain string) relay.MiniDataRequest {
	t.Helper()
	data, iv, err := miniprogram.Encrypt(rand.Reader, miniKey, []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	return relay.MiniDataRequest{EncryptedData: data, IV: iv}
}

func signedData(r relay.MiniDataRequest, rawData, signature string) relay.MiniDataRequest {
	r.RawData, r.Signature = rawData, signature
	return r
}

func TestDecryptMiniData(t *testing.T) {
	t.Parallel()
	b := newMiniBench(t, memstore.New())
	id := b.miniSession("c1").SessionID
	const raw = `{"nickName":"小明"}`
	good, sig := encrypted(t, phoneData), miniprogram.Sign(raw, miniKey)
	flipped := good
	flipped.EncryptedData = strings.ToLower(good.EncryptedData)
	for _, tt := range []struct {
		name  string
		req   relay.MiniDataRequest
		field string // of the refusal
	}{
		{"unsigned", good, ""},
		{"signed", signedData(good, raw, sig), ""},
		{"raw data changed", signedData(good, raw+" ", sig), "signature"},
		{"signature changed", signedData(good, raw, strings.ToUpper(sig)), "signature"},
		{"signature alone", signedData(good, "", sig), "raw_data"},
		{"raw data alone", signedData(good, raw, ""), "signature"},
		{"no data", relay.MiniDataRequest{IV: good.IV}, "encrypted_data"},
		{"no iv", relay.MiniDataRequest{EncryptedData: good.EncryptedData}, "iv"},
		{"changed", flipped, "encrypted_data"},
		{"other mini-program's", encrypted(t, strings.ReplaceAll(phoneData, tillAppID, testAppID)), "encrypted_data"},
		{"no watermark", encrypted(t, `{"phoneNumber":"1"}`), "encrypted_data"},
		{"no JSON", encrypted(t, "13800000000"), "encrypted_data"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, err := b.DecryptMiniData(t.Context(), b.caller(b.client), id, tt.req)
			var e *relay.Error
			switch {
			case tt.field == "" && (err != nil || string(v.Data) != phoneData):
				t.Errorf("got %s, %v", v.Data, err)
			case tt.field != "" && (!asError(err, &e) || e.Kind != relay.KindParam || e.Field != tt.field || v.Data != nil):
				t.Errorf("got %s, %v", v.Data, err)
			}
		})
	}
}

// TestMiniDataIsNoOracle: wrong padding, wrong JSON and a foreign watermark
// are answered alike, so that nobody learns from answers what lies inside
// data that is not meant to be opened.
func TestMiniDataIsNoOracle(t *testing.T) {
	t.Parallel()
	b := newMiniBench(t, memstore.New())
	id := b.miniSession("c1").SessionID
	padding := encrypted(t, phoneData)
	whole, err := base64.StdEncoding.DecodeString(padding.EncryptedData)
	if err != nil {
		t.Fatal(err)
	}
	padding.EncryptedData = base64.StdEncoding.EncodeToString(whole[:len(whole)-aes.BlockSize])
	answers := map[string]bool{}
	for _, req := range []relay.MiniDataRequest{
		padding, encrypted(t, "no JSON"), encrypted(t, `{"watermark":{"appid":"`+testAppID+`"}}`), {EncryptedData: "****", IV: padding.IV},
	} {
		_, err := b.DecryptMiniData(t.Context(), b.caller(b.client), id, req)
		var e *relay.Error
		if !asError(err, &e) {
			t.Fatalf("got %v", err)
		}
		answers[e.Field+e.Message] = true
	}
	if len(answers) != 1 {
		t.Errorf("%d different answers: %v", len(answers), answers)
	}
}

// TestMiniSessionsAreTheirClients_C06: a session of another client, one that
// ended, one that never was and one whose key does not open are the same.
func TestMiniSessionsAreTheirClients_C06(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	key := func(b byte) func(*relay.Config) {
		return func(cfg *relay.Config) {
			cfg.MasterKeys = []relay.Secret{relay.NewSecret(string(bytes.Repeat([]byte{b}, relay.MasterKeyLen)))}
		}
	}
	b, rekeyed := newMiniBench(t, store, key(1)), newMiniBench(t, store, key(2))
	b.clock = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	id := b.miniSession("c1").SessionID
	other := b.ClientByID("2000000000000002")
	later := newMiniBench(t, store, key(1))
	later.clock = b.clock.Add(relay.MiniSessionLife)
	last := newMiniBench(t, store, key(1))
	last.clock = later.clock.Add(-time.Second)
	rekeyed.clock = b.clock
	answers := map[string]bool{}
	for _, tt := range []struct {
		name   string
		b      *bench
		client *relay.Client
		id     string
		found  bool
	}{
		{"its own", b, b.client, id, true},
		{"in the last second", last, last.client, id, true},
		{"another client's", b, other, id, false},
		{"ended", later, later.client, id, false},
		{"unknown", b, b.client, id[1:] + "A", false},
		{"cut", b, b.client, id[:21], false},
		{"empty", b, b.client, "", false},
		{"other master key", rekeyed, rekeyed.client, id, false},
	} {
		_, err := tt.b.DecryptMiniData(t.Context(), tt.b.caller(tt.client), tt.id, encrypted(t, phoneData))
		_, err2 := tt.b.VerifyMiniData(t.Context(), tt.b.caller(tt.client), tt.id, relay.MiniSignatureRequest{RawData: "r", Signature: "s"})
		if tt.found {
			if err != nil || err2 != nil {
				t.Errorf("%s: %v, %v", tt.name, err, err2)
			}
			continue
		}
		if kindOf(err) != relay.KindNotFound || kindOf(err2) != relay.KindNotFound {
			t.Errorf("%s: %v, %v", tt.name, err, err2)
			continue
		}
		answers[err.Error()], answers[err2.Error()] = true, true
	}
	if len(answers) != 1 {
		t.Errorf("different answers: %v", answers)
	}
}

func TestVerifyMiniData(t *testing.T) {
	t.Parallel()
	b := newMiniBench(t, memstore.New())
	id := b.miniSession("c1").SessionID
	sig := miniprogram.Sign("data", miniKey)
	for name, tt := range map[string]struct {
		req  relay.MiniSignatureRequest
		want bool
	}{
		"good":         {relay.MiniSignatureRequest{RawData: "data", Signature: sig}, true},
		"other data":   {relay.MiniSignatureRequest{RawData: "date", Signature: sig}, false},
		"other key":    {relay.MiniSignatureRequest{RawData: "data", Signature: miniprogram.Sign("data", "MDEyMzQ1Njc4OWFiY2RlZQ==")}, false},
		"key in data":  {relay.MiniSignatureRequest{RawData: "", Signature: sig}, false},
		"no signature": {relay.MiniSignatureRequest{RawData: "data", Signature: "-"}, false},
	} {
		v, err := b.VerifyMiniData(t.Context(), b.caller(b.client), id, tt.req)
		if err != nil || v.Valid != tt.want {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	if _, err := b.VerifyMiniData(t.Context(), b.caller(b.client), id, relay.MiniSignatureRequest{RawData: "data"}); kindOf(err) != relay.KindParam {
		t.Errorf("missing signature: %v", err)
	}
}

// TestMiniDataReplay_C05: a signed request opens data once.
func TestMiniDataReplay_C05(t *testing.T) {
	t.Parallel()
	b := newMiniBench(t, memstore.New())
	id := b.miniSession("c1").SessionID
	caller := b.caller(b.client)
	for i, want := range []relay.Kind{0, relay.KindReplayed} {
		if _, err := b.DecryptMiniData(t.Context(), caller, id, encrypted(t, phoneData)); kindOf(err) != want {
			t.Errorf("time %d: %v", i+1, err)
		}
	}
}
