package policy

import (
	"testing"
	"time"
)

func TestStarterParses(t *testing.T) {
	for _, company := range []string{"Prøve ApS", `Quote " and : colon`, "- dash", "{brace"} {
		src := Starter(StarterOptions{Company: company, Host: "www.example.dk", Email: "kontakt@example.dk", Today: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)})
		plan, problems := Parse("tillid.yaml", src, nil)
		for _, p := range problems {
			t.Errorf("%s", p)
		}
		if plan != nil && plan.Controller.LegalName != company {
			t.Errorf("legal name is %q, want %q", plan.Controller.LegalName, company)
		}
	}
}
