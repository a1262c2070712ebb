package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed static
var staticFiles embed.FS

// scriptFile is the one script. Its words are put in front of it, so that the
// page and the script speak from one catalogue.
const scriptFile = "checkout.js"

// staticFile is a file as it is served.
type staticFile struct {
	contentType string
	etag        string
	body        []byte
}

var staticTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

func (p *Pages) loadStatic() error {
	entries, err := fs.ReadDir(staticFiles, "static")
	if err != nil {
		return err
	}
	p.static = make(map[string]staticFile, len(entries))
	p.names = make(map[string]string, len(entries))
	for _, e := range entries {
		body, err := staticFiles.ReadFile("static/" + e.Name())
		if err != nil {
			return err
		}
		if e.Name() == scriptFile {
			if body, err = withWords(body); err != nil {
				return err
			}
		}
		sum := sha256.Sum256(body)
		hash := hex.EncodeToString(sum[:8])
		ext := path.Ext(e.Name())
		served := strings.TrimSuffix(e.Name(), ext) + "." + hash + ext
		p.names[e.Name()] = served
		p.static[served] = staticFile{contentType: staticTypes[ext], etag: `"` + hash + `"`, body: body}
	}
	return nil
}

// withWords puts the words of each state in front of the script as a constant.
func withWords(script []byte) ([]byte, error) {
	words, err := json.Marshal(scriptWords())
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "const WORDS = %s;\n%s", words, script), nil
}

// StaticURL is the path of a static file ("checkout.css", "checkout.js",
// "icon.svg"). It changes with the file's content, so the file may be cached
// for ever. An unknown name gives the empty string.
func (p *Pages) StaticURL(name string) string {
	served, ok := p.names[name]
	if !ok {
		return ""
	}
	return p.prefix + served
}

// ServeStatic answers a GET or HEAD for the file whose served name, the last
// element of its StaticURL, is given. It reports false, and has written
// nothing, when there is no such file or the method is another.
func (p *Pages) ServeStatic(w http.ResponseWriter, r *http.Request, name string) bool {
	f, ok := p.static[name]
	if !ok || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
		return false
	}
	h := w.Header()
	setTypeHeaders(h)
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", f.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
	return true
}
