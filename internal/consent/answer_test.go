package consent

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/policy"
)

func (v *visitor) settings() settings { v.h.t.Helper(); return v.settingsIn("en") }

func (v *visitor) settingsIn(lang string) (set settings) {
	v.h.t.Helper()
	w := v.do(v.request("GET", statePath+"?lang="+lang, nil))
	if err := json.Unmarshal(w.Body.Bytes(), &set); err != nil {
		v.h.t.Fatal(err)
	}
	return set
}

const hotjar = `  hotjar:
    label: {da: Varmekort, en: Heat map}
    engagement: google_measurement
    purpose: measure_use
    category: statistics
    kind: script
    gate: consent
    hosts: {script: [static.heat.test]}
`

// Visitors are asked again only about what has grown or is new, are told what that
// is, and everything else that they said stays. Rows: A1, E10.
func TestOnlyWhatChanged(t *testing.T) {
	for name, test := range map[string]struct {
		change map[string]string
		open   []string
		says   string
	}{
		"mended words":     {map[string]string{"da: Tælle besøg, en: Count visits": "da: Tælle besøgene, en: Count the visits"}, nil, ""},
		"a shorter life":   {map[string]string{"duration: P90D": "duration: P30D"}, nil, ""},
		"one host less":    {map[string]string{"connect: [www.google-analytics.com, region1.google-analytics.com]": "connect: [www.google-analytics.com]"}, nil, ""},
		"a new service":    {map[string]string{"  google_ads:\n    label:": hotjar + "  google_ads:\n    label:"}, []string{"hotjar"}, "Heat map was not here when you chose."},
		"a longer life":    {map[string]string{"  _ga:\n    party: google\n    service: google_analytics\n    category: statistics\n    purpose: measure_use\n    duration: P13M": "  _ga:\n    party: google\n    service: google_analytics\n    category: statistics\n    purpose: measure_use\n    duration: P14M"}, []string{"google_analytics"}, "Google Analytics now keeps _ga for 14 months; it was 13 months."},
		"one host more":    {map[string]string{"frame: [www.youtube-nocookie.com]": "frame: [www.youtube-nocookie.com, player.test]"}, []string{"youtube"}, "YouTube now also fetches from player.test."},
		"another company":  {map[string]string{"legal_name: LinkedIn Ireland Unlimited Company": "legal_name: Somebody Else Limited"}, []string{"linkedin_insight"}, "LinkedIn Insight Tag now comes from Somebody Else Limited."},
		"more data":        {map[string]string{"data: [use.device_id, use.address]": "data: [use.device_id, use.address, use.pages]"}, []string{"youtube"}, "YouTube now also uses: pages visited"},
		"it was reordered": {map[string]string{"    hosts:\n      frame: [www.youtube-nocookie.com]\n      image: [i.ytimg.com]": "    hosts:\n      image: [i.ytimg.com]\n      frame: [www.youtube-nocookie.com]"}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, dbtest.Lite(t))
			yes, no := h.visitor(), h.visitor()
			yes.send(`{"do":"all"}`)
			no.send(`{"do":"none"}`)
			h.later(40 * day)
			h.publish(parse(test.change))
			state, set := yes.state(), yes.settings()
			var kept []string
			for _, id := range allServices {
				if !slices.Contains(test.open, id) {
					kept = append(kept, id)
				}
			}
			if !slices.Equal(state.Services, kept) {
				t.Errorf("in force: %v, want %v", state.Services, kept)
			}
			if asked := set.Ask != nil; asked != (len(test.open) > 0) || asked && (!slices.Equal(set.Ask.Only, test.open) || !strings.Contains(set.Ask.Text, test.says)) {
				t.Errorf("asked %+v, want %v", set.Ask, test.open)
			}
			if page := yes.get("/privacy/choices?lang=en").Text(); !strings.Contains(page, test.says) {
				t.Errorf("the page does not say %q", test.says)
			}
			if set := no.settings(); set.Ask != nil || len(no.state().Services) > 0 {
				t.Errorf("after a no, asked %+v", set.Ask)
			}
			if len(test.open) == 0 {
				return
			}
			before := state.answers
			yes.send(fmt.Sprintf(`{"do":"remove","services":[%q],"layer":"banner"}`, test.open[0]))
			if state := yes.state(); !slices.Equal(state.Services, kept) || !state.Decided || yes.settings().Ask != nil {
				t.Errorf("after a no to what is new: %+v", state)
			} else if i := slices.IndexFunc(before, func(a answer) bool { return a.said }); !state.answers[i].at.Equal(before[i].at) {
				t.Error("an earlier yes lives longer than it may")
			}
		})
	}
}

