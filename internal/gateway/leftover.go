package gateway

import (
	"net/http"
	"regexp"
	"strings"
)

// personal finds what in a name may belong to one visitor: long numbers and long
// runs of digits and letters a to f.
var personal = regexp.MustCompile(`[0-9]{4,}|[0-9A-Fa-f-]*[0-9][0-9A-Fa-f-]{11,}`)

// Leftover lists, as drift, storage that a visitor's browser has after they took
// their consent back, and that is not declared. Only its name is known, and what
// in the name may tell one visitor from another becomes "*".
func (s *Service) Leftover(r *http.Request, technology, name, page string) {
	v := s.visit(r)
	if v.site == nil {
		return
	}
	if strings.ContainsAny(name, "@ ") {
		name = "*"
	}
	f := finding{Kind: "cookie", Subject: limited(personal.ReplaceAllString(name, "*"), 100), Detail: technology}
	s.note(v, f, page)
}
