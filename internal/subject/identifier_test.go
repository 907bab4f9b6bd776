package subject_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tillid/tillid/internal/subject"
)

func TestNormalise(t *testing.T) {
	for _, test := range []struct{ kind, in, want string }{
		{subject.Email, " Astrid.Holm@Example.DK ", "astrid.holm@example.dk"},
		{subject.Email, "a@blåbærgrød.example", "a@xn--blbrgrd-fxak7p.example"},
		{subject.Email, "a@BLÅBÆRGRØD.example", "a@xn--blbrgrd-fxak7p.example"},
		{subject.Email, "a@XN--BLBRGRD-FXAK7P.example.", "a@xn--blbrgrd-fxak7p.example"},
		{subject.Email, "Åse@example.dk", "Åse@example.dk"}, // the case of ASCII letters only
		{subject.Email, "ﬁn@example.dk", "ﬁn@example.dk"},   // a ligature is not two letters
		{subject.Email, "a+b@example.dk", "a+b@example.dk"},
		{subject.Email, "a", ""},
		{subject.Email, "@example.dk", ""},
		{subject.Email, "a@", ""},
		{subject.Email, "a b@example.dk", ""},
		{subject.Email, "a\x00@example.dk", ""},
		{subject.Email, "a@" + strings.Repeat("x", 300) + ".dk", ""},
		{subject.Phone, "12 34 56 78", "+4512345678"},
		{subject.Phone, "+45 12-34-56-78", "+4512345678"},
		{subject.Phone, "0045 12345678", "+4512345678"},
		{subject.Phone, "4512345678", "+4512345678"},
		{subject.Phone, "+44 (0)20 7946 0018", "+442079460018"},
		{subject.Phone, "call me", ""},
		{subject.Phone, "", ""},
		{subject.Phone, "+1", ""},
		{subject.Visitor, " v1 ", "v1"},
		{subject.Visitor, "", ""},
	} {
		got, err := subject.Normalise(test.kind, subject.Secret(test.in))
		if got.Reveal() != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%s %q: %q, %v; want %q", test.kind, test.in, got.Reveal(), err, test.want)
		}
	}
}

// Normalising twice is normalising once; and local parts stay different people
// unless they differ in the case of ASCII letters alone.
func TestNormaliseProperties(t *testing.T) {
	local := rapid.StringMatching(`[a-zA-Z0-9._+åÅæÆøØﬁ２ａ]{1,12}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := local.Draw(t, "a"), local.Draw(t, "b")
		na, err := subject.Normalise(subject.Email, subject.Secret(a+"@example.dk"))
		if err != nil {
			t.Fatal(err)
		}
		nb, err := subject.Normalise(subject.Email, subject.Secret(b+"@EXAMPLE.dk"))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := subject.Normalise(subject.Email, na); err != nil || again != na {
			t.Fatalf("%q becomes %q, %v", na.Reveal(), again.Reveal(), err)
		}
		if (na == nb) != (ascii(a) == ascii(b)) {
			t.Fatalf("%q and %q: same person is %v", a, b, na == nb)
		}
	})
}

func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 128 {
			return []rune(strings.ToLower(string(r)))[0]
		}
		return r
	}, s)
}

func FuzzNormalise(f *testing.F) {
	f.Add("email", "a@example.dk")
	f.Add("phone", "+45 12345678")
	f.Fuzz(func(t *testing.T, kind, v string) {
		once, err := subject.Normalise(kind, subject.Secret(v))
		if err != nil {
			return
		}
		if twice, err := subject.Normalise(kind, once); err != nil || twice != once {
			t.Errorf("%q → %q → %q, %v", v, once.Reveal(), twice.Reveal(), err)
		}
	})
}
