package caddymodule

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// words is the grammar of one block: what may begin a line, and how the rest
// of the line is read.
type words map[string]word

// word is one subdirective.
type word struct {
	// parse reads the line's arguments.
	parse func(d *caddyfile.Dispenser) error
	// repeats says that the word may stand in a block more than once.
	repeats bool
}

// single is a word that takes exactly one argument and may stand once.
func single(set func(value string) error) word {
	return word{parse: oneArgument(set)}
}

// repeated is a word that takes exactly one argument and may stand often.
func repeated(set func(value string) error) word {
	return word{parse: oneArgument(set), repeats: true}
}

func oneArgument(set func(value string) error) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		name, value := d.Val(), ""
		if !d.AllArgs(&value) {
			// Unlike ArgErr, this does not quote the last argument, which
			// may be a secret.
			return d.Errf("%s takes exactly one argument", name)
		}
		if value == "" {
			return d.Errf("%s: the value is empty", name)
		}
		if err := set(value); err != nil {
			return inWord(d, name, err)
		}
		return nil
	}
}

// onlyBlock refuses arguments before a block. It does not quote them: somebody
// may have written a key there.
func onlyBlock(d *caddyfile.Dispenser) error {
	if name := d.Val(); d.NextArg() {
		return d.Errf("%s takes a block and no argument", name)
	}
	return nil
}

// inWord adds the word, the file and the line to what is wrong with a value.
func inWord(d *caddyfile.Dispenser, name string, err error) error {
	return d.WrapErr(fmt.Errorf("%s: %w", name, err))
}

// alone is a word that stands alone.
func alone(target *bool) word {
	return word{parse: func(d *caddyfile.Dispenser) error {
		if name := d.Val(); d.NextArg() {
			return d.Errf("%s takes no argument", name)
		}
		*target = true
		return nil
	}}
}

// parseBlock reads the block that follows the current token, if one does.
func parseBlock(d *caddyfile.Dispenser, grammar words) error {
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		w, known := grammar[name]
		switch {
		case name == "{":
			return d.Err("unexpected block; this subdirective takes none")
		case !known:
			return d.Errf("unrecognized subdirective %q", name)
		case seen[name] && !w.repeats:
			return d.Errf("%s is given twice; it has one value", name)
		}
		seen[name] = true
		if err := w.parse(d); err != nil {
			return err
		}
	}
	return nil
}

// text stores a value as it is, for values that take placeholders. check
// judges it now, when it has none, so that the mistake gets file and line;
// it is nil when there is nothing to judge.
func text(target *string, check func(string) error) word {
	return single(func(value string) error {
		*target = value
		return checkLiteral(value, check)
	})
}

// texts is text for a word that may be repeated.
func texts(target *[]string, check func(string) error) word {
	return repeated(func(value string) error {
		*target = append(*target, value)
		return checkLiteral(value, check)
	})
}

// pair is texts for a word that may be given twice: the live value, and the
// next or previous one during rotation.
func pair(target *[]string, check func(string) error) word {
	return repeated(func(value string) error {
		if len(*target) == 2 {
			return errors.New("at most two may live side by side, during rotation")
		}
		*target = append(*target, value)
		return checkLiteral(value, check)
	})
}

// list stores all arguments of a line, of which there must be one at least.
func list(target *[]string, check func(string) error) word {
	w := lists(target, check)
	w.repeats = false
	return w
}

// lists is list for a word that may be repeated: all lines make one list.
func lists(target *[]string, check func(string) error) word {
	return word{repeats: true, parse: func(d *caddyfile.Dispenser) error {
		name, values := d.Val(), d.RemainingArgs()
		if len(values) == 0 {
			return d.Errf("%s needs at least one argument", name)
		}
		for _, value := range values {
			if err := checkLiteral(value, check); err != nil {
				return inWord(d, name, err)
			}
		}
		*target = append(*target, values...)
		return nil
	}}
}

// amount stores a number of fen.
func amount(target *int64, check func(fen int64) error) word {
	return single(func(value string) error {
		fen, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return fmt.Errorf("%q must be an integer", value)
		}
		*target = fen
		return check(fen)
	})
}

func checkLiteral(value string, check func(string) error) error {
	if check == nil || hasPlaceholder(value) {
		return nil
	}
	return check(value)
}

// judged makes a check out of a parser whose result is not needed.
func judged[T any](parse func(string) (T, error)) func(string) error {
	return func(s string) error {
		_, err := parse(s)
		return err
	}
}
