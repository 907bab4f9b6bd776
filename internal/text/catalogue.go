package text

import (
	"embed"
	"fmt"
	"io/fs"
	"sync"

	"github.com/BurntSushi/toml"
	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

//go:embed locale/*.toml
var locale embed.FS

// catalogues reads the catalogue files once. They are part of the program: a
// broken one is a panic, and a test finds it.
var catalogues = sync.OnceValue(func() map[Lang]*i18n.Localizer {
	bundle, err := load(locale)
	if err != nil {
		panic(err)
	}
	by := map[Lang]*i18n.Localizer{}
	for _, l := range Langs() {
		by[l] = i18n.NewLocalizer(bundle, string(l))
	}
	return by
})

// load reads every catalogue of files into one bundle.
func load(files fs.FS) (*i18n.Bundle, error) {
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("toml", toml.Unmarshal)
	names, err := fs.Glob(files, "locale/*.toml")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, err := bundle.LoadMessageFileFS(files, name); err != nil {
			return nil, fmt.Errorf("catalogue %s: %w", name, err)
		}
	}
	return bundle, nil
}

// find returns the text of id with values; ok is false when there is none.
func find(l Lang, id string, values map[string]any) (_ string, ok bool) {
	loc, known := catalogues()[l]
	if !known {
		loc = catalogues()[EN]
	}
	c := &i18n.LocalizeConfig{MessageID: id, TemplateData: values, PluralCount: values["Count"]}
	s, err := loc.Localize(c)
	if err != nil && c.PluralCount != nil { // a text that is the same for every count
		c.PluralCount = nil
		s, err = loc.Localize(c)
	}
	return s, err == nil
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
