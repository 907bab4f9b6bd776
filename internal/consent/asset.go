package consent

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
)

// The files are written by hand and served as they are written. Beside each lies
// the same compressed with brotli as hard as it goes, which takes too long for a
// start; TestPacked makes it with -update and holds it against the file.
//
//go:embed t.js u.js t.css page.js t.js.br u.js.br t.css.br page.js.br
var assets embed.FS

var (
	scriptFile = newAsset("t.js", "text/javascript; charset=utf-8")
	moreFile   = newAsset("u.js", "text/javascript; charset=utf-8")
	styleFile  = newAsset("t.css", "text/css; charset=utf-8")
	pageFile   = newAsset("page.js", "text/javascript; charset=utf-8")
)

// asset is a file of the banner, served readable. Its address names its content,
// and pages name its integrity: what a visitor got can be held against it.
type asset struct {
	path, url, kind string
	hash            string
	integrity       string
	body            []byte
	packed          []packed // smallest first
}

// packed is an asset's body in one content coding.
type packed struct {
	coding string
	body   []byte
}

func newAsset(name, kind string) *asset {
	body := embedded(name)
	sum := sha256.Sum256(body)
	hash, path := hex.EncodeToString(sum[:8]), "/_tillid/"+name
	return &asset{
		path: path, url: path + "?v=" + hash, kind: kind, hash: hash, body: body,
		integrity: "sha256-" + base64.StdEncoding.EncodeToString(sum[:]),
		packed:    []packed{{"br", embedded(name + ".br")}, {"gzip", zip(body)}},
	}
}

func embedded(name string) []byte {
	b, err := assets.ReadFile(name)
	if err != nil {
		panic(err) // the program is built with it
	}
	return b
}

func zip(body []byte) []byte {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is one
	}
	z.Write(body) //nolint:errcheck // into memory
	z.Close()     //nolint:errcheck // into memory
	return b.Bytes()
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
	h.Set("Cross-Origin-Resource-Policy", "cross-origin") // also for a site that asks from another name
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Vary", "Accept-Encoding")
	for _, p := range a.packed {
		if accepts(r, p.coding) {
			h.Set("Content-Encoding", p.coding)
			body = p.body
			break
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}

// accepts reports whether a request takes a content coding (RFC 9110, 12.5.3).
func accepts(r *http.Request, coding string) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header["Accept-Encoding"], ","), ",") {
		name, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), coding) {
			q, weighed := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
			return !weighed || strings.Trim(q, "0.") != ""
		}
	}
	return false
}
