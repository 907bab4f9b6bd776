//go:build e2e

package e2e

import (
	"context"
	"testing"

	"github.com/tillid/tillid/internal/db"
)

// alterLeaf changes one byte of one leaf in a house's database, as somebody with
// the file could, and returns the leaf's id.
func alterLeaf(t *testing.T, file string) (id string) {
	t.Helper()
	d, err := db.Open(context.Background(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var body []byte
	if err := d.QueryRow(t.Context(), `select id, body from leaf where idx = 1`).Scan(&id, &body); err != nil {
		t.Fatal(err)
	}
	body[len(body)/2] ^= 1
	if _, err := d.Exec(t.Context(), `update leaf set body = $1 where id = $2`, body, id); err != nil {
		t.Fatal(err)
	}
	return id
}
