// Package eksempel holds the example declaration of Eksempel A/S, an invented
// Danish point-of-sale company: as its policy would be published today
// (as-published.yaml, with what is wrong with it under claims), and corrected
// (tillid.yaml, which `tillid demo` runs).
package eksempel

import "embed"

// Files are the two declarations and the files that they refer to.
//
//go:embed *.yaml dpa lia poster
var Files embed.FS
