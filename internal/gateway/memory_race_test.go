//go:build race

package gateway

// What may be allocated for a page of any size, and held by a request. The race detector drops
// a quarter of what pools keep, so more is allocated anew.
const (
	pageMemory    = 1 << 20
	requestMemory = 512 << 10
)
