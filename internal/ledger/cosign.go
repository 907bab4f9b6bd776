package ledger

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tillid/tillid/internal/db"
)

// Cosigner is a witness as a house knows it: where it answers, and its key.
type Cosigner struct {
	URL    string
	name   string
	id     uint32
	public ed25519.PublicKey
}

// ParseCosigner reads "URL VKEY".
func ParseCosigner(s string) (Cosigner, error) {
	url, vkey, _ := strings.Cut(strings.TrimSpace(s), " ")
	parts := strings.SplitN(strings.TrimSpace(vkey), "+", 3)
	bad := fmt.Errorf("%q is not the address of a witness and its key", s)
	if len(parts) != 3 || !strings.HasPrefix(url, "http") {
		return Cosigner{}, bad
	}
	b, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(b) != 1+ed25519.PublicKeySize || b[0] != algCosignature {
		return Cosigner{}, bad
	}
	c := Cosigner{URL: strings.TrimSuffix(url, "/"), name: parts[0], public: b[1:]}
	c.id = cosignerID(c.name, c.public)
	if fmt.Sprintf("%08x", c.id) != parts[1] {
		return Cosigner{}, bad
	}
	return c, nil
}

// Check returns when the witness cosigned a checkpoint with a signature line.
func (c Cosigner) Check(text, line string) (time.Time, error) {
	fields := strings.Split(strings.TrimSuffix(line, "\n"), " ")
	wrong := fmt.Errorf("the cosignature of %s does not hold", c.name)
	if len(fields) != 3 || fields[0] != "—" || fields[1] != c.name {
		return time.Time{}, wrong
	}
	b, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil || len(b) != 4+8+ed25519.SignatureSize || binary.BigEndian.Uint32(b) != c.id {
		return time.Time{}, wrong
	}
	at := binary.BigEndian.Uint64(b[4:])
	if !ed25519.Verify(c.public, cosigned(at, text), b[12:]) {
		return time.Time{}, wrong
	}
	return time.Unix(int64(at), 0).UTC(), nil
}

// ErrFork says that a witness has seen another history of this log than the house has.
var ErrFork = errors.New("a witness has seen another history of this log")

// Cosign asks each witness to cosign the newest checkpoint, and keeps what they
// sign. A witness that does not answer is tried again with the next call; one that
// has seen another history is ErrFork.
func (l *Log) Cosign(ctx context.Context) error {
	var all error
	for _, c := range l.Witnesses {
		if err := l.cosignAt(ctx, c); err != nil {
			all = errors.Join(all, fmt.Errorf("witness %s: %w", c.name, err))
		}
	}
	return all
}

func (l *Log) cosignAt(ctx context.Context, c Cosigner) error {
	head, err := l.head(ctx)
	if err != nil || head.N == 0 {
		return err
	}
	old, err := cosignedSize(ctx, l.DB, c.name)
	if err != nil || old == head.N {
		return err
	}
	for range 2 { // again when the witness has seen more, or less, than is known here
		line, seen, err := l.submit(ctx, c, head, old)
		if err != nil {
			return err
		}
		if line != "" {
			return l.keepCosignature(ctx, c, head, line)
		}
		if seen > head.N || seen == old {
			return ErrFork
		}
		old = seen
	}
	return ErrFork
}

// submit asks for one cosignature. Without one, seen is the size that the witness knows.
func (l *Log) submit(ctx context.Context, c Cosigner, head checkpoint, old int64) (line string, seen int64, err error) {
	var body strings.Builder
	fmt.Fprintf(&body, "old %d\n", old)
	if old > 0 && old < head.N {
		proof, err := tlog.ProveTree(head.N, old, reader(ctx, l.DB))
		if err != nil {
			return "", 0, err
		}
		for _, h := range proof {
			fmt.Fprintln(&body, h)
		}
	}
	body.WriteString("\n" + head.note)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+"/add-checkpoint", strings.NewReader(body.String()))
	if err != nil {
		return "", 0, err
	}
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 16<<10))
	if err != nil {
		return "", 0, err
	}
	return readAnswer(resp, string(answer), c)
}

func readAnswer(resp *http.Response, answer string, c Cosigner) (line string, seen int64, err error) {
	switch resp.StatusCode {
	case http.StatusOK:
		for l := range strings.Lines(answer) {
			if strings.HasPrefix(l, "— "+c.name+" ") {
				return l, 0, nil
			}
		}
		return "", 0, errors.New("it answered without its signature")
	case http.StatusConflict:
		seen, err = strconv.ParseInt(strings.TrimSpace(answer), 10, 64)
		return "", seen, err
	case http.StatusUnprocessableEntity:
		return "", 0, ErrFork
	}
	return "", 0, fmt.Errorf("it answered %s", resp.Status)
}

func (l *Log) keepCosignature(ctx context.Context, c Cosigner, head checkpoint, line string) error {
	text, _, _ := strings.Cut(head.note, "\n\n")
	at, err := c.Check(text+"\n", line)
	if err != nil {
		return err
	}
	_, err = l.DB.Exec(ctx, `insert into cosignature (witness, size, at, line) values ($1, $2, $3, $4) on conflict (witness, size) do nothing`,
		c.name, head.N, db.Time{Time: at}, line)
	if err != nil {
		return fmt.Errorf("keep cosignature: %w", err)
	}
	return nil
}

func cosignedSize(ctx context.Context, q db.Queryer, witness string) (n int64, err error) {
	err = q.QueryRow(ctx, `select coalesce(max(size), 0) from cosignature where witness = $1`, witness).Scan(&n)
	return n, err
}

// Cosigned returns the newest checkpoint that a witness has cosigned, with the
// cosignatures; nil when there is none.
func (l *Log) Cosigned(ctx context.Context) ([]byte, error) {
	var note string
	var size int64
	err := l.DB.QueryRow(ctx, `select c.note, c.size from checkpoint c where c.size = (select max(size) from cosignature)`).Scan(&note, &size)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cosigned checkpoint: %w", err)
	}
	rows, err := l.DB.Query(ctx, `select line from cosignature where size = $1 order by witness`, size)
	if err != nil {
		return nil, fmt.Errorf("cosignatures: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return nil, fmt.Errorf("cosignatures: %w", err)
		}
		note += line
	}
	return []byte(note), rows.Err()
}
