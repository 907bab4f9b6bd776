package backup

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
)

// Drill is the report of a restore that was tried in a temporary place.
type Drill struct {
	At       time.Time     `json:"at"`
	Backup   string        `json:"backup"`
	Keys     string        `json:"keys"`
	Taken    time.Time     `json:"taken_at"`
	Bytes    int64         `json:"bytes"`
	Rows     int64         `json:"rows"`
	Leaves   int64         `json:"leaves"`   // of the log, as it was restored
	Replayed int           `json:"replayed"` // erasures done again
	Erased   int           `json:"erased"`   // records that they found alive
	Opened   int           `json:"opened"`   // records that were opened, to see that the keys fit
	Took     time.Duration `json:"took"`
	Faults   []string      `json:"faults"` // what is wrong; none: it passed
}

// Passed reports whether the backup could be relied on.
func (d Drill) Passed() bool { return len(d.Faults) == 0 }

// Seconds is how long it took.
func (d Drill) Seconds() int { return int(d.Took.Round(time.Second).Seconds()) }

// opened is how many records a drill opens: enough to see that the keys fit.
const opened = 200

// Check looks at a restored house, after Replay: whether the log is as it was
// signed, whether anybody who was erased is there again as a row or a key, and
// whether what is left opens. listDir is where the whole erasure list is.
func (s *Service) Check(ctx context.Context, listDir string, m Manifest, d *Drill) error {
	if err := s.checkLog(ctx, m, d); err != nil {
		return err
	}
	vkey := s.Ledger.Signer.Verifier()
	mark, ok, err := readMark(listDir, vkey)
	if err != nil || !ok {
		d.Faults = append(d.Faults, "The erasure list beside the backups is missing or not signed by this house.")
	} else {
		list, _, err := readList(listDir, mark, 0)
		if err != nil {
			d.Faults = append(d.Faults, "The erasure list beside the backups cannot be read: "+err.Error()+".")
		}
		back, err := s.Erase.Back(ctx, list)
		if err != nil {
			return err
		}
		if back > 0 {
			d.Faults = append(d.Faults, fmt.Sprintf("%d things that were erased are there again after the replay.", back))
		}
	}
	return s.openSome(ctx, d)
}

func (s *Service) checkLog(ctx context.Context, m Manifest, d *Drill) error {
	var kept []byte
	if m.Checkpoint != "" {
		kept = []byte(m.Checkpoint)
	}
	faults, err := s.Ledger.Verify(ctx, kept)
	if err != nil {
		return err
	}
	for _, f := range faults {
		d.Faults = append(d.Faults, "Log: "+f.String())
	}
	d.Leaves, err = s.Ledger.Size(ctx)
	return err
}

// openSome opens records spread over the register.
func (s *Service) openSome(ctx context.Context, d *Drill) error {
	records, err := s.Subject.Due(ctx, s.DB, s.Now().AddDate(200, 0, 0), 20*opened)
	if err != nil {
		return err
	}
	step := max(1, len(records)/opened)
	for i := 0; i < len(records); i += step {
		r := records[i]
		if err := s.show(ctx, r); err != nil {
			d.Faults = append(d.Faults, fmt.Sprintf("A record of kind %s does not open: %v.", r.Kind, fault.Of(err).Msg))
			if len(d.Faults) > 20 {
				return nil
			}
			continue
		}
		d.Opened++
	}
	return nil
}

func (s *Service) show(ctx context.Context, r subject.Record) error {
	for _, h := range s.Erase.Holders {
		if h.Name() == r.Holder {
			_, err := h.Show(ctx, s.DB, r, text.EN)
			return err
		}
	}
	return fmt.Errorf("no feature is called %q", r.Holder)
}

// Drilled keeps a drill's report, and says so in the log.
func (s *Service) Drilled(ctx context.Context, d Drill) error {
	report, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `insert into drill (id, at, backup, passed, report) values ($1, $2, $3, $4, $5)`,
			db.NewID(), db.Time{Time: d.At}, d.Backup, d.Passed(), string(report))
		if err != nil {
			return fmt.Errorf("insert drill: %w", err)
		}
		_, err = s.Ledger.Append(ctx, tx, ledger.Leaf{Kind: "backup.drilled", At: s.Now(), Version: s.Plan().Hash,
			Facts: map[string]string{"backup": d.Backup, "passed": fmt.Sprint(d.Passed()), "replayed": fmt.Sprint(d.Replayed)}})
		return err
	})
}

// Drills lists the newest drills.
func (s *Service) Drills(ctx context.Context, limit int) ([]Drill, error) {
	rows, err := s.DB.Query(ctx, `select report from drill order by at desc, id limit $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("select drills: %w", err)
	}
	defer rows.Close()
	var all []Drill
	for rows.Next() {
		var report string
		var d Drill
		if err := rows.Scan(&report); err != nil {
			return nil, fmt.Errorf("scan drill: %w", err)
		}
		if err := json.Unmarshal([]byte(report), &d); err != nil {
			return nil, fmt.Errorf("read drill: %w", err)
		}
		all = append(all, d)
	}
	return all, rows.Err()
}
