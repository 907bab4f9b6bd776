package consent

import (
	"encoding/json"
	"net/http"

	"github.com/tillid/tillid/internal/web"
)

// Tags returns the tags for pages that Tillid does not answer itself: the banner's
// style and script. base is where Tillid answers, "" for the page's own host. The
// pinned ones carry the hash of what they load: browsers take nothing else, also
// not the next release's.
func (s *Service) Tags(base string) (plain, pinned string) {
	wait := " defer"
	if o := s.offer(); o.plan != nil && o.signals(nil) != nil {
		wait = "" // tags must find said what was chosen before they run
	}
	plain = `<link rel="stylesheet" href="` + base + styleFile.path + `"><script src="` + base + scriptFile.path + `"` + wait + `></script>`
	pinned = `<link rel="stylesheet" href="` + base + styleFile.url + `"` + pin(styleFile) + `><script src="` + base + scriptFile.url + `"` + pin(scriptFile) + wait + `></script>`
	return plain, pinned
}

func pin(a *asset) string { return ` integrity="` + a.integrity + `" crossorigin="anonymous"` }

// Told returns what the script learns about a visitor, for a page that says it
// before the script comes; null when nothing needs consent.
func (s *Service) Told(r *http.Request) json.RawMessage {
	o := s.offer()
	if len(o.Groups) == 0 {
		return nil
	}
	b, err := json.Marshal(s.settingsOf(r, o, "", s.Granted(r)))
	if err != nil {
		return nil
	}
	return b
}

// settingsOf is settings for a page that is, perhaps, on another host than Tillid.
func (s *Service) settingsOf(r *http.Request, o *offer, lang string, state State) settings {
	set := o.settings(s.langOf(r, lang), state)
	if o.reach(r) == "" {
		return set
	}
	scheme := "http://"
	if web.HTTPS(r) {
		scheme = "https://"
	}
	set.Choices = scheme + r.Host + set.Choices
	return set
}
