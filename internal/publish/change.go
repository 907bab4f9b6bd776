package publish

import (
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// inWords says what changed from one declaration to another, for people.
func inWords(from, to *policy.Plan, l text.Lang) []string {
	return nil
}