// A purpose that is not there at the choice is asked about, also of those who said no to all others.
func TestNewPurposeIsAsked(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	whole := h.plan
	small := parse(map[string]string{"  youtube:\n    label: {da: YouTube, en: YouTube}\n    engagement: youtube\n    purpose: show_video\n    category: preferences\n    kind: embed\n    gate: consent": "  youtube:\n    label: {da: YouTube, en: YouTube}\n    engagement: youtube\n    purpose: show_video\n    category: preferences\n    kind: embed\n    gate: none"})
	h.publish(small)
	v := h.visitor()
	v.send(`{"do":"none"}`)
	h.publish(whole)
	set := v.settings()
	if set.Ask == nil || !slices.Equal(set.Ask.Only, []string{"youtube"}) {
		t.Fatalf("asked %+v", set.Ask)
	}
	v.send(`{"do":"remove","services":["youtube"]}`)
	if v.settings().Ask != nil {
		t.Error("asked a third time")
	}
}

// The lifetime is the same for yes and no; a declared quiet period is kept; a
// purpose may say that a yes ends earlier. Row: E10.
func TestLifetimes(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	yes, no := h.visitor(), h.visitor()
	yes.send(`{"do":"all"}`)
	no.send(`{"do":"none"}`)
	h.later(364 * day)
	if !yes.state().Decided || !no.state().Decided {
		t.Error("a choice ends too early")
	}
	h.later(2 * day)
	if yes.state().Decided || no.state().Decided || len(yes.state().Services) > 0 {
		t.Error("a choice does not end")
	}
	h.publish(parse(map[string]string{"device_access:\n": "consent: {refusal_quiet_period: P6M}\ndevice_access:\n", "refresh: P12M": "refresh: P3M"}))
	yes, no = h.visitor(), h.visitor()
	yes.send(`{"do":"all"}`)
	no.send(`{"do":"none"}`)
	h.later(80 * day)
	if !yes.state().Has("google_analytics") || !no.state().Decided {
		t.Error("a choice ends too early")
	}
	h.later(15 * day)
	if s := yes.state(); s.Has("google_analytics") || !s.Has("youtube") {
		t.Error("the purpose's own end does not count")
	}
	h.later(90 * day)
	if s := no.state(); s.Decided || no.settings().Ask == nil {
		t.Error("not asked after the quiet period")
	}
}

// A clock that goes back makes nobody's yes count.
func TestClockGoesBack(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	v := h.visitor()
	v.send(`{"do":"all"}`)
	h.later(-2 * day)
	if s := v.state(); s.Decided || len(s.Services) > 0 {
		t.Errorf("a choice from the future counts: %+v", s)
	}
}

// An answer to questions that nobody knows any more is none.
func TestUnknownOffer(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	v := h.visitor()
	v.send(`{"do":"all"}`)
	changed := parse(map[string]string{"legal_name: LinkedIn Ireland Unlimited Company": "legal_name: Somebody Else Limited"})
	h.publish(changed)
	other := &Service{Plan: h.Plan, Now: h.Now, Secret: h.Secret}
	r := v.request("GET", "/", nil)
	if s := other.Granted(r); s.Decided || len(s.Services) > 0 {
		t.Errorf("%+v", s)
	}
	other.Remember(planOnce())
	if s := other.Granted(r); s.Has("linkedin_insight") || !s.Has("youtube") {
		t.Errorf("%+v", s)
	}
}

