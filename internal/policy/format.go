package policy

import (
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

var (
	hostName   = regexp.MustCompile(`^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$`)
	sourceHost = regexp.MustCompile(`^(?:https?://|wss?://)?(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?(?:/[A-Za-z0-9._~/-]*)?$`)
	hexDigest  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	twoLetters = regexp.MustCompile(`^[A-Z]{2}$`)
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
	"host":    {isHost, "A host name in lower case, with its port when it is not the usual one: www.example.dk."},
	"source":  {sourceHost.MatchString, "A host, *.host or https://host/path, as in Content-Security-Policy."},
	"url":     {isURL, "A whole address, beginning with https:// or http://."},
	"email":   {isEmail, "One address: kontakt@example.dk."},
	"path":    {isPath, "A file beside the declaration; no absolute path and no \"..\"."},
	"sha256":  {hexDigest.MatchString, "64 hexadecimal digits, as sha256sum prints them."},
	"country": {twoLetters.MatchString, "Two capital letters, ISO 3166-1: DK, DE, US."},
	"cvr":     {eightDigit.MatchString, "Eight digits."},
	"phone":   {phoneShape.MatchString, "Digits, with country: +45 12 34 56 78."},
	"name":    {fieldName.MatchString, "Small letters, digits and _, beginning with a letter."},
	"colour":  {hexColour.MatchString, "#rrggbb."},
	"pattern": {isPattern, "A regular expression (RE2 syntax) of at most 200 characters."},
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
	return err == nil && a.Name == "" && a.Address == s && len(s) <= 254 && strings.Contains(s, ".")
}

func isPath(s string) bool {
	return s != "" && !strings.HasPrefix(s, "/") && !strings.Contains(s, `\`) && !strings.Contains("/"+s+"/", "/../")
}

func isPattern(s string) bool {
	_, err := regexp.Compile(s)
	return err == nil && len(s) <= 200
}
