package backup

import (
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/jba/templatecheck"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/web"
)

func TestTemplates(t *testing.T) {
	if err := templatecheck.CheckHTML(pages.Template("backups", web.Backoffice), backupsPage{}); err != nil {
		t.Error(err)
	}
}

// What keygen prints is an identity file, and its recipient is one.
func TestKeygen(t *testing.T) {
	file, recipient, err := Keygen(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ids, err := age.ParseIdentities(strings.NewReader(file))
	if err != nil || len(ids) != 1 || !strings.Contains(file, recipient) {
		t.Errorf("%d identities, %v", len(ids), err)
	}
	if all, err := ParseRecipients(" " + recipient + ",\n" + recipient + " "); err != nil || len(all) != 2 {
		t.Errorf("%d recipients, %v", len(all), err)
	}
	for _, bad := range []string{"age1nothing", "somebody", recipient + "x"} {
		if _, err := ParseRecipients(bad); fault.Of(err).Kind != fault.Invalid || fault.Of(err).Hint == "" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
