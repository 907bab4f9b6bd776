package consent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/version"
	"github.com/tillid/tillid/internal/web"
)

// Shown is everything by which visitors are asked in one language, byte for byte:
// the banner as it comes with a page, its settings, the second layer, the choices
// page, the placeholders, and the scripts and styles of all of them. Its digest stands in
// the leaf of every choice; the bytes are kept in the archive of versions.
type Shown struct {
	Format   string      `json:"format"`
	Language text.Lang   `json:"language"`
	Files    []ShownFile `json:"files"`
}

// ShownFile is one file of Shown.
type ShownFile struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Address string `json:"address,omitempty"` // where the site serves it
	SHA256  string `json:"sha256"`
	Content string `json:"content"`
}

// ShownFormat is the first thing that an archive of what was shown says about itself.
const ShownFormat = "tillid-shown/1"

const shownDocument = "banner-"

// Archive returns what visitors are asked by under a declaration, for the archive
// of its version: one document for each language.
func (s *Service) Archive(plan *policy.Plan) ([]version.Shown, error) {
	o := newOffer(plan)
	if len(o.Groups) == 0 {
		return nil, nil
	}
	var all []version.Shown
	for _, l := range spoken(plan) {
		b, err := s.shownIn(o, l)
		if err != nil {
			return nil, fmt.Errorf("archive the banner: %w", err)
		}
		sum := sha256.Sum256(b)
		all = append(all, version.Shown{Document: shownDocument + hex.EncodeToString(sum[:6]), Lang: l, Format: "json", Content: b})
	}
	return all, nil
}

// digests fills in the digest of what is shown in each language.
func (s *Service) digests(o *offer) {
	if o.plan == nil || s.probing || len(o.Groups) == 0 {
		return
	}
	for _, l := range spoken(o.plan) {
		b, err := s.shownIn(o, l)
		if err != nil {
			s.Log.Error("what visitors are shown cannot be rendered", "language", l, "err", err)
			continue
		}
		sum := sha256.Sum256(b)
		o.shown[l] = hex.EncodeToString(sum[:])
	}
}

// shownIn asks a service of its own for everything that a visitor who has not
// chosen gets, so that the archive holds what is really sent.
func (s *Service) shownIn(o *offer, l text.Lang) ([]byte, error) {
	p := s.probe(o, l)
	site := "https://" + strings.TrimPrefix(strings.TrimPrefix(homeOf(o.plan), "https://"), "http://")
	plain, gpc := p.request(site, "/", false), p.request(site, "/", true)
	p.add("head.html", "text/html", "", append(p.service.First(plain, string(l)), p.service.Head(plain, string(l))...))
	p.add("head-gpc.html", "text/html", "", p.service.Head(gpc, string(l)))
	p.add("foot.html", "text/html", "", p.service.Foot(plain, string(l), false))
	for _, it := range o.items {
		if it.Service != nil && it.Service.Kind == "embed" {
			p.add("placeholder-"+it.ID+".html", "text/html", "", p.service.Placeholder(plain, string(l), embedOf(it)))
		}
	}
	lang := "?lang=" + string(l)
	for _, at := range []struct {
		name, address string
		gpc           bool
	}{
		{"banner.json", statePath + lang, false}, {"banner-gpc.json", statePath + lang, true}, {"layer.html", layerPath + lang, false},
		{"choices.html", choicesPath + lang, false}, {"choices-gpc.html", choicesPath + lang, true}, {"asset-u.js", moreFile.url, false},
	} {
		p.get(site, at.name, at.address, at.gpc)
	}
	p.assets(site)
	if p.err != nil {
		return nil, p.err
	}
	slices.SortFunc(p.shown.Files, func(a, b ShownFile) int { return strings.Compare(a.Name, b.Name) })
	return encodeShown(p.shown)
}

// spoken returns the languages of a declaration that the program speaks.
func spoken(plan *policy.Plan) []text.Lang {
	var all []text.Lang
	for _, l := range plan.Languages {
		if slices.Contains(text.Langs(), l) {
			all = append(all, l)
		}
	}
	if len(all) == 0 {
		return text.Langs()
	}
	return all
}

func encodeShown(s Shown) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(s)
	return b.Bytes(), err
}

func embedOf(it item) (e struct{ Service, Host, Title, Width, Height, Src string }) {
	e.Service, e.Width, e.Height = it.ID, "560", "315"
	return e
}

