package desk

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/text"
)

// Mode is how the simulator behaves.
type Mode string

// Modes of the simulator.
const (
	Honest Mode = "honest"
	Keep   Mode = "keep" // says yes to a deletion, and keeps
	Down   Mode = "down" // breaks every connection
	Broken Mode = "broken"
	Busy   Mode = "busy"
	Late   Mode = "late"   // says yes to a deletion, and purges after PurgeAfter
	Forget Mode = "forget" // gives every ticket another id
)

var modes = []Mode{Honest, Keep, Late, Forget, Down, Broken, Busy}

// PurgeAfter is how long a ticket that was deleted in mode Late stays.
const PurgeAfter = 2 * time.Minute

//go:embed desk.html desk.css
var files embed.FS

var page = template.Must(template.New("desk.html").Funcs(template.FuncMap{"t": text.T}).ParseFS(files, "desk.html"))

// Server simulates the help desk: a JSON interface, and a page that shows what
// it holds and has its switches. Its zero value works, in memory.
type Server struct {
	File string           // where it keeps its tickets; empty: in memory only
	Now  func() time.Time // nil: time.Now

	mu   sync.Mutex
	held held
	mux  *http.ServeMux
}

type held struct {
	Mode    Mode                 `json:"mode"`
	Tickets []ticket             `json:"tickets"`
	Keys    map[string]string    `json:"keys"`   // idempotency key → ticket
	Purges  map[string]time.Time `json:"purges"` // ticket → when it goes
	Next    int                  `json:"next"`
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.start(); err != nil {
		http.Error(w, "the simulator cannot read its file", http.StatusInternalServerError)
		return
	}
	if err := s.purge(); err != nil {
		http.Error(w, "the simulator cannot write its file", http.StatusInternalServerError)
		return
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Server) start() error {
	if s.mux != nil {
		return nil
	}
	s.held = held{Mode: Honest, Keys: map[string]string{}, Next: 1001}
	if s.File != "" {
		b, err := os.ReadFile(s.File)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil {
			if err := json.Unmarshal(b, &s.held); err != nil {
				return err
			}
		}
	}
	if s.held.Purges == nil {
		s.held.Purges = map[string]time.Time{}
	}
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("GET /{$}", s.index)
	s.mux.HandleFunc("POST /mode", s.setMode)
	s.mux.Handle("GET /desk.css", http.FileServerFS(files))
	s.mux.HandleFunc("POST /tickets", s.api(s.create))
	s.mux.HandleFunc("GET /tickets", s.api(s.list))
	s.mux.HandleFunc("POST /search", s.api(s.search))
	s.mux.HandleFunc("DELETE /tickets/{id}", s.api(s.delete))
	return nil
}

// api applies the switches.
func (s *Server) api(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", db.NewID())
		switch s.held.Mode {
		case Down:
			panic(http.ErrAbortHandler)
		case Broken:
			answer(w, http.StatusInternalServerError, map[string]string{"error": "internal"})
		case Busy:
			w.Header().Set("Retry-After", "60")
			answer(w, http.StatusTooManyRequests, map[string]string{"error": "too many requests"})
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxAnswer)
			h(w, r)
		}
	}
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	var t ticket
	if err := strict(r, &t); err != nil || t.Reference == "" {
		answer(w, http.StatusBadRequest, map[string]string{"error": "bad ticket"})
		return
	}
	key := r.Header.Get("Idempotency-Key")
	if id := s.held.Keys[key]; key != "" && id != "" {
		if i := s.position(id); i >= 0 {
			answer(w, http.StatusOK, s.held.Tickets[i])
			return
		}
	}
	t.ID = fmt.Sprint(s.held.Next)
	s.held.Next++
	s.held.Tickets = append(s.held.Tickets, t)
	if key != "" {
		s.held.Keys[key] = t.ID
	}
	if s.held.Mode == Forget {
		s.renumber()
	}
	s.keep(w, http.StatusCreated, t)
}

// renumber gives every ticket another id, as a move to a new system does; keys
// of earlier requests are forgotten.
func (s *Server) renumber() {
	purges := map[string]time.Time{}
	for i := range s.held.Tickets {
		t := &s.held.Tickets[i]
		at, marked := s.held.Purges[t.ID]
		t.ID = fmt.Sprint(s.held.Next)
		s.held.Next++
		if marked {
			purges[t.ID] = at
		}
	}
	s.held.Purges = purges
	clear(s.held.Keys)
}

