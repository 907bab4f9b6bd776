package connect

import (
	"strings"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/policy"
)

// What goes out of the EEA needs a ground that holds that day. Rows: E6.
func TestForbiddenTransfers(t *testing.T) {
	for name, test := range map[string]struct {
		country, transfers string
		day                string
		want               bool // it may go
	}{
		"in the EU":                 {"DE", "", "2026-11-25", true},
		"in Norway":                 {"NO", "", "2026-11-25", true},
		"Greenland is no EEA":       {"GL", "", "2026-11-25", false},
		"undeclared":                {"US", "", "2026-11-25", false},
		"adequate":                  {"GB", "[{ to: GB, mechanism: adequacy }]", "2026-11-25", true},
		"adequate no more":          {"GB", "[{ to: GB, mechanism: adequacy }]", "2032-01-02", false},
		"no decision":               {"IN", "[{ to: IN, mechanism: adequacy }]", "2026-11-25", false},
		"safeguards":                {"IN", "[{ to: IN, mechanism: scc }]", "2026-11-25", true},
		"a certification":           {"US", "[{ to: US, mechanism: dpf, verified_on: 2026-06-01 }]", "2026-11-25", true},
		"never verified":            {"US", "[{ to: US, mechanism: dpf }]", "2026-11-25", false},
		"staff are not covered":     {"US", "[{ to: US, mechanism: dpf, verified_on: 2026-06-01, hr_data: true }]", "2026-11-25", false},
		"the framework is not all":  {"US", "[{ to: US, mechanism: adequacy }]", "2026-11-25", false},
		"onward from the EU":        {"DE", "[{ to: IN, mechanism: adequacy }]", "2026-11-25", false},
		"one of two grounds":        {"IN", "[{ to: IN, mechanism: adequacy }, { to: IN, mechanism: scc }]", "2026-11-25", true},
		"a country nobody knows of": {"XK", "", "2026-11-25", false},
	} {
		src := `
tillid: 1
law: [eu-gdpr@2026.2, dk@2026.2]
reviewed: 2026-11-01
languages: [da, en]
controller: { legal_name: Eksempel A/S, country: DK }
parties:
  helpdesk: { legal_name: Help Inc, country: ` + test.country + ` }
engagements:
  desk: { party: helpdesk, role: processor, purposes: [answer]TRANSFERS }
data:
  message: { label: { da: Besked, en: Message } }
people:
  enquirer: { label: { da: Spørger, en: Enquirer } }
purposes:
  answer: { label: { da: Svare, en: Answer }, legal_basis: { art: 6.1.b }, people: [enquirer], data: [message] }
retention:
  answer: { purpose: answer, trigger: received, duration: P3M, action: delete }
`
		transfers := ""
		if test.transfers != "" {
			transfers = ", transfers: " + test.transfers
		}
		plan, problems := policy.Parse("tillid.yaml", []byte(strings.Replace(src, "TRANSFERS", transfers, 1)), nil)
		if plan == nil {
			t.Fatalf("%s: %+v", name, problems)
		}
		packs, err := law.Load(plan.Law)
		if err != nil {
			t.Fatal(err)
		}
		day, err := time.Parse(time.DateOnly, test.day)
		if err != nil {
			t.Fatal(err)
		}
		if why := forbidden(plan, packs, "desk", day); (why == "") != test.want {
			t.Errorf("%s: %q", name, why)
		}
	}
}
