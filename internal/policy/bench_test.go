package policy

import (
	"fmt"
	"strings"
	"testing"
)

// large returns a declaration with that many cookies and processors.
func large(cookies, processors int) []byte {
	var b strings.Builder
	b.WriteString(minimal + "purposes:\n  run: {label: {da: Drive, en: Run}, legal_basis: {art: 6.1.b}}\n  count: {label: {da: Tælle, en: Count}, legal_basis: {art: 6.1.a}}\nparties:\n")
	for i := range processors {
		fmt.Fprintf(&b, "  party%d: {legal_name: Leverandør %d A/S, country: DK, address: \"Vejen %d, 1000 By\", contact: privacy@p%d.example, privacy_url: \"https://p%d.example/privacy\"}\n", i, i, i, i, i)
	}
	b.WriteString("engagements:\n")
	for i := range processors {
		fmt.Fprintf(&b, "  service%d:\n    party: party%d\n    role: processor\n    service: {da: \"Ydelse nummer %d\", en: \"Service number %d\"}\n    purposes: [run]\n    dpa: {file: dpa/%d.pdf, sha256: %064x, version: \"1\", signed_on: 2026-01-01, sub_processors: general, notice: P30D, breach: PT24H, end_of_contract: delete, clauses: [a, b, c, d, e, f, g, h]}\n    deletion:\n      all: {mode: immediate, note: One call.}\n    assistance: {contact: privacy@p%d.example, answer_time: P5D}\n", i, i, i, i, i, i, i)
	}
	b.WriteString("device_access:\n")
	for i := range cookies {
		fmt.Fprintf(&b, "  cookie_%d: {party: party%d, category: statistics, purpose: count, duration: P13M, third_party_access: true, description: {da: \"Tæller besøg, nummer %d.\", en: \"Counts visits, number %d.\"}}\n", i, i%processors, i, i)
	}
	return []byte(b.String())
}

// Two thousand cookies and five hundred processors fit.
func TestLarge(t *testing.T) {
	src := large(2000, 500)
	plan, problems := Parse("tillid.yaml", src, nil)
	for _, p := range problems {
		t.Fatal(p)
	}
	if len(plan.Device) != 2000 || len(plan.Engagements) != 500 || len(src) > maxSize/4 {
		t.Errorf("%d cookies, %d engagements, %d bytes", len(plan.Device), len(plan.Engagements), len(src))
	}
}

func BenchmarkParse(b *testing.B) {
	for name, src := range map[string][]byte{"example": []byte(example(b)), "2000 cookies, 500 processors": large(2000, 500)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				if plan, problems := Parse("tillid.yaml", src, nil); plan == nil {
					b.Fatal(problems[0])
				}
			}
		})
	}
}

func BenchmarkDiff(b *testing.B) {
	from, _ := Parse("tillid.yaml", large(2000, 500), nil)
	to, _ := Parse("tillid.yaml", large(1900, 600), nil)
	for b.Loop() {
		Diff(from, to)
	}
}
