package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed static
var staticFiles embed.FS

// StaticPath is where both hosts serve the files under static/.
const StaticPath = "/_tillid/static/"

type asset struct {
	url, kind string
	body      []byte
	gz        func() []byte // made at first use; nil when it does not pay
}

// assets returns every file under static/, by name and by its address with the hash.
var assets = sync.OnceValue(func() map[string]*asset {
	all := map[string]*asset{}
	err := fs.WalkDir(staticFiles, "static", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := staticFiles.ReadFile(file)
		if err != nil {
			return err
		}
		a := newAsset(strings.TrimPrefix(file, "static/"), body)
		all[strings.TrimPrefix(file, "static/")], all[a.url] = a, a
		return nil
	})
	if err != nil {
		panic(err)
	}
	return all
})

func newAsset(name string, body []byte) *asset {
	sum := sha256.Sum256(body)
	ext := path.Ext(name)
	a := &asset{
		url:  StaticPath + strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext,
		kind: mime.TypeByExtension(ext),
		body: body,
	}
	switch ext {
	case ".css", ".js", ".svg":
		a.gz = sync.OnceValue(func() []byte { return zip(body) })
	case "":
		a.kind = "text/plain; charset=utf-8"
	}
	return a
}

func zip(body []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		panic(err)
	}
	w.Write(body) //nolint:errcheck // a Buffer takes everything
	w.Close()     //nolint:errcheck // likewise
	return b.Bytes()
}

// Asset returns the address of a file under static/, for example
// "public.css", with the hash of its content; an unknown name is an error.
func Asset(name string) (string, error) {
	a := assets()[name]
	if a == nil || strings.HasPrefix(name, StaticPath) {
		return "", fmt.Errorf("there is no static file %q", name)
	}
	return a.url, nil
}

// Static serves the files under static/ and the colours of houses, to be kept
// for ever by browsers: another content has another address. It serves GET and
// HEAD under /_tillid/static/ and /_tillid/brand/ of every host.
func Static() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+StaticPath+"{file...}", func(w http.ResponseWriter, r *http.Request) {
		a := assets()[r.URL.Path]
		if a == nil {
			staticHeader(w, r, "no-store")
			http.NotFound(w, r)
			return
		}
		a.serve(w, r)
	})
	mux.HandleFunc("GET "+brandPath+"{file}", serveBrand)
	return mux
}

// StaticRoutes puts Static on a host.
func StaticRoutes(mux *http.ServeMux) {
	s := Static()
	mux.Handle("GET "+StaticPath, s)
	mux.Handle("GET "+brandPath, s)
}

func staticHeader(w http.ResponseWriter, r *http.Request, cache string) {
	w.Header().Set("Cache-Control", cache)
	secure(w.Header(), Public)
	strictTransport(w, r)
}

const forEver = "public, max-age=31536000, immutable"

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	staticHeader(w, r, forEver)
	h, body := w.Header(), a.body
	h.Set("Content-Type", a.kind)
	if a.gz != nil {
		h.Set("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			body = a.gz()
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}
