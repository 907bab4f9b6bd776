package consent

import (
	"crypto/sha256"
	"encoding/base64"
)

// Tags returns the tags for pages that Tillid does not answer itself: the banner's
// style and script. base is where Tillid answers, "" for the page's own host. The
// pinned ones carry the hash of what they load: browsers take nothing else, also
// not the next release's.
func (s *Service) Tags(base string) (plain, pinned string) {
	plain = `<link rel="stylesheet" href="` + base + styleFile.path + `"><script src="` + base + scriptFile.path + `" defer></script>`
	pinned = `<link rel="stylesheet" href="` + base + styleFile.url + `"` + pin(styleFile) + `><script src="` + base + scriptFile.url + `"` + pin(scriptFile) + ` defer></script>`
	return plain, pinned
}

func pin(a *asset) string {
	sum := sha256.Sum256(a.body)
	return ` integrity="sha256-` + base64.StdEncoding.EncodeToString(sum[:]) + `" crossorigin="anonymous"`
}
