package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"net/http"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tillid/tillid/internal/db"
)

// tileHeight is that of tlog-tiles: 256 hashes or entries in a full tile.
const tileHeight = 8

var errNoTile = errors.New("there is no such tile")

// Routes serves /_tillid/checkpoint (also as witnesses have cosigned it), /_tillid/tile/… (tlog-tiles, see
// https://c2sp.org/tlog-tiles) and /_tillid/log.vkey.
func (l *Log) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /_tillid/checkpoint", func(w http.ResponseWriter, r *http.Request) {
		b, err := l.Checkpoint(r.Context())
		l.answer(w, r, "text/plain; charset=utf-8", "no-cache", b, err)
	})
	mux.HandleFunc("GET /_tillid/checkpoint/cosigned", func(w http.ResponseWriter, r *http.Request) {
		b, err := l.Cosigned(r.Context())
		if err == nil && b == nil {
			http.Error(w, "No witness has cosigned this log yet.", http.StatusNotFound)
			return
		}
		l.answer(w, r, "text/plain; charset=utf-8", "no-cache", b, err)
	})
	mux.HandleFunc("GET /_tillid/log.vkey", func(w http.ResponseWriter, r *http.Request) {
		l.answer(w, r, "text/plain; charset=utf-8", "no-cache", []byte(l.Signer.Verifier()+"\n"), nil)
	})
	mux.HandleFunc("GET /_tillid/tile/{path...}", func(w http.ResponseWriter, r *http.Request) {
		b, err := l.tile(r.Context(), r.PathValue("path"))
		l.answer(w, r, "application/octet-stream", "public, max-age=31536000, immutable", b, err)
	})
}

func (l *Log) answer(w http.ResponseWriter, r *http.Request, kind, cache string, b []byte, err error) {
	switch {
	case err == nil:
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", cache)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Write(b) //nolint:gosec // bytes of the log with their own type and nosniff
	case errors.Is(err, errNoTile):
		http.Error(w, "The log has no such tile.", http.StatusNotFound)
	case db.IsUnavailable(err):
		http.Error(w, "The log does not answer just now. Try again in a moment.", http.StatusServiceUnavailable)
	default:
		l.complain(r.Context(), "serve the log", err)
		http.Error(w, "Something went wrong on our side.", http.StatusInternalServerError)
	}
}

// tile returns the tile at path: "<level>/<number>[.p/<width>]" for hashes,
// "entries/<number>[.p/<width>]" for leaves. Only signed leaves are in tiles.
func (l *Log) tile(ctx context.Context, path string) ([]byte, error) {
	if rest, ok := strings.CutPrefix(path, "entries/"); ok {
		path = "data/" + rest // tlog's name for it
	} else if strings.HasPrefix(path, "data/") {
		return nil, errNoTile
	}
	t, err := tlog.ParseTilePath("tile/8/" + path)
	if err != nil {
		return nil, errNoTile
	}
	size, err := lastSize(ctx, l.DB)
	if err != nil {
		return nil, err
	}
	if !covers(size, t) {
		return nil, errNoTile
	}
	if t.L >= 0 {
		return tlog.ReadTileData(t, reader(ctx, l.DB))
	}
	first := t.N << tileHeight
	leaves, err := bodies(ctx, l.DB, first, first+int64(t.W))
	if err != nil {
		return nil, err
	}
	var b []byte
	for _, body := range leaves {
		b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
		b = append(b, body...)
	}
	return b, nil
}

// covers reports whether a tree of size has all of t.
func covers(size int64, t tlog.Tile) bool {
	level := max(t.L, 0) * tileHeight
	if level >= 62 {
		return false
	}
	have := size >> level // hashes at the tile's level
	return t.N <= have>>tileHeight && t.N<<tileHeight+int64(t.W) <= have
}
