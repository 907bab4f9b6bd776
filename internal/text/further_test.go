package text

import (
	"slices"
	"testing"
)

// A further language is one file. What it lacks is shown in English, and it counts
// as unreviewed until its header says who has read it.
func TestFurtherLanguage(t *testing.T) {
	const unread = `[catalogue]
name = "Deutsch"
reviewed = false

["base.period.day"]
one = "{{.Count}} Tag"
other = "{{.Count}} Tage"
`
	remove, err := Add("de.toml", []byte(unread+"\n[base.period]\nnone = \"sofort\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	if got := Langs(); !slices.Equal(got, []Lang{DA, EN, "de"}) {
		t.Errorf("languages %v", got)
	}
	for want, got := range map[string]string{
		"3 Tage": T("de", "base.period.day", "Count", 3), "1 Tag": T("de", "base.period.day", "Count", 1),
		"sofort": T("de", "base.period.none"), "2 months": T("de", "base.period.month", "Count", 2),
		"3 dage": T(DA, "base.period.day", "Count", 3), "Deutsch": Name("de"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if Reviewed("de") || !Reviewed(DA) || !Reviewed(EN) {
		t.Error("reviewed is wrong")
	}
	if n := Missing("de"); n < 100 || Missing(DA) != 0 {
		t.Errorf("%d texts are missing", n)
	}
	if got := Match("de-AT,en;q=0.5", Langs()); got != "de" {
		t.Errorf("matched %s", got)
	}
	remove()
	if slices.Contains(Langs(), "de") || T("de", "base.period.none") != "at once" {
		t.Error("it stays")
	}
	for _, bad := range []string{"[catalogue", "[catalogue]\nreviewed = \"yes\"", "a = 1"} {
		if _, err := Add("de.toml", []byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestDir(t *testing.T) {
	for l, want := range map[Lang]string{DA: "ltr", EN: "ltr", "ar": "rtl", "he": "rtl", "fa": "rtl", "ur": "rtl", "de": "ltr", "": "ltr", "???": "ltr"} {
		if got := Dir(l); got != want {
			t.Errorf("%s is written %s", l, got)
		}
	}
}
