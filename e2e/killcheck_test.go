//go:build e2e

package e2e

import (
	"context"
	"database/sql"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/app"
	"github.com/tillid/tillid/internal/connect"
	"github.com/tillid/tillid/internal/connect/desk"
	"github.com/tillid/tillid/internal/subject"
)

// rows is a database that is looked at from outside the program.
type rows struct {
	t testing.TB
	*sql.DB
}

// look opens one of the estate's databases, "data" or "keys", beside a running house.
func (e *estate) look(t testing.TB, which string) rows {
	t.Helper()
	driver, dsn := "pgx", e.database(which)
	if e.lite() {
		driver, dsn = "sqlite", "file:"+dsn+"?mode=ro&_pragma=busy_timeout(10000)"
	}
	d, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return rows{t, d}
}

// count returns the one number that a query gives.
func (r rows) count(query string) (n int) {
	r.t.Helper()
	if err := r.QueryRow(query).Scan(&n); err != nil {
		r.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// list returns the one column of text that a query gives.
func (r rows) list(query string) (all []string) {
	r.t.Helper()
	found, err := r.Query(query)
	if err != nil {
		r.t.Fatalf("%s: %v", query, err)
	}
	defer found.Close()
	for found.Next() {
		var s string
		if err := found.Scan(&s); err != nil {
			r.t.Fatalf("%s: %v", query, err)
		}
		all = append(all, s)
	}
	if err := found.Err(); err != nil {
		r.t.Fatalf("%s: %v", query, err)
	}
	return all
}

// settle lets time pass, in steps, until all that was begun has ended: leases
// of processes that are no more, jobs, second looks at processors.
func (e *estate) settle(t *testing.T) {
	t.Helper()
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	h, err := app.Open(t.Context(), e.dir, app.Options{
		Log: slog.New(slog.DiscardHandler), Now: now, Getenv: func(string) string { return "" },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	data := e.look(t, "data")
	for range 100 {
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { h.Run(ctx) })
		within(t, 10*time.Minute, "everything that is due is done", func() bool {
			at := "'" + now().UTC().Format("2006-01-02T15:04:05.000Z") + "'"
			return data.count(`select count(*) from job where state = 'running' and lease_until <= `+at+` or state = 'ready' and run_at <= `+at) == 0 &&
				data.count(`select count(*) from job where state = 'running'`) == data.count(`select count(*) from job where state = 'running' and lease_until > `+at) &&
				data.count(`select count(*) from periodic where lease is null and next_at <= `+at) == 0
		})
		stop()
		running.Wait()
		left := data.count(`select count(*) from job where state <> 'dead'`) + data.count(`select count(*) from leaf where idx is null`) +
			data.count(`select count(*) from erasure_case where state = 'open'`)
		if left == 0 && time.Duration(ahead.Load()) > 3*time.Hour { // by then unused keys are swept
			return
		}
		ahead.Add(int64(11 * time.Minute))
	}
	t.Errorf("work is left after a day: jobs %v, open cases %v, tasks %v",
		data.list(`select kind || ' ' || state || ' ' || attempt || ' ' || coalesce(last_error, '') from job`),
		data.list(`select id || ' ' || reason from erasure_case where state = 'open'`),
		data.list(`select kind || ' ' || state || ' ' || code from erasure_task where state not in ('verified', 'not_found')`))
}

// check looks whether what is stored is what was acknowledged.
func (k *killing) check() {
	t := k.t
	t.Helper()
	data, keys := k.look(t, "data"), k.look(t, "keys")
	deleted := k.deletions(data)
	k.checkEnquiries(data, deleted["enquiry"])
	k.checkChoices(data, deleted["choice"])
	k.checkKeys(data, keys)
	k.checkOutside(data)
	for _, wrong := range []string{
		`select count(*) from job`,
		`select count(*) from leaf where idx is null`,
		`select count(*) from leaf where idx >= (select max(size) from checkpoint)`,
		`select count(*) from erasure_case where state <> 'closed' or result <> 'granted' or keys_at is null`,
		`select count(*) from erasure_case where id not in (select case_id from certificate where final)`,
		`select count(*) from erasure_list where pseudonym in (select id from record) or pseudonym in (select id from person)`,
		`select count(*) from handover where state <> 'sent'`,
		`select count(*) from mail`,
		`select count(*) from person where id not in (select person from record)`,
		`select count(*) from person where id not in (select person from identifier)`,
	} {
		if n := data.count(wrong); n != 0 {
			t.Errorf("%d: %s", n, wrong)
		}
	}
	if k.lite() {
		for name, r := range map[string]rows{"tillid.db": data, "keys.db": keys} {
			if got := r.list(`pragma integrity_check`); len(got) != 1 || got[0] != "ok" {
				t.Errorf("%s: %v", name, got)
			}
		}
	}
	if out, code := tillid(t, "ledger", "verify", "--house", k.dir); code != 0 || !strings.Contains(out, "whole") {
		t.Errorf("ledger verify: %d\n%s", code, out)
	}
	k.checkCertificates(data)
	t.Logf("%d rounds: %d enquiries, %d choices acknowledged of %d, %d cases of erasure, %d leaves",
		k.rounds, len(k.all), len(k.choices), k.tried, data.count(`select count(*) from erasure_case`), data.count(`select count(*) from leaf`))
}

// deletions adds up, over all cases, how many rows of each table were deleted.
func (k *killing) deletions(data rows) map[string]int {
	sum := map[string]int{}
	for _, row := range data.list(`select row_count from erasure_case`) {
		var one map[string]int
		if err := json.Unmarshal([]byte(row), &one); err != nil {
			k.t.Fatal(err)
		}
		for table, n := range one {
			sum[table] += n
		}
	}
	return sum
}

func (k *killing) checkEnquiries(data rows, deleted int) {
	t := k.t
	stored := map[string]int{}
	for _, row := range data.list(`select id || ' ' || number || ' ' || leaf from enquiry`) {
		stored[row]++
	}
	open := 0
	for _, e := range k.all {
		row := e.id + " " + e.number + " " + e.leaf
		switch {
		case e.closed && stored[row] != 0:
			t.Errorf("enquiry %s was closed and is still there", row)
		case !e.closed && stored[row] != 1:
			t.Errorf("enquiry %s (%s) was acknowledged and is stored %d times", row, e.key, stored[row])
		}
		if !e.closed {
			open++
		}
	}
	if n := data.count(`select count(*) from enquiry`); n != open {
		t.Errorf("%d enquiries are stored, %d were sent and not closed", n, open)
	}
	if n := len(k.all) - open; n != deleted {
		t.Errorf("%d enquiries were deleted, %d were closed", deleted, n)
	}
	if n := data.count(`select count(*) from leaf where kind = 'enquiry.received'`); n != len(k.all) {
		t.Errorf("%d leaves for %d enquiries", n, len(k.all))
	}
	if n := data.count(`select count(*) from enquiry where leaf not in (select id from leaf) or id not in (select id from record)`); n != 0 {
		t.Errorf("%d enquiries without leaf or record", n)
	}
}

func (k *killing) checkChoices(data rows, deleted int) {
	t := k.t
	leaves := map[string]bool{}
	for _, id := range data.list(`select id from leaf where kind like 'consent.%'`) {
		leaves[id] = true
	}
	for _, id := range k.choices {
		if !leaves[id] {
			t.Errorf("the acknowledged choice %s is not in the log", id)
		}
	}
	stored := data.count(`select count(*) from choice`)
	if stored+deleted != len(leaves) {
		t.Errorf("%d choices are stored and %d deleted, but there are %d leaves", stored, deleted, len(leaves))
	}
	if n := stored + deleted; n < len(k.choices) || n > k.tried {
		t.Errorf("%d choices were kept; %d acknowledged of %d", n, len(k.choices), k.tried)
	}
	if n := data.count(`select count(*) from choice where leaf not in (select id from leaf) or sealed is not null and id not in (select id from record)`); n != 0 {
		t.Errorf("%d choices without leaf or record", n)
	}
}

// checkKeys holds the key store against the data: a key for everything that is
// sealed, and none for what is gone.
func (k *killing) checkKeys(data, keys rows) {
	needed := map[string]string{}
	for what, query := range map[string]string{
		"record": `select id from record`, "identifier": `select id from identifier`, "user": `select id from staff_user`,
		"house": `select 'house:' || id from house`,
	} {
		for _, id := range data.list(query) {
			needed[id] = what
		}
	}
	for _, id := range keys.list(`select record from record_key`) {
		if needed[id] == "" {
			k.t.Errorf("key %s belongs to nothing", id)
		}
		delete(needed, id)
	}
	for id, what := range needed {
		k.t.Errorf("the %s %s has no key", what, id)
	}
}

var caseNumber = regexp.MustCompile(`\b[0-9A-Z]{4}-[0-9A-Z]{4}\b`)

// checkOutside looks at the help desk and the mail room: every open enquiry is
// there once, a closed one is not at the desk any more.
func (k *killing) checkOutside(data rows) {
	t := k.t
	client := desk.NewClient(k.desk.URL, time.Now)
	letters := map[string]map[string]bool{} // by number: Message-IDs
	for _, m := range k.room.Find("") {
		number := caseNumber.FindString(m.Subject)
		if letters[number] == nil {
			letters[number] = map[string]bool{}
		}
		letters[number][m.MessageID] = true
	}
	for _, e := range k.all {
		refs, err := client.Resolve(t.Context(), []connect.Identifier{{Kind: connect.Reference, Value: subject.Secret(e.id)}})
		want := 1
		if e.closed {
			want = 0
		}
		if err != nil || len(refs) != want {
			t.Errorf("enquiry %s (closed: %v) is %d times at the help desk; %v", e.id, e.closed, len(refs), err)
		}
		if n := len(letters[e.number]); n > 1 || n == 0 && !e.closed {
			t.Errorf("enquiry %s (closed: %v) has %d different receipts by mail", e.number, e.closed, n)
		}
	}
}

// checkCertificates verifies a few certificates offline, as their owners can.
func (k *killing) checkCertificates(data rows) {
	s := k.serve(k.t)
	cases := data.list(`select id from erasure_case order by id limit 4`)
	for _, id := range cases {
		a := s.must(k.t, http.StatusOK, "GET", s.www()+"/privacy/certificate/"+id+"/file", "")
		file := filepath.Join(k.t.TempDir(), "certificate")
		if err := os.WriteFile(file, []byte(a.body), 0o600); err != nil {
			k.t.Fatal(err)
		}
		if out, code := tillid(k.t, "verify", file); code != 0 {
			k.t.Errorf("verify certificate: %d\n%s\n%s", code, out, a.body)
		}
	}
	if len(cases) == 0 {
		k.t.Error("no case of erasure: the test tests too little")
	}
	s.stop(k.t)
}
