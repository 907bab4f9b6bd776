package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever a file of the greatest size holds, it is refused, in memory of the
// order of its size and with problems that a person can read.
func TestHostile(t *testing.T) {
	for name, src := range hostile() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			plan, problems := Parse("tillid.yaml", []byte(src), nil)
			runtime.ReadMemStats(&after)
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 600 {
				t.Errorf("%d MiB were allocated", used)
			}
			check(t, plan, problems)
			if plan != nil {
				t.Error("it is taken")
			}
		})
	}
}

// hostile returns files that cost much, or mean something else than they show.
func hostile() map[string]string {
	const size = maxSize - 4096
	repeat := func(s string) string { return strings.Repeat(s, size/len(s)) }
	lines := func(n int, head, format string) string {
		var b strings.Builder
		b.WriteString(head)
		for i := 0; i < n && b.Len() < size; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'z'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	const people = "tillid: 1\npeople:\n"
	return map[string]string{
		"too large":        strings.Repeat("#", maxSize+1),
		"alias bomb":       bomb,
		"brackets":         repeat("["),
		"braces":           repeat("{a: "),
		"dashes":           repeat("- "),
		"questions":        repeat("? "),
		"anchors":          repeat("&a "),
		"tags":             repeat("!a "),
		"values":           "[" + repeat("a,") + "]",
		"documents":        repeat("--- a\n"),
		"directives":       repeat("%a\n"),
		"one word":         repeat("a"),
		"one key":          repeat("a") + ": 1",
		"one quote":        `a: "` + repeat(`\n`),
		"spaces":           repeat(" "),
		"indents":          lines(2500, "", "%*[1]sa:\n"),
		"unknown keys":     lines(100_000, "", "unknown%d: 1\n"),
		"same key":         lines(100_000, "", "tillid: %d\n"),
		"long names":       people + lines(900, "", "  "+strings.Repeat("a", 4000)+"%d: {}\n"),
		"entries":          lines(60_000, people, "  p%d: {label: {da: a}}\n"),
		"dangling":         lines(80_000, lines(20_000, people, "  category%d: {label: {da: a}}\n")+"purposes:\n  a:\n    label: {da: a}\n    people:\n", "      - categori%d\n"),
		"ring of parents":  lines(40_000, "data:\n  d0: {label: {da: a}, parent: d39999}\n", "  e%[1]d: {label: {da: a}, parent: e%[1]d}\n"),
		"chain of parents": lines(30_000, "data:\n", "  d%[1]d: {label: {da: a}, parent: d%[1]d}\n"),
		"long values":      lines(400, "controller:\n", "  k%d: "+strings.Repeat("x", 9000)+"\n"),
		"wide characters":  "controller: {legal_name: " + repeat("𝕏"),
		"wrong bytes":      repeat("\xff\n"),
		"patterns":         lines(10_000, "forms:\n  f:\n    label: {da: a}\n    purpose: a\n    fields:\n", "      - {name: f%d, label: {da: a}, data: a, pattern: '((((((a{9}){9}){9}){9}){9}){9})'}\n"),
	}
}

// check holds what is true of every reading of every file.
func check(t *testing.T, plan *Plan, problems []Problem) {
	t.Helper()
	if (plan == nil) == (len(problems) == 0) {
		t.Errorf("a plan: %v, problems: %d", plan != nil, len(problems))
	}
	if len(problems) > maxProblems+1 {
		t.Errorf("%d problems", len(problems))
	}
	for _, p := range problems {
		s := p.String()
		if len(s) > 8000 || p.Pos.Line < 1 || p.Pos.Col < 1 || p.Msg == "" || !utf8.ValidString(s) {
			t.Errorf("%d bytes, at %d:%d: %.300q", len(s), p.Pos.Line, p.Pos.Col, s)
		}
		for _, r := range strings.ReplaceAll(s, "\n", "") {
			if unwanted(r, "\uFFFD") != "" {
				t.Errorf("a problem prints U+%04X: %.300q", r, s)
			}
		}
	}
}

// FuzzParse holds that no file makes Parse panic, and that reading what it took
// again gives the same Plan.
func FuzzParse(f *testing.F) {
	names, _ := filepath.Glob("testdata/problem/*.yaml")
	names = append(names, "../../examples/eksempel/tillid.yaml", "starter.yaml")
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(minimal))
	f.Fuzz(func(t *testing.T, src []byte) {
		plan, problems := Parse("tillid.yaml", src, testFiles{})
		check(t, plan, problems)
		if plan == nil {
			return
		}
		again, _ := Parse("tillid.yaml", src, testFiles{})
		if again == nil || again.Hash != plan.Hash {
			t.Error("the same file read twice is not the same")
		}
		for path := range plan.positions {
			if pos := plan.At(path); pos.Line < 1 || pos.Line > strings.Count(string(src), "\n")+1 {
				t.Errorf("%q is at %d:%d", path, pos.Line, pos.Col)
			}
		}
	})
}
