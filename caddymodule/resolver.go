package caddymodule

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/wxrelay/wxrelay/relay"
)

// maxKeyFile bounds what is read as a PEM file.
const maxKeyFile = 64 << 10

// secretPlaceholder is a value that is one placeholder of the two kinds that
// stay out of the configuration's JSON form.
var secretPlaceholder = regexp.MustCompile(`^\{(env|file)\.[^{}]+\}$`)

// resolver turns what an operator wrote into values, in one pass: it fills
// in placeholders, reads files, and collects everything that is wrong
// instead of stopping at the first. What is resolved is never resolved
// again, because a value may look like a placeholder.
type resolver struct {
	replacer *caddy.Replacer
	problems []*relay.Problem
	warnings []warning
}

// warning is something unwise that does not keep the relay from running.
type warning struct {
	block, field, text string
}

func newResolver() *resolver { return &resolver{replacer: caddy.NewReplacer()} }

// fail records a problem and reports whether there was one.
func (r *resolver) fail(block, field string, err error) bool {
	if err == nil {
		return false
	}
	r.problems = append(r.problems, &relay.Problem{Block: block, Field: field, Err: err})
	return true
}

func (r *resolver) warn(block, field, text string) {
	r.warnings = append(r.warnings, warning{block, field, text})
}

// text fills in the placeholders of a value that may be shown.
func (r *resolver) text(block, field, value string) string {
	resolved, err := r.replacer.ReplaceOrErr(value, true, true)
	if r.fail(block, field, err) {
		return ""
	}
	return resolved
}

// texts is text for a list; what cannot be resolved is left out.
func (r *resolver) texts(block, field string, values []string) []string {
	resolved := make([]string, 0, len(values))
	for _, value := range values {
		failures := len(r.problems)
		if s := r.text(block, field, value); len(r.problems) == failures {
			resolved = append(resolved, s)
		}
	}
	return resolved
}

// secret fills in the placeholder of a secret. No error text quotes a value
// that is not exactly one placeholder: it may be the secret itself with a
// brace in it.
func (r *resolver) secret(block, field, value string) relay.Secret {
	resolved, err := r.replacer.ReplaceOrErr(value, true, true)
	if err != nil {
		if secretPlaceholder.MatchString(value) {
			r.fail(block, field, fmt.Errorf("placeholder %s is empty or not set; set the variable or create the file", value))
		} else {
			r.fail(block, field, errors.New("has a placeholder that is empty or not known; write {env.NAME} or {file./path}"))
		}
		return relay.Secret{}
	}
	if value != "" && !hasPlaceholder(value) {
		r.warn(block, field, "the secret stands in the configuration in clear, where the admin API shows it; write {env.NAME} or {file./path}")
	}
	return relay.NewSecret(resolved)
}

// secrets is secret for a list.
func (r *resolver) secrets(block, field string, values []string) []relay.Secret {
	resolved := make([]relay.Secret, 0, len(values))
	for _, value := range values {
		resolved = append(resolved, r.secret(block, field, value))
	}
	return resolved
}

// pem reads the PEM file that value names and returns the file's name beside
// its content. Where the value already is PEM text, filled in by a
// placeholder, it is taken as it is and there is no name. The content is nil
// after a failure, which is recorded, and when value is empty, which is for
// Validate to judge.
func (r *resolver) pem(block, field, value string) (content []byte, path string) {
	if value == "" {
		return nil, ""
	}
	resolved, err := r.replacer.ReplaceOrErr(value, true, true)
	if r.fail(block, field, err) {
		return nil, ""
	}
	if strings.HasPrefix(strings.TrimSpace(resolved), "-----BEGIN") {
		return []byte(resolved), ""
	}
	content, err = readKeyFile(resolved)
	if r.fail(block, field, err) {
		return nil, ""
	}
	return content, resolved
}

// privatePEM is pem for a key that nobody else should be able to read.
func (r *resolver) privatePEM(block, field, value string) []byte {
	content, path := r.pem(block, field, value)
	if path == "" {
		return content
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o007 != 0 {
		r.warn(block, field, fmt.Sprintf("every user of this machine can reach the key file, which has mode %#o; run chmod o= on it", info.Mode().Perm()))
	}
	return content
}

// readKeyFile reads a regular file of bounded size. Its errors name the file
// and never its content.
func readKeyFile(path string) ([]byte, error) {
	info, err := os.Stat(path) // before opening, which would wait at a pipe
	if err != nil {
		return nil, fmt.Errorf("reading key file: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxKeyFile {
		return nil, fmt.Errorf("reading key file: %s is not a file of at most %d bytes", path, maxKeyFile)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading key file: %w", err)
	}
	return content, nil
}

// hasPlaceholder reports whether Caddy would fill something in.
func hasPlaceholder(s string) bool {
	open := strings.IndexByte(s, '{')
	return open >= 0 && strings.IndexByte(s[open:], '}') > 0
}
