package request

import (
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
)

// BenchmarkAmongMillion finds, shows and erases people of whom each sent three
// enquiries, in a SQLite house that holds a million others, each with one.
func BenchmarkAmongMillion(b *testing.B) {
	h := newHouse(b, dbtest.Lite(b))
	h.crowd(b, 1_000_000)
	next := 0
	person := func(b *testing.B) (subject.Secret, subject.PersonID) {
		b.Helper()
		next++
		address := subject.Secret(fmt.Sprintf("k%d@example.dk", next))
		for i := range 3 {
			h.browser().do("POST", "/_tillid/forms/contact", url.Values{"name": {"Kanarie Prøvesen"}, "email": {address.Reveal()}, "message": {fmt.Sprintf("Hvad koster %d kasser?", i+2)}})
		}
		p, ok, err := h.Subjects.Find(b.Context(), h.DB, subject.Email, address)
		if err != nil || !ok {
			b.Fatal(ok, err)
		}
		return address, p
	}
	measure := func(name string, f func(b *testing.B, address subject.Secret, p subject.PersonID)) {
		b.Run(name, func(b *testing.B) {
			waits := make([]time.Duration, 0, b.N)
			for range b.N {
				address, p := person(b)
				start := time.Now()
				f(b, address, p)
				waits = append(waits, time.Since(start))
			}
			slices.Sort(waits)
			b.ReportMetric(float64(waits[len(waits)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
	measure("find", func(b *testing.B, address subject.Secret, _ subject.PersonID) {
		if _, ok, err := h.Subjects.Find(b.Context(), h.DB, subject.Email, address); err != nil || !ok {
			b.Fatal(ok, err)
		}
	})
	measure("pack", func(b *testing.B, _ subject.Secret, p subject.PersonID) {
		if pack, err := h.pack(b.Context(), []subject.PersonID{p}, text.DA); err != nil || len(pack.Records) != 3 {
			b.Fatal(len(pack.Records), err)
		}
	})
	measure("erase", func(b *testing.B, address subject.Secret, p subject.PersonID) {
		if _, err := h.Erase.Person(b.Context(), p, erase.Reason{Kind: erase.Request}); err != nil {
			b.Fatal(err)
		}
		if _, ok, err := h.Subjects.Find(b.Context(), h.DB, subject.Email, address); err != nil || ok {
			b.Fatal("still found", err)
		}
	})
}

// crowd fills the house with n people whom nobody will open: their rows and keys are
// as long as real ones.
func (h *house) crowd(b *testing.B, n int) {
	b.Helper()
	const numbers = `with recursive n(i) as (select 1 union all select i + 1 from n where i < $1) insert into `
	at := db.Time{Time: h.now()}
	for _, fill := range []struct {
		db    *db.DB
		query string
		args  []any
	}{
		{h.DB, `person (id, created_at) select printf('p%031d', i * 7919 % 1000003), $2 from n`, []any{at}},
		{h.DB, `identifier (id, person, kind, lookup, value, created_at)
			select printf('i%031d', i), printf('p%031d', i * 7919 % 1000003), 'email', randomblob(32), randomblob(64), $2 from n`, []any{at}},
		{h.DB, `record (id, person, holder, kind, purpose, rule, version, received_at, due_at)
			select printf('r%031d', i), printf('p%031d', i * 7919 % 1000003), 'intake', 'enquiry', 'answer', 'enquiries', $3, $2, $4 from n`,
			[]any{at, h.Plan().Hash, db.Time{Time: h.now().AddDate(1, 0, 0)}}},
		{h.Subjects.Keys.DB, `record_key (record, wrapped, kek_version, created_at) select printf('r%031d', i), randomblob(60), 1, $2 from n`, []any{at}},
	} {
		if _, err := fill.db.Exec(b.Context(), numbers+fill.query, append([]any{n}, fill.args...)...); err != nil {
			b.Fatal(err)
		}
	}
}
