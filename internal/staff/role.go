package staff

import (
	"slices"

	"github.com/tillid/tillid/internal/web"
)

// grant is one row of the table of who may do what.
type grant struct {
	kind, role string
	may        []web.Permission
}

// grants is the whole table. What it does not name is refused.
func grants() []grant {
	return []grant{
		{Staff, "admin", []web.Permission{web.SignedIn, web.StaffRead, web.Enquiries, web.People, web.Consent, web.Policy, web.Admin, web.Agreement}},
		{Staff, "staff", []web.Permission{web.SignedIn, web.StaffRead, web.Enquiries, web.People, web.Consent, web.Policy, web.Agreement}},
		{Staff, "viewer", []web.Permission{web.SignedIn, web.StaffRead, web.Consent, web.Policy, web.Agreement}},
		{Customer, "admin", []web.Permission{web.SignedIn, web.Agreement}},
		{Customer, "user", []web.Permission{web.SignedIn}},
	}
}

// Roles returns the roles that users of an account of that kind may have, the widest first.
func Roles(kind string) []string {
	var roles []string
	for _, g := range grants() {
		if g.kind == kind {
			roles = append(roles, g.role)
		}
	}
	return roles
}

// May reports whether v has a permission. It is the only place that decides.
func May(v web.Viewer, need web.Permission) bool {
	if need == web.Anyone {
		return true
	}
	kind := Customer
	if v.Staff {
		kind = Staff
	}
	return v.User != "" && slices.ContainsFunc(grants(), func(g grant) bool {
		return g.kind == kind && slices.Contains(v.Roles, g.role) && slices.Contains(g.may, need)
	})
}
