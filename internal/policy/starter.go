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

//go:embed starter.lia.md
var starterBalancing string

// StarterOptions are what a first declaration needs to know.
type StarterOptions struct {
	Company string
	Host    string // of the website, for example www.example.dk
	Email   string
	Today   time.Time
}

// Starter returns a first declaration, with comments, that lints clean.
func Starter(o StarterOptions) []byte { return o.fill(starterText) }

// StarterFiles returns the files that the first declaration refers to, by their
// name beside it.
func StarterFiles(o StarterOptions) map[string][]byte {
	return map[string][]byte{"lia/answer-enquiry.md": o.fill(starterBalancing)}
}

func (o StarterOptions) fill(form string) []byte {
	quoted, _ := json.Marshal(o.Company) // a JSON string is a YAML string
	t := template.Must(template.New("starter").Delims("[[", "]]").Parse(form))
	var b bytes.Buffer
	err := t.Execute(&b, map[string]string{
		"Company": string(quoted), "Host": o.Host, "Email": o.Email, "Today": o.Today.Format(time.DateOnly),
		"Domain": strings.TrimPrefix(o.Host, "www."), "NextYear": o.Today.AddDate(1, 0, 0).Format(time.DateOnly),
	})
	if err != nil {
		panic("policy: starter: " + err.Error()) // fixed text, strings only
	}
	return append(bytes.TrimRight(b.Bytes(), "\n"), '\n')
}
