package lint

import (
	"embed"
	"strings"
	"sync"

	"github.com/tillid/tillid/internal/text"
)

//go:embed word/*.toml
var wordFiles embed.FS

// wordList is what the rules know about names and phrases: data, so that a new
// tracker or a dead name is a line in a file.
type wordList struct {
	Generic  map[text.Lang][]string `toml:"generic"`  // phrases that say no purpose
	Channel  map[text.Lang][]string `toml:"channel"`  // words for a channel of marketing
	Withdraw map[text.Lang][]string `toml:"withdraw"` // words that a consent can be taken back
	Number   map[text.Lang][]string `toml:"number"`   // two to twelve
	Stale    []staleName            `toml:"stale"`
	Trackers []knownName            `toml:"tracker"`
	Services []knownService         `toml:"service"`
}

// staleName is a name that no longer means what texts use it for.
type staleName struct {
	Name    string    `toml:"name"`
	Near    string    `toml:"near"` // only in texts that also say this
	Instead text.Text `toml:"instead"`
}

// knownName is a cookie or other storage that is known to track. The pattern may end in *.
type knownName struct {
	Pattern string `toml:"pattern"`
	Of      string `toml:"of"`
}

// knownService is a third party that sites often load.
type knownService struct {
	Name   string   `toml:"name"`
	Hosts  []string `toml:"hosts"`
	Social bool     `toml:"social"` // normally a joint or independent controller
	Tracks bool     `toml:"tracks"` // never strictly necessary
}

var words = sync.OnceValue(func() *wordList {
	w := &wordList{}
	readTables(wordFiles, "word", w)
	return w
})

// generic returns the phrase in s that says no purpose, or "".
func (w *wordList) generic(l text.Lang, s string) string {
	s = strings.ToLower(s)
	for _, phrase := range w.Generic[l] {
		if mentions(s, phrase) {
			return phrase
		}
	}
	return ""
}

// has reports whether s, in small letters, holds one of the words.
func (w *wordList) has(list map[text.Lang][]string, l text.Lang, s string) bool {
	for _, word := range list[l] {
		if strings.Contains(s, word) {
			return true
		}
	}
	return false
}

// tracker returns what a cookie's name is known as, or "".
func (w *wordList) tracker(name string) string {
	for _, k := range w.Trackers {
		if prefix, open := strings.CutSuffix(k.Pattern, "*"); name == k.Pattern || open && strings.HasPrefix(name, prefix) {
			return k.Of
		}
	}
	return ""
}

// service returns the known service that one of the hosts belongs to, or nil.
func (w *wordList) service(hosts []string) *knownService {
	for i := range w.Services {
		for _, known := range w.Services[i].Hosts {
			for _, h := range hosts {
				if h = bareHost(h); h == known || strings.HasSuffix(h, "."+known) {
					return &w.Services[i]
				}
			}
		}
	}
	return nil
}

// bareHost takes scheme, wildcard, port and path from a host source.
func bareHost(source string) string {
	if _, rest, ok := strings.Cut(source, "://"); ok {
		source = rest
	}
	source, _, _ = strings.Cut(source, "/")
	source, _, _ = strings.Cut(source, ":")
	return strings.TrimPrefix(source, "*.")
}

// mentions reports whether phrase stands in s as whole words. Both are in small letters.
func mentions(s, phrase string) bool {
	for from := 0; ; {
		i := strings.Index(s[from:], phrase)
		if i < 0 {
			return false
		}
		i += from
		if !letterBefore(s[:i]) && !letterAfter(s[i+len(phrase):]) {
			return true
		}
		from = i + 1
	}
}
