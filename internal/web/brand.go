package web

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

const brandPath = "/_tillid/brand/"

var hexColour = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

// brandURL returns the address of the small stylesheet that sets a house's
// accent colour; no style stands in the pages. Without a valid colour it is "".
func brandURL(accent string) string {
	if !hexColour.MatchString(accent) {
		return ""
	}
	return brandPath + strings.ToLower(accent[1:]) + ".css"
}

func serveBrand(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutSuffix(r.PathValue("file"), ".css")
	if !ok || !hexColour.MatchString("#"+name) {
		staticHeader(w, r, "no-store")
		http.NotFound(w, r)
		return
	}
	staticHeader(w, r, forEver)
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	io.WriteString(w, brandCSS(parseColour(name)))
}

// brandCSS makes an accent readable: darkened until text in it has a contrast
// of 7:1 on white, and lightened as much for the dark pages.
func brandCSS(c colour) string {
	light, dark := c, c
	for i := 0; i < 20 && contrast(light, white) < 7; i++ {
		light = light.toward(black, 0.08)
	}
	for i := 0; i < 20 && contrast(dark, night) < 7; i++ {
		dark = dark.toward(white, 0.08)
	}
	return fmt.Sprintf(":root{--accent:%s;--on-accent:#fff;--tint:%s}\n"+
		"@media (prefers-color-scheme:dark){:root{--accent:%s;--on-accent:%s;--tint:%s}}\n",
		light, light.toward(white, 0.92), dark, night, night.toward(dark, 0.16))
}

// colour is red, green and blue from 0 to 1.
type colour [3]float64

var (
	white = colour{1, 1, 1}
	black = colour{}
	night = parseColour("12181a") // the ground of dark pages, --ground in public.css
)

// parseColour reads rrggbb, which hexColour has checked.
func parseColour(s string) colour {
	var c colour
	for i := range c {
		n, err := strconv.ParseUint(s[2*i:2*i+2], 16, 8)
		if err != nil {
			panic(err)
		}
		c[i] = float64(n) / 255
	}
	return c
}

func (c colour) String() string {
	return fmt.Sprintf("#%02x%02x%02x", byte(math.Round(c[0]*255)), byte(math.Round(c[1]*255)), byte(math.Round(c[2]*255)))
}

func (c colour) toward(d colour, part float64) colour {
	for i := range c {
		c[i] += (d[i] - c[i]) * part
	}
	return c
}

// contrast is WCAG 2's contrast ratio, 1 to 21.
func contrast(a, b colour) float64 {
	la, lb := a.luminance(), b.luminance()
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func (c colour) luminance() float64 {
	for i, v := range c {
		if v <= 0.04045 {
			c[i] = v / 12.92
		} else {
			c[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2]
}