// manyServices is a plan with so many services that visitors are asked about.
func manyServices(n int) *policy.Plan {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  many_%d:\n    label: {da: Nr. %d, en: No. %d}\n    engagement: google_ads\n    purpose: aim_marketing\n    category: marketing\n    kind: pixel\n    gate: consent\n    hosts: {image: [n%d.many.test]}\n", i, i, i, i)
	}
	return parse(map[string]string{"  google_ads:\n    label:": b.String() + "  google_ads:\n    label:"})
}

// With 200 services and answers of every age, the cookie stays below 1 KB.
func TestCookieIsSmall(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	h.publish(manyServices(195))
	v := h.visitor()
	v.send(`{"do":"all"}`)
	for i := range 12 {
		h.later(day)
		v.send(fmt.Sprintf(`{"do":"remove","services":["many_%d","many_%d"]}`, i, 194-i))
	}
	s := v.state()
	if len(s.Services) != 200-24 || !s.Decided {
		t.Errorf("%d services are granted", len(s.Services))
	}
	if n := len(v.cookie()); n > 400 {
		t.Errorf("the cookie has %d bytes", n)
	}
}

// What is written is read again; answers from more moments than fit become older,
// never younger, and no no becomes a yes.
func TestCookieKeepsAnswers(t *testing.T) {
	s := &Service{Secret: []byte(strings.Repeat("s", 32))}
	o := newOffer(planOnce())
	rapid.Check(t, func(t *rapid.T) {
		answers := make([]answer, len(o.items))
		for i := range answers {
			if rapid.Bool().Draw(t, "said") {
				answers[i] = answer{said: true, yes: rapid.Bool().Draw(t, "yes"), at: time.Unix(rapid.Int64Range(0, 1<<34).Draw(t, "at"), 0).UTC()}
			}
		}
		var state State
		state.read(o, answers)
		k, ok := s.decode(s.encode(o, state))
		if !ok {
			t.Fatal("not read")
		}
		for i, a := range answers {
			said, yes, at := k.answer(i)
			if said != a.said || yes != a.yes || at.After(a.at) {
				t.Fatalf("%d: %v %v %v, want %+v", i, said, yes, at, a)
			}
		}
	})
}

