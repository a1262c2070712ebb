package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"unicode/utf8"
)

// facePath is below where the pictures of the test users are. As in life the
// address ends in the size, 0 being the greatest (oauth.md 3).
const facePath = "/sandbox/faces/"

// faceSizes are WeChat's.
var faceSizes = map[string]int{"0": 640, "46": 46, "64": 64, "96": 96, "132": 132}

// faceColours are the grounds of the pictures, in the order of the users.
var faceColours = []string{"#0b7a43", "#b4453a", "#3a5fb4", "#8a5a00"}

// serveFace answers GET /sandbox/faces/{user}/{size}: a square with the
// beginning of the user's name.
func serveFace(w http.ResponseWriter, r *http.Request) {
	who, known := userByID(r.PathValue("user"))
	size, fits := faceSizes[r.PathValue("size")]
	if !known || !fits {
		http.NotFound(w, r)
		return
	}
	_, length := utf8.DecodeRuneInString(who.Name)
	colour := faceColours[slices.Index(testUsers, who)%len(faceColours)]
	h := w.Header()
	h.Set("Content-Type", "image/svg+xml")
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "public, max-age=3600")
	// A browser that left is not our error.
	_, _ = fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" width="%[1]d" height="%[1]d">`+
		`<rect width="100" height="100" fill="%[2]s"/><text x="50" y="68" font-size="52" text-anchor="middle" fill="#fff" `+
		`font-family="system-ui, sans-serif">%[3]s</text></svg>`, size, colour, who.Name[:length])
}
