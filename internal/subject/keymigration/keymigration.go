// Package keymigration holds the migrations of the key store.
package keymigration

import "embed"

// Files are the migrations, for db.DB.MigrateFS.
//
//go:embed *.sql
var Files embed.FS
