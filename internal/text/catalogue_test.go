package text

import (
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
	"github.com/nicksnyder/go-i18n/v2/i18n"
)

// message is a text as one language has it.
type message struct {
	file         string
	plural       bool
	placeholders []string
	forms        []string
}

var placeholder = regexp.MustCompile(`\.[A-Z]\w*`)

// Every text exists in every language, once, with the same values and without
// an empty form.
func TestParity(t *testing.T) {
	da, en := read(t, DA), read(t, EN)
	for id, m := range da {
		if _, ok := en[id]; !ok {
			t.Errorf("%s: %q is not in English", m.file, id)
		}
	}
	for id, m := range en {
		other, ok := da[id]
		if !ok {
			t.Errorf("%s: %q is not in Danish", m.file, id)
			continue
		}
		if d := cmp.Diff(other.placeholders, m.placeholders); d != "" {
			t.Errorf("%s: %q has other values than in Danish (-da +en):\n%s", m.file, id, d)
		}
		if other.plural != m.plural {
			t.Errorf("%s: %q has a plural in one language only", m.file, id)
		}
	}
	for _, catalogue := range []map[string]message{da, en} {
		for id, m := range catalogue {
			if slices.Contains(m.forms, "") {
				t.Errorf("%s: %q is empty", m.file, id)
			}
			if owner, _, _ := strings.Cut(path.Base(m.file), "."); !strings.HasPrefix(id, owner+".") && !strings.HasPrefix(id, "fault.") {
				t.Errorf("%s: %q does not begin with %q", m.file, id, owner+".")
			}
		}
	}
}

// A fault's hint has its sentence.
func TestHints(t *testing.T) {
	en := read(t, EN)
	for id, m := range en {
		sentence, hint := strings.CutSuffix(id, ".hint")
		if _, ok := en[sentence]; hint && strings.HasPrefix(id, "fault.") && !ok {
			t.Errorf("%s: %q has no sentence %q", m.file, id, sentence)
		}
	}
}

func read(t *testing.T, l Lang) map[string]message {
	t.Helper()
	names, err := fs.Glob(locale, "locale/*."+string(l)+".toml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]message{}
	for _, name := range names {
		b, err := locale.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := i18n.ParseMessageFileBytes(b, name, map[string]i18n.UnmarshalFunc{"toml": toml.Unmarshal})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, m := range f.Messages {
			if first, twice := all[m.ID]; twice {
				t.Errorf("%s: %q is already in %s", name, m.ID, first.file)
			}
			all[m.ID] = newMessage(name, m)
		}
	}
	return all
}

func newMessage(file string, m *i18n.Message) message {
	forms := []string{m.Other}
	if m.One != "" {
		forms = append(forms, m.One)
	}
	used := map[string]bool{}
	for _, form := range forms {
		for _, action := range actions(form) {
			for _, name := range placeholder.FindAllString(action, -1) {
				used[name] = true
			}
		}
	}
	delete(used, ".Count") // "one day" needs no number
	return message{file: file, plural: m.One != "", placeholders: slices.Sorted(maps.Keys(used)), forms: forms}
}

// actions returns what stands between {{ and }}.
func actions(s string) []string {
	var list []string
	for {
		_, rest, ok := strings.Cut(s, "{{")
		if !ok {
			return list
		}
		action, after, _ := strings.Cut(rest, "}}")
		list, s = append(list, action), after
	}
}
