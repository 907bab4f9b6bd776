package law

import (
	"strings"
	"testing"
)

const head = "name = \"x\"\nversion = \"1\"\nas_of = \"2026-01-01\"\n[default]\nstatus = \"unchecked\"\ndate = \"2026-01-01\"\n"

func TestParseRefuses(t *testing.T) {
	const value = "[[value]]\nid = \"v\"\nkind = \"period\"\nvalue = \"P1M\"\nlaw = \"L\"\nsource = \"S\"\nvalid_from = \"2020-01-01\"\nlabel = { da = \"a\", en = \"b\" }\n"
	if _, err := parse([]byte(head + value)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`source = "S"`, ``, "source are needed"},
		{`law = "L"`, ``, "law and source"},
		{`valid_from = "2020-01-01"`, ``, "not a date"},
		{`"P1M"`, `"as long as needed"`, "not of kind"},
		{`"period"`, `"number"`, "not of kind"},
		{`, en = "b"`, ``, "no text in en"},
		{`source = "S"`, "source = \"S\"\nstatus = \"checked\"", "names who checked it"},
		{`source = "S"`, "source = \"S\"\nstatus = \"perhaps\"", "checked or unchecked"},
		{`source = "S"`, "source = \"S\"\nvalid_until = \"2019-01-01\"", "ends before it begins"},
		{`source = "S"`, "source = \"S\"\nsauce = \"T\"", "unknown key"},
	} {
		_, err := parse([]byte(head + strings.Replace(value, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q for %q: %v", c.new, c.old, err)
		}
	}
}
