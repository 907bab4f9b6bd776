package gateway

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// markup says what is put into a page and what is taken out. Each function may be nil.
type markup struct {
	first func(lang string) []byte // before the page's first script, or with the head
	head  func(lang string) []byte
	foot  func(lang string, embeds bool) []byte
	share func(lang, to string) []byte // what fills <tillid-share to="…">
	// embed reports whether a frame, object or embed must not load, with its service and placeholder.
	embed func(lang string, directive int, e Embed) (service string, placeholder []byte, stop bool)
	// stop reports whether an address must not be loaded.
	stop func(directive int, address string) bool
	// rules reports whether speculation rules may stand in the page.
	rules func(content []byte) bool
	// policy returns what a page's own <meta> policy becomes.
	policy func(string) string
	nonce  func() string // of our elements, or ""
	utf8   bool          // the answer's header says that the page is in UTF-8
}

// rewriter streams HTML: what it does not insert or make inert passes byte by
// byte. It follows the tokenizer of the HTML standard as far as needed to know
// what is a tag, holds back at most one tag of bounded size, and leaves what it
// does not understand alone.
type rewriter struct {
	src io.ReadCloser
	m   markup
	buf *buffers // nil when closed

	in   []byte // read and not yet handled
	sent int    // of buf.out
	err  error

	now    []byte // what scan is looking at
	at     int    // how much of it is handled
	copied int    // how much of it is in out

	mode    mode
	element []byte // in raw text: the name that ends it
	next    mode   // after the tag
	attr    attrState

	lang      string
	begun     bool // something was read
	tags      bool // a tag was seen: this is a page
	silent    bool // the script that begins must not stand
	firstDone bool
	headDone  bool
	footDone  bool
	dormant   int // how deep in noscript and template, whose content is not the page's own
	embeds    bool
}

type mode uint8

const (
	inText mode = iota
	inTag
	inComment
	inBogus // <!…> and <?…>
	inRaw   // script, style, title, …
	inEscaped
	inDoubleEscaped // <script><!--<script>
	inPlain         // after <plaintext>
)

const (
	maxTag  = 16 << 10 // a tag that is longer passes as it is
	maxName = 16       // longer than the name of any element that matters
	room    = 2 * maxTag
)

// buffers are lent to one page after another.
type buffers struct{ in, out []byte }

var lent = sync.Pool{New: func() any {
	return &buffers{in: make([]byte, room), out: make([]byte, 0, room+4<<10)}
}}

func newRewriter(src io.ReadCloser, m markup) *rewriter {
	b := lent.Get().(*buffers)
	return &rewriter{src: src, m: m, buf: b, in: b.in[:0]}
}

func (w *rewriter) Close() error {
	if b := w.buf; b != nil {
		w.buf, w.in, w.now = nil, nil, nil
		b.out = b.out[:0]
		lent.Put(b)
	}
	return w.src.Close()
}

func (w *rewriter) Read(p []byte) (int, error) {
	if w.buf == nil {
		return 0, io.ErrClosedPipe
	}
	for w.sent == len(w.buf.out) {
		if w.err != nil {
			return 0, w.err
		}
		w.buf.out, w.sent = w.buf.out[:0], 0
		kept := copy(w.buf.in, w.in) // less than maxTag: there is room for as much again
		n, err := w.src.Read(w.buf.in[kept:])
		w.err = err
		w.in = w.scan(w.buf.in[:kept+n], err != nil)
		if errors.Is(err, io.EOF) {
			w.end()
		}
	}
	n := copy(p, w.buf.out[w.sent:])
	w.sent += n
	return n, nil
}

// end inserts at the end of a page what found no better place.
func (w *rewriter) end() {
	if !w.tags || w.mode != inText {
		return
	}
	w.insertHead()
	w.insertFoot()
}

// scan handles b and returns what needs more bytes to be understood.
func (w *rewriter) scan(b []byte, last bool) []byte {
	w.now, w.at, w.copied = b, 0, 0
	if !w.begun && (len(b) > 1 || last) {
		if w.begun = true; wide(b) {
			w.mode = inPlain // UTF-16: not ours to read, and the policy holds
		}
	}
	if !w.begun {
		return b
	}
	for w.at < len(b) {
		n := w.piece(b[w.at:], last)
		if n == 0 { // more bytes are needed
			if !last {
				break
			}
			n = len(b) - w.at
		}
		w.at += n
	}
	w.flush()
	return b[w.at:]
}

// piece handles the beginning of b and returns its length, or 0 when it needs more.
func (w *rewriter) piece(b []byte, last bool) int {
	switch w.mode {
	case inText:
		return w.text(b, last)
	case inTag:
		return w.tag(b)
	case inComment:
		return w.until(b, last, "-->", "--!>")
	case inBogus:
		return w.until(b, last, ">")
	case inRaw, inEscaped, inDoubleEscaped:
		return w.raw(b, last)
	default: // inPlain: everything is text
		return len(b)
	}
}

