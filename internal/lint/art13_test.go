package lint

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/policy"
)

// art13 says for each kind of path of a declaration which part of Art. 13 it is.
// A whole engagement is not among them: a recipient that nothing else names can
// be missed only by looking at the running system (RC-01).
var art13 = []struct{ part, path string }{
	{"13(1)(a) identity", `controller`},
	{"13(1)(a) identity", `controller\.(legal_name|country)`},
	{"13(1)(a) contact", `controller\.(address|email)`},
	{"13(1)(b) officer", `controller\.dpo`},
	{"13(1)(b) officer", `controller\.dpo\.(appointed|reason|contact)`},
	{"13(1)(c) purposes", `purposes`},
	{"13(1)(c) purposes", `purposes\.[^.]+`},
	{"13(1)(c) purposes", `purposes\.[^.]+\.label`},
	{"13(1)(c) purposes", `purposes\.[^.]+\.label\.(da|en)`},
	{"13(1)(c) legal basis", `purposes\.[^.]+\.legal_basis`},
	{"13(1)(c) legal basis", `purposes\.[^.]+\.legal_basis\.(art|law)`},
	{"13(1)(d) interest", `purposes\.[^.]+\.legal_basis\.interest`},
	{"13(1)(d) interest", `purposes\.[^.]+\.legal_basis\.interest\.(da|en)`},
	{"13(1)(e) recipients", `parties`},
	{"13(1)(e) recipients", `parties\.[^.]+`},
	{"13(1)(e) recipients", `parties\.[^.]+\.(legal_name|country)`},
	{"13(1)(e) recipients", `engagements\.[^.]+\.(party|role|purposes)`},
	{"13(1)(e) recipients", `services\.[^.]+\.engagement`},
	{"13(1)(f) transfers", `engagements\.[^.]+\.transfers`},
	{"13(1)(f) transfers", `engagements\.[^.]+\.transfers\[\d+\]`},
	{"13(1)(f) mechanism", `engagements\.[^.]+\.transfers\[\d+\]\.(to|mechanism|module|evidence|tia)`},
	{"13(1)(f) copy", `engagements\.[^.]+\.transfers\[\d+\]\.copy_url`},
	{"13(2)(a) retention", `retention`},
	{"13(2)(a) retention", `retention\.[^.]+`},
	{"13(2)(a) retention", `retention\.[^.]+\.(purpose|trigger|duration|at_latest|action)`},
	{"13(2)(b) rights", `rights`},
	{"13(2)(b) rights", `rights\.email`},
	{"13(2)(c) withdrawal", `purposes\.[^.]+\.withdrawal`},
	{"13(2)(c) withdrawal", `purposes\.[^.]+\.withdrawal\.(da|en)`},
	{"13(2)(d) authority", `controller\.authority`},
	{"13(2)(e) provision", `purposes\.[^.]+\.(provision|consequence)`},
	{"13(2)(e) consequence", `forms\.[^.]+\.fields\[\d+\]\.consequence`},
	{"13(2)(f) automated decisions", `purposes\.[^.]+\.(automated_decision|logic)`},
	{"13 the notice itself", `forms\.[^.]+\.notice`},
	{"13 the notice itself", `forms\.[^.]+\.notice\.(da|en)`},
}

// required returns the paths of the plan that Art. 13 requires, with the part that does.
func required(p *policy.Plan, l *law.Law) map[string]string {
	out := map[string]string{}
	for _, k := range art13 {
		re := regexp.MustCompile("^" + k.path + "$")
		for _, path := range p.Paths() {
			if re.MatchString(path) && !optional(p, l, path) {
				out[path] = k.part
			}
		}
	}
	return out
}

// optional reports whether the node says more than Art. 13 asks: a tie that only
// another law wants, or one of several that suffice.
func optional(p *policy.Plan, l *law.Law, path string) bool {
	parts := strings.Split(path, ".")
	switch {
	case path == "rights.email": // one of three channels
		return p.Rights.Phone != "" || p.Rights.Post != ""
	case parts[0] == "engagements" && strings.Contains(path, ".transfers"):
		e := p.Engagement(parts[1])
		party := p.Party(e.Party)
		_, inside := l.EEA(party.Country, midnight(p.Reviewed))
		return inside // a transfer by remote access only: TR-08 needs to observe it
	case parts[0] == "purposes" && strings.HasSuffix(path, ".consequence"):
		return p.Purpose(parts[1]).Provision == "voluntary" // the field's own consequence tells it
	case parts[0] == "purposes" && strings.HasSuffix(path, ".withdrawal"):
		return !p.Purpose(parts[1]).Basis.Consent()
	case parts[0] == "parties" && len(parts) == 2:
		return !slices.ContainsFunc(p.Engagements, func(e policy.Engagement) bool { return e.Party == parts[1] })
	case parts[0] == "retention" && strings.HasSuffix(path, ".at_latest"):
		return p.Rule(parts[1]).Trigger == "received"
	case parts[0] == "retention" && len(parts) == 2: // without it, the purpose's general rule holds
		r := p.Rule(parts[1])
		return len(r.Data) > 0 && p.RuleOf(r.Purpose, "") != nil
	}
	return false
}

// Removing anything that Art. 13 requires from a clean declaration gives an
// error, or no declaration. Rows: E1, E2, E6, E12.
func TestWithoutArt13(t *testing.T) {
	for _, name := range []string{"testdata/clean.yaml", "../../examples/eksempel/tillid.yaml"} {
		src := read(t, name)
		p := plan(t, src)
		l := packs(t, p)
		if r := Run(p, l, p.Reviewed); len(r.Errors()) > 0 {
			t.Fatalf("%s is not clean: %s", name, short(r))
		}
		nodes := required(p, l)
		seen := map[string]bool{}
		for path, part := range nodes {
			seen[part] = true
			if !refused(t, src, path) {
				t.Errorf("%s without %s (%s) lints without an error", name, path, part)
			}
		}
		for _, k := range art13 {
			if !seen[k.part] && name == "testdata/clean.yaml" {
				t.Errorf("%s has nothing of %s", name, k.part)
			}
		}
		t.Logf("%s: %d nodes", name, len(nodes))
	}
}

// refused reports whether src without path does not parse, or has an error that
// nobody can have suppressed.
func refused(t testing.TB, src []byte, path string) bool {
	t.Helper()
	without, err := policy.Without(src, path)
	if err != nil {
		t.Fatal(err)
	}
	p, problems := policy.Parse("tillid.yaml", without, nil)
	if len(problems) > 0 {
		return true
	}
	return len(Run(p, packs(t, p), p.Reviewed).Errors()) > 0
}

// The same for several nodes at once: two gaps never cover each other up.
func TestWithoutSeveralOfArt13(t *testing.T) {
	src := read(t, "testdata/clean.yaml")
	var paths []string
	p := plan(t, src)
	for path := range required(p, packs(t, p)) {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	rapid.Check(t, func(rt *rapid.T) {
		out := src
		for range rapid.IntRange(1, 4).Draw(rt, "n") {
			if less, err := policy.Without(out, rapid.SampledFrom(paths).Draw(rt, "path")); err == nil {
				out = less
			}
		}
		p, problems := policy.Parse("tillid.yaml", out, nil)
		if len(problems) == 0 && len(Run(p, packs(t, p), p.Reviewed).Errors()) == 0 {
			rt.Fatal("lints without an error")
		}
	})
}
