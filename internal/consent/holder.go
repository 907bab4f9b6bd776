package consent

import (
	"context"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
)

var _ subject.Holder = (*Service)(nil)

// Name implements subject.Holder.
func (s *Service) Name() string { return holder }

// Tables implements subject.Holder.
func (s *Service) Tables() []subject.Table {
	return []subject.Table{{Name: "choice", Fields: map[string]string{
		"kind": "yes, no or withdrawal", "at": "when", "granted": "what was said yes to",
		"lang": "language", "layer": "where it was asked", "control": "which button",
		"sealed": "sealed nonce of the log's commitment", "ends_at": "until when it counts", "ended_at": "when it ended", "ended": "how it ended",
	}}}
}

// Show implements subject.Holder.
func (s *Service) Show(ctx context.Context, q db.Queryer, r subject.Record, l text.Lang) (subject.View, error) {
	row, ok, err := selectChoice(ctx, q, r.ID)
	if err != nil || !ok {
		return subject.View{}, err
	}
	o := s.offer()
	data := ""
	zone := time.UTC
	if o.plan != nil {
		if p := o.plan.Purpose(r.Purpose); p != nil && len(p.Data) > 0 {
			data = p.Data[0]
		}
		zone = o.plan.Loc
	}
	shown := func(id, value string) subject.Shown {
		return subject.Shown{Label: text.T(l, "consent.view."+id), Value: subject.Secret(value), Data: data}
	}
	return subject.View{Title: text.T(l, "consent.kind."+row.kind), Fields: []subject.Shown{
		shown("at", text.Moment(l, row.at.In(zone))),
		shown("granted", o.names(items(row.granted), l)),
		shown("leaf", row.leaf),
	}}, nil
}

// names returns the labels of items in words.
func (o *offer) names(ids []string, l text.Lang) string {
	var names []string
	for _, id := range ids {
		name := strings.TrimPrefix(id, ownPrefix)
		for _, it := range o.items {
			if it.ID == id {
				name = it.Label.In(l)
			}
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return text.T(l, "consent.nothing")
	}
	return text.List(l, names)
}

// Apply implements subject.Holder. A choice without its person is nothing: it is
// deleted either way.
func (s *Service) Apply(ctx context.Context, tx *db.Tx, r subject.Record, _ subject.Act) (subject.Receipt, error) {
	n, err := deleteChoice(ctx, tx, r.ID)
	return subject.Receipt{Rows: map[string]int{"choice": n}}, err
}

// figuresFor is how long refusals, which are about nobody, are counted.
const figuresFor = 400 * 24 * time.Hour

// Periodic returns consent's periodic work.
func (s *Service) Periodic() []job.Periodic {
	return []job.Periodic{{Name: "consent.views", Every: 5 * time.Minute, Run: s.FlushViews}, {Name: "consent.lapse", Every: time.Hour, Run: s.Lapse}, {Name: "consent.tidy", Every: 24 * time.Hour, Run: func(ctx context.Context) error {
		return deleteRefusals(ctx, s.DB, s.Now().Add(-figuresFor))
	}}}
}