// flush copies what is handled to out.
func (w *rewriter) flush() {
	if w.copied < w.at {
		w.buf.out = append(w.buf.out, w.now[w.copied:w.at]...)
	}
	w.copied = max(w.copied, w.at)
}

// insert puts something before what is being handled.
func (w *rewriter) insert(b []byte) {
	w.flush()
	w.buf.out = append(w.buf.out, b...)
}

// text handles text, and then the beginning of the next tag.
func (w *rewriter) text(b []byte, last bool) int {
	at := bytes.IndexByte(b, '<')
	if at < 0 {
		return len(b)
	}
	w.at += at
	if b = b[at:]; len(b) < 2 {
		return 0
	}
	switch c := b[1]; {
	case c == '!':
		return w.declaration(b, last)
	case c == '?':
		w.mode = inBogus
		return 2
	case c == '/' && len(b) < 3:
		return 0
	case c == '/' && isLetter(b[2]):
		return w.open(b, 2, last)
	case c == '/' && b[2] == '>':
		return 3
	case c == '/':
		w.mode = inBogus
		return 2
	case isLetter(c):
		return w.open(b, 1, last)
	}
	return 1
}

func (w *rewriter) declaration(b []byte, last bool) int {
	if len(b) < 5 && !last && bytes.HasPrefix([]byte("<!-->"), b) {
		return 0
	}
	switch {
	case bytes.HasPrefix(b, []byte("<!-->")):
		return 5
	case bytes.HasPrefix(b, []byte("<!--->")):
		return 6
	case bytes.HasPrefix(b, []byte("<!--")):
		if len(b) < 6 && !last {
			return 0
		}
		w.mode = inComment
		return 4
	}
	w.mode = inBogus
	return 2
}

// open handles the beginning of a tag, whose name begins at from.
func (w *rewriter) open(b []byte, from int, last bool) int {
	end := from
	for end < len(b) && end-from <= maxName && !isSpace(b[end]) && b[end] != '/' && b[end] != '>' {
		end++
	}
	if end == len(b) && end-from <= maxName && !last {
		return 0
	}
	w.tags = true
	if w.headDone && end < len(b) && end-from <= 3 && !shortMatters(b[from:end]) { // a, p, b, h1, …: most tags
		w.next = inText
		return w.rest(b, end)
	}
	var small [maxName + 1]byte
	name := lower(small[:0], b[from:end])
	if from == 1 && looksAt(name) {
		if n := tagLength(b); n > 0 {
			if string(name) == "script" && !w.speculation(b, n, last) {
				return 0
			}
			return w.whole(b[:n], string(name))
		} else if len(b) < maxTag && !last {
			return 0
		}
	}
	if from == 1 {
		w.start(name)
	} else {
		w.stop(name)
	}
	return w.rest(b, end)
}

// shortMatters reports whether a name of at most three letters is one to look at: img, use, xmp.
func shortMatters(name []byte) bool {
	switch name[0] | 0x20 {
	case 'i', 'u', 'x':
		return len(name) == 3
	}
	return false
}

// rest handles what follows a tag's name, which ends at end, as far as it is there.
func (w *rewriter) rest(b []byte, end int) int {
	if end < len(b) && b[end] == '>' {
		w.mode = w.next
		return end + 1
	}
	w.mode, w.attr = inTag, beforeName
	if gt := bytes.IndexByte(b[end:], '>'); gt >= 0 && bytes.IndexByte(b[end:end+gt], '=') < 0 {
		w.mode = w.next // without values, the first > ends the tag
		return end + gt + 1
	}
	return end
}

// start prepares for the element whose start tag follows.
func (w *rewriter) start(name []byte) {
	w.next = inText
	switch string(name) {
	case "script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes":
		w.next, w.element = inRaw, append(w.element[:0], name...)
	case "plaintext":
		w.next = inPlain
	}
	switch string(name) {
	case "noscript", "template":
		w.dormant++
	case "script":
		if w.dormant == 0 {
			w.insertFirst()
		}
	case "html", "head", "meta", "title", "link", "style", "base", "bgsound", "basefont", "noframes":
	default: // the head has ended, with or without a tag that says so
		if w.dormant == 0 {
			w.insertHead()
		}
	}
}

func (w *rewriter) stop(name []byte) {
	w.next = inText
	switch string(name) {
	case "noscript", "template":
		w.dormant = max(0, w.dormant-1)
	case "head":
		w.insertHead()
	case "body", "html":
		w.insertHead()
		w.insertFoot()
	}
}

func (w *rewriter) until(b []byte, last bool, ends ...string) int {
	best, longest := -1, 0
	for _, e := range ends {
		longest = max(longest, len(e))
		if i := bytes.Index(b, []byte(e)); i >= 0 && (best < 0 || i+len(e) < best) {
			best = i + len(e)
		}
	}
	if best >= 0 {
		w.mode = inText
		return best
	}
	return keep(b, longest-1, last)
}

// keep returns how many bytes pass when the last n must be seen again with more.
func keep(b []byte, n int, last bool) int {
	if last {
		return len(b)
	}
	return max(0, len(b)-n)
}
