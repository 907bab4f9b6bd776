package version

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// row is a version as stored, with its file.
type row struct {
	Version
	name    string
	source  []byte
	content string // digest over source and files as they were when it was published
}

// newest returns the highest number there is; 0 in an empty house.
func (s *Service) newest(ctx context.Context, q db.Queryer) (int, error) {
	var n int
	err := q.QueryRow(ctx, `select coalesce(max(number), 0) from declaration_version`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("newest version: %w", err)
	}
	return n, nil
}

func (s *Service) list(ctx context.Context, q db.Queryer) ([]Version, error) {
	rows, err := q.Query(ctx, `
		select number, hash, author, class, note, published_at, effective_at
		from declaration_version order by number desc`)
	if err != nil {
		return nil, fmt.Errorf("list versions: %w", err)
	}
	defer rows.Close()
	var all []Version
	for rows.Next() {
		var v Version
		var published, effective db.Time
		if err := rows.Scan(&v.Number, &v.Hash, &v.Author, &v.Class, &v.Note, &published, &effective); err != nil {
			return nil, fmt.Errorf("read version: %w", err)
		}
		v.PublishedAt, v.EffectiveAt = published.Time, effective.Time
		all = append(all, v)
	}
	return all, rows.Err()
}

func (s *Service) insert(ctx context.Context, tx *db.Tx, r row) error {
	files, err := json.Marshal(r.Files)
	if err != nil {
		return fmt.Errorf("files of version: %w", err)
	}
	_, err = tx.Exec(ctx, `
		insert into declaration_version
			(number, hash, source_name, source, content_sha256, files, author, class, note, published_at, effective_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		r.Number, r.Hash, r.name, r.source, contentDigest(r.source, r.Files), string(files),
		r.Author, string(r.Class), r.Note, db.Time{Time: r.PublishedAt}, db.Time{Time: r.EffectiveAt})
	if err != nil {
		return fmt.Errorf("insert version: %w", err)
	}
	return nil
}

func (s *Service) insertShown(ctx context.Context, tx *db.Tx, number int, sh Shown) error {
	_, err := tx.Exec(ctx, `
		insert into shown (version, document, lang, format, sha256, content) values ($1, $2, $3, $4, $5, $6)`,
		number, sh.Document, string(sh.Lang), sh.Format, sh.SHA256, sh.Content)
	if err != nil {
		return fmt.Errorf("insert shown %s: %w", ShownName(sh.Document, sh.Lang, sh.Format), err)
	}
	return nil
}

const selectRow = `
	select number, hash, source_name, source, content_sha256, files, author, class, note, published_at, effective_at
	from declaration_version `

func scanRow(scan func(...any) error) (*row, error) {
	var r row
	var files string
	var published, effective db.Time
	err := scan(&r.Number, &r.Hash, &r.name, &r.source, &r.content, &files,
		&r.Author, &r.Class, &r.Note, &published, &effective)
	if err != nil {
		return nil, err
	}
	r.PublishedAt, r.EffectiveAt = published.Time, effective.Time
	if err := json.Unmarshal([]byte(files), &r.Files); err != nil {
		return nil, errAltered(r.Number).Because(err)
	}
	return &r, nil
}

// load reads a version and compiles it, checking that it is what was published.
func (s *Service) load(ctx context.Context, number int) (*Version, *policy.Plan, error) {
	r, err := scanRow(s.DB.QueryRow(ctx, selectRow+`where number = $1`, number).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil, errNone()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("load version: %w", err)
	}
	if plan, ok := s.compiled.Load(number); ok {
		return &r.Version, plan.(*policy.Plan), nil
	}
	plan, err := r.compile()
	if err != nil {
		return nil, nil, err
	}
	s.compiled.Store(number, plan)
	return &r.Version, plan, nil
}

// compile makes the Plan of a stored version again.
func (r *row) compile() (*policy.Plan, error) {
	if contentDigest(r.source, r.Files) != r.content {
		return nil, errAltered(r.Number)
	}
	plan, problems := policy.Parse(r.name, r.source, r.Files)
	if plan == nil {
		return nil, errProgram(r.Number, "no longer compiles").Because(errProblems(problems))
	}
	if plan.Hash != r.Hash {
		return nil, errProgram(r.Number, "compiles to another hash")
	}
	return plan, nil
}

// check reads every version's file for alterations. Compiling, which costs
// more, is left to the version in force (Refresh) and to whoever asks for an old one.
func (s *Service) check(ctx context.Context) error {
	rows, err := s.DB.Query(ctx, selectRow+`order by number`)
	if err != nil {
		return fmt.Errorf("check versions: %w", err)
	}
	defer rows.Close()
	for n := 1; rows.Next(); n++ {
		r, err := scanRow(rows.Scan)
		if err != nil {
			return fmt.Errorf("check version: %w", err)
		}
		if r.Number != n || contentDigest(r.source, r.Files) != r.content {
			return errAltered(n)
		}
	}
	return rows.Err()
}

func (s *Service) shown(ctx context.Context, number int, document string, l text.Lang, format string) (*Shown, error) {
	sh := Shown{Document: document, Lang: l, Format: format}
	err := s.DB.QueryRow(ctx, `
		select sha256, content from shown where version = $1 and document = $2 and lang = $3 and format = $4`,
		number, document, string(l), format).Scan(&sh.SHA256, &sh.Content)
	return whole(&sh, err)
}

func (s *Service) asset(ctx context.Context, sha256, format string) (*Shown, error) {
	sh := Shown{Format: format, SHA256: sha256}
	err := s.DB.QueryRow(ctx, `
		select document, lang, content from shown where sha256 = $1 and format = $2 and lang = '' limit 1`,
		sha256, format).Scan(&sh.Document, &sh.Lang, &sh.Content)
	return whole(&sh, err)
}

func (s *Service) kept(ctx context.Context, sha256 string) (*Shown, int, error) {
	sh, number := Shown{SHA256: sha256}, 0
	err := s.DB.QueryRow(ctx, `
		select version, document, lang, format, content from shown where sha256 = $1 order by version limit 1`,
		sha256).Scan(&number, &sh.Document, &sh.Lang, &sh.Format, &sh.Content)
	shown, err := whole(&sh, err)
	return shown, number, err
}

// Edition is something shown, and the version that it belongs to.
type Edition struct {
	Shown
	Number      int
	EffectiveAt time.Time
}

// Editions lists what was shown of documents whose names begin with a prefix, the
// newest version first, without the contents.
func (s *Service) Editions(ctx context.Context, prefix string) ([]Edition, error) {
	rows, err := s.DB.Query(ctx, `
		select s.version, s.document, s.lang, s.format, s.sha256, v.effective_at
		from shown s join declaration_version v on v.number = s.version
		where substr(s.document, 1, $1) = $2 order by s.version desc, s.lang, s.document`, len(prefix), prefix)
	if err != nil {
		return nil, fmt.Errorf("list editions: %w", err)
	}
	defer rows.Close()
	var all []Edition
	for rows.Next() {
		var e Edition
		var effective db.Time
		if err := rows.Scan(&e.Number, &e.Document, &e.Lang, &e.Format, &e.SHA256, &effective); err != nil {
			return nil, fmt.Errorf("read edition: %w", err)
		}
		e.EffectiveAt = effective.Time
		all = append(all, e)
	}
	return all, rows.Err()
}

func (s *Service) hasShown(ctx context.Context, q db.Queryer, number int, sh Shown) (bool, error) {
	var n int
	err := q.QueryRow(ctx, `select count(*) from shown where version = $1 and document = $2 and lang = $3 and format = $4`,
		number, sh.Document, string(sh.Lang), sh.Format).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("look for shown: %w", err)
	}
	return n > 0, nil
}

// whole refuses archived bytes that are not what the log says people were shown.
func whole(sh *Shown, err error) (*Shown, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errNone()
	}
	if err != nil {
		return nil, fmt.Errorf("read shown: %w", err)
	}
	if digest(sh.Content) != sh.SHA256 {
		return nil, fmt.Errorf("shown %s was altered in the database", ShownName(sh.Document, sh.Lang, sh.Format))
	}
	return sh, nil
}

func (s *Service) shownList(ctx context.Context, number int) ([]Shown, error) {
	rows, err := s.DB.Query(ctx, `
		select document, lang, format, sha256 from shown where version = $1 order by document, lang, format`, number)
	if err != nil {
		return nil, fmt.Errorf("list shown: %w", err)
	}
	defer rows.Close()
	var all []Shown
	for rows.Next() {
		var sh Shown
		if err := rows.Scan(&sh.Document, &sh.Lang, &sh.Format, &sh.SHA256); err != nil {
			return nil, fmt.Errorf("read shown: %w", err)
		}
		all = append(all, sh)
	}
	return all, rows.Err()
}

func errAltered(number int) *fault.Error {
	return fault.New(fault.Invalid, "Version %d in the database is not what was published: it was altered or lost.", number).
		WithHint("Restore the house's database from a backup; tillid ledger verify shows what else was touched.")
}

func errProgram(number int, what string) *fault.Error {
	return fault.New(fault.Invalid, "Version %d of the declaration %s with this program.", number, what).
		WithHint("Nothing was altered; the program differs from the one that published it (its law packs, for example). " +
			"Start the program that published it, publish there what the new one reads, then update.")
}
