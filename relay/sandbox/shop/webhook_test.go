package shop

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The published example of Standard Webhooks, contract section 3.5.
const (
	exampleID        = "evt_2KWPBgLlAfxdpx2AI54pPJ85f4W"
	exampleBody      = `{"type":"order.paid","timestamp":"2026-11-22T05:20:00+08:00","data":{"order_no":"A000000001"}}`
	exampleSignature = "v1,lgC2CtYIPIk1zGdluETzoy5YA0JyvElfXH/3c0ro2qU="
)

// webhookHeader is a header of Standard Webhooks.
func webhookHeader(id, timestamp, signature string) http.Header {
	h := http.Header{}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", timestamp)
	h.Set("webhook-signature", signature)
	return h
}

// signedWebhook signs a body as the relay does.
func signedWebhook(id, timestamp, body string) http.Header {
	sum := hmacSHA256(exampleNotifySecret, id+"."+timestamp+"."+body)
	return webhookHeader(id, timestamp, "v1,"+base64.StdEncoding.EncodeToString(sum))
}

func TestVerifyWebhookTakesTheKnownAnswer(t *testing.T) {
	t.Parallel()
	for name, signature := range map[string]string{
		"alone":                exampleSignature,
		"beside another":       "v1,AAAA " + exampleSignature,
		"before other schemes": exampleSignature + " v1a,AAAA v2,zzz",
	} {
		got, err := VerifyWebhook(exampleNotifySecret, webhookHeader(exampleID, "1795296000", signature), []byte(exampleBody), exampleTime)
		if err != nil || got.EventID != exampleID || got.Type != "order.paid" || got.OrderNo != "A000000001" {
			t.Errorf("%s: VerifyWebhook = %+v, %v", name, got, err)
		}
	}
}

func TestVerifyWebhookRefuses(t *testing.T) {
	t.Parallel()
	good := func() http.Header { return webhookHeader(exampleID, "1795296000", exampleSignature) }
	without := func(name string) http.Header { h := good(); h.Del(name); return h }
	twice := func(name string) http.Header { h := good(); h.Add(name, h.Get(name)); return h }
	tests := map[string]struct {
		header http.Header
		body   string
		at     time.Time
		want   error
	}{
		"no id":               {without("webhook-id"), exampleBody, exampleTime, errHeaders},
		"no timestamp":        {without("webhook-timestamp"), exampleBody, exampleTime, errHeaders},
		"no signature":        {without("webhook-signature"), exampleBody, exampleTime, errHeaders},
		"two ids":             {twice("webhook-id"), exampleBody, exampleTime, errHeaders},
		"two signatures":      {twice("webhook-signature"), exampleBody, exampleTime, errHeaders},
		"too old":             {good(), exampleBody, exampleTime.Add(5*time.Minute + time.Second), errTimestamp},
		"too early":           {good(), exampleBody, exampleTime.Add(-5*time.Minute - time.Second), errTimestamp},
		"odd timestamp":       {webhookHeader(exampleID, "+1795296000", exampleSignature), exampleBody, exampleTime, errTimestamp},
		"changed body":        {good(), exampleBody + " ", exampleTime, errSignature},
		"changed id":          {webhookHeader("evt_x", "1795296000", exampleSignature), exampleBody, exampleTime, errSignature},
		"changed timestamp":   {webhookHeader(exampleID, "1795296001", exampleSignature), exampleBody, exampleTime, errSignature},
		"other scheme":        {webhookHeader(exampleID, "1795296000", strings.Replace(exampleSignature, "v1", "v2", 1)), exampleBody, exampleTime, errSignature},
		"not base64":          {webhookHeader(exampleID, "1795296000", "v1,***"), exampleBody, exampleTime, errSignature},
		"empty signature":     {webhookHeader(exampleID, "1795296000", "v1,"), exampleBody, exampleTime, errSignature},
		"authentic, not JSON": {signedWebhook(exampleID, "1795296000", "x"), "x", exampleTime, errForm},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := VerifyWebhook(exampleNotifySecret, test.header, []byte(test.body), test.at)
			if !errors.Is(err, test.want) || got != (Told{}) {
				t.Errorf("VerifyWebhook = %+v, %v, want %v", got, err, test.want)
			}
		})
	}
	if _, err := VerifyWebhook("another secret", good(), []byte(exampleBody), exampleTime); !errors.Is(err, errSignature) {
		t.Errorf("with another secret: %v, want %v", err, errSignature)
	}
}

// Nothing that is not signed is ever taken, and nothing panics.
func FuzzVerifyWebhook(f *testing.F) {
	f.Add(exampleID, "1795296000", exampleSignature, []byte(exampleBody))
	f.Add("", "", "v1,", []byte{})
	f.Fuzz(func(t *testing.T, id, timestamp, signature string, body []byte) {
		h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {timestamp}, "Webhook-Signature": {signature}}
		told, err := VerifyWebhook(exampleNotifySecret, h, body, exampleTime)
		known := id == exampleID && timestamp == "1795296000" && string(body) == exampleBody
		if err == nil && !known {
			t.Errorf("took %q %q %q %q as %+v", id, timestamp, signature, body, told)
		}
	})
}
