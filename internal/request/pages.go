package request

import (
	"embed"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/web"
)

//go:embed *.html
var pageFiles embed.FS

var pages = sync.OnceValue(func() *web.Pages { return web.Parse(pageFiles) })

const postLimit = 8 << 10

// PublicRoutes puts the portal on a site's host.
func (s *Service) PublicRoutes(mux *http.ServeMux) {
	at := func(pattern string, h func(http.ResponseWriter, *http.Request) error) {
		mux.Handle(pattern, web.Wrap(s.Log, func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Referrer-Policy", "no-referrer")                               // addresses here open things
			return h(w, r.WithContext(subject.WithReason(r.Context(), subject.OwnPerson))) // a pause never keeps people from what is theirs
		}))
	}
	at("GET /privacy/me", s.showAsk)
	at("POST /privacy/me", s.postAsk)
	at("GET /privacy/me/sent", s.showSent)
	at("GET /privacy/me/open/{token}", s.showOpen)
	at("POST /privacy/me/open/{token}", s.postOpen)
	at("GET /privacy/me/data", s.showData)
	at("GET /privacy/me/data.json", s.fileJSON)
	at("GET /privacy/me/data.html", s.fileHTML)
	at("GET /privacy/me/data.zip", s.fileZIP)
	at("GET /privacy/me/file/{record}/{file}", s.getFile)
	at("GET /privacy/me/portable.json", s.filePortable)
	at("GET /privacy/me/rights", s.showRights)
	at("POST /privacy/me/rights/{right}", s.postRight)
	at("POST /privacy/me/cases/{id}/withdraw", s.postTakeBack)
	at("GET /privacy/complaint", s.showComplaint)
	at("GET /privacy/access-pack.schema.json", serveSchema)
	at("GET /privacy/me/erase", s.showErase)
	at("POST /privacy/me/erase", s.postErase)
	at("GET /privacy/me/erased/{case}", s.showErased)
	at("POST /privacy/me/leave", s.postLeave)
}

// form reads a post that may carry the names of known only.
func form(w http.ResponseWriter, r *http.Request, known ...string) (url.Values, error) {
	return formOf(w, r, postLimit, known...)
}

func formOf(w http.ResponseWriter, r *http.Request, limit int64, known ...string) (url.Values, error) {
	values, err := web.DecodeForm(w, r, limit, "accept", "record") // boxes that are ticked may be several
	if err != nil {
		return nil, err
	}
	for name := range values {
		if !slices.Contains(known, name) {
			return nil, fault.New(fault.Invalid, "The request has a field that is not known here.").In("request.field")
		}
	}
	return values, nil
}

// askPage asks for an e-mail address.
type askPage struct {
	web.Frame
	Address string
	Wrong   bool
	Visitor bool // this browser holds a visitor id
	Signed  bool // a session is open
	Contact string
	Closed  bool // the declaration says that there is no portal
}

func (s *Service) askPage(r *http.Request) askPage {
	p := askPage{Frame: s.House.Public(r), Contact: contact(s.Plan())}
	_, p.Visitor = s.visitor(r)
	_, p.Signed = s.sessionPerson(r)
	if open := s.Plan().Rights.Portal; open != nil {
		p.Closed = !*open
	}
	return p
}

func (s *Service) showAsk(w http.ResponseWriter, r *http.Request) error {
	return web.Render(w, http.StatusOK, pages(), "ask", web.Public, s.askPage(r))
}

