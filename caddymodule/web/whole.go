package web

import (
	"net/http"
	"strconv"
)

// writeWhole sends an answer in one piece.
func writeWhole(w http.ResponseWriter, status int, contentType string, body []byte) error {
	labelWhole(w.Header(), contentType, len(body))
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}

// labelWhole keeps an answer out of caches, and browsers from taking it for
// anything but what it says that it is (threats I12).
func labelWhole(h http.Header, contentType string, length int) {
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(length))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}
