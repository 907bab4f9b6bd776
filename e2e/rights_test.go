//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// entered is the path of a request that staff wrote in.
func (v *visitor) entered(kind string, days int, kv ...string) string {
	v.t.Helper()
	at := time.Now().AddDate(0, 0, -days).Format("2006-01-02T15:04")
	to := v.post(http.StatusSeeOther, "backoffice", "/requests/new", append([]string{"kind", kind, "channel", "letter", "at", at, "lang", "da", "subject", "personal_data"}, kv...)...).to()
	path, _, _ := strings.Cut(to, "?")
	return path
}

// rights lets people ask for what is theirs, and returns the pages to look at.
func (v *visitor) rights(t *testing.T) map[string]shot {
	t.Helper()
	set := map[string]shot{}
	add := func(name, path string) { set[name] = shot{as: "staff", host: "backoffice", path: path} }
	step := func(path string, kv ...string) { v.post(http.StatusSeeOther, "backoffice", path, kv...) }
	doubt := v.entered("access", 3, "name", "Gerda Prøvegaard", "contact", "gerda@example.com", "words", "Jeg vil gerne vide, hvad I har om mig.")
	step(doubt+"/letter/identity", "do", "send", "why", "Brevet kom fra en adresse, som vi ikke kender.", "what", "Kundenummer eller seneste faktura", "opening", "Kære Gerda")
	late := v.entered("complaint", 45, "email", known.email, "words", "Jeg har bedt jer holde op med at ringe.")
	refused := v.entered("erasure", 5, "email", someone.email, "words", "Slet alt om mig.")
	step(refused+"/step", "do", "assess")
	add("bo-request-letter", refused+"/letter/refusal")
	add("bo-requests", "/requests")
	add("bo-requests-closed", "/requests?state=closed")
	add("bo-request-entry", "/requests/new")
	add("bo-request-doubt", doubt)
	add("bo-request-late", late)
	add("bo-request-assessing", refused)
	return set
}

// breaches opens one, and returns the pages to look at.
func (v *visitor) breaches() map[string]shot {
	v.t.Helper()
	aware := time.Now().Add(-5 * time.Hour).Format("2006-01-02T15:04")
	to := v.post(http.StatusSeeOther, "backoffice", "/breaches", "aware", aware, "what", "En bærbar blev glemt i toget.").to()
	path, _, _ := strings.Cut(to, "?")
	set := map[string]shot{}
	for name, at := range map[string]string{"bo-breaches": "/breaches", "bo-breach": path, "bo-breach-report": path + "/report"} {
		set[name] = shot{as: "staff", host: "backoffice", path: at}
	}
	set["me-rights"] = shot{as: "person", host: "site", path: "/privacy/me/rights"}
	set["complaint"] = shot{as: "nobody", host: "site", path: "/privacy/complaint"}
	return set
}
