package publish

import (
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// inWords says what changed from one declaration to another, for people.
func inWords(from, to *policy.Plan, l text.Lang) []string {
	var words []string
	for _, c := range policy.Diff(from, to) {
		words = append(words, c.Text.In(l))
	}
	return words
}
