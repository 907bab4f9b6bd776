package scan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tillid/tillid/internal/text"
)

// Severity says what a finding stops.
type Severity string

const (
	Error   Severity = "error"   // the site does what the declaration does not say: drift
	Warning Severity = "warning" // something could not be looked at, or will be stopped
	Info    Severity = "info"
)

// Finding is one difference between the site and its declaration.
type Finding struct {
	Rule       string    `json:"rule"`
	Severity   Severity  `json:"severity"`
	Article    string    `json:"article,omitempty"`
	Kind       string    `json:"kind,omitempty"`
	Name       string    `json:"name,omitempty"`
	Domain     string    `json:"domain,omitempty"`
	Passes     []Pass    `json:"passes,omitempty"`
	Pages      []string  `json:"pages,omitempty"`
	Initiator  string    `json:"initiator,omitempty"`
	Service    string    `json:"service,omitempty"` // of the catalogue, by KnownBy
	KnownBy    string    `json:"known_by,omitempty"`
	Path       string    `json:"path,omitempty"` // in the declaration
	Line       int       `json:"line,omitempty"`
	Message    text.Text `json:"message"`
	Fix        text.Text `json:"fix"`
	Classified text.Text `json:"classified,omitempty"` // what it was taken for, and why
}

// The rules. Their texts are in the catalogues, scan.<id>.title, .message, .fix.
const (
	undeclaredCookie  = "SC-01"
	undeclaredStorage = "SC-02"
	undeclaredHost    = "SC-03"
	tooEarly          = "SC-04"
	tooLong           = "SC-05"
	neverSeen         = "SC-06"
	noBanner          = "SC-07"
	otherUse          = "SC-08"
	unseenPage        = "SC-09"
	peerConnection    = "SC-10"
	notWhole          = "SC-11"
)

// Rules returns the ids of the rules with their articles, in order.
func Rules() []string {
	return []string{
		undeclaredCookie, undeclaredStorage, undeclaredHost, tooEarly, tooLong, neverSeen,
		noBanner, otherUse, unseenPage, peerConnection, notWhole,
	}
}

var articles = map[string]string{
	undeclaredCookie:  "ePrivacy Art. 5(3); BEK 1148 § 3; GDPR Art. 13(1)–(2)",
	undeclaredStorage: "ePrivacy Art. 5(3); BEK 1148 § 3; GDPR Art. 13(1)–(2)",
	undeclaredHost:    "GDPR Art. 6(1), 13(1)(e)",
	tooEarly:          "ePrivacy Art. 5(3); BEK 1148 § 3; GDPR Art. 7",
	tooLong:           "GDPR Art. 13(2)(a); C-673/17 (Planet49)",
	neverSeen:         "GDPR Art. 5(1)(a)",
	noBanner:          "BEK 1148 § 3; GDPR Art. 7",
	otherUse:          "GDPR Art. 13(1)(e)",
	peerConnection:    "ePrivacy Art. 5(3); GDPR Art. 32",
}

var severities = map[string]Severity{
	undeclaredCookie: Error, undeclaredStorage: Error, undeclaredHost: Error, tooEarly: Error, tooLong: Error, neverSeen: Info,
	noBanner: Warning, otherUse: Warning, unseenPage: Warning, peerConnection: Warning, notWhole: Warning,
}

// says is a text of the catalogues in every language. The values may differ by language.
func says(id string, kv func(l text.Lang) []any) text.Text {
	t := text.Text{}
	for _, l := range text.Langs() {
		var values []any
		if kv != nil {
			values = kv(l)
		}
		t[l] = text.T(l, id, values...)
	}
	return t
}

// finding makes one about an item, or about none.
func finding(rule string, it *Item, kv func(l text.Lang) []any) Finding {
	f := Finding{Rule: rule, Severity: severities[rule], Article: articles[rule]}
	if it != nil {
		f.Kind, f.Name, f.Domain, f.Passes, f.Pages, f.Initiator = it.Kind, it.Name, it.Domain, it.Passes, it.Pages, it.Initiator
		f.Service, f.KnownBy = it.Service, it.KnownBy
	}
	values := func(l text.Lang) []any {
		var all []any
		if it != nil {
			all = []any{"Name", it.Name, "Of", it.Domain, "Kind", text.T(l, "scan.kind."+it.Kind), "When", when(it.Passes, l), "By", asker(it, l)}
		}
		if kv != nil {
			all = append(all, kv(l)...)
		}
		return all
	}
	f.Message, f.Fix = says("scan."+rule+".message", values), says("scan."+rule+".fix", values)
	return f
}

// when says at which step something was there, the earliest first.
func when(list []Pass, l text.Lang) string {
	var words []string
	for _, p := range passes {
		if slices.Contains(list, p) {
			words = append(words, text.T(l, "scan.when."+string(p)))
		}
	}
	return text.List(l, words)
}

func asker(it *Item, l text.Lang) string {
	switch it.Initiator {
	case "":
		return text.T(l, "scan.by.page")
	case "?":
		return text.T(l, "scan.by.unknown")
	}
	return it.Initiator
}

var severityOrder = map[Severity]int{Error: 0, Warning: 1, Info: 2}

func sortFindings(list []Finding) {
	slices.SortStableFunc(list, func(a, b Finding) int {
		return cmp.Or(severityOrder[a.Severity]-severityOrder[b.Severity], strings.Compare(a.Rule, b.Rule), strings.Compare(a.Name, b.Name),
			strings.Compare(a.Domain, b.Domain), strings.Compare(a.Path, b.Path))
	})
}

// Count returns how many findings have a severity.
func Count(list []Finding, s Severity) int {
	n := 0
	for _, f := range list {
		if f.Severity == s {
			n++
		}
	}
	return n
}
