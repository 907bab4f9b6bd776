package web

import "net/http"

// PublicStyle returns the whole style of public pages as one sheet, with a
// house's accent colour: for pages that are archived and must look the same in
// ten years, whatever this program's style is then.
func PublicStyle(accent string) []byte {
	css := append([]byte(nil), assets()["base.css"].body...)
	css = append(css, assets()["public.css"].body...)
	if hexColour.MatchString(accent) {
		css = append(css, brandCSS(parseColour(accent[1:]))...)
	}
	return css
}

// Secure sets the security headers of an answer that Render does not write,
// such as an archived page.
func Secure(h http.Header) { secure(h, Public) }
