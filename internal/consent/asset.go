package consent

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed" // the script and its style
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
)

//go:embed t.js
var scriptSource []byte

//go:embed t.css
var styleSource []byte

var (
	scriptFile = newAsset("/_tillid/t.js", "text/javascript; charset=utf-8", scriptSource)
	styleFile  = newAsset("/_tillid/t.css", "text/css; charset=utf-8", styleSource)
)

// asset is a file of the banner, served readable.
type asset struct {
	path, url, kind string
	hash            string
	body, zipped    []byte
}

func newAsset(path, kind string, body []byte) *asset {
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:8])
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		panic(err)
	}
	z.Write(body) //nolint:errcheck // a Buffer takes everything
	z.Close()     //nolint:errcheck // into memory
	return &asset{path: path, url: path + "?v=" + hash, kind: kind, hash: hash, body: body, zipped: b.Bytes()}
}

// ServeHTTP answers with the file; under the address that names its content it
// may be kept for ever.
func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, body := w.Header(), a.body
	h.Set("Cache-Control", "public, max-age=300")
	if r.URL.Query().Get("v") == a.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("Content-Type", a.kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = a.zipped
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}
