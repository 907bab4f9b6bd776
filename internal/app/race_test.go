//go:build race

package app

// keepsUp says that the server may be as fast as a client that takes its requests back:
// under the race detector the client is slowed down more.
const keepsUp = true
