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
// accept only so many bytes of headers.
const maxExpiries = 60

// forget deletes, from the server, every declared cookie of what is not granted,
// in every variant of host, domain and path under which it may have been set,
// those that scripts cannot see too. It returns the names of other storage, for
// the script to clear.
func forget(w http.ResponseWriter, r *http.Request, o *offer, granted []string, page string) leftovers {
	var left leftovers
	sent := 0
	for _, it := range o.items {
		if slices.Contains(granted, it.ID) {
			continue
		}
		for _, d := range it.Devices {
			switch d.Technology {
			case "", "cookie":
				for _, name := range namesOf(r, d) {
					sent += expire(w, r, name, d, page, maxExpiries-sent)
				}
			case "local_storage":
				left.Local = append(left.Local, d.ID)
			case "session_storage":
				left.Session = append(left.Session, d.ID)
			case "indexed_db":
				left.Databases = append(left.Databases, d.ID)
			case "cache":
				left.Caches = append(left.Caches, d.ID)
			}
		}
	}
	return left
}

// leftovers names storage that only a script in the page can delete; a name may
// end in *.
type leftovers struct {
	Local     []string `json:"local,omitempty"`
	Session   []string `json:"session,omitempty"`
	Databases []string `json:"databases,omitempty"`
	Caches    []string `json:"caches,omitempty"`
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

// expire deletes one cookie in its variants, at most so many. A cookie that did not
// come with the request may still be there under another path: then only its
// declared place is tried.
func expire(w http.ResponseWriter, r *http.Request, name string, d *policy.DeviceAccess, page string, most int) int {
	_, err := r.Cookie(name)
	paths := []string{"/"}
	if d.Path != "" && d.Path != "/" {
		paths = append(paths, d.Path)
	}
	if err == nil {
		paths = append(paths, above(page)...)
	}
	slices.Sort(paths)
	n := 0
	for _, domain := range domains(r.Host) {
		for _, path := range slices.Compact(paths) {
			if n >= most {
				return n
			}
			c := http.Cookie{Name: name, Path: path, Domain: domain, MaxAge: -1, Secure: strings.HasPrefix(name, "__")} //nolint:gosec // it deletes, as the site set it
			w.Header().Add("Set-Cookie", c.String())
			n++
		}
	}
	return n
}

// domains returns "" (the host alone) and every domain that the host may set
// cookies for, up to the registrable one.
func domains(host string) []string {
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
			return all
		}
		_, host, _ = strings.Cut(host, ".")
	}
}

// above returns the folders above a page, without the root.
func above(page string) []string {
	var all []string
	for i := 1; i < len(page) && len(all) < 6; i++ {
		if page[i] == '/' {
			all = append(all, page[:i])
		}
	}
	return all
}
