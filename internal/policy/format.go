package policy

import (
	"io/fs"
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/text/language"
)

var (
	hostName   = regexp.MustCompile(`^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$`)
	sourceHost = regexp.MustCompile(`^(?:https?://|wss?://)?(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?(?:/[A-Za-z0-9._~/-]*)?$`)
	hexDigest  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	lawPack    = regexp.MustCompile(`^[a-z][a-z0-9-]*@[0-9]{4}\.[0-9]{1,3}$`)
	eventName  = regexp.MustCompile(`^[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*$`)
	documents  = regexp.MustCompile(`^[^\s:]+\.(?:md|txt|pdf|html|docx|odt)$`)
	sitePath   = regexp.MustCompile(`^/[A-Za-z0-9._~/%-]*\*?$`)
	eightDigit = regexp.MustCompile(`^\d{8}$`)
	phoneShape = regexp.MustCompile(`^\+?[0-9 ()-]{5,20}$`)
	fieldName  = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)
	hexColour  = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)
)

// wrongFormat returns how a value of that format is written, or "" when s is one.
func wrongFormat(format, s string) (hint string) {
	f := formats[format]
	if f.ok == nil {
		panic("policy: the table has the unknown format " + format)
	}
	if f.ok(s) {
		return ""
	}
	return f.hint
}

var formats = map[string]struct {
	ok   func(string) bool
	hint string
}{
	"host":   {isHost, "A host name in lower case, with its port when it is not the usual one: www.example.dk."},
	"source": {sourceHost.MatchString, "A host, *.host or https://host/path, as in Content-Security-Policy."},
	"url":    {isURL, "A whole address, beginning with https:// or http://."},
	"email":  {isEmail, "One address: kontakt@example.dk."},
	"path":   {isPath, "A file beside the declaration, for example dpa/hosting.pdf; no absolute path and no \"..\"."},
	// A document is a file beside the declaration (a name without spaces that ends
	// as documents do), or words that say where else it is: an address, a register entry.
	"document":  {func(s string) bool { return s != "" && (!isFileName(s) || isPath(s)) }, "A file beside the declaration, with no absolute path and no \"..\", or an address."},
	"site_path": {func(s string) bool { return len(s) <= 200 && sitePath.MatchString(s) }, "A path of the site: /kasser, or /kasser/* for all below."},
	"law":       {lawPack.MatchString, "Name and version of a law pack: dk@2026.2."},
	"event":     {eventName.MatchString, "One event, for example received or case.closed; words are not understood here."},
	"sha256":    {hexDigest.MatchString, "64 hexadecimal digits, as sha256sum prints them."},
	"country":   {isCountry, "Two capital letters, ISO 3166-1: DK, DE, GB, US."},
	"cvr":       {eightDigit.MatchString, "Eight digits."},
	"phone":     {phoneShape.MatchString, "Digits, with country: +45 12 34 56 78."},
	"name":      {fieldName.MatchString, "Small letters, digits and _, beginning with a letter."},
	"colour":    {hexColour.MatchString, "#rrggbb."},
	"pattern":   {isPattern, "A regular expression (RE2 syntax) of at most 200 characters."},
}

func isHost(s string) bool {
	name := s
	if h, port, err := net.SplitHostPort(s); err == nil {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return false
		}
		name = h
	}
	return len(name) <= 253 && hostName.MatchString(name)
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil
}

func isEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s || len(s) > 254 {
		return false
	}
	_, host, _ := strings.Cut(s, "@")
	return strings.Contains(host, ".") && hostName.MatchString(strings.ToLower(host))
}

// isPath reports whether s names a file beside the declaration or in a folder
// beside it: never one outside, on any system.
func isPath(s string) bool {
	return fs.ValidPath(s) && s != "." && !strings.ContainsAny(s, `\:`)
}

// isFileName reports whether s looks like a file rather than words or an address.
func isFileName(s string) bool { return documents.MatchString(s) }

func isCountry(s string) bool {
	r, err := language.ParseRegion(s)
	return err == nil && r.IsCountry() && r.Canonicalize().String() == s && len(s) == 2
}

func isPattern(s string) bool {
	_, err := regexp.Compile(s)
	return err == nil && len(s) <= 200
}
