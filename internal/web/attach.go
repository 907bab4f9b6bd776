package web

import (
	"io"
	"mime"
	"net/http"
	"strconv"
)

// Attach gives out a file of size bytes to be saved, never to be shown: a stranger
// wrote it. An error says that it was not sent to its end.
func Attach(w http.ResponseWriter, r *http.Request, name, mediaType string, size int64, content io.Reader) error {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := io.Copy(w, content)
	return err
}
