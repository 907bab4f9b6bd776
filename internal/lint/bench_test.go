package lint

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/tillid/tillid/internal/policy"
)

// large returns a clean declaration with that many more cookies and processors.
func large(t testing.TB, cookies, processors int) []byte {
	var b bytes.Buffer
	b.WriteString("device_access:\n")
	for i := range cookies {
		fmt.Fprintf(&b, "  cookie_%d: {party: counter, service: counter, category: statistics, purpose: count, duration: P12M, third_party_access: true, description: {da: Tæller side %d., en: Counts page %d.}}\n", i, i, i)
	}
	b.WriteString("parties:\n")
	for i := range processors {
		fmt.Fprintf(&b, "  party_%d: {legal_name: Firma Nr%d ApS, country: DK}\n", i, i)
	}
	b.WriteString("engagements:\n")
	for i := range processors {
		fmt.Fprintf(&b, "  processor_%d: {party: party_%d, role: processor, purposes: [answer], supervised: 2026-06-01, deletion: {all: {mode: immediate}}, assistance: {contact: a@firma.example}, "+
			"dpa: {file: a.txt, sha256: 0a37472f57d7ba6401feb472b90fcc519d8d70304c308bd9d6ef9e0399e9df83, signed_on: 2026-01-15, sub_processors: specific, breach: PT24H, clauses: [a, b, c, d, e, f, g, h]}}\n", i, i)
	}
	return merge(t, read(t, "testdata/clean.yaml"), b.String())
}

func TestLargeIsClean(t *testing.T) {
	if r := run(t, large(t, 200, 50), policy.Date{}); len(r.Errors())+len(r.Warnings()) > 0 {
		t.Error(short(r))
	}
}

func benchmark(b *testing.B, src []byte) {
	l := packs(b, plan(b, src))
	b.ReportAllocs()
	for b.Loop() {
		p, problems := policy.Parse("tillid.yaml", src, nil)
		if len(problems) > 0 {
			b.Fatal(problems[0])
		}
		Run(p, l, p.Reviewed)
	}
}

func BenchmarkExample(b *testing.B) { benchmark(b, read(b, "../../examples/eksempel/tillid.yaml")) }
func BenchmarkLarge(b *testing.B)   { benchmark(b, large(b, 2000, 500)) }

// However a declaration is written, linting ends, panics nowhere, and every
// finding has a place and both languages.
func FuzzRun(f *testing.F) {
	f.Add(read(f, "testdata/clean.yaml"))
	for _, e := range Examples() {
		f.Add(merge(f, read(f, "testdata/clean.yaml"), e.Trigger))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		p, problems := policy.Parse("tillid.yaml", src, nil)
		if len(problems) > 0 {
			return
		}
		r := Run(p, packsOrDefault(p), policy.Date{Year: 2026, Month: 11, Day: 1})
		for _, x := range r.Findings {
			if x.Pos.Line < 1 || x.Message["da"] == "" || x.Message["en"] == "" {
				t.Errorf("%+v", x)
			}
		}
	})
}
