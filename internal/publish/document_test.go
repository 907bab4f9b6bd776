package publish

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/version"
)

func words(d *Document) string {
	var all []string
	for _, s := range d.Sentences() {
		all = append(all, s.Text)
	}
	return strings.Join(all, "\n")
}

// Every fact that Art. 13 asks for is in the policy, in every language: found
// by walking the declaration, so that nothing declared can be left out.
// Rows: E2, E5, E6, E12.
func TestArticle13(t *testing.T) {
	each(t, func(t *testing.T, plan *policy.Plan, v version.Version, l text.Lang, docs []*Document) {
		all := words(docs[0])
		want := func(what, s string) {
			t.Helper()
			if s != "" && !strings.Contains(all, s) {
				t.Errorf("the policy lacks %s: %q", what, s)
			}
		}
		c := plan.Controller
		for _, s := range []string{c.LegalName, c.CVR, c.Address, c.Email, c.Phone, c.DPO.Contact} {
			want("the controller's", s)
		}
		b := newBuilder(plan, v, l, "policy")
		authority, ok := b.law.Authority(c.Authority)
		if !ok {
			t.Fatal("the law packs do not know the authority")
		}
		want("the authority", authority.Name.In(l))
		want("the authority's address", authority.Email)
		for _, p := range plan.Purposes {
			want("a purpose", p.Label.In(l))
			want("a legal basis", text.T(l, "publish.basis."+p.Basis.Art, "Law", b.lawName(p.Basis.Law)))
			want("an interest", end(p.Basis.Interest.In(l)))
			want("a consequence", end(p.Consequence.In(l)))
			want("how to withdraw", end(p.Withdrawal.In(l)))
			for _, id := range p.Data {
				if label := plan.DataCategory(id).Label.In(l); !strings.Contains(all, label) {
					want("a category", lower(label))
				}
			}
		}
		for _, e := range plan.Engagements {
			want("a recipient", plan.Party(e.Party).LegalName)
			want("its country", text.Country(l, plan.Party(e.Party).Country))
			for _, tr := range e.Transfers {
				want("a transfer", text.Country(l, tr.To))
			}
		}
		for _, r := range plan.Retention {
			want("a period", strings.TrimLeft(b.when(&r), ", "))
			if r.AtLatest.Set {
				want("a latest date", b.period(r.AtLatest))
			}
		}
		for _, m := range plan.Measures {
			want("a measure", end(m.Statement.In(l)))
		}
		for _, f := range plan.Forms {
			for _, field := range f.Fields {
				if field.Required {
					want("a mandatory field", field.Label.In(l))
				}
			}
		}
	})
}

// Transfers say how to get a copy of the safeguards (Art. 13(1)(f)).
func TestCopyOfSafeguards(t *testing.T) {
	each(t, func(t *testing.T, plan *policy.Plan, _ version.Version, _ text.Lang, docs []*Document) {
		for _, e := range plan.Engagements {
			for _, tr := range e.Transfers {
				has := slices.ContainsFunc(docs[0].Sentences(), func(s Sentence) bool {
					return tr.CopyURL == "" || s.Href == tr.CopyURL || strings.Contains(s.Text, tr.CopyURL)
				})
				if !has {
					t.Errorf("%s: nothing says how to get %s", e.ID, tr.CopyURL)
				}
			}
		}
	})
}

// Every sentence leads to a line of the declaration, has words, and an id of its own.
func TestTrace(t *testing.T) {
	each(t, func(t *testing.T, plan *policy.Plan, _ version.Version, _ text.Lang, docs []*Document) {
		for _, d := range docs {
			seen := map[string]bool{}
			for _, s := range d.Sentences() {
				if s.Text == "" || strings.Contains(s.Text, "⟦") || strings.Contains(s.Text, "<no value>") {
					t.Errorf("%s: %s says %q", d.Name, s.ID, s.Text)
				}
				if s.ID == "" || seen[s.ID] {
					t.Errorf("%s: id %q is empty or taken twice", d.Name, s.ID)
				}
				seen[s.ID] = true
				section, _, _ := strings.Cut(s.Path, ".")
				if pos, root := plan.At(s.Path), plan.At(section); pos.Line < root.Line || pos.Line < 2 {
					t.Errorf("%s: %q comes from %q, which is line %d", d.Name, s.Text, s.Path, pos.Line)
				}
			}
		}
	})
}

// The languages say the same things in the same places.
func TestParity(t *testing.T) {
	for name := range sources(t) {
		plan, v := compile(t, name)
		da, err := Documents(plan, v, text.DA)
		if err != nil {
			t.Fatal(err)
		}
		en, err := Documents(plan, v, text.EN)
		if err != nil {
			t.Fatal(err)
		}
		for i := range da {
			ids := func(d *Document) (list []string) {
				for _, s := range d.Sentences() {
					list = append(list, s.ID+" "+s.Path+" "+s.Href)
				}
				return list
			}
			if d := cmp.Diff(ids(da[i]), ids(en[i])); d != "" {
				t.Errorf("%s of %s differs (-da +en):\n%s", da[i].Name, name, d)
			}
		}
	}
}