// purge removes the tickets whose time has come.
func (s *Server) purge() error {
	changed := false
	for id, at := range s.held.Purges {
		if !s.now().Before(at) {
			s.remove(id)
			changed = true
		}
	}
	if !changed {
		return nil
	}
	return s.save()
}

func (s *Server) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// remove takes a ticket away with all that names it.
func (s *Server) remove(id string) {
	s.held.Tickets = slices.DeleteFunc(s.held.Tickets, func(t ticket) bool { return t.ID == id })
	maps.DeleteFunc(s.held.Keys, func(_, of string) bool { return of == id })
	delete(s.held.Purges, id)
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	by := map[string]string{}
	for name := range r.URL.Query() {
		by[name] = r.URL.Query().Get(name)
	}
	answer(w, http.StatusOK, found{s.find(by)})
}

func (s *Server) search(w http.ResponseWriter, r *http.Request) {
	var by map[string]string
	if err := strict(r, &by); err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"error": "bad search"})
		return
	}
	answer(w, http.StatusOK, found{s.find(by)})
}

// find returns the tickets that fit everything asked: id, reference, value of any field.
func (s *Server) find(by map[string]string) []ticket {
	fits := func(t ticket) bool {
		for name, v := range by {
			switch name {
			case "id":
				if t.ID != v {
					return false
				}
			case "reference":
				if t.Reference != v {
					return false
				}
			case "value":
				if !slices.ContainsFunc(t.Fields, func(f field) bool { return strings.EqualFold(f.Value, v) }) {
					return false
				}
			default:
				return false
			}
		}
		return true
	}
	all := []ticket{}
	for _, t := range s.held.Tickets {
		if fits(t) {
			all = append(all, t)
		}
	}
	return all
}

func (s *Server) delete(w http.ResponseWriter, r *http.Request) {
	i := s.position(r.PathValue("id"))
	if i < 0 {
		answer(w, http.StatusNotFound, map[string]string{"error": "no such ticket"})
		return
	}
	switch id := s.held.Tickets[i].ID; s.held.Mode {
	case Keep:
	case Late:
		if _, marked := s.held.Purges[id]; !marked {
			s.held.Purges[id] = s.now().Add(PurgeAfter)
		}
	default:
		s.remove(id)
	}
	s.keep(w, http.StatusOK, map[string]string{"status": "deleted"})
}

func (s *Server) position(id string) int {
	return slices.IndexFunc(s.held.Tickets, func(t ticket) bool { return t.ID == id })
}

// keep writes the file, then answers.
func (s *Server) keep(w http.ResponseWriter, status int, v any) {
	if err := s.save(); err != nil {
		answer(w, http.StatusInternalServerError, map[string]string{"error": "cannot save"})
		return
	}
	answer(w, status, v)
}

func (s *Server) save() error {
	if s.File == "" {
		return nil
	}
	b, err := json.Marshal(s.held)
	if err != nil {
		return err
	}
	return os.WriteFile(s.File, b, 0o600)
}

func (s *Server) setMode(w http.ResponseWriter, r *http.Request) {
	mode := Mode(r.PostFormValue("mode"))
	if !slices.Contains(modes, mode) {
		http.Error(w, "no such mode", http.StatusBadRequest)
		return
	}
	s.held.Mode = mode
	if mode == Forget {
		s.renumber()
	}
	if err := s.save(); err != nil {
		http.Error(w, "cannot save", http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

type pageData struct {
	Lang    text.Lang
	Mode    Mode
	Modes   []Mode
	Tickets []ticket
	Purges  map[string]time.Time
}

func (s *Server) index(w http.ResponseWriter, r *http.Request) {
	lang := text.Match(r.Header.Get("Accept-Language"), text.Langs())
	if l := text.Lang(r.URL.Query().Get("lang")); slices.Contains(text.Langs(), l) {
		lang = l
	}
	var b strings.Builder
	data := pageData{lang, s.held.Mode, modes, s.held.Tickets, s.held.Purges}
	if err := page.Execute(&b, data); err != nil {
		http.Error(w, "cannot show the page", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprint(w, b.String())
}

func strict(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	return d.Decode(v)
}

func answer(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"error":"internal"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(b)
}