// probe asks and collects.
type probe struct {
	service *Service
	mux     *http.ServeMux
	shown   Shown
	err     error
}

func (s *Service) probe(o *offer, l text.Lang) *probe {
	house := web.House{}
	if s.House != nil {
		house = *s.House
	}
	house.Plan = func() *policy.Plan { return o.plan }
	p := &probe{mux: http.NewServeMux(), shown: Shown{Format: ShownFormat, Language: l}, service: &Service{
		DB: s.DB, Plan: house.Plan, Subjects: s.Subjects, Ledger: s.Ledger, House: &house, Log: s.Log, Now: s.Now, Secret: s.Secret, probing: true,
	}}
	p.service.PublicRoutes(p.mux)
	web.StaticRoutes(p.mux)
	return p
}

func (p *probe) request(site, address string, gpc bool) *http.Request {
	r, err := http.NewRequest(http.MethodGet, site+address, nil) //nolint:noctx // nobody waits for it: it stays in this process
	if err != nil {
		p.err = err
		r = &http.Request{Header: http.Header{}, URL: &url.URL{}}
	}
	r.Header.Set("Accept-Language", string(p.shown.Language))
	if gpc {
		r.Header.Set("Sec-Gpc", "1")
	}
	return r
}

func (p *probe) add(name, kind, address string, content []byte) {
	if len(content) == 0 || !utf8.Valid(content) {
		return
	}
	sum := sha256.Sum256(content)
	p.shown.Files = append(p.shown.Files, ShownFile{name, kind, address, hex.EncodeToString(sum[:]), string(content)})
}

func (p *probe) get(site, name, address string, gpc bool) {
	w := &capture{header: http.Header{}, code: http.StatusOK}
	p.mux.ServeHTTP(w, p.request(site, address, gpc))
	if w.code != http.StatusOK {
		p.err = fmt.Errorf("%s answers %d", address, w.code)
		return
	}
	p.add(name, w.header.Get("Content-Type"), address, w.body.Bytes())
}

// capture is an answer that is kept instead of sent.
type capture struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (c *capture) Header() http.Header         { return c.header }
func (c *capture) WriteHeader(code int)        { c.code = code }
func (c *capture) Write(b []byte) (int, error) { return c.body.Write(b) }

// assetRef finds the scripts and styles that a piece of HTML asks for.
var assetRef = regexp.MustCompile(`(?:href|src)="(/[^"]+\.(?:css|js)(?:\?[^"]*)?)"`)

// assets adds the scripts and styles that what was collected asks for, once each.
func (p *probe) assets(site string) {
	seen := map[string]bool{}
	for _, f := range slices.Clone(p.shown.Files) {
		for _, m := range assetRef.FindAllStringSubmatch(f.Content, -1) {
			address := strings.ReplaceAll(m[1], "&amp;", "&")
			u, err := url.Parse(address)
			if err != nil || seen[address] {
				continue
			}
			seen[address] = true
			if _, pattern := p.mux.Handler(p.request(site, address, false)); pattern != "" {
				p.get(site, "asset-"+path.Base(u.Path), address, false)
			}
		}
	}
}

// ReadShown reads an archive of what was shown and checks every file of it.
func ReadShown(b []byte) (Shown, error) {
	var s Shown
	if err := json.Unmarshal(b, &s); err != nil || s.Format != ShownFormat {
		return s, fault.New(fault.Invalid, "The archive of what was shown cannot be read.").In("consent.archive")
	}
	for _, f := range s.Files {
		if sum := sha256.Sum256([]byte(f.Content)); hex.EncodeToString(sum[:]) != f.SHA256 {
			return s, fault.New(fault.Invalid, "The archived file %s is not what was shown.", f.Name).In("consent.archive")
		}
	}
	return s, nil
}

// shownUnder returns what was shown by its digest; ok is false when it is not kept:
// nothing of ours was shown, or the archive is older than this program's.
func (s *Service) shownUnder(ctx context.Context, digest string) (shown Shown, ok bool, err error) {
	if digest == "" || s.Kept == nil {
		return shown, false, nil
	}
	b, err := s.Kept(ctx, digest)
	if fault.Of(err).Kind == fault.NotFound {
		return shown, false, nil
	}
	if err != nil {
		return shown, false, err
	}
	shown, err = ReadShown(b)
	return shown, err == nil, err
}
