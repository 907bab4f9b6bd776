package erase

import (
	"testing"

	"github.com/jba/templatecheck"

	"github.com/tillid/tillid/internal/web"
)

func TestTemplates(t *testing.T) {
	for _, p := range []struct {
		name, layout string
		data         any
	}{
		{"list", web.Backoffice, listPage{}}, {"case", web.Backoffice, casePage{}}, {"certificate", web.Public, certificatePage{}},
	} {
		if err := templatecheck.CheckHTML(pages.Template(p.name, p.layout), p.data); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
	}
}
