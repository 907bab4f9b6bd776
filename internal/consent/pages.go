package consent

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

//go:embed *.html
var files embed.FS

var pages = web.Parse(files)

const (
	choicesPath = "/privacy/choices"
	receiptPath = "/privacy/choices/receipt/"
	consentPath = "/_tillid/consent"
	pagePath    = "/_tillid/page"
)

const (
	maxForm   = 64 << 10
	maxReturn = 1000
)

// PublicRoutes registers the addresses on the site's host.
func (s *Service) PublicRoutes(mux *http.ServeMux) {
	sameOrigin := http.NewCrossOriginProtection() // nobody says yes for somebody else
	mux.Handle("POST "+consentPath, sameOrigin.Handler(web.Wrap(s.Log, s.take)))
	mux.Handle("GET "+choicesPath, web.Wrap(s.Log, s.choicesPage))
	mux.Handle("GET "+receiptPath+"{ticket}", web.Wrap(s.Log, s.receiptPage))
	mux.Handle("GET "+partiesPath, web.Wrap(s.Log, s.partiesPage))
	s.scriptRoutes(mux)
	mux.Handle("GET "+pagePath, web.Wrap(s.Log, s.page))
	mux.Handle("GET "+framePath, web.Wrap(s.Log, s.frame))
	mux.Handle("POST "+framePath, sameOrigin.Handler(web.Wrap(s.Log, s.frame)))
	mux.Handle("GET "+posterPath+"{service}", web.Wrap(s.Log, s.poster))
	mux.Handle("GET /.well-known/gpc.json", web.Wrap(s.Log, s.gpcSupport))
}

// request is a choice as it is sent: by the script as JSON, by pages as a form.
type request struct {
	Do       string   `json:"do"` // all, none, some, add, remove, allow:<purpose>, refuse:<purpose>
	Services []string `json:"services"`
	Lang     string   `json:"lang"`
	Layer    string   `json:"layer"`
	GPC      bool     `json:"gpc"`  // what the browser tells scripts; the header counts as well
	Page     string   `json:"page"` // path of the page on which the choice was made

	back string // where a form leads
}

