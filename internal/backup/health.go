package backup

import (
	"context"
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
)

const (
	listWaits  = 10 * time.Minute    // an erasure may wait for the list
	backupsAge = 2 * 24 * time.Hour  // without a new backup
	drillsAge  = 92 * 24 * time.Hour // without a drill
)

// Health says what is wrong with backups; empty when all is well.
func (s *Service) Health(ctx context.Context) ([]*fault.Error, error) {
	var says []*fault.Error
	var waiting int
	err := s.DB.QueryRow(ctx, `select count(*) from erasure_list where exported_at is null and erased_at < $1`,
		db.Time{Time: s.Now().Add(-listWaits)}).Scan(&waiting)
	if err != nil {
		return nil, fmt.Errorf("count waiting erasures: %w", err)
	}
	if waiting > 0 {
		says = append(says, fault.New(fault.Unavailable, "%d erasures are not yet in the list beside the backups.", waiting).
			WithHint("May Tillid write to the folder of the backups? Certificates wait for it.").In("backup.list_waits", "Count", waiting))
	}
	kept, err := old(s.KeysDir, Keys, func(taken time.Time) bool { return s.Now().After(taken.Add(keysLive + time.Hour)) }, func(string) error { return nil })
	if err != nil {
		return nil, err
	}
	if kept > 0 {
		says = append(says, fault.New(fault.Unavailable, "%d backups of the key store are older than seven days.", kept).
			WithHint("What was erased can be opened with them. Delete them, and see why Tillid could not.").In("backup.old_keys", "Count", kept))
	}
	held, err := s.MailHeld(ctx)
	if err != nil {
		return nil, err
	}
	if !held.IsZero() {
		says = append(says, fault.New(fault.Unavailable, "The house was restored: no letter leaves until somebody says so.").
			WithHint("See the page Backups.").In("backup.mail_held"))
	}
	if len(s.Recipients) == 0 {
		return says, nil
	}
	more, err := s.habits(ctx)
	return append(says, more...), err
}

// habits says whether backups and drills are made as often as they should.
func (s *Service) habits(ctx context.Context) (says []*fault.Error, err error) {
	all, err := Find(s.Dir, Data, s.Ledger.Signer.Verifier())
	if err != nil {
		return nil, err
	}
	var founded db.Time
	if err := s.DB.QueryRow(ctx, `select created_at from house`).Scan(&founded); err != nil {
		return nil, fmt.Errorf("select house: %w", err)
	}
	last := founded.Time
	if len(all) > 0 {
		last = all[len(all)-1].Taken
	}
	if age := s.Now().Sub(last); age > backupsAge {
		days := int(age.Hours() / 24)
		says = append(says, fault.New(fault.Unavailable, "The newest backup is %d days old.", days).
			WithHint("One is made every day by itself. The page Backups and the log of the program say why not.").In("backup.stale", "Count", days))
	}
	drills, err := s.Drills(ctx, 1)
	if err != nil {
		return says, err
	}
	since := founded.Time
	if len(drills) > 0 {
		since = drills[0].At
	}
	switch {
	case len(drills) > 0 && !drills[0].Passed():
		says = append(says, fault.New(fault.Unavailable, "The last restore drill failed.").
			WithHint("Its report says why. Mend that and run: tillid restore --drill").In("backup.drill_failed"))
	case s.Now().Sub(since) > drillsAge:
		days := int(s.Now().Sub(since).Hours() / 24)
		says = append(says, fault.New(fault.Unavailable, "No restore has been tried for %d days.", days).
			WithHint("Run: tillid restore --drill. A backup that was never restored is a hope.").In("backup.drill_old", "Count", days))
	}
	return says, nil
}

// MailHeld returns since when letters are held after a restore; zero: they are not.
func (s *Service) MailHeld(ctx context.Context) (time.Time, error) {
	var at db.Time
	if err := s.DB.QueryRow(ctx, `select mail_held_at from house`).Scan(&at); err != nil {
		return time.Time{}, fmt.Errorf("select house: %w", err)
	}
	return at.Time, nil
}

// ReleaseMail lets letters go again; with discard, those that were waiting in the
// restored database are thrown away: they may have been sent before.
func (s *Service) ReleaseMail(ctx context.Context, discard bool) (dropped int, err error) {
	if held, err := s.MailHeld(ctx); err != nil || held.IsZero() {
		return 0, err
	}
	if discard {
		if dropped, err = s.Mail.DropWaiting(ctx); err != nil {
			return 0, err
		}
	}
	return dropped, s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `update house set mail_held_at = null`); err != nil {
			return fmt.Errorf("update house: %w", err)
		}
		_, err := s.Ledger.Append(ctx, tx, ledger.Leaf{Kind: "mail.released", At: s.Now(), Version: s.Plan().Hash,
			Facts: map[string]string{"discarded": fmt.Sprint(dropped)}})
		return err
	})
}
