//go:build !race

package gateway

// What may be allocated for a page of any size, and held by a request.
const (
	pageMemory    = 256 << 10
	requestMemory = 256 << 10
)