// Objection stands apart, in a section that holds nothing else (Art. 21(4)).
// Rows: E10.
func TestObjectionStandsApart(t *testing.T) {
	each(t, func(t *testing.T, plan *policy.Plan, _ version.Version, l text.Lang, docs []*Document) {
		var apart []Section
		for _, s := range docs[0].Sections {
			if s.Apart {
				apart = append(apart, s)
			}
		}
		if len(apart) != 1 || apart[0].ID != "objection" {
			t.Fatalf("%d sections stand apart; want the one on objection", len(apart))
		}
		d := Document{Sections: apart}
		for _, p := range plan.Purposes {
			rights := plan.RightsOf(p.ID)
			objects := slices.Contains(rights, policy.Objection) || slices.Contains(rights, policy.ObjectMarketing)
			if named := strings.Contains(words(&d), p.Label.In(l)); named != objects {
				t.Errorf("%s: named %v, right %v", p.ID, named, objects)
			}
		}
	})
}

// Rights are those that the legal basis gives, no more and no fewer: Art. 20 for
// consent and contract only, Art. 17 not for legal obligations (17(3)(b)), Art. 21 for public task and interest only, Art. 7(3)
// for consent only. Rows: E9, E11.
func TestRights(t *testing.T) {
	each(t, func(t *testing.T, plan *policy.Plan, v version.Version, l text.Lang, _ []*Document) {
		b := newBuilder(plan, v, l, "policy")
		for i := range plan.Purposes {
			p := &plan.Purposes[i]
			said := strings.NewReplacer(" "+text.T(l, "publish.and")+" ", ", ").Replace(strings.ToLower(b.rightsFact(p).Lines[0][0].Text))
			for r, bases := range map[policy.Right]string{
				policy.Access: "abcdef", policy.Rectification: "abcdef", policy.Erasure: "abdf", policy.Restriction: "abcdef",
				policy.Portability: "ab", policy.Objection: "ef", policy.Withdraw: "a", policy.Complaint: "abcdef",
			} {
				name := strings.ToLower(text.T(l, "publish.right."+string(r)))
				has := slices.Contains(strings.Split(said, ", "), name)
				if want := strings.Contains(bases, strings.TrimPrefix(p.Basis.Art, "6.1.")); has != want {
					t.Errorf("%s on %s: %s is %v; the policy says %q", p.ID, p.Basis.Art, r, has, said)
				}
			}
		}
	})
}

// The catalogues have words for every event, right, role and mechanism there is.
func TestWordsForAll(t *testing.T) {
	for _, l := range text.Langs() {
		var ids []string
		for _, e := range policy.Events() {
			ids = append(ids, "trigger."+e.Name)
		}
		for _, id := range []string{"adequacy", "dpf", "scc", "bcr", "code", "certification", "art49"} {
			ids = append(ids, "mechanism."+id)
		}
		for _, id := range []string{"processor", "sub_processor", "joint_controller", "independent_controller", "authority"} {
			ids = append(ids, "role."+id)
		}
		for _, id := range []string{"delete", "anonymise", "aggregate", "review", "ask_consent"} {
			ids = append(ids, "retention."+id)
		}
		for _, id := range []string{"cookie", "local_storage", "session_storage", "indexed_db", "cache", "pixel"} {
			ids = append(ids, "technology."+id)
		}
		for _, id := range stages {
			ids = append(ids, "stage."+id)
		}
		for _, r := range append(slices.Clone(order), policy.Objection, policy.ObjectMarketing, policy.Withdraw, policy.Complaint) {
			ids = append(ids, "right."+string(r))
		}
		for _, id := range ids {
			if s := text.T(l, "publish."+id); strings.Contains(s, "⟦") {
				t.Errorf("%s has no words for %s", l, id)
			}
		}
	}
}

// Every cookie and every service is in the cookie declaration, with its party
// and lifetime. Rows: A1, A2, A3.
func TestCookies(t *testing.T) {
	each(t, func(t *testing.T, plan *policy.Plan, v version.Version, l text.Lang, docs []*Document) {
		all := words(docs[1])
		b := newBuilder(plan, v, l, "cookies")
		for _, d := range plan.Device {
			party := plan.Controller.LegalName
			if p := plan.Party(d.Party); p != nil {
				party = p.LegalName
			}
			for _, s := range []string{d.ID, party, end(d.Describe.In(l)), end(d.Necessity.In(l)), b.lives(&d)[0].Text} {
				if !strings.Contains(all, s) {
					t.Errorf("%s: the declaration lacks %q", d.ID, s)
				}
			}
		}
		for _, s := range plan.Services {
			if !strings.Contains(all, s.Label.In(l)+":") {
				t.Errorf("the declaration lacks the service %s", s.ID)
			}
		}
	})
}

