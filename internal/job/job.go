// Package job runs work in the background, at least once.
//
// A job is a row. It is added in the same transaction as the change that asks
// for it, so there is never one without the other. A worker leases a job, runs
// it, and deletes the row; a job that fails is tried again later, and one that
// keeps failing is kept as dead for a person to look at. Payloads hold ids
// only, never personal data.
package job

import (
	"context"
	"log/slog"
	"time"

	"github.com/tillid/tillid/internal/db"
)

// Add asks for the job kind to be run with payload (JSON), at the earliest at
// runAt. A non-empty key makes the job unique while it waits or runs.
func Add(ctx context.Context, q db.Queryer, kind string, payload any, runAt time.Time, key string) error {
	panic("helper CORE writes this")
}

// Periodic is work that runs again and again: one row of a table in app.
type Periodic struct {
	Name  string
	Every time.Duration
	Run   func(ctx context.Context) error
}

// Runner runs jobs and periodic work of one house.
type Runner struct {
	DB       *db.DB
	Log      *slog.Logger
	Kinds    map[string]func(ctx context.Context, payload []byte) error
	Periodic []Periodic
	Now      func() time.Time
}

// Run works until ctx ends. A job added in this process starts at once.
func (r *Runner) Run(ctx context.Context) { panic("helper CORE writes this") }

// Drain runs everything that is due now and returns when nothing is left; for
// tests and for the command line without a server.
func (r *Runner) Drain(ctx context.Context) error { panic("helper CORE writes this") }

// Health says what is wrong with the queue: dead jobs, oldest lease, periodic
// work that has not succeeded within two periods. Empty when all is well.
func (r *Runner) Health(ctx context.Context) ([]string, error) { panic("helper CORE writes this") }
