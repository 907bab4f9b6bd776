package text

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/BurntSushi/toml"
	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// Danish and English are written as one pair of files per feature, PKG.da.toml and
// PKG.en.toml. A further language is one file, LANG.toml, with the same texts and a
// table [catalogue] that says whether somebody has reviewed them; what it lacks is
// shown in English.
//
//go:embed locale/*.toml
var locale embed.FS

// header is the table [catalogue] of a further language's file.
type header struct {
	Name     string `toml:"name"`     // of the language, in itself
	Reviewed bool   `toml:"reviewed"` // whether somebody who speaks it has read the texts
	By       string `toml:"by"`       // who
}

// catalogues are the texts of all languages.
type catalogues struct {
	langs     []Lang
	headers   map[Lang]header
	ids       map[Lang]int // how many texts it has
	localizer map[Lang]*i18n.Localizer
}

// embedded are the catalogues of the program. A broken one is a panic, and a test finds it.
var embedded = sync.OnceValue(func() *catalogues {
	files, err := readAll()
	if err != nil {
		panic(err)
	}
	c, err := load(files)
	if err != nil {
		panic(err)
	}
	return c
})

// added are the catalogues with a language that Add brought.
var added atomic.Pointer[catalogues]

func current() *catalogues {
	if c := added.Load(); c != nil {
		return c
	}
	return embedded()
}

// Add brings in a further language, LANG.toml, until remove is called. The program
// does not: its languages are embedded. Tests do, to show what one more looks like.
func Add(name string, catalogue []byte) (remove func(), err error) {
	files, err := readAll()
	if err != nil {
		return nil, err
	}
	files["locale/"+name] = catalogue
	c, err := load(files)
	if err != nil {
		return nil, err
	}
	added.Store(c)
	return func() { added.Store(nil) }, nil
}

func readAll() (map[string][]byte, error) {
	names, err := fs.Glob(locale, "locale/*.toml")
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, name := range names {
		if files[name], err = locale.ReadFile(name); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// load makes catalogues of files.
func load(files map[string][]byte) (*catalogues, error) {
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("toml", unmarshal)
	c := &catalogues{langs: []Lang{DA, EN}, headers: map[Lang]header{}, ids: map[Lang]int{}, localizer: map[Lang]*i18n.Localizer{}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := bundle.ParseMessageFileBytes(files[name], name)
		if err != nil {
			return nil, fmt.Errorf("catalogue %s: %w", name, err)
		}
		l := Lang(f.Tag.String())
		if c.ids[l] += len(f.Messages); strings.Count(path.Base(name), ".") > 1 { // PKG.LANG.toml
			continue
		}
		var head struct {
			Catalogue header `toml:"catalogue"`
		}
		if err := toml.Unmarshal(files[name], &head); err != nil {
			return nil, fmt.Errorf("catalogue %s: %w", name, err)
		}
		c.langs, c.headers[l] = append(c.langs, l), head.Catalogue
	}
	for _, l := range c.langs {
		c.localizer[l] = i18n.NewLocalizer(bundle, string(l))
	}
	return c, nil
}

// unmarshal reads the texts of a catalogue, without its header.
func unmarshal(b []byte, v any) error {
	texts := map[string]any{}
	if err := toml.Unmarshal(b, &texts); err != nil {
		return err
	}
	delete(texts, "catalogue")
	to, ok := v.(*any)
	if !ok {
		return fmt.Errorf("texts are read into %T", v)
	}
	*to = texts
	return nil
}

// find returns the text of id with values; ok is false when there is none.
func find(l Lang, id string, values map[string]any) (_ string, ok bool) {
	c := current()
	loc, known := c.localizer[l]
	if !known {
		l, loc = EN, c.localizer[EN]
	}
	config := &i18n.LocalizeConfig{MessageID: id, TemplateData: values, PluralCount: values["Count"]}
	s, err := loc.Localize(config)
	if err != nil && config.PluralCount != nil { // a text that is the same for every count
		config.PluralCount = nil
		s, err = loc.Localize(config)
	}
	if err != nil && l != EN {
		return find(EN, id, values)
	}
	return s, err == nil
}

// Reviewed reports whether somebody has read the program's texts in a language.
func Reviewed(l Lang) bool {
	h, further := current().headers[l]
	return !further || h.Reviewed
}

// Missing returns how many of the program's texts a language does not have; they
// are shown in English.
func Missing(l Lang) int {
	c := current()
	return max(0, c.ids[EN]-c.ids[l])
}

// Name returns a language's name in itself.
func Name(l Lang) string {
	if h := current().headers[l]; h.Name != "" {
		return h.Name
	}
	if name := display.Self.Name(language.Make(string(l))); name != "" {
		return name
	}
	return string(l)
}

// pairs makes a map of alternating names and values.
func pairs(kv []any) map[string]any {
	if len(kv) == 0 {
		return nil
	}
	m := make(map[string]any, len(kv)/2)
	for i := 0; i+1 < len(kv); i += 2 {
		if name, ok := kv[i].(string); ok {
			m[name] = kv[i+1]
		}
	}
	return m
}