func (s *Service) postAsk(w http.ResponseWriter, r *http.Request) error {
	if s.Limit != nil {
		if err := s.Limit(r); err != nil {
			return err
		}
	}
	values, err := form(w, r, "email")
	if err != nil {
		return err
	}
	page := s.askPage(r)
	if page.Closed {
		return web.Render(w, http.StatusForbidden, pages(), "ask", web.Public, page)
	}
	err = s.Ask(r.Context(), subject.Secret(values.Get("email")), page.Lang)
	if err != nil && fault.Of(err).Kind == fault.Invalid {
		page.Address, page.Wrong = values.Get("email"), true
		return web.Render(w, http.StatusUnprocessableEntity, pages(), "ask", web.Public, page)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/privacy/me/sent", http.StatusSeeOther)
	return nil
}

// plainPage is a page that says one thing.
type plainPage struct {
	web.Frame
	Token   string
	Minutes int
	Contact string
}

func (s *Service) showSent(w http.ResponseWriter, r *http.Request) error {
	return web.Render(w, http.StatusOK, pages(), "sent", web.Public,
		plainPage{Frame: s.House.Public(r), Minutes: int(linkLife.Minutes()), Contact: contact(s.Plan())})
}

// spent is the answer to a link that cannot be used (again).
func spent() error {
	return fault.New(fault.Gone, "This link has been used, or is too old.").
		WithHint("Ask for a new one at /privacy/me; it takes a minute.").In("request.spent", "Minutes", int(linkLife.Minutes())).Onward("/privacy/me")
}

// showOpen changes nothing: mail programs follow links before people do.
func (s *Service) showOpen(w http.ResponseWriter, r *http.Request) error {
	good, err := linkGood(r.Context(), s.DB, s.hash("link", r.PathValue("token")), s.Now())
	if err != nil {
		return err
	}
	if !good {
		return spent()
	}
	return web.Render(w, http.StatusOK, pages(), "open", web.Public, plainPage{Frame: s.House.Public(r), Token: r.PathValue("token")})
}

func (s *Service) postOpen(w http.ResponseWriter, r *http.Request) error {
	if _, err := form(w, r); err != nil {
		return err
	}
	session, ok, err := s.redeem(r.Context(), r.PathValue("token"))
	if err != nil {
		return err
	}
	if !ok {
		return spent()
	}
	http.SetCookie(w, cookie(r, session, 0))
	http.Redirect(w, r, "/privacy/me/data", http.StatusSeeOther)
	return nil
}

// cookie holds the session's token until the browser closes; seconds < 0 removes
// it. It is "__Host-" wherever https is.
func cookie(r *http.Request, value string, seconds int) *http.Cookie {
	c := &http.Cookie{ //nolint:gosec // G124: only the machine itself (localhost) gets it without Secure
		Name: cookieName(r), Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode,
	}
	if !web.HTTPS(r) {
		c.Path, c.Secure = "/privacy", false
	}
	return c
}

func cookieName(r *http.Request) string {
	if web.HTTPS(r) {
		return "__Host-" + policy.PortalCookie
	}
	return policy.PortalCookie
}

// sessionPerson returns the person whose session this browser has open, and keeps it open.
func (s *Service) sessionPerson(r *http.Request) (subject.PersonID, bool) {
	c, err := r.Cookie(cookieName(r))
	if err != nil || len(c.Value) > 100 {
		return "", false
	}
	h := s.hash("session", c.Value)
	p, expires, ok, err := session(r.Context(), s.DB, h, s.Now())
	if err != nil {
		s.Log.ErrorContext(r.Context(), "portal session cannot be read", "err", err)
		return "", false
	}
	if ok && expires.Sub(s.Now()) < sessionIdle-time.Minute {
		if err := extendSession(r.Context(), s.DB, h, s.Now().Add(sessionIdle)); err != nil {
			s.Log.ErrorContext(r.Context(), "portal session cannot be extended", "err", err)
		}
	}
	return p, ok
}

func (s *Service) visitor(r *http.Request) (subject.PersonID, bool) {
	if s.VisitorPerson == nil {
		return "", false
	}
	return s.VisitorPerson(r)
}

// persons returns whom this browser may speak for: the session's person, and
// the one behind the visitor id that it holds.
func (s *Service) persons(r *http.Request) []subject.PersonID {
	var out []subject.PersonID
	if p, ok := s.sessionPerson(r); ok {
		out = append(out, p)
	}
	if p, ok := s.visitor(r); ok && !slices.Contains(out, p) {
		out = append(out, p)
	}
	return out
}

// need returns the persons, or sends the browser to where it can prove who it is.
func (s *Service) need(w http.ResponseWriter, r *http.Request) ([]subject.PersonID, bool) {
	persons := s.persons(r)
	if len(persons) == 0 {
		http.Redirect(w, r, "/privacy/me", http.StatusSeeOther)
	}
	return persons, len(persons) > 0
}

// dataPage is the one page: what we told you, what we hold, who got it, when it goes.
type dataPage struct {
	web.Frame
	Pack    Pack
	Records []recordView
	Signed  bool
	Visitor bool
	Contact string
	File    bool // it is the downloaded file: no buttons
	ZIP     bool // that file lies beside those it names
}

type recordView struct {
	PackRecord
	Short string // version, short
}

func (s *Service) dataPage(r *http.Request, persons []subject.PersonID) (dataPage, error) {
	p := dataPage{Frame: s.House.Public(r), Contact: contact(s.Plan())}
	_, p.Signed = s.sessionPerson(r)
	_, p.Visitor = s.visitor(r)
	var err error
	p.Pack, err = s.pack(r.Context(), persons, p.Lang)
	for _, held := range p.Pack.Records {
		p.Records = append(p.Records, recordView{held, short(held.Version)})
	}
	return p, err
}

func (s *Service) showData(w http.ResponseWriter, r *http.Request) error {
	persons, ok := s.need(w, r)
	if !ok {
		return nil
	}
	page, err := s.dataPage(r, persons)
	if err != nil {
		return err
	}
	return web.Render(w, http.StatusOK, pages(), "data", web.Public, page)
}

func (s *Service) fileJSON(w http.ResponseWriter, r *http.Request) error {
	persons, ok := s.need(w, r)
	if !ok {
		return nil
	}
	pack, err := s.pack(r.Context(), persons, s.House.Public(r).Lang)
	if err != nil {
		return err
	}
	return s.writeJSON(w, pack)
}

func (s *Service) writeJSON(w http.ResponseWriter, pack Pack) error {
	b, err := packJSON(pack)
	if err != nil {
		return err
	}
	s.attachment(w, "application/json; charset=utf-8", "json")
	w.Write(b)
	return nil
}

func packJSON(pack Pack) ([]byte, error) {
	b, err := json.MarshalIndent(pack, "", "  ")
	return append(b, '\n'), err
}

func (s *Service) attachment(w http.ResponseWriter, kind, ext string) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Disposition", `attachment; filename="my-data-`+s.Now().UTC().Format(time.DateOnly)+"."+ext+`"`)
}

// postLeave ends the session.
func (s *Service) postLeave(w http.ResponseWriter, r *http.Request) error {
	if _, err := form(w, r); err != nil {
		return err
	}
	if c, err := r.Cookie(cookieName(r)); err == nil {
		if err := endSession(r.Context(), s.DB, s.hash("session", c.Value)); err != nil {
			return err
		}
	}
	http.SetCookie(w, cookie(r, "", -1))
	http.Redirect(w, r, "/privacy/me", http.StatusSeeOther)
	return nil
}

// caseAddress reports whether s can be the name of a case.
func caseAddress(s string) bool {
	return len(s) >= 16 && len(s) <= 64 && !strings.ContainsAny(s, "/\\. ")
}
