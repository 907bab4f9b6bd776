package gateway

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// errEncoding is an encoding that the gateway does not know.
var errEncoding = errors.New("unknown content encoding")

func decodable(encoding string) bool {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity", "gzip", "x-gzip", "deflate", "br", "zstd":
		return true
	}
	return false
}

// large bounds how many pages in an encoding with a large window are read
// at once: a site that honours Accept-Encoding sends none.
type large chan struct{}

const (
	maxLarge  = 16
	maxWindow = 8 << 20
)

// decoded returns a page's body readable, which closes what it reads from. A site
// is asked for pages without compression or in gzip; what comes in another all the
// same is read too.
func (s *Service) decoded(ctx context.Context, encoding string, body io.ReadCloser) (io.ReadCloser, error) {
	switch encoding = strings.ToLower(strings.TrimSpace(encoding)); {
	case !decodable(encoding):
		return nil, errEncoding
	case encoding == "" || encoding == "identity":
		return body, nil
	}
	in := bufio.NewReaderSize(body, 4<<10)
	if _, err := in.Peek(1); errors.Is(err, io.EOF) { // an empty answer
		return struct {
			io.Reader
			io.Closer
		}{in, body}, nil
	}
	switch encoding {
	case "deflate":
		r, err := inflate(in)
		return reading(r, err, body, func() {})
	case "br", "zstd":
		return s.decodedLarge(ctx, encoding, in, body)
	}
	r, err := gzip.NewReader(in)
	return reading(r, err, body, func() {})
}

func (s *Service) decodedLarge(ctx context.Context, encoding string, in io.Reader, body io.Closer) (io.ReadCloser, error) {
	select {
	case s.large <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	done := func() { <-s.large }
	if encoding == "br" {
		return begun(brotli.NewReader(in), body, done)
	}
	z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return reading(nil, err, body, done)
	}
	return begun(z, body, func() { z.Close(); done() })
}

// begun reads the first byte, so that what is not in the encoding is found out
// before the page begins.
func begun(z io.Reader, body io.Closer, done func()) (io.ReadCloser, error) {
	r := bufio.NewReaderSize(z, 4<<10)
	if _, err := r.Peek(1); err != nil && !errors.Is(err, io.EOF) {
		return reading(nil, err, body, done)
	}
	return reading(r, nil, body, done)
}

// inflate reads "deflate", which is zlib by the standard and raw with some servers.
func inflate(in *bufio.Reader) (io.Reader, error) {
	head, err := in.Peek(2)
	if err == nil && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		return zlib.NewReader(in)
	}
	return flate.NewReader(in), nil
}

func reading(r io.Reader, err error, body io.Closer, done func()) (io.ReadCloser, error) {
	if err != nil {
		done()
		return nil, fmt.Errorf("read compressed page: %w", err)
	}
	return &decoder{r, body, done}, nil
}

type decoder struct {
	io.Reader
	body io.Closer
	done func() // nil when closed
}

func (d *decoder) Close() error {
	if d.done != nil {
		d.done()
		d.done = nil
	}
	return d.body.Close()
}

// readable reports whether markup in a charset can be read byte by byte as ASCII.
func readable(charset string) bool {
	charset = strings.ToLower(strings.TrimSpace(charset))
	return !strings.HasPrefix(charset, "utf-16") && !strings.HasPrefix(charset, "utf-32") && !strings.HasPrefix(charset, "utf-7") &&
		!strings.HasPrefix(charset, "iso-2022") && !strings.HasPrefix(charset, "iso-10646") && charset != "unicode" && charset != "hz-gb-2312" && !strings.HasPrefix(charset, "ucs-")
}

// wide reports whether a page begins with a mark of UTF-16.
func wide(b []byte) bool {
	return bytes.HasPrefix(b, []byte{0xfe, 0xff}) || bytes.HasPrefix(b, []byte{0xff, 0xfe})
}

// ascii writes what is not ASCII as character references, for pages that are not
// in UTF-8 or do not say so.
func ascii(b []byte) []byte {
	at := bytes.IndexFunc(b, func(r rune) bool { return r >= 0x80 })
	if at < 0 {
		return b
	}
	out := bytes.Clone(b[:at])
	for _, r := range string(b[at:]) {
		if r < 0x80 {
			out = append(out, byte(r))
		} else {
			out = fmt.Appendf(out, "&#%d;", r)
		}
	}
	return out
}
