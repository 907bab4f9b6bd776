package consent

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/tillid/tillid/internal/policy"
)

// Carry takes over the refusals that a visitor gave to the consent tool that the
// site used before: refusals only, since a yes was given to other words. It does so
// once, before next answers a page, and the log says where the no came from. When it
// cannot, the visitor is asked as anybody is.
func (s *Service) Carry(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if value, ok := s.carried(w, r); ok {
			r = r.Clone(r.Context())
			r.AddCookie(&http.Cookie{Name: policy.ChoiceCookie, Value: value}) //nolint:gosec // into a request
		}
		next.ServeHTTP(w, r)
	})
}

// carried keeps a visitor's earlier refusals and returns the value of the cookie that says so.
func (s *Service) carried(w http.ResponseWriter, r *http.Request) (string, bool) {
	if r.Method != http.MethodGet || len(r.CookiesNamed(policy.ChoiceCookie)) > 0 || r.Header.Get("Cookie") == "" {
		return "", false
	}
	if dest := r.Header.Get("Sec-Fetch-Dest"); dest != "document" && dest != "" {
		return "", false
	}
	o := s.offer()
	earlier, ok := earlierNo(r)
	if !ok || o.plan == nil || earlier.at.After(s.Now().Add(tolerance)) {
		return "", false
	}
	c := choice{answers: make([]answer, len(o.items)), lang: s.langOf(r, ""), layer: "api", control: "carried:" + earlier.tool, unseen: true}
	some := false
	for i, it := range o.items {
		if slices.Contains(earlier.refused, it.Category) && s.Now().Before(o.quiet(i, earlier.at)) {
			c.answers[i] = answer{said: true, at: earlier.at}
			some = true
		}
	}
	if !some || s.Limit != nil && s.Limit(r) != nil {
		return "", false
	}
	out, err := s.choose(r.Context(), o, State{GPC: gpc(r)}, c)
	if err != nil {
		s.Log.WarnContext(r.Context(), "carry refusal", "err", err)
		return "", false
	}
	s.setChoice(w, r, o, out.State)
	return s.encode(o, out.State), true
}

// earlierChoice is a no that another tool has kept.
type earlierChoice struct {
	tool    string
	refused []string // our categories
	at      time.Time
}

// earlierNo reads what other tools have kept. What it does not wholly understand counts as nothing.
func earlierNo(r *http.Request) (earlierChoice, bool) {
	for _, from := range []struct {
		tool, cookie string
		read         func(string) ([]string, time.Time, bool)
	}{{"cookiebot", "CookieConsent", readCookiebot}, {"vanilla-cookieconsent", "cc_cookie", readVanilla}} {
		c, err := r.Cookie(from.cookie)
		if err != nil || len(c.Value) > 4096 {
			continue
		}
		value, err := url.QueryUnescape(c.Value)
		if err != nil {
			continue
		}
		if refused, at, ok := from.read(value); ok && len(refused) > 0 {
			return earlierChoice{from.tool, refused, at}, true
		}
	}
	return earlierChoice{}, false
}

var (
	cookiebotChoice = regexp.MustCompile(`[{,](preferences|statistics|marketing):(true|false)`)
	cookiebotTime   = regexp.MustCompile(`[{,]utc:(\d{13})[,}]`)
	cookiebotMethod = regexp.MustCompile(`[{,]method:'explicit'[,}]`)
)

// readCookiebot reads Cookiebot's cookie: {stamp:'…',necessary:true,preferences:false,
// statistics:false,marketing:false,method:'explicit',ver:1,utc:1700000000000,region:'dk'}.
func readCookiebot(v string) (refused []string, at time.Time, ok bool) {
	when := cookiebotTime.FindStringSubmatch(v)
	if when == nil || !cookiebotMethod.MatchString(v) {
		return nil, at, false
	}
	for _, m := range cookiebotChoice.FindAllStringSubmatch(v, -1) {
		if m[2] == "false" {
			refused = append(refused, m[1])
		}
	}
	ms, err := strconv.ParseInt(when[1], 10, 64)
	return refused, time.UnixMilli(ms).UTC(), err == nil
}

// vanillaNames maps the names that sites give to categories to ours.
var vanillaNames = map[string]string{
	"necessary": "necessary", "preferences": "preferences", "functional": "preferences", "functionality": "preferences",
	"analytics": "statistics", "statistics": "statistics", "performance": "statistics",
	"marketing": "marketing", "ads": "marketing", "advertising": "marketing", "targeting": "marketing",
}

// readVanilla reads the cookie of vanilla-cookieconsent 3, which names what was
// accepted. A name that is not one of the usual ones may be any category.
func readVanilla(v string) (refused []string, at time.Time, ok bool) {
	var kept struct {
		Categories []string `json:"categories"`
		Last       string   `json:"lastConsentTimestamp"`
		First      string   `json:"consentTimestamp"`
	}
	if json.Unmarshal([]byte(v), &kept) != nil || kept.Categories == nil {
		return nil, at, false
	}
	var accepted []string
	for _, name := range kept.Categories {
		ours, known := vanillaNames[name]
		if !known {
			return nil, at, false
		}
		accepted = append(accepted, ours)
	}
	for _, c := range []string{"preferences", "statistics", "marketing"} {
		if !slices.Contains(accepted, c) {
			refused = append(refused, c)
		}
	}
	if kept.Last == "" {
		kept.Last = kept.First
	}
	at, err := time.Parse(time.RFC3339, kept.Last)
	return refused, at.UTC(), err == nil
}
