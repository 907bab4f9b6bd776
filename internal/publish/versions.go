package publish

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/version"
	"github.com/tillid/tillid/internal/web"
)

// entry is a version as lists show it.
type entry struct {
	version.Version
	State     State
	Changes   []string // of the declaration, against the version before
	Edits     []edit   // of what people read
	Documents []shownDocument
}

// shownDocument is a document of a version in one language.
type shownDocument struct {
	Document, Name, SHA256 string
	Lang                   text.Lang
	LangName               string
	Files                  []tie
}

// State of a version.
type State string

const (
	Now      State = "now"
	Waiting  State = "waiting"
	Replaced State = "replaced" // a later one took effect first
	Past     State = "past"
)

// Badge is the style of the state.
func (s State) Badge() string {
	switch s {
	case Now:
		return "ok"
	case Waiting:
		return "due"
	default:
		return ""
	}
}

func (s *Service) state(v version.Version, replaced map[int]bool, now time.Time) State {
	switch {
	case replaced[v.Number]:
		return Replaced
	case v.EffectiveAt.After(now):
		return Waiting
	case v.Number == s.Versions.InForce().Number:
		return Now
	}
	return Past
}

// entries lists the versions, newest first, with what changed from each to the next.
func (s *Service) entries(ctx context.Context, l text.Lang) ([]entry, error) {
	all, err := s.Versions.List(ctx)
	if err != nil {
		return nil, err
	}
	replaced, now := version.Replaced(all), s.Now()
	entries := make([]entry, 0, len(all))
	for i, v := range all {
		e := entry{Version: v, State: s.state(v, replaced, now)}
		if i+1 < len(all) {
			if e.Changes, err = s.changes(ctx, all[i+1].Number, v.Number, l); err != nil {
				return nil, err
			}
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// changes says in words what differs between two versions.
func (s *Service) changes(ctx context.Context, from, to int, l text.Lang) ([]string, error) {
	_, old, err := s.Versions.Get(ctx, from)
	if err != nil {
		return nil, err
	}
	_, plan, err := s.Versions.Get(ctx, to)
	if err != nil {
		return nil, err
	}
	return inWords(old, plan, l), nil
}

// edited says what the public reads differently from one version to the next.
func (s *Service) edited(ctx context.Context, from, to int, l text.Lang) ([]edit, error) {
	old, before, err := s.Versions.Get(ctx, from)
	if err != nil {
		return nil, err
	}
	v, after, err := s.Versions.Get(ctx, to)
	if err != nil {
		return nil, err
	}
	return edits(before, after, *old, *v, l), nil
}

// documents lists what was shown under a version; only keeps what it accepts.
func (s *Service) documents(ctx context.Context, number int, l text.Lang, base string, only func(string) bool) ([]shownDocument, error) {
	_, plan, err := s.Versions.Get(ctx, number)
	if err != nil {
		return nil, err
	}
	list, err := s.Versions.ShownList(ctx, number)
	if err != nil {
		return nil, err
	}
	var docs []shownDocument
	for _, sh := range list {
		if sh.Lang == "" || strings.HasPrefix(sh.Document, "banner-") || !only(sh.Document) { // the banner is shown by consent
			continue
		}
		at := slices.IndexFunc(docs, func(d shownDocument) bool { return d.Document == sh.Document && d.Lang == sh.Lang })
		if at < 0 {
			docs = append(docs, shownDocument{Document: sh.Document, Lang: sh.Lang, Name: documentName(plan, l, sh.Document),
				LangName: text.T(sh.Lang, "publish.page.language")})
			at = len(docs) - 1
		}
		if sh.Format == "html" {
			docs[at].SHA256 = sh.SHA256
		}
		docs[at].Files = append(docs[at].Files, tie{Name: formatNames[sh.Format],
			Href: base + strconv.Itoa(number) + "/" + version.ShownName(sh.Document, sh.Lang, sh.Format)})
	}
	return docs, nil
}

// byDocument groups the languages of each document, in the order in which people ask for them.
func byDocument(docs []shownDocument) []documentLanguages {
	var rows []documentLanguages
	for _, name := range []string{"policy", "cookies", "browsers"} {
		row := documentLanguages{}
		for _, d := range docs {
			if d.Document == name {
				row.Name, row.Languages = d.Name, append(row.Languages, d)
			}
		}
		if row.Languages != nil {
			rows = append(rows, row)
		}
	}
	return rows
}

type documentLanguages struct {
	Name      string
	Languages []shownDocument
}

// ByDocument is the version's documents, one entry each.
func (e entry) ByDocument() []documentLanguages { return byDocument(e.Documents) }

var formatNames = map[string]string{"html": "HTML", "md": "Markdown", "pdf": "PDF", "note": "Note"}

func isPublic(document string) bool { return publicPages[document] != "" }

type versionsPage struct {
	web.Frame
	Entries []entry
	Today   string
}

// versions is the public list: every version, what changed, and its texts.
func (s *Service) versions(w http.ResponseWriter, r *http.Request) error {
	p := versionsPage{Frame: s.House.Public(r), Today: s.Now().Format(time.DateOnly)}
	var err error
	if p.Entries, err = s.entries(r.Context(), p.Lang); err != nil {
		return err
	}
	for i := range p.Entries {
		e := &p.Entries[i]
		if e.Documents, err = s.documents(r.Context(), e.Number, p.Lang, versionsPath+"/", isPublic); err != nil {
			return err
		}
		if e.Number > 1 {
			if e.Edits, err = s.edited(r.Context(), e.Number-1, e.Number, p.Lang); err != nil {
				return err
			}
		}
	}
	return web.Render(w, http.StatusOK, pages(), "versions", web.Public, p)
}

type staffVersionsPage struct {
	web.Frame
	Entries  []entry
	From, To int
	Compared bool
	Changes  []string
}

func (s *Service) staffVersions(w http.ResponseWriter, r *http.Request) error {
	p := staffVersionsPage{Frame: s.House.Backoffice(r)}
	var err error
	if p.Entries, err = s.entries(r.Context(), p.Lang); err != nil {
		return err
	}
	p.To = p.Entries[0].Number
	p.From = max(p.To-1, 1)
	return web.Render(w, http.StatusOK, pages(), "staffversions", web.Backoffice, p)
}

// compare shows the difference between any two versions.
func (s *Service) compare(w http.ResponseWriter, r *http.Request) error {
	p := staffVersionsPage{Frame: s.House.Backoffice(r), Compared: true}
	var err error
	if p.Entries, err = s.entries(r.Context(), p.Lang); err != nil {
		return err
	}
	p.From, _ = strconv.Atoi(r.URL.Query().Get("from"))
	p.To, _ = strconv.Atoi(r.URL.Query().Get("to"))
	if p.Changes, err = s.changes(r.Context(), p.From, p.To, p.Lang); err != nil {
		return err
	}
	return web.Render(w, http.StatusOK, pages(), "staffversions", web.Backoffice, p)
}

type staffVersionPage struct {
	web.Frame
	entry
	Findings []Finding
}

func (s *Service) staffVersion(w http.ResponseWriter, r *http.Request) error {
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		return errDocument()
	}
	p := staffVersionPage{Frame: s.House.Backoffice(r)}
	entries, err := s.entries(r.Context(), p.Lang)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(entries, func(e entry) bool { return e.Number == number })
	if at < 0 {
		return errDocument()
	}
	p.entry = entries[at]
	if p.Documents, err = s.documents(r.Context(), number, p.Lang, "/versions/", func(string) bool { return true }); err != nil {
		return err
	}
	_, plan, err := s.Versions.Get(r.Context(), number)
	if err != nil {
		return err
	}
	p.Findings = s.findings(plan, p.Lang)
	return web.Render(w, http.StatusOK, pages(), "staffversion", web.Backoffice, p)
}

func (s *Service) findings(plan *policy.Plan, l text.Lang) []Finding {
	if s.Findings == nil {
		return nil
	}
	found := s.Findings(plan, l)
	for i := range found {
		if found[i].Line == 0 {
			found[i].Line = plan.At(found[i].Path).Line
		}
	}
	return found
}

// staffFile serves any archived file to staff.
func (s *Service) staffFile(w http.ResponseWriter, r *http.Request) error {
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		return errDocument()
	}
	document, l, format := split(r.PathValue("file"))
	if format == "" || l == "" {
		return errDocument()
	}
	return s.file(w, r, number, document, l, format)
}
