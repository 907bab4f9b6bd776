package request

import (
	"net/http"
	"slices"

	"github.com/tillid/tillid/internal/policy"
)

// portable is the part of a pack that Art. 20 covers: what the person gave, and what rests
// on consent or contract. Nothing that we wrote or concluded.
func (p Pack) portable(plan *policy.Plan) Pack {
	out := p
	out.Records = []PackRecord{}
	for _, r := range p.Records {
		if pu := plan.Purpose(r.purpose); pu == nil || !slices.Contains(plan.RightsOf(pu.ID), policy.Portability) {
			continue
		}
		r.Values = slices.DeleteFunc(slices.Clone(r.Values), func(v PackValue) bool { return !v.given })
		if len(r.Values) > 0 {
			out.Records = append(out.Records, r)
		}
	}
	return out
}

func (s *Service) filePortable(w http.ResponseWriter, r *http.Request) error {
	persons, ok := s.need(w, r)
	if !ok {
		return nil
	}
	pack, err := s.pack(r.Context(), persons, s.House.Public(r).Lang)
	if err != nil {
		return err
	}
	return s.writeJSON(w, pack.portable(s.Plan()))
}
