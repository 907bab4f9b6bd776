package consent

import (
	"slices"
	"strings"

	"github.com/tillid/tillid/internal/policy"
)

// signals is what tags of some vendors are told about a visitor's choice, in the
// vendors' own terms. A vendor that the declaration does not have is told nothing.
type signals struct {
	Google  values `json:"google,omitempty"`  // Google Consent Mode v2
	UET     values `json:"uet,omitempty"`     // Microsoft Advertising
	Clarity values `json:"clarity,omitempty"` // Microsoft Clarity, Consent API v2
}

// values says "granted" or "denied" of each type of storage.
type values map[string]string

// googleTypes are the seven types of Consent Mode, each with the category of the
// services that it stands for. One that nobody sets counts as granted there, so
// all are always sent. Security is nobody's own category: it is granted with the
// first service that reads it, because before that nothing is loaded that it
// could protect.
var googleTypes = map[string]string{
	"ad_storage": "marketing", "ad_user_data": "marketing", "ad_personalization": "marketing",
	"analytics_storage": "statistics", "functionality_storage": "preferences", "personalization_storage": "preferences",
	"security_storage": "",
}

var (
	googleHosts  = []string{"googletagmanager.com", "google-analytics.com", "analytics.google.com", "googleadservices.com", "googlesyndication.com", "doubleclick.net"}
	uetHosts     = []string{"bat.bing.com", "bat.bing.net"}
	clarityHosts = []string{"clarity.ms"}
)

// signals returns what the vendors of the declaration are told; nil when it has none.
func (o *offer) signals(granted []string) *signals {
	var s signals
	if all := o.readers(googleHosts); len(all) > 0 {
		s.Google = values{}
		for kind, category := range googleTypes {
			s.Google[kind] = said(all, granted, kind, category)
		}
	}
	if all := o.readers(uetHosts); len(all) > 0 {
		s.UET = values{"ad_storage": said(all, granted, "ad_storage", "marketing")}
	}
	if all := o.readers(clarityHosts); len(all) > 0 {
		s.Clarity = values{
			"ad_Storage":        said(all, granted, "ad_storage", "marketing"),
			"analytics_Storage": said(all, granted, "analytics_storage", "statistics"),
		}
	}
	if s.Google == nil && s.UET == nil && s.Clarity == nil {
		return nil
	}
	return &s
}

// readers returns the services of a vendor, known by their hosts, and those of
// others that name signals themselves; nil when the vendor has none.
func (o *offer) readers(hosts []string) []*policy.Service {
	var all []*policy.Service
	found := false
	for _, it := range o.items {
		if it.Service == nil {
			continue
		}
		own := reaches(it.Service.Hosts, hosts)
		if found = found || own; own || len(it.Service.Signals) > 0 {
			all = append(all, it.Service)
		}
	}
	if !found {
		return nil
	}
	return all
}

// reaches reports whether a service may load from one of the domains or below.
func reaches(h policy.Hosts, domains []string) bool {
	for _, source := range slices.Concat(h.Script, h.Connect, h.Image) {
		_, host, ok := strings.Cut(source, "://")
		if !ok {
			host = source
		}
		host, _, _ = strings.Cut(strings.TrimPrefix(host, "*."), "/")
		for _, d := range domains {
			if host == d || strings.HasSuffix(host, "."+d) {
				return true
			}
		}
	}
	return false
}

// said returns what is said of one type: granted only when every service that it
// stands for is, and denied when there is none.
func said(services []*policy.Service, granted []string, kind, category string) string {
	value := "denied"
	for _, svc := range services {
		yes := slices.Contains(granted, svc.ID)
		switch {
		case kind == "security_storage" && len(svc.Signals) == 0:
			if yes {
				return "granted"
			}
		case !reads(svc, kind, category):
		case !yes:
			return "denied"
		default:
			value = "granted"
		}
	}
	return value
}

// reads reports whether a type stands for a service: as declared, else by category.
func reads(svc *policy.Service, kind, category string) bool {
	if len(svc.Signals) > 0 {
		return slices.Contains(svc.Signals, kind)
	}
	return svc.Category == category
}
