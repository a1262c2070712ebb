package pages

import (
	"maps"
	"reflect"
	"strings"
	"testing"
	"unicode"
)

// Every text must exist in both languages, and in the right one.
func TestCataloguesAreComplete(t *testing.T) {
	t.Parallel()
	zh, en := texts(t, "", reflect.ValueOf(chineseWords)), texts(t, "", reflect.ValueOf(englishWords))
	for key, text := range zh {
		if en[key] == "" {
			t.Errorf("no English for %s (%s)", key, text)
		}
		if !strings.ContainsFunc(text, isHan) {
			t.Errorf("Chinese %s is %q", key, text)
		}
	}
	for key, text := range en {
		if zh[key] == "" {
			t.Errorf("no Chinese for %s (%s)", key, text)
		}
		// The sandbox bears both names in both languages on purpose.
		if strings.ContainsFunc(text, isHan) && key != ".Sandbox" {
			t.Errorf("English %s is %q", key, text)
		}
	}
	for _, state := range append(allStates[:11:11], stateConfirming, stateFailed, stateChecking) {
		for lang, w := range catalogue {
			if w.States[state].Title == "" || w.States[state].Lead == "" {
				t.Errorf("%s: no words for the state %s", lang.Tag(), state)
			}
		}
	}
	for _, kind := range allKinds {
		for lang, w := range catalogue {
			if w.Messages[kind].Title == "" || w.Messages[kind].Lead == "" {
				t.Errorf("%s: no words for the message %s", lang.Tag(), kind)
			}
		}
	}
}

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }

// texts collects the strings of a catalogue by their path.
func texts(t *testing.T, at string, v reflect.Value) map[string]string {
	t.Helper()
	all := make(map[string]string)
	add := func(key string, inner reflect.Value) {
		maps.Copy(all, texts(t, at+"."+key, inner))
	}
	switch v.Kind() {
	case reflect.String:
		all[at] = v.String()
		if v.String() == "" {
			t.Errorf("%s is empty", at)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			add(v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			add(key.String(), v.MapIndex(key))
		}
	default:
		t.Fatalf("%s has the unexpected kind %s", at, v.Kind())
	}
	return all
}
