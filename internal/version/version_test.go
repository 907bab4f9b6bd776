package version

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tillid/tillid/examples/eksempel"
	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// house is a service with a clock that the test sets.
type house struct {
	*Service
	at time.Time
}

func newHouse(t *testing.T, d *db.DB) *house {
	t.Helper()
	skey, _, err := ledger.GenerateKey("eksempel.example")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ledger.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{at: start}
	now := func() time.Time { return h.at }
	h.Service = &Service{
		DB: d, Log: slog.New(slog.DiscardHandler), Now: now,
		Ledger: &ledger.Log{DB: d, Origin: "eksempel.example/tillid", Signer: signer, Now: now},
		Render: func(p *policy.Plan, v Version) ([]Shown, error) {
			return []Shown{
				{Document: "policy", Lang: text.DA, Format: "html", Content: []byte("udgave " + p.Hash)},
				{Document: "style", Format: "css", Content: []byte("p{}")},
			}, nil
		},
	}
	return h
}

// source is the example's declaration, changed so that its hash differs.
func source(t *testing.T, phone string) []byte {
	t.Helper()
	b, err := eksempel.Files.ReadFile("tillid.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Replace(b, []byte(`phone: "+45 00 00 00 00"`), []byte(`phone: "`+phone+`"`), 1)
}

func (h *house) open(t *testing.T) {
	t.Helper()
	if err := h.Open(t.Context(), "tillid.yaml", source(t, "+45 00 00 00 01"), eksempel.Files); err != nil {
		t.Fatal(err)
	}
}

func (h *house) publish(t *testing.T, phone string, effective time.Time) (Version, error) {
	t.Helper()
	return h.Publish(t.Context(), Draft{Name: "tillid.yaml", Source: source(t, phone), Files: eksempel.Files, Author: "admin", EffectiveAt: effective})
}

func wantKind(t *testing.T, err error, k fault.Kind) {
	t.Helper()
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != k {
		t.Errorf("error is %v; want kind %d", err, k)
	}
}

func TestFirstVersion(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		h.open(t)
		v := h.InForce()
		if v.Number != 1 || v.Class != First || v.Hash != h.Current().Hash || !v.EffectiveAt.Equal(start) {
			t.Errorf("in force is %+v", v)
		}
		if len(v.Files) == 0 {
			t.Error("the agreements that the declaration refers to were not kept")
		}
		sh, err := h.ShownAs(t.Context(), 1, "policy", text.DA, "html")
		if err != nil {
			t.Fatal(err)
		}
		if got := string(sh.Content); got != "udgave "+v.Hash {
			t.Errorf("archive has %q", got)
		}
		if _, err := h.Asset(t.Context(), digest([]byte("p{}")), "css"); err != nil {
			t.Error(err)
		}
		_, err = h.ShownAs(t.Context(), 1, "policy", text.EN, "html")
		wantKind(t, err, fault.NotFound)

		entries, err := h.Ledger.Recent(t.Context(), 10, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != 1 || entries[0].Kind != "version.published" || entries[0].Facts["shown.policy.da.html"] != sh.SHA256 || entries[0].Facts["hash"] != v.Hash {
			t.Errorf("log has %+v", entries)
		}
	})
}

// The version in force is the one in the database; the file is a draft.
func TestFileIsDraft(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		h.open(t)
		again := newHouse(t, d)
		if err := again.Open(t.Context(), "tillid.yaml", []byte("not a declaration"), nil); err != nil {
			t.Fatal(err)
		}
		if again.Current().Hash != h.Current().Hash {
			t.Error("another declaration is in force after a restart")
		}
	})
}

func TestWaitingVersion(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		h.open(t)
		soon := start.AddDate(0, 0, 14)
		v2, err := h.publish(t, "+45 00 00 00 02", soon)
		if err != nil {
			t.Fatal(err)
		}
		if v2.Number != 2 || v2.Class != Editorial || h.InForce().Number != 1 {
			t.Errorf("published %+v, in force %d", v2, h.InForce().Number)
		}
		for at, want := range map[time.Time]int{start: 1, soon.Add(-time.Second): 1, soon: 2, soon.AddDate(1, 0, 0): 2} {
			v, err := h.At(t.Context(), at)
			if err != nil {
				t.Fatal(err)
			}
			if v.Number != want {
				t.Errorf("at %s version %d is in force; want %d", at, v.Number, want)
			}
		}
		_, err = h.At(t.Context(), start.Add(-time.Hour))
		wantKind(t, err, fault.NotFound)
		h.at = soon
		if h.InForce().Number != 2 || h.Current().Hash != v2.Hash {
			t.Error("the waiting version did not take effect when its moment came")
		}
	})
}