// The agreement has every letter of Art. 28(3) and every appendix, and says on
// each page of every form that it is not the authority's text. Rows: D2.
func TestAgreement(t *testing.T) {
	each(t, func(t *testing.T, plan *policy.Plan, v version.Version, l text.Lang, docs []*Document) {
		d := docs[len(docs)-1]
		letters := map[string]string{
			"instruction": "a", "confidence": "b", "security": "c", "sub": "d", "help": "e, f", "breach": "f", "end": "g", "audit": "h",
			"a": "appendix", "b": "appendix", "c": "appendix", "d": "appendix",
		}
		for id, letter := range letters {
			if !slices.ContainsFunc(d.Sections, func(s Section) bool { return s.ID == id }) {
				t.Errorf("no article for %s (%s)", letter, id)
			}
		}
		if d.Label == nil || d.Label.Text != text.T(l, "publish.agreement.label") {
			t.Errorf("label is %+v", d.Label)
		}
		a := plan.Agreements[0]
		for _, id := range a.SubProcessors {
			if name := plan.Party(plan.Engagement(id).Party).LegalName; !strings.Contains(words(d), name) {
				t.Errorf("sub-processor %s is not named", name)
			}
		}
	})
}

func TestSuppliedAgreement(t *testing.T) {
	plan, v := compile(t, "sample")
	a := plan.Agreements[0]
	a.Body, a.File, a.SHA256 = "file", "agreement.md", digest([]byte(supplied))
	v.Files = version.Files{"agreement.md": []byte(supplied)}
	d, err := Agreement(plan, v, text.DA, &a)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"Aftale", "En leveret tekst.", "Andet punkt", a.SHA256, "Bilag B"} {
		if !strings.Contains(words(d), s) {
			t.Errorf("the agreement lacks %q", s)
		}
	}
	v.Files["agreement.md"] = []byte(supplied + " ")
	if _, err := Agreement(plan, v, text.DA, &a); fault.Of(err).Kind != fault.Invalid {
		t.Errorf("an altered text was accepted: %v", err)
	}
}

func TestGolden(t *testing.T) {
	each(t, func(t *testing.T, plan *policy.Plan, v version.Version, l text.Lang, docs []*Document) {
		e := &edition{plan: plan, version: v}
		for _, d := range docs {
			name := filepath.Join("testdata", strings.Split(t.Name(), "/")[1]+"."+version.ShownName(d.Name, l, "md"))
			got := e.markdown(d)
			if *update {
				if err := os.WriteFile(name, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(got)); d != "" {
				t.Errorf("%s differs (-want +got); run go test -update if it is meant:\n%s", name, d)
			}
		}
	})
}

// The same version gives the same bytes, and a PDF has all the words.
// Rows: D4.
func TestPDF(t *testing.T) {
	tool, err := exec.LookPath("pdftotext")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("pdftotext is not installed (package poppler-utils)")
	}
	each(t, func(t *testing.T, plan *policy.Plan, v version.Version, l text.Lang, docs []*Document) {
		e := &edition{plan: plan, version: v}
		for _, d := range docs {
			first, err := e.pdf(d)
			if err != nil {
				t.Fatal(err)
			}
			second, err := e.pdf(d)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first, second) {
				t.Errorf("%s: two renderings differ", d.Name)
			}
			if tool == "" {
				t.Skip("pdftotext is not installed (package poppler-utils): the PDF's words are not checked")
			}
			cmd := exec.CommandContext(t.Context(), tool, "-layout", "-enc", "UTF-8", "-", "-")
			cmd.Stdin = bytes.NewReader(first)
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			checkWords(t, d, string(out))
		}
	})
}

var space = regexp.MustCompile(`\s+`)

// checkWords looks for every word of the document in a PDF's text, which has
// columns and pages in between.
func checkWords(t *testing.T, d *Document, out string) {
	t.Helper()
	has := map[string]bool{}
	for _, w := range space.Split(out, -1) {
		has[w] = true
	}
	joined := space.ReplaceAllString(out, "")
	for _, s := range d.Sentences() {
		for _, w := range strings.Fields(s.Text) {
			if !has[w] && !strings.Contains(joined, w) && len([]rune(w)) < 20 {
				t.Errorf("%s: the PDF lacks %q of %q", d.Name, w, s.Text)
				return
			}
		}
	}
	if d.Label != nil && strings.Count(joined, space.ReplaceAllString(d.Label.Text, "")) < strings.Count(out, "\f") {
		t.Errorf("%s: the label is not on every page", d.Name)
	}
}
