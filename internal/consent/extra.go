package consent

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

// extra is what a page may have beside the banner.
type extra struct {
	Outbound  *outbound  `json:"outbound,omitempty"`
	Interests []interest `json:"interests,omitempty"`
	Share     []shareWay `json:"share,omitempty"`
}

// outbound says how links to other sites are marked.
type outbound struct {
	Label string   `json:"label"`
	Own   []string `json:"own"` // hosts that are no other site
}

// interest is a segment as the page's script counts it.
type interest struct {
	ID     string   `json:"id"`
	Paths  []string `json:"paths"`
	Stored string   `json:"stored"`
}

// shareWay is a way to share a page. That a link leads there is all that the network
// has to do with the page.
type shareWay struct {
	ID    string `json:"id"`
	Label string `json:"label"`
	Href  string `json:"href,omitempty"` // {page} and {title} stand for both, as part of a query
	Done  string `json:"done,omitempty"`
}

func shareWays(l text.Lang) []shareWay {
	return []shareWay{
		{ID: "facebook", Label: text.T(l, "consent.share.facebook"), Href: "https://www.facebook.com/sharer/sharer.php?u={page}"},
		{ID: "linkedin", Label: text.T(l, "consent.share.linkedin"), Href: "https://www.linkedin.com/sharing/share-offsite/?url={page}"},
		{ID: "email", Label: text.T(l, "consent.share.email"), Href: "mailto:?subject={title}&body={page}"},
		{ID: "copy", Label: text.T(l, "consent.share.copy"), Done: text.T(l, "consent.share.copied")},
		{ID: "native", Label: text.T(l, "consent.share.native")},
	}
}

// extras returns what a page of a site has beside the banner: interests only with consent.
func (o *offer) extras(l text.Lang, host string, state State) extra {
	var e extra
	if o.plan == nil {
		return e
	}
	if site := o.plan.SiteByHost(host); site != nil && site.Outbound == "mark" {
		e.Outbound = &outbound{Label: text.T(l, "consent.outbound")}
		for _, s := range o.plan.Sites {
			e.Outbound.Own = append(e.Outbound.Own, s.Hosts...)
		}
	}
	for _, in := range o.plan.Interests {
		if slices.Contains(state.granted, ownPrefix+in.Purpose) && o.keeps(in) {
			e.Interests = append(e.Interests, interest{in.ID, in.Paths, in.Stored})
		}
	}
	return e
}

// keeps reports whether an interest is kept in the browser's storage for its own purpose.
func (o *offer) keeps(in policy.Interest) bool {
	return slices.ContainsFunc(o.items, func(it item) bool {
		return it.ID == ownPrefix+in.Purpose && slices.ContainsFunc(it.Devices, func(d *policy.DeviceAccess) bool {
			return d.ID == in.Stored && d.Technology == "local_storage"
		})
	})
}

func (e extra) empty() bool { return e.Outbound == nil && len(e.Interests) == 0 }

var extraTemplate = template.Must(template.New("extra").Parse(`<script src="{{.Script.URL}}" integrity="{{.Script.Integrity}}" defer data-tillid-page="{{.Settings}}"></script>`))

// tag is the script tag of a page that has something beside the banner.
func (e extra) tag() []byte {
	if e.empty() {
		return nil
	}
	set, err := json.Marshal(e)
	if err != nil {
		return nil
	}
	return execute(extraTemplate, map[string]any{"Script": pageFile.file(), "Settings": string(set)})
}

// page tells the script of a page that no gateway has filled.
func (s *Service) page(w http.ResponseWriter, r *http.Request) error {
	o, l := s.offer(), s.langOf(r, r.URL.Query().Get("lang"))
	e := o.extras(l, r.Host, s.Granted(r))
	e.Share = shareWays(l)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "private, no-store")
	h.Set("Vary", "Cookie, Sec-GPC, Accept-Language")
	return json.NewEncoder(w).Encode(e)
}

var shareTemplate = template.Must(template.New("share").Parse(
	`{{range .Networks}}{{if .Href}}<a href="{{.Href}}" rel="external noopener noreferrer">{{.Label}}</a>{{else}}<button type="button" hidden{{if .Done}} data-tillid-copy="{{.Done}}"{{else}} data-tillid-native{{end}}>{{.Label}}</button>{{end}} {{end}}` +
		`{{with .Script}}<script src="{{.URL}}" integrity="{{.Integrity}}" defer></script>{{end}}`))

// Share returns the content of an element <tillid-share to="facebook linkedin email
// copy native">: plain links that share the page that is asked for. They need no third
// party, no consent and no JavaScript; copying and the device's own way need the last.
func (s *Service) Share(r *http.Request, lang, to string) []byte {
	l := s.langOf(r, lang)
	wanted := strings.Fields(to)
	page := shared(r)
	var ways []shareWay
	type way struct {
		shareWay
		Href string
	}
	var all []way
	for _, n := range shareWays(l) {
		if len(wanted) > 0 && !slices.Contains(wanted, n.ID) {
			continue
		}
		ways = append(ways, n)
		href := strings.NewReplacer("{page}", url.QueryEscape(page), "{title}", "").Replace(n.Href)
		all = append(all, way{n, href})
	}
	var script *file
	if slices.ContainsFunc(ways, func(n shareWay) bool { return n.Href == "" }) {
		f := pageFile.file()
		script = &f
	}
	return execute(shareTemplate, map[string]any{"Networks": all, "Script": script})
}

// shared is the address that a page is shared under: without what tells by which
// letter or advertisement somebody came.
func shared(r *http.Request) string {
	scheme := "https"
	if !web.HTTPS(r) {
		scheme = "http"
	}
	q := r.URL.Query()
	for name := range q {
		if strings.HasPrefix(name, "utm_") || slices.Contains([]string{"gclid", "fbclid", "li_fat_id", "msclkid", "mc_eid"}, name) {
			q.Del(name)
		}
	}
	address := fmt.Sprintf("%s://%s%s", scheme, r.Host, r.URL.EscapedPath())
	if len(q) > 0 {
		address += "?" + q.Encode()
	}
	return address
}
