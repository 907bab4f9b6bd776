package policy

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"
)

// Comments, layout and the order of keys are not part of what a declaration
// says; the order of entries is, because it is shown.
func TestHashOfTheSame(t *testing.T) {
	src := example(t)
	want := mustParse(t, src).Hash
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(src), &doc); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		restyle(t, &doc, reflect.TypeFor[Declaration]())
		out, err := yaml.Marshal(&doc)
		if err != nil {
			t.Fatal(err)
		}
		plan, problems := Parse("other name.yaml", out, nil)
		if len(problems) > 0 {
			t.Fatalf("%v\n%s", problems[0], out)
		}
		if plan.Hash != want {
			t.Fatalf("another hash for\n%s", out)
		}
	})
	moved := strings.Replace(before, "  answer: {label: {da: Svare dig", "  zzz: {label: {da: Sidst, en: Last}}\n  answer: {label: {da: Svare dig", 1)
	last := strings.Replace(before, "device_access:", "  zzz: {label: {da: Sidst, en: Last}}\ndevice_access:", 1)
	if mustParse(t, moved).Hash == mustParse(t, last).Hash {
		t.Error("the order of entries does not matter")
	}
}

// restyle writes a declaration differently: other comments, flow or block, the
// keys of structs in another order.
func restyle(t *rapid.T, n *yaml.Node, typ reflect.Type) {
	if n.Kind == yaml.DocumentNode {
		restyle(t, n.Content[0], typ)
		return
	}
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch n.HeadComment = ""; {
	case typ.Kind() == reflect.Struct && n.Kind == yaml.MappingNode:
		fields, _ := fieldsOf(typ)
		var order []int
		for i := 0; i < len(n.Content); i += 2 {
			order = append(order, i)
		}
		order = rapid.Permutation(order).Draw(t, "order")
		var moved []*yaml.Node
		for _, i := range order {
			restyle(t, n.Content[i+1], typ.Field(fields[n.Content[i].Value]).Type)
			moved = append(moved, n.Content[i], n.Content[i+1])
		}
		n.Content = moved
	case typ.Kind() == reflect.Slice && n.Kind == yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			restyle(t, n.Content[i], typ.Elem())
		}
	case typ.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		for _, c := range n.Content {
			restyle(t, c, typ.Elem())
		}
	}
	n.LineComment, n.FootComment = "", ""
	if rapid.Bool().Draw(t, "comment") && n.Kind == yaml.ScalarNode && n.Style == 0 {
		n.LineComment = "# a comment"
	}
}

// Whatever value is taken out, the declaration is another one; but for a value
// that counts anyway when nothing is said.
func TestHashOfLess(t *testing.T) {
	full := mustParse(t, example(t))
	paths := slices.Sorted(maps.Keys(full.positions))
	want := hash(&full.Declaration, nil)
	rapid.Check(t, func(t *rapid.T) {
		path := rapid.SampledFrom(paths).Draw(t, "path")
		src, err := Without(full.Source, path)
		if err != nil {
			t.Fatal(err)
		}
		line := strings.Split(string(full.Source), "\n")[full.At(path).Line-1]
		same := hash(&loose(src).Declaration, nil) == want
		if same && !strings.Contains(line, "false") && !strings.Contains(line, "[]") {
			t.Fatalf("taking %s out changes nothing", path)
		}
	})
}

// A file that the declaration refers to is part of what it says.
func TestHashOfFiles(t *testing.T) {
	src := []byte(minimal + "purposes:\n  a: {label: {da: A, en: A}, legal_basis: {art: 6.1.f, balancing: lia/a.md}}\n")
	hashes := map[string]bool{}
	for _, content := range []string{"one", "two"} {
		plan, problems := Parse("tillid.yaml", src, oneFile{"lia/a.md", content})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		hashes[plan.Hash] = true
	}
	if len(hashes) != 2 {
		t.Error("another file, the same hash")
	}
}

type oneFile struct{ name, content string }

func (f oneFile) ReadFile(name string) ([]byte, error) {
	if name != f.name {
		return nil, os.ErrNotExist
	}
	return []byte(f.content), nil
}

// The hash is stored with everything that happens under a version: a change of
// it makes every house's history speak of a version that nobody finds. This
// test fails when the canonical form changes; do not let it.
func TestHashIsForEver(t *testing.T) {
	const want = "f864a534ea981379b52d58c302f50d903d6588895cdf7f4cca81e533a9308cb0"
	if have := mustParse(t, before).Hash; have != want {
		t.Errorf("the hash is %s, and was %s", have, want)
	}
}

// Without takes out one value and leaves the rest.
func TestWithout(t *testing.T) {
	for path, want := range map[string]string{
		"purposes.answer.profiling":       "nothing",
		"engagements.ads.transfers[0]":    "nothing",
		"engagements.ads.transfers[0].to": "nothing",
		"data.contact":                    "nothing",
		"purposes.nothing":                "the declaration has nothing at purposes.nothing",
		"engagements.ads.transfers[1]":    "the declaration has nothing at engagements.ads.transfers[1]",
		"engagements.ads.transfers[-1]":   "the declaration has nothing at engagements.ads.transfers[-1]",
		"engagements.ads.transfers[x].to": "the declaration has nothing at engagements.ads.transfers[x].to",
		"engagements.ads.transfers.to":    "the declaration has nothing at engagements.ads.transfers.to",
		"":                                "the declaration has nothing at ",
	} {
		src, err := Without([]byte(before), path)
		switch {
		case err != nil:
			if err.Error() != want {
				t.Errorf("%q: %v", path, err)
			}
		case want != "nothing":
			t.Errorf("%q: no error", path)
		default:
			was, is := loose([]byte(before)), loose(src)
			d := Diff(was, is)
			if len(d) != 1 || d[0].Path != path || d[0].Kind != Removed {
				t.Errorf("%q: %s", path, fmt.Sprint(d))
			}
		}
	}
	if _, err := Without([]byte("a: ["), "a"); err == nil {
		t.Error("no error for what is not YAML")
	}
}
