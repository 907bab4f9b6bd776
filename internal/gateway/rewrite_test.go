package gateway

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

const (
	headMark = "\x01HEAD\x01"
	footMark = "\x01FOOT\x01"
	boxMark  = "\x01BOX\x01"
)

// rewritten streams a page through a rewriter that marks what it inserts.
// Iframes of video.example are made inert.
func rewritten(t testing.TB, src io.Reader) string {
	t.Helper()
	m := markup{
		head: func(lang string) []byte { return []byte(headMark) },
		foot: func(lang string, embeds bool) []byte { return []byte(footMark) },
		embed: func(_, src, title, width, height string) (string, []byte, bool) {
			return "video", []byte(boxMark), strings.Contains(src, "video.example")
		},
		link: func(rel, href string) bool { return rel == "preconnect" && strings.Contains(href, "video.example") },
	}
	w := newRewriter(io.NopCloser(src), m)
	defer w.Close()
	out, err := io.ReadAll(w)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// undo takes out what rewritten inserts.
func undo(s string) string {
	return strings.NewReplacer(headMark, "", footMark, "", boxMark, "", ` hidden data-tillid="video"`, "", "data-tillid-", "").Replace(s)
}

func TestRewrite(t *testing.T) {
	for name, test := range map[string]struct{ in, want string }{
		"plain":             {"<!doctype html><html lang=da><head><title>a</title></head><body>b</body></html>", "<!doctype html><html lang=da><head><title>a</title>HEAD</head><body>bFOOT</body></html>"},
		"no head":           {"<!doctype html><title>a</title><p>b", "<!doctype html><title>a</title>HEAD<p>bFOOT"},
		"only body":         {"<body><p>b</body>", "HEAD<body><p>bFOOT</body>"},
		"in strings":        {`<head><script>"</head><body></body>"</script></head><body>`, `<head><script>"</head><body></body>"</script>HEAD</head><body>FOOT`},
		"in comments":       {"<head><!-- </head><body> --></head>", "<head><!-- </head><body> -->HEAD</head>FOOT"},
		"odd comments":      {"<!--><head></head><!---></body><!-- --!></body>", "<!--><head>HEAD</head><!--->FOOT</body><!-- --!></body>"},
		"in attributes":     {`<head><meta content="</head><body>"></head>`, `<head><meta content="</head><body>">HEAD</head>FOOT`},
		"odd quotes":        {`<head><meta a"b=c'd></head><p>`, `<head><meta a"b=c'd>HEAD</head><p>FOOT`},
		"double escaped":    {"<head><script><!--<script></script></head>--></script></head>", "<head><script><!--<script></script></head>--></script>HEAD</head>FOOT"},
		"upper case":        {"<HTML><HEAD></HEAD><BODY></BODY></HTML>", "<HTML><HEAD>HEAD</HEAD><BODY>FOOT</BODY></HTML>"},
		"text":              {"1 < 2 and 3 > 2", "1 < 2 and 3 > 2"},
		"empty":             {"", ""},
		"cut in a tag":      {"<html><head><meta cont", "<html><head><meta cont"},
		"cut in a comment":  {"<p>a<!-- b", "HEAD<p>a<!-- b"},
		"textarea":          {"<body><textarea></body></textarea></body>", "HEAD<body><textarea></body></textarea>FOOT</body>"},
		"iframe":            {`<body><iframe width=560 SRC="https://video.example/1?a&amp;b" title='x'></iframe>`, `HEAD<body>BOX<iframe hidden data-tillid="video" width=560 data-tillid-SRC="https://video.example/1?a&amp;b" title='x'></iframe>FOOT`},
		"two addresses":     {`<p><iframe src=//video.example/1 src=x></iframe>`, `HEAD<p>BOX<iframe hidden data-tillid="video" data-tillid-src=//video.example/1 data-tillid-src=x></iframe>FOOT`},
		"preconnect":        {`<head><link rel=preconnect href=//video.example crossorigin><link rel=icon href=//video.example></head>`, `<head><link rel=preconnect data-tillid-href=//video.example crossorigin><link rel=icon href=//video.example>HEAD</head>FOOT`},
		"iframe of ours":    {`<body><iframe src="/map"></iframe>`, `HEAD<body><iframe src="/map"></iframe>FOOT`},
		"noscript":          {`<body><noscript><iframe src="https://video.example/"></iframe></noscript>`, `HEAD<body><noscript>BOX<iframe hidden data-tillid="video" data-tillid-src="https://video.example/"></iframe></noscript>FOOT`},
		"pixel in the head": {`<head><noscript><img src=//pixel.example/></noscript><script>x</script></head><body>`, `<head><noscript><img src=//pixel.example/></noscript><script>x</script>HEAD</head><body>FOOT`},
		"template in head":  {`<head><template><p>x</p></template><title>a</title></head>`, `<head><template><p>x</p></template><title>a</title>HEAD</head>FOOT`},
		"plaintext":         {"<body><plaintext></body>", "HEAD<body><plaintext></body>"},
		"declaration":       {"<?xml version='1.0'?><!DOCTYPE html><html><head/><body/></html>", "<?xml version='1.0'?><!DOCTYPE html><html><head/>HEAD<body/>FOOT</html>"},
		"large attribute":   {`<body><img src="data:,` + strings.Repeat("x</body>", 9000) + `"></body>`, `HEAD<body><img src="data:,` + strings.Repeat("x</body>", 9000) + `">FOOT</body>`},
	} {
		t.Run(name, func(t *testing.T) {
			want := strings.NewReplacer("HEAD<", headMark+"<", "HEAD</", headMark+"</", "FOOT", footMark, "BOX", boxMark).Replace(test.want)
			if test.want == "" || !strings.Contains(test.want, "<") || strings.HasPrefix(test.in, "<HTML>") {
				want = test.want
			}
			if name == "upper case" {
				want = "<HTML><HEAD>" + headMark + "</HEAD><BODY>" + footMark + "</BODY></HTML>"
			}
			if got := rewritten(t, strings.NewReader(test.in)); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if got := rewritten(t, iotest.OneByteReader(strings.NewReader(test.in))); got != want {
				t.Errorf("byte by byte: got %q\nwant %q", got, want)
			}
		})
	}
}

// Whatever a page is like, it passes unharmed, and the same however it is cut
// into pieces.
func FuzzInject(f *testing.F) {
	for _, seed := range []string{
		"<!doctype html><html lang=en><head><title>x</title></head><body><p>y</body></html>",
		"<head><script><!--<script></script>--></script></head>", "<!--><!---><!-- --!><p", "<a b='c>\"d'>\"<body>",
		`<iframe src="https://video.example/"></iframe>`, `<link rel='preconnect' href="//video.example"/>`, `<iframe/src=//video.example/ src='a'src=b>`, "<", "</", "<!", "<!-", "</script", "<svg><title><a></title>", "<plaintext>",
		"<textarea></TEXTAREA ><xmp></xmp\n>", "<iframe =src=//video.example/>", "\x00<\xff>", "<?php echo '>' ?>",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, page []byte) {
		if bytes.ContainsAny(page, "\x01") || bytes.Contains(bytes.ToLower(page), []byte("data-tillid")) {
			return
		}
		whole := rewritten(t, bytes.NewReader(page))
		if got := undo(whole); got != string(page) {
			t.Errorf("changed:\n%q\n%q", page, whole)
		}
		if got := rewritten(t, iotest.OneByteReader(bytes.NewReader(page))); got != whole {
			t.Errorf("cut into bytes:\n%q\n%q", got, whole)
		}
		for _, mark := range []string{headMark, footMark} {
			if strings.Count(whole, mark) > 1 {
				t.Errorf("inserted twice: %q", whole)
			}
		}
	})
}

// A page of any size takes the same memory.
func TestRewriteMemory(t *testing.T) {
	page := "<html><body>" + strings.Repeat("<p class=\"a\">text &amp; more</p>", 1000)
	src := &endless{page: page, left: 20 << 20}
	w := newRewriter(io.NopCloser(src), markup{})
	defer w.Close()
	n, err := io.Copy(io.Discard, w)
	if err != nil || n != 20<<20 {
		t.Fatal(n, err)
	}
	if c := cap(w.buf.in) + cap(w.buf.out); c > 256<<10 {
		t.Errorf("holds %d bytes", c)
	}
}

type endless struct {
	page string
	at   int
	left int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(copy(p, e.page[e.at:]), e.left)
	e.at = (e.at + n) % len(e.page)
	e.left -= n
	return n, nil
}

func BenchmarkRewrite(b *testing.B) {
	page := []byte("<!doctype html><html><head></head><body>" + strings.Repeat("<p class=\"a\">text <b>and</b> more of it, as pages have.</p>\n", 500) + "</body></html>")
	b.SetBytes(int64(len(page)))
	for b.Loop() {
		w := newRewriter(io.NopCloser(bytes.NewReader(page)), markup{})
		io.Copy(io.Discard, w)
		w.Close()
	}
}
