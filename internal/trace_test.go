package internal_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/policy-trace.md")

// States of a row.
const (
	done      = "done"
	partly    = "partly"
	simulated = "simulated"
	notYet    = "not yet"
)

// row is one row of the requirements: what the program must do for one
// sentence of the policy.
type row struct {
	id, what, state, note string
}

var rows = []row{
	{"A1", "Four categories; each cookie and service shown with purpose, provider, lifetime, type", done, ""},
	{"A2", "Session and persistent cookies told apart in the register", done, ""},
	{"A3", "Browser guide; withdrawal in one click from every page", done, ""},
	{"A4", "Everything works with every optional category refused", done, ""},
	{"A5", "Google: tags only after consent", partly, "server-side conversions come later"},
	{"A6", "Meta: pixel gated", partly, "Conversions API comes later"},
	{"A7", "LinkedIn: Insight Tag gated", partly, "Conversions API comes later"},
	{"A8", "YouTube: placeholder until consent", done, ""},
	{"A9", "Social widgets: share links without third party; others gated", done, ""},
	{"A10", "Outbound links marked and counted", partly, "marked; they are counted with the clickstream, which comes later"},
	{"B1", "Visitor id only with consent to statistics", notYet, ""},
	{"B2", "Country and provider without keeping the address", notYet, ""},
	{"B3", "Browser, system, device type", notYet, ""},
	{"B4", "Page views, clicks, events", notYet, ""},
	{"B5", "Engaged time, sessions", notYet, ""},
	{"B6", "Dashboards", notYet, ""},
	{"B7", "Import of web server logs", notYet, ""},
	{"B8", "History joined to a person only with consent", notYet, ""},
	{"B9", "Interest segments", partly, "matching content only with consent, counted in the browser; segments of the clickstream come later"},
	{"B10", "Interest handed on, each declared", notYet, ""},
	{"B11", "Errors and slow pages without personal data", notYet, ""},
	{"C1", "Forms declared field by field; an undeclared field is refused", done, ""},
	{"C2", "Purpose and legal basis at the form; consent with proof where that is the basis", partly, "consent ticks at forms come with the newsletter"},
	{"C3", "Enquiry inbox: number, answer by mail, close", done, ""},
	{"C4", "Enquiries to the help desk; who opened a case is logged", simulated, "a simulated help desk; the real service has never been tried"},
	{"C5", "Closing deletes here and at the help desk, with proof", simulated, "a simulated help desk; mailboxes come later"},
	{"C6", "Call-back queue", done, ""},
	{"C7", "Telephony provider", partly, "phone enquiries are entered by staff; the provider itself comes later"},
	{"C8", "CRM", notYet, ""},
	{"C9", "Newsletter", notYet, ""},
	{"C10", "Opt out at any time", notYet, ""},
	{"C11", "Job applications", notYet, ""},
	{"C12", "Automatic reply; delivery to the mailbox", notYet, ""},
	{"C13", "Three-month clock with permission to keep longer", notYet, ""},
	{"C14", "Paper copies only after acceptance", notYet, ""},
	{"C15", "Photo releases", notYet, ""},
	{"C16", "Enquirer becomes a customer account", notYet, ""},
	{"C17", "Mailbox read; each mail becomes or joins a case", partly, "over IMAP; staff recognise a rights request in a letter and enter it; Microsoft Graph comes later"},
	{"D1", "Sign-in with customer number, user name and password; a customer sees only its own", partly, "the second factor comes later; the model is ready for it"},
	{"D2", "Agreement made from the declaration, Art. 28(3) a–h", done, ""},
	{"D3", "Support → Data-processing agreement", done, ""},
	{"D4", "Every version, as page and PDF, signed and dated", done, ""},
	{"E1", "Every stored field has a purpose; use for another is refused", done, ""},
	{"E2", "A retention rule for every purpose; a sweeper that proves it", done, ""},
	{"E3", "Erased here, at processors, unreadable in backups", simulated, "here and in backups it is real; the processors are simulated, the real services have never been tried"},
	{"E4", "Disclosure log; a hand-over without basis is refused", done, ""},
	{"E5", "Processor register with agreement, role, data, purpose", done, ""},
	{"E6", "Country and safeguard checked on every transfer", done, ""},
	{"E7", "Technical and organisational measures", partly, "control of bulk export comes later"},
	{"E8", "Changes announced before they take effect", partly, "versions, differences and effective date; announcements by mail come later"},
	{"E9", "Right to know what is held", partly, "what names other people in free text is not reviewed before release yet"},
	{"E10", "Objection and withdrawal, at once", partly, "withdrawal, objection (general and to marketing), each in effect at once; at processors without a connector a person does it"},
	{"E11", "Correction and deletion", partly, "deletion everywhere; corrected here at once, and a person tells the recipients from a list"},
	{"E12", "Complaint route with the authority named", done, ""},
	{"E13", "For each visitor: which third party was let in, when, on what choice", done, ""},
	{"E14", "Rights for the unique id too", partly, "the consent id sees its choices, receipts and who was let in, and erases them; the clickstream comes later"},
}

var (
	rowsComment = regexp.MustCompile(`(?m)^//.*\bRows: ([A-E0-9, ]+)\.?\s*\n(?://.*\n)*func (Test\w+)\(`)
	rowID       = regexp.MustCompile(`^[A-E][0-9]+$`)
)

// tests returns, for each row, the tests whose comments name it.
func tests(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir("..", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, m := range rowsComment.FindAllStringSubmatch(string(b), -1) {
			for id := range strings.SplitSeq(m[1], ",") {
				id = strings.TrimSpace(id)
				if !rowID.MatchString(id) {
					t.Errorf("%s: %s names the row %q", name, m[2], id)
				}
				pkg := filepath.ToSlash(filepath.Dir(strings.TrimPrefix(name, "../")))
				found[id] = append(found[id], pkg+"."+m[2])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestPolicyTrace holds docs/policy-trace.md against the tests: a row that is
// said to work has a test, and one that has a test is not said to be missing.
func TestPolicyTrace(t *testing.T) {
	found := tests(t)
	var b strings.Builder
	b.WriteString("# Policy trace\n\nEvery row of the requirements, its state, and the test that shows it. Generated from the tests by\n`make generate`; do not edit.\n\n" +
		"*done*: a person can do it in the running program. *partly*: some of it; the note says what is missing.\n" +
		"*simulated*: works against a simulated outside system only. *not yet*: nothing.\n\n| row | what the program does | state | shown by | note |\n|---|---|---|---|---|\n")
	count := map[string]int{}
	for _, r := range rows {
		shown := found[r.id]
		slices.Sort(shown)
		shown = slices.Compact(shown)
		if (r.state == notYet) == (len(shown) > 0) {
			t.Errorf("row %s is %q, but %d tests name it", r.id, r.state, len(shown))
		}
		delete(found, r.id)
		count[r.state]++
		cell := "–"
		if len(shown) > 0 {
			cell = "`" + strings.Join(shown, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.id, r.what, r.state, cell, r.note)
	}
	for id := range found {
		t.Errorf("a test names row %s, which is not in the table", id)
	}
	fmt.Fprintf(&b, "\n%d rows: %d done, %d partly, %d simulated, %d not yet.\n", len(rows), count[done], count[partly], count[simulated], count[notYet])
	const name = "../docs/policy-trace.md"
	if *update {
		if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != b.String() {
		t.Error("docs/policy-trace.md is not fresh: run make generate")
	}
}
