package publish

import (
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/version"
)

// inWords says what changed from one declaration to another, entry by entry: for staff.
func inWords(from, to *policy.Plan, l text.Lang) []string {
	var words []string
	for _, c := range policy.Diff(from, to) {
		words = append(words, c.Text.In(l))
	}
	return words
}

// edit is one sentence that people read differently under a later version.
// Before is empty for a new sentence, After for one that is gone.
type edit struct {
	Section       string // heading under which it stands
	Before, After string
}

// edits compares what two versions say to the public, sentence by sentence,
// in the order of reading. A sentence that stands in several places counts once.
func edits(from, to *policy.Plan, old, new version.Version, l text.Lang) []edit {
	var list []edit
	seen := map[edit]bool{}
	add := func(e edit) {
		key := edit{Before: e.Before, After: e.After}
		if e.Before != e.After && !seen[key] {
			seen[key] = true
			list = append(list, e)
		}
	}
	for _, write := range []func(*policy.Plan, version.Version, text.Lang) *Document{Policy, Cookies} {
		before, after := read(write(from, old, l)), read(write(to, new, l))
		for _, id := range after.order {
			add(edit{after.section[id], before.text[id], after.text[id]})
		}
		for _, id := range before.order {
			if after.text[id] == "" {
				add(edit{before.section[id], before.text[id], ""})
			}
		}
	}
	return list
}

// reading is a document by sentence.
type reading struct {
	order         []string
	text, section map[string]string
}

// read takes a document apart, without what it says about the version itself.
func read(d *Document) reading {
	r := reading{text: map[string]string{}, section: map[string]string{}}
	for _, s := range d.Sections {
		if s.ID == "changes" {
			continue
		}
		for _, b := range s.Blocks {
			for _, x := range b.sentences() {
				r.order = append(r.order, x.ID)
				r.text[x.ID], r.section[x.ID] = x.Text, s.Heading.Text
			}
		}
	}
	return r
}
