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
// What leads to video.example must not load.
func rewritten(t testing.TB, src io.Reader) string {
	t.Helper()
	m := markup{
		head: func(lang string) []byte { return []byte(headMark) },
		foot: func(lang string, embeds bool) []byte { return []byte(footMark) },
		embed: func(_ string, directive int, e Embed) (string, []byte, bool) {
			return "video", []byte(boxMark), leadsThere(e.Src)
		},
		stop:  func(directive int, raw string) bool { return leadsThere(raw) },
		share: func(_, to string) []byte { return []byte(strings.Repeat(boxMark, len(strings.Fields(to)))) },
		utf8:  true,
	}
	w := newRewriter(io.NopCloser(src), m)
	defer w.Close()
	out, err := io.ReadAll(w)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func leadsThere(raw string) bool {
	a, ok := addressOf(raw)
	return ok && a.host == "video.example"
}

// undo takes out what rewritten inserts.
func undo(s string) string {
	return strings.NewReplacer(headMark, "", footMark, "", boxMark, "", ` hidden data-tillid="video"`, "", ` type="text/plain"`, "", "data-tillid-", "").Replace(s)
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
		"preconnect":        {`<head><link rel=preconnect href=//video.example crossorigin><link rel=icon href=//video.example></head>`, `<head><link rel=preconnect data-tillid-href=//video.example crossorigin><link rel=icon data-tillid-href=//video.example>HEAD</head>FOOT`},
		"share links":       {`<p><tillid-share class=x to="copy email"></tillid-share><tillid-sharex to=copy>`, `HEAD<p><tillid-share class=x to="copy email">BOXBOX</tillid-share><tillid-sharex to=copy>FOOT`},
		"iframe of ours":    {`<body><iframe src="/map"></iframe>`, `HEAD<body><iframe src="/map"></iframe>FOOT`},
		"script":            {`<head><script src=//video.example/a.js>inside()</script></head>`, `<head><script type="text/plain" data-tillid-src=//video.example/a.js>inside()</script>HEAD</head>FOOT`},
		"module":            {`<head><script type=module src=//video.example/a.js></script></head>`, `<head><script type="text/plain" data-tillid-type=module data-tillid-src=//video.example/a.js></script>HEAD</head>FOOT`},
		"held back":         {`<head><script type="text/plain" src=//video.example/a.js></script></head>`, `<head><script type="text/plain" src=//video.example/a.js></script>HEAD</head>FOOT`},
		"svg script":        {`<p><svg><script xlink:href=//video.example/a.js /></svg>`, `HEAD<p><svg><script type="text/plain" data-tillid-xlink:href=//video.example/a.js /></svg>`},
		"image":             {`<p><img alt="" src='https://video.example/p' loading=lazy>`, `HEAD<p><img alt="" data-tillid-src='https://video.example/p' loading=lazy>FOOT`},
		"own image":         {`<p><img src=/a.png srcset="/b.png 2x, c.png 3x">`, `HEAD<p><img src=/a.png srcset="/b.png 2x, c.png 3x">FOOT`},
		"one of a set":      {`<p><img src=/a.png srcset="/b.png 2x, //video.example/c.png 3x">`, `HEAD<p><img src=/a.png data-tillid-srcset="/b.png 2x, //video.example/c.png 3x">FOOT`},
		"picture":           {`<p><picture><source srcset=//video.example/a><img src=a></picture>`, `HEAD<p><picture><source data-tillid-srcset=//video.example/a><img src=a></picture>FOOT`},
		"data image":        {`<p><img src="data:image/png;base64,//video.example/"><img srcset="data:a,//video.example/ 2x">`, `HEAD<p><img src="data:image/png;base64,//video.example/"><img srcset="data:a,//video.example/ 2x">FOOT`},
		"video":             {`<p><video poster=//video.example/p src=/a.mp4><source src=//video.example/b><track src=//video.example/c></video>`, `HEAD<p><video data-tillid-poster=//video.example/p src=/a.mp4><source data-tillid-src=//video.example/b><track data-tillid-src=//video.example/c></video>FOOT`},
		"style sheet":       {`<head><link href=//video.example/a.css rel="Alternate StyleSheet"></head>`, `<head><link data-tillid-href=//video.example/a.css rel="Alternate StyleSheet">HEAD</head>FOOT`},
		"preload":           {`<head><link rel=preload as=image imagesrcset="//video.example/a 1x"></head>`, `<head><link rel=preload as=image data-tillid-imagesrcset="//video.example/a 1x">HEAD</head>FOOT`},
		"canonical":         {`<head><link rel=canonical href=//video.example/></head>`, `<head><link rel=canonical href=//video.example/>HEAD</head>FOOT`},
		"base":              {`<head><base href=//video.example/></head>`, `<head><base data-tillid-href=//video.example/>HEAD</head>FOOT`},
		"refresh":           {`<head><meta http-equiv=refresh content="0; URL='//video.example/'"></head>`, `<head><meta http-equiv=refresh data-tillid-content="0; URL='//video.example/'">HEAD</head>FOOT`},
		"own refresh":       {`<head><meta http-equiv=refresh content="5"><meta http-equiv=refresh content="5; url=/next"></head>`, `<head><meta http-equiv=refresh content="5"><meta http-equiv=refresh content="5; url=/next">HEAD</head>FOOT`},
		"object":            {`<p><object data=//video.example/><embed src=//video.example/></object>`, `HEAD<p>BOX<object hidden data-tillid="video" data-tillid-data=//video.example/>BOX<embed hidden data-tillid="video" data-tillid-src=//video.example/></object>FOOT`},
		"frame":             {`<frameset><frame src=//video.example/></frameset>`, `HEAD<frameset><frame data-tillid-src=//video.example/></frameset>FOOT`},
		"button":            {`<p><input type=image src=//video.example/><input src=//video.example/>`, `HEAD<p><input type=image data-tillid-src=//video.example/><input src=//video.example/>FOOT`},
		"svg":               {`<p><svg><image href=//video.example/ /><use xlink:href=//video.example/#a /></svg>`, `HEAD<p><svg><image data-tillid-href=//video.example/ /><use data-tillid-xlink:href=//video.example/#a /></svg>FOOT`},
		"links and forms":   {`<p><a href=//video.example/ ping=/p>x</a><form action=//video.example/></form>`, `HEAD<p><a href=//video.example/ ping=/p>x</a><form action=//video.example/></form>FOOT`},
		"odd addresses":     {"<p><img src='\n \\\\video.example/a'><img src='ht\ntps:/video.example'><img src='https://a@VIDEO.example.:443'><img src='//v&#105;deo.example'><img src='//%76ideo.example'>", "HEAD<p><img data-tillid-src='\n \\\\video.example/a'><img data-tillid-src='ht\ntps:/video.example'><img data-tillid-src='https://a@VIDEO.example.:443'><img data-tillid-src='//v&#105;deo.example'><img data-tillid-src='//%76ideo.example'>FOOT"},
		"utf-16":            {"\xff\xfe<head></head><body>", "\xff\xfe<head></head><body>"},
		"noscript":          {`<body><noscript><iframe src="https://video.example/"></iframe></noscript>`, `HEAD<body><noscript>BOX<iframe hidden data-tillid="video" data-tillid-src="https://video.example/"></iframe></noscript>FOOT`},
		"pixel in the head": {`<head><noscript><img src=//video.example/></noscript><script>x</script></head><body>`, `<head><noscript><img data-tillid-src=//video.example/></noscript><script>x</script>HEAD</head><body>FOOT`},
		"template in head":  {`<head><template><p>x</p></template><title>a</title></head>`, `<head><template><p>x</p></template><title>a</title>HEAD</head>FOOT`},
		"plaintext":         {"<body><plaintext></body>", "HEAD<body><plaintext></body>"},
		"declaration":       {"<?xml version='1.0'?><!DOCTYPE html><html><head/><body/></html>", "<?xml version='1.0'?><!DOCTYPE html><html><head/>HEAD<body/>FOOT</html>"},
		"large attribute":   {`<body><img src="data:,` + strings.Repeat("x</body>", 9000) + `"></body>`, `HEAD<body><img src="data:,` + strings.Repeat("x</body>", 9000) + `">FOOT</body>`},
	} {
		t.Run(name, func(t *testing.T) {
			want := strings.NewReplacer("HEAD<", headMark+"<", "HEAD</", headMark+"</", "FOOT", footMark, "BOX", boxMark).Replace(test.want)
			if test.want == "" || !strings.Contains(test.want, "<") || strings.HasPrefix(test.in, "<HTML>") || name == "utf-16" {
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
		if bytes.ContainsAny(page, "\x01") || bytes.Contains(bytes.ToLower(page), []byte("data-tillid")) || bytes.Contains(page, []byte(` type="text/plain"`)) {
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
