package version

import "github.com/tillid/tillid/internal/policy"

// ClassOf returns the class of going from one declaration to another: at least
// that of each of the changes.
func ClassOf(from, to *policy.Plan) Class {
	class := Editorial
	for _, c := range policy.Diff(from, to) {
		class = max(class, Class(c.Class)) // A, B, C: the later letter weighs more
	}
	return class
}
