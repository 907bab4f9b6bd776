package gateway

import (
	"bytes"
	"html"
	"strings"
)

// What the rewriter puts into a page, and what it makes inert.

func (w *rewriter) insertFirst() {
	if !w.firstDone && w.m.first != nil {
		w.insertOwn(w.m.first(w.lang))
	}
	w.firstDone = true
}

func (w *rewriter) insertHead() {
	if w.headDone {
		return
	}
	w.insertFirst()
	w.headDone = true
	if w.m.head != nil {
		w.insertOwn(w.m.head(w.lang))
	}
}

func (w *rewriter) insertFoot() {
	if w.footDone {
		return
	}
	w.footDone = true
	if w.m.foot != nil {
		w.insertOwn(w.m.foot(w.lang, w.embeds))
	}
}

// insertOwn inserts markup of ours, with the nonce that the site's own policy
// knows, and in characters that mean the same in every charset.
func (w *rewriter) insertOwn(b []byte) {
	if w.m.nonce != nil {
		b = withNonce(b, w.m.nonce())
	}
	if !w.m.utf8 {
		b = ascii(b)
	}
	w.insert(b)
}

// whole handles a start tag that is there in one piece.
func (w *rewriter) whole(tag []byte, name string) int {
	w.tags = true
	w.start([]byte(name))
	w.mode = w.next
	switch name {
	case "html":
		w.lang = value(tag, "lang")
	case "meta":
		w.meta(tag)
	case "iframe", "object", "embed":
		w.frame(tag, name)
	case "script":
		w.script(tag)
	case "tillid-share":
		if w.m.share != nil {
			w.replace(tag, tag)
			w.insertOwn(w.m.share(w.lang, value(tag, "to")))
		}
	default:
		if stopped := w.stopped(tag, name); stopped != nil {
			w.silence(tag, "", stopped...)
		}
	}
	return len(tag)
}

// meta handles what a page says of itself: its charset, where it goes on to, its policy.
func (w *rewriter) meta(tag []byte) {
	if charset, ok := lookup(tag, "charset"); ok {
		w.m.utf8 = w.m.utf8 || strings.EqualFold(strings.TrimSpace(charset), "utf-8")
		return
	}
	switch strings.ToLower(strings.TrimSpace(value(tag, "http-equiv"))) {
	case "content-type":
		w.m.utf8 = w.m.utf8 || strings.Contains(strings.ToLower(value(tag, "content")), "utf-8")
	case "refresh":
		if w.m.stop != nil && w.m.stop(anyDirective, strings.Join(refreshAddresses(value(tag, "content")), "")) {
			w.silence(tag, "", "content")
		}
	case "content-security-policy":
		if w.m.policy != nil {
			w.ownPolicy(tag)
		}
	}
}

// ownPolicy makes room for the banner in the page's own policy.
func (w *rewriter) ownPolicy(tag []byte) {
	for a := range attributes(tag) {
		if !equalFold(a.name, "content") {
			continue
		}
		was := unescaped(a.value)
		if is := w.m.policy(was); is != was {
			out := append(bytes.Clone(tag[:a.at]), `content="`+html.EscapeString(is)+`"`...)
			w.replace(tag, append(out, tag[a.end:]...))
		}
		return
	}
}

// script makes a script inert: without its address the text inside would run, so
// its type goes too.
func (w *rewriter) script(tag []byte) {
	if w.silent {
		w.silent = false
		w.silence(tag, ` type="text/plain"`, "type")
		return
	}
	kind, given := lookup(tag, "type")
	if !isCode(kind, given) {
		return
	}
	if stopped := w.stopped(tag, "script"); stopped != nil {
		w.silence(tag, ` type="text/plain"`, append(stopped, "type")...)
	}
}

// frame puts a placeholder before what would show a page of others, and hides that.
func (w *rewriter) frame(tag []byte, name string) {
	l := loads[name][0]
	raw := value(tag, l.attribute)
	if w.m.embed == nil || !mayLead([]byte(raw)) {
		return
	}
	e := Embed{Src: raw, Title: value(tag, "title"), Width: value(tag, "width"), Height: value(tag, "height")}
	service, placeholder, stop := w.m.embed(w.lang, l.directive, e)
	if !stop {
		return
	}
	w.embeds = true
	w.insertOwn(placeholder)
	w.silence(tag, ` hidden data-tillid="`+html.EscapeString(service)+`"`, l.attribute)
}

// replace puts something in the place of the tag that is being handled.
func (w *rewriter) replace(tag, with []byte) {
	w.insert(with)
	w.copied += len(tag)
}

// silence makes the tag that is being handled load nothing: the attributes of
// those names are kept aside under others, and more attributes stand behind the
// tag's own name, where they count before any later ones of the same name.
func (w *rewriter) silence(tag []byte, more string, names ...string) {
	w.flush()
	from := nameEnd(tag)
	out := append(append(w.buf.out, tag[:from]...), more...)
	for a := range attributes(tag) {
		for _, n := range names {
			if equalFold(a.name, n) {
				out = append(out, tag[from:a.at]...)
				out = append(out, "data-tillid-"...)
				from = a.at
				break
			}
		}
	}
	w.buf.out = append(out, tag[from:]...)
	w.copied += len(tag)
}
