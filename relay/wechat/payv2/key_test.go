package payv2

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestKeyIsRedacted_H03(t *testing.T) {
	t.Parallel()
	o := ClientOptions{Key: Key(testKey), PreviousKey: Key(oldKey)}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", o.Key, "in", struct{ Key Key }{o.Key})
	marshalled, err := json.Marshal(struct{ Key Key }{o.Key})
	if err != nil {
		t.Fatal(err)
	}
	printed := []string{log.String(), string(marshalled)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		printed = append(printed, fmt.Sprintf(verb, o.Key), fmt.Sprintf(verb, o))
	}
	for _, text := range printed {
		if strings.Contains(text, testKey) || strings.Contains(text, oldKey) || strings.Contains(text, fmt.Sprintf("%x", testKey)) || strings.Contains(text, "48 49 50") {
			t.Errorf("the key is printed: %s", text)
		}
	}
	if !strings.Contains(printed[0], redacted) {
		t.Errorf("not marked as redacted: %s", printed[0])
	}
}
