package consent

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

// Addresses that the script asks. None carries a word that lists of blockers know.
const (
	statePath  = "/_tillid/state"
	choicePath = "/_tillid/choice"
	layerPath  = "/_tillid/layer"
	forgetPath = "/_tillid/forget"
	leftPath   = "/_tillid/left"
)

func (s *Service) scriptRoutes(mux *http.ServeMux) {
	sameOrigin := http.NewCrossOriginProtection()
	mux.Handle("POST "+choicePath, sameOrigin.Handler(web.Wrap(s.Log, s.take)))
	mux.Handle("GET "+statePath, web.Wrap(s.Log, s.state))
	mux.Handle("GET "+layerPath, web.Wrap(s.Log, s.layer))
	mux.Handle("GET "+forgetPath, web.Wrap(s.Log, s.forgetOn))
	mux.Handle("POST "+forgetPath, sameOrigin.Handler(web.Wrap(s.Log, s.forget)))
	mux.Handle("POST "+leftPath, sameOrigin.Handler(web.Wrap(s.Log, s.left)))
	mux.Handle("GET "+scriptFile.path, scriptFile)
	mux.Handle("GET "+moreFile.path, moreFile)
	mux.Handle("GET "+styleFile.path, styleFile)
	mux.Handle("GET "+pageFile.path, pageFile)
}

// answer tells the script what is granted now, what it must clear, and whether
// the page must be loaded anew.
func (s *Service) answer(w http.ResponseWriter, r *http.Request, o *offer, before State, out outcome, more int, in request) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	state := out.State
	state.GPC = before.GPC
	set := s.settingsOf(r, o, in.Lang, state)
	return json.NewEncoder(w).Encode(struct {
		Kind     string         `json:"kind"`
		Granted  []string       `json:"granted"`
		State    string         `json:"state"`
		Receipt  ledger.Promise `json:"receipt"`
		Proof    *proof         `json:"proof,omitempty"` // of a withdrawal: afterwards nothing leads to it
		Clear    names          `json:"clear"`
		More     int            `json:"more,omitempty"`
		Reload   bool           `json:"reload"`
		Settings settings       `json:"settings"`
	}{
		out.kind, append([]string{}, out.granted...), strings.Join(out.granted, " "), out.promise, s.proof(set, out),
		o.refused(out.granted), more, o.other(before.granted, out.granted), set,
	})
}

// proof leads to a receipt.
type proof struct {
	At    string `json:"at"`
	Label string `json:"label"`
}

func (s *Service) proof(set settings, out outcome) *proof {
	if out.kind != withdrawn {
		return nil
	}
	at := strings.Replace(set.Choices, choicesPath+"?", receiptPath+url.PathEscape(s.ticket(out.leaf))+"?", 1)
	return &proof{At: at, Label: text.T(set.Lang, "consent.receipt.see")}
}

// other reports whether a page must be loaded anew after a choice: when something
// was taken away, whose code may be running, or when the browser may now reach
// hosts that the page's policy does not name. What a site itself stores needs neither.
func (o *offer) other(before, after []string) bool {
	for _, id := range before {
		if !slices.Contains(after, id) {
			return true
		}
	}
	for _, it := range o.items {
		if it.Service != nil && slices.Contains(after, it.ID) && !slices.Contains(before, it.ID) {
			return true
		}
	}
	return false
}

// state tells the script whether to ask, and in which words.
func (s *Service) state(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "private, no-store")
	w.Header().Set("Vary", "Cookie, Sec-GPC, Accept-Language")
	q, state := r.URL.Query(), s.Granted(r)
	state.GPC = state.GPC || q.Get("gpc") == "1" // what the browser tells scripts
	return json.NewEncoder(w).Encode(s.settingsOf(r, s.offer(), q.Get("lang"), state))
}

// layer is the second layer of the banner: every purpose and service, with the
// same facts as the choices page, nothing ticked that was not granted.
func (s *Service) layer(w http.ResponseWriter, r *http.Request) error {
	o, state := s.offer(), s.Granted(r)
	l := s.langOf(r, r.URL.Query().Get("lang"))
	w.Header().Set("Vary", "Cookie, Sec-GPC, Accept-Language")
	page := layerPage{Frame: s.House.Public(r), State: state, Groups: o.view(state, l), Choices: choicesPath + "?lang=" + string(l)}
	if page.Lang = l; o.plan != nil {
		page.Hash = o.plan.Hash
	}
	return web.Render(w, http.StatusOK, pages, "layer", web.Bare, page)
}

type layerPage struct {
	web.Frame
	State   State
	Groups  []groupView
	Choices string
	Hash    string // of the declaration, as on the policy page
}

// forgetOn deletes what one answer to a form could not: it goes on until nothing is
// left, then leads back. It only ever deletes what is not granted, so it needs no protection.
func (s *Service) forgetOn(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	back := returnPath(q.Get("return"))
	from, err := strconv.Atoi(q.Get("from"))
	if err != nil || from < 0 {
		from = 0
	}
	more := 0
	if o := s.offer(); o.plan != nil {
		more = o.expire(w, r, s.Granted(r).granted, ownPage(back, r.Host), from)
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, forgetting(more, back), http.StatusSeeOther)
	return nil
}

