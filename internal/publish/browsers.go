package publish

import (
	"strconv"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/version"
)

// browser is a browser with the number of steps its two guides take; the steps
// are "publish.browser.<id>.refuse.<n>" and "….delete.<n>". What the maker itself says
// stands at help, the source of the steps; the guide leads there.
type browser struct {
	id, name       string
	refuse, delete int
	help           string
}

var browsers = []browser{
	{"chrome", "Google Chrome", 3, 3, "https://support.google.com/chrome/answer/95647"},
	{"edge", "Microsoft Edge", 3, 3, "https://support.microsoft.com/microsoft-edge"},
	{"firefox", "Mozilla Firefox", 3, 3, "https://support.mozilla.org/kb/clear-cookies-and-site-data-firefox"},
	{"safari", "Safari (Mac)", 2, 3, "https://support.apple.com/guide/safari/sfri11471/mac"},
	{"safari-ios", "Safari (iPhone, iPad)", 2, 3, "https://support.apple.com/105082"},
	{"opera", "Opera", 3, 3, "https://help.opera.com/en/latest/web-preferences/"},
	{"brave", "Brave", 3, 3, "https://support.brave.com/hc/en-us/articles/360022806212-How-do-I-use-Shields-while-browsing"},
	{"samsung", "Samsung Internet", 3, 3, "https://www.samsung.com/support/"},
}

// Browsers writes the guide on refusing and deleting cookies in the common browsers.
func Browsers(plan *policy.Plan, v version.Version, l text.Lang) *Document {
	b := newBuilder(plan, v, l, "browsers")
	b.doc.Title = b.t("device_access", "browsers.title")
	b.doc.Lead = line(b.t("device_access", "browsers.lead"), b.t("device_access", "browsers.easier"), b.t("device_access", "link.choices").to(choicesPath))
	s := b.section("before", 2, b.t("device_access", "browsers.before"))
	s.list(
		line(b.t("device_access", "browsers.works")),
		line(b.t("device_access", "browsers.again")),
		line(b.t("device_access", "browsers.each")))
	for _, br := range browsers {
		b.guide(br)
	}
	return b.doc
}

func (b *builder) guide(br browser) {
	b.section("browser-"+br.id, 2, b.sentence("device_access", "browser-"+br.id, br.name))
	for _, part := range []struct {
		key   string
		steps int
	}{{"refuse", br.refuse}, {"delete", br.delete}} {
		s := b.section("browser-"+br.id+"-"+part.key, 3, b.t("device_access", "browsers."+part.key, "Browser", br.name))
		var steps [][]Sentence
		for n := range part.steps {
			steps = append(steps, line(b.t("device_access", "browser."+br.id+"."+part.key+"."+strconv.Itoa(n+1))))
		}
		s.steps(steps...)
	}
	last := &b.doc.Sections[len(b.doc.Sections)-1]
	last.para(b.t("device_access", "browsers.help", "Browser", br.name).to(br.help))
}
