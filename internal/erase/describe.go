package erase

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// Passage is a part of a certificate in words.
type Passage struct {
	Title string
	Lines []string
}

// Describe returns a certificate in words, for pages and for the command line.
// Moments are told in zone.
func (c Certificate) Describe(l text.Lang, zone *time.Location) []Passage {
	t := func(id string, kv ...any) string { return text.T(l, id, kv...) }
	status := t("erase.cert.preliminary")
	if c.Final {
		status = t("erase.cert.final." + c.Result)
		if c.Result == Granted && (len(c.Kept) > 0 || slices.ContainsFunc(c.Processors, Line.confirmed)) {
			status = t("erase.cert.final.listed")
		}
	}
	passages := []Passage{{t("erase.cert.what"), []string{
		status,
		t("erase.cert.reason." + string(c.Reason.Kind)),
		t("erase.cert.controller", "Name", c.Controller),
		t("erase.cert.opened", "At", moment(l, c.Opened, zone)),
		t("erase.cert.issued", "At", moment(l, c.Issued, zone)),
	}}, {t("erase.cert.here"), c.here(l, zone)}}
	if len(c.Processors) > 0 {
		passages = append(passages, Passage{t("erase.cert.processors"), lines(l, c.Processors, zone)})
	}
	if len(c.Kept) > 0 {
		passages = append(passages, Passage{t("erase.cert.kept"), lines(l, c.Kept, zone)})
	}
	passages = append(passages, Passage{t("erase.cert.backups"), c.Backups.lines(l, zone)})
	var limits []string
	for _, id := range c.CannotShow {
		limits = append(limits, t("erase.limit."+id))
	}
	return append(passages, Passage{t("erase.cert.limits"), limits}, Passage{t("erase.cert.proof"), c.proof(l)})
}

func (c Certificate) here(l text.Lang, zone *time.Location) []string {
	if c.Deleted.IsZero() {
		return []string{text.T(l, "erase.cert.nothing_yet")}
	}
	out := []string{
		text.T(l, "erase.cert.records", "Count", c.Records),
		text.T(l, "erase.cert.deleted", "At", moment(l, c.Deleted, zone)),
		text.T(l, "erase.cert.keys", "Count", c.Keys, "At", moment(l, c.KeysGone, zone)),
	}
	for _, table := range slices.Sorted(maps.Keys(c.Rows)) {
		out = append(out, text.T(l, "erase.cert.rows", "Count", c.Rows[table], "Table", Place(l, table)))
	}
	return out
}

func (c Certificate) proof(l text.Lang) []string {
	out := []string{text.T(l, "erase.cert.key", "Key", c.Key), text.T(l, "erase.cert.declaration", "Hash", c.Declaration)}
	if c.Proven > 0 {
		out = append(out, text.T(l, "erase.cert.proven", "Count", c.Proven))
	}
	return out
}

func lines(l text.Lang, all []Line, zone *time.Location) []string {
	out := make([]string, len(all))
	for i, line := range all {
		out[i] = line.Describe(l, zone)
	}
	return out
}

// Describe returns a place's true state in words.
func (line Line) Describe(l text.Lang, zone *time.Location) string {
	name := line.Name
	if name == "" {
		name = Place(l, line.Where)
	}
	words := []string{name + ": " + stateWords(l, line.State, line.Code)}
	for _, step := range []struct {
		id string
		at time.Time
	}{
		{"commanded", line.Commanded}, {"acknowledged", line.Acknowledged}, {"effective", line.Effective}, {"verified", line.Verified},
	} {
		if !step.at.IsZero() {
			words = append(words, text.T(l, "erase.line."+step.id, "At", moment(l, step.at, zone)))
		}
	}
	if code := Code(l, line.Code); code != "" {
		words = append(words, code)
	}
	return strings.Join(words, "; ") + "."
}

// confirmed reports whether a place is gone by the recipient's word only.
func (line Line) confirmed() bool { return line.Code == byHand+Confirmed }

// stateWords never says more than what was seen: one who confirms has not been looked at.
func stateWords(l text.Lang, s State, code string) string {
	if code == byHand+Confirmed {
		return text.T(l, "erase.state.confirmed")
	}
	return text.T(l, "erase.state."+string(s))
}

// moment is a point in time as people of a zone read it; UTC is said.
func moment(l text.Lang, at time.Time, zone *time.Location) string {
	if zone == time.UTC {
		return text.Moment(l, at.UTC()) + " UTC"
	}
	return text.Moment(l, at.In(zone))
}

// Place names what a table or a feature holds, in words: "henvendelser". What the
// catalogues do not know keeps its technical name.
func Place(l text.Lang, name string) string {
	if id := "erase.place." + name; text.Has(id) {
		return text.T(l, id)
	}
	return name
}

// Code returns why a task is in its state, in words; "" when there is nothing to say.
func Code(l text.Lang, code string) string {
	known := []string{stillPresent, neverSent, noConnector, noAnswer, noDeletion, unreachable, searchPending, restriction}
	kinds, searched := strings.CutPrefix(code, "searched_by:")
	evidence, hand := strings.CutPrefix(code, byHand)
	switch {
	case hand && slices.Contains(evidences, evidence):
		return text.T(l, "erase.code.by_hand."+evidence)
	case searched:
		var by []string
		for kind := range strings.SplitSeq(kinds, ",") {
			by = append(by, text.T(l, "erase.by."+kind))
		}
		return text.T(l, "erase.code.searched_by", "By", text.List(l, by))
	case slices.Contains(known, code):
		return text.T(l, "erase.code."+code)
	case code == "register":
		return text.T(l, "erase.code.register")
	case code != "":
		return text.T(l, "erase.code.law", "Law", code)
	}
	return ""
}

func (b Backups) lines(l text.Lang, zone *time.Location) []string {
	var out []string
	if d, err := policy.ParseDuration(b.Data); err == nil && d.Set {
		out = append(out, text.T(l, "erase.cert.backup_data", "Period", text.Period(l, d.Years, d.Months, d.Weeks, d.Days, d.Hours, d.Minutes),
			"At", text.Date(l, b.DataUntil.In(zone))))
	}
	if b.KeysUntil.IsZero() {
		return append(out, text.T(l, "erase.cert.backup_keys"))
	}
	return append(out, text.T(l, "erase.cert.backup_keys_until", "At", text.Date(l, b.KeysUntil.In(zone))))
}

// String returns the certificate in English, for the command line.
func (c Certificate) String() string {
	var b strings.Builder
	for _, p := range c.Describe(text.EN, time.UTC) {
		fmt.Fprintf(&b, "%s\n", p.Title)
		for _, line := range p.Lines {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	return b.String()
}
