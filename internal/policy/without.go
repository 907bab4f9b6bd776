package policy

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Paths returns the path of every value in the file, in no order.
func (p *Plan) Paths() []string {
	paths := make([]string, 0, len(p.positions))
	for path := range p.positions {
		paths = append(paths, path)
	}
	return paths
}

// Without returns the declaration src with the value at path (a path as in
// Problem, for example purposes.answer_enquiry.legal_basis) taken out. It is for
// trying what a declaration would be without something.
func Without(src []byte, path string) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(src, &doc); err != nil || len(doc.Content) != 1 {
		return nil, fmt.Errorf("read declaration: %w", err)
	}
	if !remove(doc.Content[0], path) {
		return nil, fmt.Errorf("the declaration has nothing at %s", path)
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	if err := e.Encode(&doc); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

// remove takes the value at path out of n. Keys may hold dots, so each key that
// path begins with is tried.
func remove(n *yaml.Node, path string) bool {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			rest, ok := strings.CutPrefix(path, n.Content[i].Value)
			switch {
			case !ok:
			case rest == "":
				n.Content = append(n.Content[:i:i], n.Content[i+2:]...)
				return true
			case rest[0] == '.' && remove(n.Content[i+1], rest[1:]), rest[0] == '[' && remove(n.Content[i+1], rest):
				return true
			}
		}
	case yaml.SequenceNode:
		head, rest, ok := strings.Cut(strings.TrimPrefix(path, "["), "]")
		i, err := strconv.Atoi(head)
		if !ok || err != nil || i < 0 || i >= len(n.Content) {
			return false
		}
		if rest == "" {
			n.Content = append(n.Content[:i:i], n.Content[i+1:]...)
			return true
		}
		return remove(n.Content[i], strings.TrimPrefix(rest, "."))
	}
	return false
}