// forget deletes for the script what one answer could not, and cookies of the page's
// folders, which do not come to this address: they are named. It answers with where
// the next one goes on. Names are in its body: addresses land in the logs of servers
// in front.
func (s *Service) forget(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		From  int      `json:"from"`
		Page  string   `json:"page"`
		Names []string `json:"names"`
	}
	if err := web.DecodeJSON(w, r, maxLeft, &in); err != nil {
		return err
	}
	more := 0
	if o, state := s.offer(), s.Granted(r); o.plan != nil {
		for _, name := range in.Names[:min(len(in.Names), maxLeftover)] {
			if c := (http.Cookie{Name: name, Value: "1"}); c.Valid() == nil && len(name) <= maxName { //nolint:gosec // read by us alone
				r.AddCookie(&c)
			}
		}
		more = o.expire(w, r, state.granted, ownPage(in.Page, r.Host), max(in.From, 0))
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(map[string]int{"more": more})
}

// forgetting is the address at which deleting goes on before it leads back.
func forgetting(from int, back string) string {
	if from == 0 {
		return back
	}
	return forgetPath + "?from=" + strconv.Itoa(from) + "&return=" + url.QueryEscape(back)
}

// Limits of what a browser may report as left over.
const (
	maxLeft     = 16 << 10
	maxLeftover = 40
	maxName     = 100
)

// left takes the names of what is stored after a withdrawal, and reports those
// that the declaration does not have. Values are never sent.
func (s *Service) left(w http.ResponseWriter, r *http.Request) error {
	if s.Limit != nil {
		if err := s.Limit(r); err != nil {
			return err
		}
	}
	var in struct {
		names
		Page string `json:"page"`
	}
	if err := web.DecodeJSON(w, r, maxLeft, &in); err != nil {
		return err
	}
	in.Page = ownPage(in.Page, r.Host)
	for _, c := range r.Cookies() { // those that scripts cannot see too
		if !slices.Contains(in.Cookies, c.Name) {
			in.Cookies = append(in.Cookies, c.Name)
		}
	}
	if plan := s.offer().plan; plan != nil && s.Leftover != nil {
		reported := 0
		for _, technology := range []string{"cookie", "local_storage", "session_storage", "indexed_db", "cache", "service_worker"} {
			for _, name := range *in.list(technology) {
				if name == "" || len(name) > maxName || declared(plan, technology, name) || reported >= maxLeftover {
					continue
				}
				s.Leftover(r, technology, name, in.Page)
				reported++
			}
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// declared reports whether a declaration has storage of that name.
func declared(plan *policy.Plan, technology, name string) bool {
	if strings.HasPrefix(name, "tillid_") {
		return true
	}
	for i := range plan.Device {
		d := &plan.Device[i]
		prefix, pattern := strings.CutSuffix(d.ID, "*")
		same := d.Technology == technology || d.Technology == "" && technology == "cookie"
		if same && (d.ID == name || pattern && strings.HasPrefix(name, prefix)) {
			return true
		}
	}
	return false
}

// named resolves what a page asks for by name: items, or all items of a category
// or a purpose.
func (o *offer) named(names []string) []string {
	var all []string
	for _, name := range names {
		of := o.itemsOf(name)
		if len(of) == 0 {
			of = []string{name} // unknown: refused where choices are decided
		}
		all = append(all, of...)
	}
	return all
}

func (o *offer) itemsOf(name string) []string {
	var all []string
	for _, g := range o.Groups {
		for _, it := range g.Items {
			if it.ID == name {
				return []string{name}
			}
			if g.Purpose.ID == name || it.category() == name {
				all = append(all, it.ID)
			}
		}
	}
	return all
}

// category returns the category of an item, "" when its own storage has several.
func (it *item) category() string {
	if it.Service != nil {
		return it.Service.Category
	}
	category := ""
	for i, d := range it.Devices {
		if i > 0 && d.Category != category {
			return ""
		}
		category = d.Category
	}
	return category
}

// otherNames are what other consent tools call the four categories.
var otherNames = map[string][]string{
	"preferences": {"functional", "functionality"},
	"statistics":  {"analytics", "performance"},
	"marketing":   {"ads", "advertising", "targeting"},
}

// has returns the names under which pages may ask what is granted: services, and
// categories and purposes of which everything is.
func (o *offer) has(granted []string) []string {
	yes, no := map[string]bool{}, map[string]bool{}
	for _, g := range o.Groups {
		for _, it := range g.Items {
			side := no
			if slices.Contains(granted, it.ID) {
				side = yes
			}
			side[it.ID], side[g.Purpose.ID], side[it.category()] = true, true, true
		}
	}
	delete(yes, "")
	for category, names := range otherNames {
		for _, name := range names {
			if yes[category] && !no[category] {
				yes[name] = true
			}
		}
	}
	var all []string
	for name := range yes {
		if !no[name] {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}
