package version

import (
	"context"
	"strconv"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/ledger"
)

// Archive adds to a version what people are shown under it since the program
// changed: a newer program may write the same declaration's banner in another
// way. What is there already stays as it is; what is added has a leaf.
func (s *Service) Archive(ctx context.Context, number int, shown []Shown) error {
	for i := range shown {
		shown[i].SHA256 = digest(shown[i].Content)
	}
	missing, err := s.missing(ctx, s.DB, number, shown)
	if err != nil || len(missing) == 0 {
		return err
	}
	v, _, err := s.load(ctx, number)
	if err != nil {
		return err
	}
	err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		return s.add(ctx, tx, *v, missing)
	})
	if db.IsUnique(err) { // another replica was first
		return nil
	}
	return err
}

func (s *Service) missing(ctx context.Context, q db.Queryer, number int, shown []Shown) (missing []Shown, err error) {
	for _, sh := range shown {
		there, err := s.hasShown(ctx, q, number, sh)
		if err != nil {
			return nil, err
		}
		if !there {
			missing = append(missing, sh)
		}
	}
	return missing, nil
}

func (s *Service) add(ctx context.Context, tx *db.Tx, v Version, shown []Shown) error {
	facts := map[string]string{"number": strconv.Itoa(v.Number)}
	for _, sh := range shown {
		if err := s.insertShown(ctx, tx, v.Number, sh); err != nil {
			return err
		}
		facts["shown."+ShownName(sh.Document, sh.Lang, sh.Format)] = sh.SHA256
	}
	_, err := s.Ledger.Append(ctx, tx, ledger.Leaf{Kind: "version.shown", Version: v.Hash, Facts: facts})
	return err
}
