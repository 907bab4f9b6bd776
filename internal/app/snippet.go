package app

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"

	"github.com/tillid/tillid/internal/policy"
)

// Snippet is what goes into the pages of a site that does not stand behind Tillid.
type Snippet struct {
	Site     string   `json:"site"`
	Hosts    []string `json:"hosts"`
	Mode     string   `json:"mode"`
	Base     string   `json:"base"`     // where Tillid answers; "" through the site's own server
	Guard    string   `json:"guard"`    // first in the head
	Fallback string   `json:"fallback"` // right after it; "" in observe mode
	Banner   string   `json:"banner"`   // after those
	Pinned   string   `json:"pinned"`   // the same, held to what it is today
	Page     string   `json:"page"`     // for share links, marked links and interests, where the pages have any
	Hash     string   `json:"hash"`     // of the fallback, for the site's own policy
}

// controlSnippet answers with the tags of every site.
func (h *House) controlSnippet(context.Context, url.Values) (any, error) {
	all := []Snippet{}
	for _, site := range h.Plan().Sites {
		all = append(all, h.snippet(&site))
	}
	return all, nil
}

func (h *House) snippet(site *policy.Site) Snippet {
	s := Snippet{Site: site.ID, Hosts: site.Hosts, Mode: "observe"}
	if site.Consent != "" {
		s.Base = scheme(site.Consent) + site.Consent
	}
	s.Guard = `<script src="` + s.Base + `/_tillid/guard.js" crossorigin="use-credentials"></script>`
	if site.Mode == "enforce" {
		s.Mode = "enforce"
		code := fallback(h.gateway.Strictest())
		sum := sha256.Sum256([]byte(code))
		s.Fallback, s.Hash = "<script>"+code+"</script>", "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'"
	}
	s.Page = `<script src="` + s.Base + `/_tillid/page.js" defer></script>`
	s.Banner, s.Pinned = h.consent.Tags(s.Base)
	return s
}

// fallback is the code that shuts a page when the guard did not come: Tillid away,
// slow beyond the browser's patience, or blocked.
func fallback(strictest string) string {
	return fmt.Sprintf(`window.tillid_guard||function(m){m.httpEquiv="Content-Security-Policy";m.content=%q;document.head.append(m)}(document.createElement("meta"))`, strictest)
}

// scheme begins the addresses of a host.
func scheme(host string) string {
	if strings.Contains(host, "localhost") {
		return "http://"
	}
	return "https://"
}
