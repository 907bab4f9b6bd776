package consent

import (
	"net"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/tillid/tillid/internal/policy"
)

// maxExpiries bounds how many cookies one answer deletes: servers in front
// accept only so many bytes of headers. What is left is deleted by further answers.
const maxExpiries = 60

// expire deletes, from the server, the declared cookies of what is not granted,
// in every variant of host, domain and path under which they may have been set,
// those that scripts cannot see too. It begins at the variant numbered from and
// returns where the next answer goes on, or 0 when all is done.
//
// A cookie that does not come with the request is tried in its usual places only;
// one that does is there, and is followed through every folder of the page.
func (o *offer) expire(w http.ResponseWriter, r *http.Request, granted []string, page string, from int) int {
	slot, sent := 0, 0
	for _, deep := range []bool{false, true} {
		for _, d := range o.cookies(granted) {
			for _, at := range places(r.Host, page, d, deep) {
				if slot++; slot <= from {
					continue
				}
				for _, name := range namesOf(r, d) {
					if _, err := r.Cookie(name); deep && err != nil || !at.fits(name) {
						continue
					}
					c := http.Cookie{Name: name, Path: at.path, Domain: at.domain, MaxAge: -1, Secure: strings.HasPrefix(name, "__")} //nolint:gosec // it deletes, as the site set it
					w.Header().Add("Set-Cookie", c.String())
					sent++
				}
				if sent >= maxExpiries {
					return slot
				}
			}
		}
	}
	return 0
}

// place is where a cookie may have been set.
type place struct{ domain, path string }

// fits reports whether a cookie of that name can be there (RFC 6265bis, 4.1.3).
func (p place) fits(name string) bool {
	return !strings.HasPrefix(name, "__Host-") || p.domain == "" && p.path == "/"
}

// places returns the usual places of a cookie, or those deep in the site.
func places(host, page string, d *policy.DeviceAccess, deep bool) []place {
	paths := []string{"/"}
	if d.Path != "" && d.Path != "/" {
		paths = append(paths, d.Path)
	}
	if deep {
		paths = slices.DeleteFunc(above(page), func(p string) bool { return slices.Contains(paths, p) })
	}
	var all []place
	for _, path := range paths {
		for _, domain := range domains(host, d.Domain) {
			all = append(all, place{domain, path})
		}
	}
	return all
}

// cookies returns the declared cookies of what is not granted.
func (o *offer) cookies(granted []string) []*policy.DeviceAccess {
	var all []*policy.DeviceAccess
	for _, it := range o.items {
		for _, d := range it.Devices {
			if !slices.Contains(granted, it.ID) && (d.Technology == "" || d.Technology == "cookie") && !strings.HasPrefix(d.ID, "tillid_") {
				all = append(all, d)
			}
		}
	}
	return all
}

// names lists storage by technology; a name may end in *.
type names struct {
	Cookies   []string `json:"cookies,omitempty"`
	Local     []string `json:"local,omitempty"`
	Session   []string `json:"session,omitempty"`
	Databases []string `json:"databases,omitempty"`
	Caches    []string `json:"caches,omitempty"`
	Workers   []string `json:"workers,omitempty"` // names of their scripts
}

// list returns the list of a technology, or nil when it stores nothing.
func (s *names) list(technology string) *[]string {
	switch technology {
	case "", "cookie":
		return &s.Cookies
	case "local_storage":
		return &s.Local
	case "session_storage":
		return &s.Session
	case "indexed_db":
		return &s.Databases
	case "cache":
		return &s.Caches
	case "service_worker":
		return &s.Workers
	}
	return nil
}

// refused names the storage of what is not granted, for the script to clear.
func (o *offer) refused(granted []string) names {
	var s names
	for _, it := range o.items {
		if slices.Contains(granted, it.ID) {
			continue
		}
		for _, d := range it.Devices {
			if list := s.list(d.Technology); list != nil {
				*list = append(*list, d.ID)
			}
		}
	}
	return s
}

// namesOf returns the names under which a declared cookie is there: a pattern's
// are those that came with the request.
func namesOf(r *http.Request, d *policy.DeviceAccess) []string {
	prefix, pattern := strings.CutSuffix(d.ID, "*")
	if !pattern {
		return []string{d.ID}
	}
	var names []string
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, prefix) && !strings.HasPrefix(c.Name, "tillid_") && !slices.Contains(names, c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}

// domains returns "" (the host alone) and every domain that the host may set
// cookies for, up to the registrable one; declared is one more, if it is among those.
func domains(host, declared string) []string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	all := []string{""}
	if net.ParseIP(strings.Trim(host, "[]")) != nil || !strings.Contains(host, ".") {
		return all
	}
	top, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return all
	}
	for {
		all = append(all, host)
		if host == top {
			break
		}
		_, host, _ = strings.Cut(host, ".")
	}
	if declared = strings.TrimPrefix(strings.ToLower(declared), "."); strings.HasSuffix(declared, "."+top) && !slices.Contains(all, declared) {
		all = append(all, declared)
	}
	return all
}

const maxFolders = 12

// above returns the paths that a cookie of a page may have been set for, without
// the root: its folders, with and without the slash at the end, and the page itself.
func above(page string) []string {
	var all []string
	if len(page) > maxReturn || !strings.HasPrefix(page, "/") {
		return nil
	}
	for i := 1; i < len(page) && len(all) < maxFolders; i++ {
		if page[i] == '/' {
			all = append(all, page[:i], page[:i+1])
		}
	}
	if page != "" && page != "/" && !slices.Contains(all, page) {
		all = append(all, page)
	}
	return all
}