// A later version that takes effect earlier replaces one that waits.
func TestReplacedVersion(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		h.open(t)
		if _, err := h.publish(t, "+45 00 00 00 02", start.AddDate(0, 0, 14)); err != nil {
			t.Fatal(err)
		}
		h.at = start.Add(time.Hour)
		if _, err := h.publish(t, "+45 00 00 00 03", time.Time{}); err != nil {
			t.Fatal(err)
		}
		h.at = start.AddDate(1, 0, 0)
		if n := h.InForce().Number; n != 3 {
			t.Errorf("version %d is in force; want 3", n)
		}
		all, err := h.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r := Replaced(all); !r[2] || r[1] || r[3] {
			t.Errorf("replaced: %v; want 2 only", r)
		}
	})
}

func TestRefusals(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		h.open(t)
		_, err := h.publish(t, "+45 00 00 00 01", time.Time{})
		wantKind(t, err, fault.Conflict)
		_, err = h.publish(t, "+45 00 00 00 02", start.Add(-time.Hour))
		wantKind(t, err, fault.Invalid)
		_, err = h.Publish(t.Context(), Draft{Name: "tillid.yaml", Source: []byte("tillid: 1\nnonsense: yes\n")})
		wantKind(t, err, fault.Invalid)
		if !strings.Contains(err.Error(), "tillid.yaml:") {
			t.Errorf("%v names no place", err)
		}
		h.Render = func(*policy.Plan, Version) ([]Shown, error) { return nil, errors.New("no paper") }
		if _, err := h.publish(t, "+45 00 00 00 02", time.Time{}); err == nil {
			t.Error("published without being rendered")
		}
		if all, _ := h.List(t.Context()); len(all) != 1 {
			t.Errorf("%d versions after refusals; want 1", len(all))
		}
	})
}

// Of two replicas that publish at once, the second is told; the first one's
// version reaches both.
func TestReplicas(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		a, b := newHouse(t, d), newHouse(t, d)
		a.open(t)
		b.open(t)
		render := b.Render
		b.Render = func(p *policy.Plan, v Version) ([]Shown, error) {
			if _, err := a.publish(t, "+45 00 00 00 02", time.Time{}); err != nil {
				t.Error(err)
			}
			return render(p, v)
		}
		_, err := b.publish(t, "+45 00 00 00 03", time.Time{})
		wantKind(t, err, fault.Conflict)
		if b.InForce().Number != 1 {
			t.Error("the losing replica changed its version without being told")
		}
		if err := b.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b.Current().Hash != a.Current().Hash || b.InForce().Number != 2 {
			t.Error("the other replica's version did not arrive")
		}
	})
}

func TestAltered(t *testing.T) {
	for name, sql := range map[string]string{
		"source": `update declaration_version set source = $1`,
		"files":  `update declaration_version set files = $1`,
		"gone":   `delete from declaration_version where number = 1 and hash <> $1`,
	} {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				h := newHouse(t, d)
				h.open(t)
				if _, err := h.publish(t, "+45 00 00 00 02", time.Time{}); err != nil {
					t.Fatal(err)
				}
				var value any = []byte("tillid: 1\n")
				if name != "source" {
					value = `{"dpa/hosting.txt":"aGVq"}`
				}
				err := d.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error {
					if name == "gone" {
						if _, err := tx.Exec(ctx, `delete from shown`); err != nil {
							return err
						}
					}
					_, err := tx.Exec(ctx, sql, value)
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				err = newHouse(t, d).Open(t.Context(), "tillid.yaml", source(t, "+45 00 00 00 01"), eksempel.Files)
				wantKind(t, err, fault.Invalid)
				if fault.Of(err).Hint == "" {
					t.Error("the error does not say what to do")
				}
			})
		})
	}
}

func TestAlteredArchive(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		h.open(t)
		err := d.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `update shown set content = $1`, []byte("something else"))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.ShownAs(t.Context(), 1, "policy", text.DA, "html"); err == nil {
			t.Error("altered bytes were served as what people saw")
		}
	})
}

// What was in force at a moment never changes by what is published later.
func TestHistoryStands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []Version // newest first
		at := start
		for n := range rapid.IntRange(1, 8).Draw(t, "versions") {
			at = at.Add(time.Duration(rapid.IntRange(0, 48).Draw(t, "pause")) * time.Hour)
			v := Version{Number: n + 1, PublishedAt: at, EffectiveAt: at.Add(time.Duration(rapid.IntRange(0, 96).Draw(t, "wait")) * time.Hour)}
			if n == 0 {
				v.EffectiveAt = at
			}
			all = append([]Version{v}, all...)
		}
		moment := start.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "moment")) * time.Hour)
		var known []Version
		for _, v := range all {
			if !v.PublishedAt.After(moment) {
				known = append(known, v)
			}
		}
		then, okThen := inForce(known, moment)
		now, okNow := inForce(all, moment)
		if okThen != okNow || then.Number != now.Number {
			t.Fatalf("version %d was in force, now history says %d", then.Number, now.Number)
		}
		if okNow && Replaced(all)[now.Number] {
			t.Fatalf("version %d was in force but counts as replaced", now.Number)
		}
	})
}
