package scan

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
)

// Lock is what a site did when it was last looked at: a file that is committed
// beside the site, in which a change stands as one line. It holds no time and
// no page, so that the same site gives the same bytes.
type Lock struct {
	Format string     `json:"format"`
	Start  string     `json:"start"`
	Items  []LockItem `json:"items"`
}

// LockItem is one line of a lock file.
type LockItem struct {
	Kind     string   `json:"kind"`
	Name     string   `json:"name"`
	Domain   string   `json:"domain,omitempty"`
	Uses     []string `json:"uses,omitempty"`
	Lifetime string   `json:"lifetime,omitempty"`
	Passes   []Pass   `json:"passes"`
	Service  string   `json:"service,omitempty"`
	Declared string   `json:"declared,omitempty"`
}

const lockFormat = "tillid-scan-lock/1"

// NewLock returns the lock of a scan. A lifetime that differs from the old
// lock's by no more than a tenth is the same: some cookies end on a fixed day.
func NewLock(r *Result, old *Lock) *Lock {
	l := &Lock{Format: lockFormat, Start: r.Start}
	for _, it := range r.Items {
		one := LockItem{Kind: it.Kind, Name: it.Name, Domain: it.Domain, Uses: it.Uses, Lifetime: it.Lifetime, Service: it.Service, Declared: it.Declared}
		for _, p := range passes {
			if slices.Contains(it.Passes, p) {
				one.Passes = append(one.Passes, p)
			}
		}
		if before := old.find(one); before != nil && near(before.Lifetime, one.Lifetime) {
			one.Lifetime = before.Lifetime
		}
		l.Items = append(l.Items, one)
	}
	return l
}

func (l *Lock) find(it LockItem) *LockItem {
	if l == nil {
		return nil
	}
	for i := range l.Items {
		if have := &l.Items[i]; have.Kind == it.Kind && have.Name == it.Name && have.Domain == it.Domain {
			return have
		}
	}
	return nil
}

func near(a, b string) bool {
	x, errX := policy.ParseDuration(a)
	y, errY := policy.ParseDuration(b)
	if errX != nil || errY != nil {
		return false
	}
	diff := x.Approx() - y.Approx()
	return max(diff, -diff)*10 <= x.Approx()
}

// Bytes returns the file: JSON, one item a line, sorted.
func (l *Lock) Bytes() []byte {
	var b bytes.Buffer
	line := func(v any) []byte {
		out, _ := json.Marshal(v) // strings only: cannot fail
		return out
	}
	b.WriteString("{\n\"format\": " + string(line(l.Format)) + ",\n\"start\": " + string(line(l.Start)) + ",\n\"items\": [\n")
	for i, it := range l.Items {
		b.Write(line(it))
		if i < len(l.Items)-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteString("]\n}\n")
	return b.Bytes()
}

// ParseLock reads a lock file.
func ParseLock(name string, b []byte) (*Lock, error) {
	var l Lock
	if err := json.Unmarshal(b, &l); err != nil {
		return nil, fault.New(fault.Invalid, "%s is not a lock file of a scan.", name).WithHint("Take it away, and scan again to write it anew.").Because(err)
	}
	if l.Format != lockFormat {
		return nil, fault.New(fault.Invalid, "%s has the format %q; this program writes %s.", name, l.Format, lockFormat).WithHint("Take it away, and scan again to write it anew.")
	}
	return &l, nil
}

// Change is one line that differs between two locks.
type Change struct {
	What string `json:"what"` // added, gone, changed
	Item string `json:"item"` // the line; of changed, the new one
}

// Since returns what differs from an older lock, in the order of the items.
func (l *Lock) Since(old *Lock) []Change {
	if old == nil {
		return nil
	}
	var list []Change
	line := func(it LockItem) string {
		b, _ := json.Marshal(it) // strings only: cannot fail
		return string(b)
	}
	for _, it := range l.Items {
		switch before := old.find(it); {
		case before == nil:
			list = append(list, Change{"added", line(it)})
		case line(*before) != line(it):
			list = append(list, Change{"changed", line(it)})
		}
	}
	for _, it := range old.Items {
		if l.find(it) == nil {
			list = append(list, Change{"gone", line(it)})
		}
	}
	slices.SortStableFunc(list, func(a, b Change) int { return strings.Compare(a.Item, b.Item) })
	return list
}