// take keeps a choice and answers with the cookie.
func (s *Service) take(w http.ResponseWriter, r *http.Request) error {
	if s.Limit != nil {
		if err := s.Limit(r); err != nil {
			return err
		}
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	script := kind == "application/json"
	in, err := readRequest(w, r, script)
	if err != nil {
		return err
	}
	o := s.offer()
	if o.plan == nil {
		return fault.New(fault.Unavailable, "No declaration is in force yet.").In("consent.no_plan")
	}
	before := s.Granted(r)
	before.GPC = before.GPC || in.GPC
	c, err := o.decide(before, s.Now().UTC(), in.Do, o.named(in.Services), in.Layer)
	if err != nil {
		return err
	}
	c.lang, c.layer, c.control = s.langOf(r, in.Lang), layerOf(in.Layer), in.Do
	out, err := s.choose(r.Context(), o, before, c)
	if err != nil {
		return err
	}
	s.setChoice(w, r, o, out.State)
	more := o.expire(w, r, out.granted, in.Page, 0)
	if script {
		return s.answer(w, r, o, before, out, more, in)
	}
	if strings.HasPrefix(in.back, choicesPath) {
		in.back = web.DoneURL(choicesPath+"?lang="+string(c.lang)+"&receipt="+url.QueryEscape(s.ticket(out.leaf)), "consent.done."+out.kind)
	}
	http.Redirect(w, r, forgetting(more, in.back), http.StatusSeeOther)
	return nil
}

func layerOf(s string) string {
	if s == "banner" || s == "page" || s == "placeholder" {
		return s
	}
	return "api"
}

func readRequest(w http.ResponseWriter, r *http.Request, script bool) (in request, err error) {
	if script {
		err = web.DecodeJSON(w, r, maxForm, &in)
		in.Page = ownPage(cmp.Or(in.Page, r.Referer()), r.Host)
		return in, err
	}
	form, err := web.DecodeForm(w, r, maxForm, "service")
	if err != nil {
		return in, err
	}
	in = request{Do: form.Get("do"), Services: form["service"], Lang: form.Get("lang"), Layer: form.Get("layer"), back: returnPath(form.Get("return"))}
	in.Page = ownPage(in.back, r.Host)
	return in, nil
}

// ownPage returns the path of a page of the site, or "": the address of no other
// host, of no page of ours (those about a person have a token in theirs), and no
// query. It is as browsers send it, and so as cookies are set for it.
func ownPage(address, host string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host != host && (u.Host != "" || u.Scheme != "") || u.Opaque != "" {
		return ""
	}
	page, _, _ := strings.Cut(u.EscapedPath(), ";") // behind it some sites put a session's id
	if !strings.HasPrefix(page, "/") || strings.HasPrefix(page, "//") || len(page) > maxReturn {
		return ""
	}
	for _, own := range []string{"/privacy", "/_tillid"} {
		if clean := path.Clean(page); clean == own || strings.HasPrefix(clean, own+"/") {
			return ""
		}
	}
	return page
}

// returnPath returns an address on this host to go back to, and the choices page
// for everything else.
func returnPath(to string) string {
	u, err := url.Parse(to)
	clean := err == nil && u.Scheme == "" && u.Host == "" && u.User == nil && strings.HasPrefix(u.Path, "/") &&
		!strings.HasPrefix(u.Path, "//") && !strings.ContainsAny(u.Path, "\\\r\n\t") && len(to) <= maxReturn
	if !clean {
		return choicesPath
	}
	u.Fragment = ""
	return u.RequestURI()
}

type choicesPage struct {
	web.Frame
	State     State
	Answered  bool // something has an answer that is in force
	Until     time.Time
	Since     []string // what has changed since the last choice, in words
	Groups    []groupView
	Necessary []device
	Names     string // what is granted, in words
	Return    string
	Receipt   string
	Hash      string
	Ads       bool // some purpose is refused because of Global Privacy Control
	Forgotten bool // a choice was just made, and the browser kept no cookie
}

type groupView struct {
	Purpose *policy.Purpose
	Items   []itemView
}

// itemView is an item with its box, which is ticked only when it is granted.
type itemView struct {
	item
	Granted bool
	New     bool // new, or more than it was, since the last choice
	Stored  []device
}

// device is a piece of storage in words.
type device struct {
	ID       string
	Describe text.Text
	Lasts    policy.Duration
	Type     string
	Session  bool // ends with the browser
	Rolling  bool // each visit renews it
	Third    bool // third parties can read it
}

func devices(rows []*policy.DeviceAccess, l text.Lang) []device {
	var all []device
	for _, d := range rows {
		v := device{ID: d.ID, Describe: d.Describe, Lasts: d.Duration, Rolling: d.Rolling, Third: d.ThirdParty != nil && *d.ThirdParty}
		v.Session = d.Duration.Set && d.Duration.Approx() == 0 || d.Technology == "session_storage"
		v.Type = text.T(l, "consent.device."+cmp.Or(d.Technology, "cookie"))
		all = append(all, v)
	}
	return all
}

func (o *offer) view(state State, l text.Lang) []groupView {
	var all []groupView
	i := 0
	for _, g := range o.Groups {
		v := groupView{Purpose: g.Purpose}
		for _, it := range g.Items {
			iv := itemView{item: it, Granted: slices.Contains(state.granted, it.ID), Stored: devices(it.Devices, l)}
			if len(state.answers) > 0 {
				a := state.answers[i]
				iv.New = a.fresh || len(a.grew) > 0
			}
			v.Items = append(v.Items, iv)
			i++
		}
		all = append(all, v)
	}
	return all
}

// choicesPage shows everything there is to say yes or no to, and does it all
// without JavaScript.
func (s *Service) choicesPage(w http.ResponseWriter, r *http.Request) error {
	o, f, state := s.offer(), s.House.Public(r), s.Granted(r)
	page := choicesPage{
		Frame: f, State: state, Groups: o.view(state, f.Lang), Necessary: devices(o.Necessary, f.Lang),
		Names: o.names(state.granted, f.Lang), Return: choicesPath, Answered: state.some(), Since: o.since(f.Lang, state),
	}
	if o.plan != nil {
		page.Hash, page.Until = o.plan.Hash, o.until(state.At)
	}
	page.Ads = state.GPC && !state.some() && o.ads()
	_, err := r.Cookie(policy.ChoiceCookie)
	page.Forgotten = err != nil && r.URL.Query().Get("receipt") != ""
	leaf, err := s.lastLeaf(r, state)
	if err != nil {
		return err
	}
	page.Receipt = s.ticket(leaf)
	if asked := r.URL.Query().Get("receipt"); leaf == "" {
		if _, _, ok := s.readTicket(asked); ok {
			page.Receipt = asked
		}
	}
	w.Header().Set("Vary", "Sec-GPC")
	return web.Render(w, http.StatusOK, pages, "choices", web.Public, page)
}

func validLeaf(id string) bool {
	return len(id) == len("26characters-of-base32-id!") && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < '2' || r > '7')
	})
}

// lastLeaf returns the leaf of a visitor's latest choice; "" when none is kept about them.
func (s *Service) lastLeaf(r *http.Request, state State) (string, error) {
	if state.Visitor == "" {
		return "", nil
	}
	ctx := r.Context()
	person, ok, err := s.Subjects.Find(ctx, s.DB, subject.Visitor, state.Visitor)
	if err != nil || !ok {
		return "", err
	}
	records, err := s.Subjects.Of(ctx, s.DB, person)
	if err != nil {
		return "", err
	}
	for _, rec := range slices.Backward(records) {
		if rec.Holder == holder {
			c, _, err := selectChoice(ctx, s.DB, rec.ID)
			return c.leaf, err
		}
	}
	return "", nil
}

// gpcSupport says that Global Privacy Control is heeded (w3c/gpc).
func (s *Service) gpcSupport(w http.ResponseWriter, r *http.Request) error {
	o := s.offer()
	if o.plan == nil {
		return web.NotFound(w, r)
	}
	d := o.plan.Reviewed
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=86400")
	return json.NewEncoder(w).Encode(struct {
		GPC  bool   `json:"gpc"`
		Last string `json:"lastUpdate"`
	}{true, fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day)})
}