// Refusals kept by other tools are carried over, once, and logged as such; a yes is
// not, and hostile values are inert.
func TestCarriedRefusals(t *testing.T) {
	ms := func(h *house, ago time.Duration) string { return fmt.Sprint(h.now.Add(-ago).UnixMilli()) }
	for name, test := range map[string]struct {
		cookie  string
		value   func(*house) string
		refused []string
	}{
		"cookiebot no": {"CookieConsent", func(h *house) string {
			return "{stamp:'x==',necessary:true,preferences:false,statistics:false,marketing:false,method:'explicit',ver:1,utc:" + ms(h, 10*day) + ",region:'dk'}"
		}, allServices},
		"cookiebot part": {"CookieConsent", func(h *house) string {
			return "{stamp:'x==',necessary:true,preferences:true,statistics:true,marketing:false,method:'explicit',ver:1,utc:" + ms(h, 10*day) + ",region:'dk'}"
		}, []string{"google_ads", "meta_pixel", "linkedin_insight"}},
		"cookiebot yes": {"CookieConsent", func(h *house) string {
			return "{stamp:'x==',necessary:true,preferences:true,statistics:true,marketing:true,method:'explicit',ver:1,utc:" + ms(h, 10*day) + ",region:'dk'}"
		}, nil},
		"cookiebot implied": {"CookieConsent", func(h *house) string {
			return "{stamp:'x==',necessary:true,preferences:false,statistics:false,marketing:false,method:'implied',ver:1,utc:" + ms(h, 10*day) + ",region:'dk'}"
		}, nil},
		"cookiebot too old": {"CookieConsent", func(h *house) string {
			return "{stamp:'x==',necessary:true,preferences:false,statistics:false,marketing:false,method:'explicit',ver:1,utc:" + ms(h, 400*day) + ",region:'dk'}"
		}, nil},
		"cookiebot tomorrow": {"CookieConsent", func(h *house) string {
			return "{stamp:'x==',necessary:true,preferences:false,statistics:false,marketing:false,method:'explicit',ver:1,utc:" + ms(h, -9*day) + ",region:'dk'}"
		}, nil},
		"vanilla no": {"cc_cookie", func(h *house) string {
			return `{"categories":["necessary"],"revision":0,"lastConsentTimestamp":"` + h.now.Add(-day).Format(time.RFC3339) + `"}`
		}, allServices},
		"vanilla part": {"cc_cookie", func(h *house) string {
			return `{"categories":["necessary","analytics","functionality"],"consentTimestamp":"` + h.now.Add(-day).Format(time.RFC3339) + `"}`
		}, []string{"google_ads", "meta_pixel", "linkedin_insight"}},
		"vanilla unknown": {"cc_cookie", func(h *house) string {
			return `{"categories":["necessary","videos"],"consentTimestamp":"` + h.now.Format(time.RFC3339) + `"}`
		}, nil},
		"no time":   {"cc_cookie", func(*house) string { return `{"categories":["necessary"]}` }, nil},
		"no list":   {"cc_cookie", func(*house) string { return `{"categories":"necessary"}` }, nil},
		"hostile":   {"cc_cookie", func(*house) string { return `"><script>alert(1)</script>` }, nil},
		"deep":      {"cc_cookie", func(*house) string { return strings.Repeat("[", 3000) }, nil},
		"long":      {"CookieConsent", func(h *house) string { return "{" + strings.Repeat("marketing:false,", 1000) + "utc:" + ms(h, 0) + "}" }, nil},
		"not a yes": {"CookieConsent", func(h *house) string { return "-1" }, nil},
		"percent":   {"CookieConsent", func(h *house) string { return "%zz" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, dbtest.Lite(t))
			v := h.visitor()
			value := test.value(h)
			if value != "%zz" {
				value = url.QueryEscape(value)
			}
			v.jar.SetCookies(siteURL, []*http.Cookie{{Name: test.cookie, Value: value}})
			var seen State
			h.mux.Handle("/", h.Carry(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen = h.Granted(r) })))
			v.do(v.request("GET", "/", nil))
			if got := len(h.leaves()); got != min(1, len(test.refused)) {
				t.Fatalf("%d leaves", got)
			}
			if len(seen.Services) > 0 || len(v.state().Services) > 0 {
				t.Fatal("something is granted")
			}
			o := h.offer()
			for i, a := range seen.answers {
				if a.said != slices.Contains(test.refused, o.items[i].ID) {
					t.Errorf("%s: %+v", o.items[i].ID, a)
				}
			}
			if len(test.refused) == 0 {
				return
			}
			if len(seen.answers) == 0 {
				t.Error("the page that carries it over asks all the same")
			}
			leaf := h.leaves()[0]
			if leaf.Kind != "consent.refused" || !strings.HasPrefix(leaf.Facts["control"], "carried:") || leaf.Facts["shown"] != "" {
				t.Errorf("leaf %+v", leaf)
			}
			v.do(v.request("GET", "/", nil))
			if got := len(h.leaves()); got != 1 {
				t.Errorf("carried over %d times", got)
			}
		})
	}
}

func FuzzEarlier(f *testing.F) {
	f.Add("{necessary:true,preferences:false,statistics:false,marketing:false,method:'explicit',utc:1700000000000,region:'dk'}")
	f.Add(`{"categories":["necessary"],"consentTimestamp":"2026-11-01T00:00:00Z"}`)
	f.Fuzz(func(t *testing.T, v string) {
		for _, read := range []func(string) ([]string, time.Time, bool){readCookiebot, readVanilla} {
			refused, _, _ := read(v)
			for _, c := range refused {
				if c != "preferences" && c != "statistics" && c != "marketing" {
					t.Errorf("refuses %q", c)
				}
			}
		}
	})
}
