package web

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// Layouts.
const (
	Public     = "public"     // company's name, logo and accent
	Backoffice = "backoffice" // Tillid's
	Bare       = "bare"       // sign-in, errors
)

//go:embed layout/*.html
var layouts embed.FS

// Pages is a feature's parsed page templates.
type Pages struct {
	sets map[string]*template.Template // by page name, functions not yet bound to a language

	mu    sync.Mutex
	ready map[variant]*template.Template
}

type variant struct {
	page, layout string
	lang         text.Lang
	zone         string
}

// Parse parses a feature's *.html files, each with the shared layouts; see the
// package comment for what a page file defines. It panics on a broken template: they are part of the program.
func Parse(files fs.FS) *Pages {
	base := template.Must(template.New("").Funcs(funcs(text.EN, time.UTC)).ParseFS(layouts, "layout/*.html"))
	var pages []string
	walk := func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".html" {
			return err
		}
		if !strings.HasPrefix(path.Base(name), "_") {
			pages = append(pages, name)
			return nil
		}
		_, err = base.ParseFS(files, name)
		return err
	}
	if err := fs.WalkDir(files, ".", walk); err != nil {
		panic(fmt.Errorf("parse pages: %w", err))
	}
	p := &Pages{sets: map[string]*template.Template{}, ready: map[variant]*template.Template{}}
	for _, file := range pages {
		set := template.Must(template.Must(base.Clone()).ParseFS(files, file))
		for _, block := range []string{"title", "main"} {
			if set.Lookup(block) == nil {
				panic(fmt.Errorf("parse pages: %s defines no %q", file, block))
			}
		}
		p.sets[pageName(file)] = set
	}
	return p
}

func pageName(file string) string { return strings.TrimSuffix(path.Base(file), ".html") }

// Names returns the names of the pages: their files without ".html".
func (p *Pages) Names() []string {
	var names []string
	for name := range p.sets {
		names = append(names, name)
	}
	return names
}

// Template returns a fresh copy of a page with a layout, for templatecheck,
// which wants one that was never executed. It panics when there is no such page.
func (p *Pages) Template(name, layout string) *template.Template {
	t, err := p.bind(variant{pageName(name), layout, text.DA, "UTC"}, time.UTC)
	if err != nil {
		panic(err)
	}
	return t
}

// in returns a page with its functions bound to a language and a time zone, made at first use.
func (p *Pages) in(page, layout string, l text.Lang, zone *time.Location) (*template.Template, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := variant{page, layout, l, zone.String()}
	if t := p.ready[key]; t != nil {
		return t, nil
	}
	t, err := p.bind(key, zone)
	if err == nil {
		p.ready[key] = t
	}
	return t, err
}

func (p *Pages) bind(v variant, zone *time.Location) (*template.Template, error) {
	set := p.sets[v.page]
	if set == nil {
		return nil, fmt.Errorf("there is no page %q", v.page)
	}
	c, err := set.Clone()
	if err != nil {
		return nil, fmt.Errorf("clone page %s: %w", v.page, err)
	}
	t := c.Funcs(funcs(v.lang, zone)).Lookup(v.layout)
	if t == nil {
		return nil, fmt.Errorf("there is no layout %q", v.layout)
	}
	return t, nil
}

// framed is every page's data: a struct that embeds Frame.
type framed interface{ frame() Frame }

// Render writes a page. Nothing is sent if the template fails. It sets the
// security headers and no-store.
func Render(w http.ResponseWriter, status int, p *Pages, name, layout string, data any) error {
	page, ok := data.(framed)
	if !ok {
		return fmt.Errorf("render %s: %T embeds no web.Frame", name, data)
	}
	f := page.frame()
	l, zone := cmp.Or(f.Lang, text.EN), cmp.Or(f.Zone, time.UTC)
	t, err := p.in(pageName(name), layout, l, zone)
	if err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	secure(w.Header(), layout)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", string(l))
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Add("Vary", "Accept-Language, Cookie")
	w.WriteHeader(status)
	w.Write(b.Bytes())
	return nil
}

// moment is a time.Time or a db.Time.
type moment interface {
	In(*time.Location) time.Time
	IsZero() bool
}

func funcs(l text.Lang, zone *time.Location) template.FuncMap {
	return template.FuncMap{
		"t":      func(id string, kv ...any) string { return text.T(l, id, kv...) },
		"in":     func(t text.Text) string { return t.In(l) },
		"date":   func(m moment) string { return when(m, zone, func(t time.Time) string { return text.Date(l, t) }) },
		"moment": func(m moment) string { return when(m, zone, func(t time.Time) string { return text.Moment(l, t) }) },
		"iso":    func(m moment) string { return m.In(time.UTC).Format(time.RFC3339) },
		"period": func(d policy.Duration) string {
			return text.Period(l, d.Years, d.Months, d.Weeks, d.Days, d.Hours, d.Minutes)
		},
		"num":      func(n any) (string, error) { return number(l, n) },
		"size":     func(n int64) string { return text.Bytes(l, n) },
		"dir":      func(l text.Lang) string { return text.Dir(l) },
		"language": func(l text.Lang) string { return text.Name(l) }, // in itself
		"spoken":   func(of text.Lang) string { return text.Language(l, of) },
		"country":  func(code string) string { return text.Country(l, code) },
		"list":     func(words []string) string { return text.List(l, words) },
		"asset":    Asset,
		"brand":    brandURL,
	}
}

// when formats a moment as the house's calendar has it; a moment that is not there is a dash.
func when(m moment, zone *time.Location, format func(time.Time) string) string {
	if m.IsZero() {
		return "–"
	}
	return format(m.In(zone))
}

// number writes a whole number as people do: 12.345 in Danish, 12,345 in English.
func number(l text.Lang, n any) (string, error) {
	v := reflect.ValueOf(n)
	var digits string
	switch {
	case v.CanInt():
		digits = strconv.FormatInt(v.Int(), 10)
	case v.CanUint():
		digits = strconv.FormatUint(v.Uint(), 10)
	default:
		return "", fmt.Errorf("num: %T is not a whole number", n)
	}
	sign := ""
	if digits[0] == '-' {
		sign, digits = "−", digits[1:]
	}
	mark := ","
	if l == text.DA {
		mark = "."
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + mark + digits[i:]
	}
	return sign + digits, nil
}
