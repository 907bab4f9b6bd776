package staff

import "github.com/tillid/tillid/internal/subject"

// Tables lists the tables of this package. They hold data about users, not about
// persons of the register: who works here, and what they did.
func Tables() []subject.Table {
	return []subject.Table{
		{Name: "account", Fields: map[string]string{"number": "customer number", "name": "the customer's name"}},
		{Name: "staff_user", Fields: map[string]string{"user_name": "sign-in name", "profile": "sealed name and address", "password": "hash"}},
		{Name: "staff_role", Fields: map[string]string{"role": "what a user may do"}},
		{Name: "staff_session", Fields: map[string]string{"id": "hash of a token"}},
		{Name: "staff_link", Fields: map[string]string{"id": "hash of a token"}},
		{Name: "sign_in_limit", Fields: map[string]string{"id": "keyed hash of who tried"}},
		{Name: "audit", Fields: map[string]string{"actor": "user id", "act": "what was done"}},
	}
}
