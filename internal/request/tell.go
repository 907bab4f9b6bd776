package request

import (
	"context"
	"slices"
	"time"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
)

// toldRow is a recipient that must be told of a correction, an erasure or a restriction
// (Art. 19), and when it was.
type toldRow struct {
	Engagement, Name string
	At               time.Time
}

// toTell lists who got what a case is about, by the log of disclosures. Of an erasure, the
// processors are commanded and probed by package erase instead.
func (s *Service) toTell(ctx context.Context, w work) ([]toldRow, error) {
	if k := w.request.Kind; k != policy.Rectification && k != policy.Restriction || !slices.Contains([]state{executing, answering, closed}, w.request.State) {
		return nil, nil
	}
	given, err := s.Connect.Disclosures(ctx, s.DB, w.record.Person)
	if err != nil {
		return nil, err
	}
	records, err := s.concerned(ctx, w)
	if err != nil {
		return nil, err
	}
	var rows []toldRow
	for _, g := range given {
		about := slices.ContainsFunc(records, func(r subject.Record) bool { return r.ID == g.Record })
		if !about || slices.ContainsFunc(rows, func(r toldRow) bool { return r.Engagement == g.Engagement }) {
			continue
		}
		row := toldRow{Engagement: g.Engagement, Name: recipient(s.Plan(), g).Name}
		for _, h := range w.past {
			if h.Kind == "told" && h.Code == g.Engagement {
				row.At = h.At
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Tell notes that a recipient has been told (Art. 19).
func (s *Service) Tell(ctx context.Context, id, engagement string) error {
	w, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	rows, err := s.toTell(ctx, w)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(rows, func(r toldRow) bool { return r.Engagement == engagement }) {
		return fault.New(fault.Invalid, "Nothing of this went there.").In("request.not_told")
	}
	d := by(ctx)
	d.Code = engagement
	return s.act(ctx, w, "told", d, nil, nil)
}
