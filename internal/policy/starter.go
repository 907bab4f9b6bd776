package policy

import (
	"bytes"
	_ "embed" // the starter is a file, so that it can be read as one
	"encoding/json"
	"strings"
	"text/template"
	"time"
)

//go:embed starter.yaml
var starterText string

// StarterOptions are what a first declaration needs to know.
type StarterOptions struct {
	Company string
	Host    string // of the website, for example www.example.dk
	Email   string
	Today   time.Time
}

// Starter returns a first declaration, with comments, that lints clean.
func Starter(o StarterOptions) []byte {
	quoted, _ := json.Marshal(o.Company) // a JSON string is a YAML string
	t := template.Must(template.New("starter").Delims("[[", "]]").Parse(starterText))
	var b bytes.Buffer
	err := t.Execute(&b, map[string]string{
		"Company": string(quoted), "Host": o.Host, "Email": o.Email, "Today": o.Today.Format(time.DateOnly),
		"Domain": strings.TrimPrefix(o.Host, "www."), "Suppress": "",
	})
	if err != nil {
		panic("policy: starter: " + err.Error()) // fixed text, strings only
	}
	return append(bytes.TrimRight(b.Bytes(), "\n"), '\n')
}
