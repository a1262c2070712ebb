package relay

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestSecretRedacts_H03: no way of printing a secret shows it.
func TestSecretRedacts_H03(t *testing.T) {
	t.Parallel()
	const hidden = "0123456789abcdef0123456789ABCDEF"
	s := NewSecret(hidden)
	holder := struct{ Name, Key any }{"books", s}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", s, "holder", holder)
	encoded, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s), fmt.Sprintf("%+v", holder), fmt.Sprintf("%#v", holder),
		string(encoded), log.String(),
	} {
		if strings.Contains(text, hidden) || !strings.Contains(text, redacted) {
			t.Errorf("%s: want the secret redacted", text)
		}
	}
	if string(s.Reveal()) != hidden || s.Len() != 32 {
		t.Error("Reveal does not give the secret back")
	}
}
