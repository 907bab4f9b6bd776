//go:build !race

package app

// keepsUp is true under the race detector only.
const keepsUp = false
