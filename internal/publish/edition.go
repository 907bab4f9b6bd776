package publish

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/version"
)

// edition is all that is shown under one version.
type edition struct {
	plan              *policy.Plan
	version           version.Version
	styleURL, logoURL string
}

func (e *edition) zone() *time.Location {
	if e.plan.Loc == nil {
		return time.UTC
	}
	return e.plan.Loc
}

// address is where a link leads from a page that is read outside the site: on
// paper, in a file. Links within the document lead nowhere there.
func (e *edition) address(s Sentence) string {
	href := string(s.URL())
	if strings.HasPrefix(href, "#") {
		return ""
	}
	if !strings.HasPrefix(href, "/") {
		return href
	}
	if len(e.plan.Sites) == 0 || len(e.plan.Sites[0].Hosts) == 0 {
		return ""
	}
	return e.plan.Sites[0].Origin() + href
}

// Documents writes every document of a version in one language.
func Documents(plan *policy.Plan, v version.Version, l text.Lang) ([]*Document, error) {
	docs := []*Document{Policy(plan, v, l), Cookies(plan, v, l), Browsers(plan, v, l)}
	for i := range plan.Agreements {
		d, err := Agreement(plan, v, l, &plan.Agreements[i])
		if err != nil {
			return nil, err
		}
		docs = append(docs, d)
	}
	return docs, nil
}

// Render makes everything that people are shown under v: each document in each
// language as HTML page, Markdown and PDF, what the pages need, and a signed
// note over each agreement's PDF. The same input gives the same bytes.
func (s *Service) Render(plan *policy.Plan, v version.Version) ([]version.Shown, error) {
	e := &edition{plan: plan, version: v}
	shown := e.assets()
	for _, l := range plan.Languages {
		docs, err := Documents(plan, v, l)
		if err != nil {
			return nil, err
		}
		for _, d := range docs {
			files, err := e.files(d)
			if err != nil {
				return nil, err
			}
			shown = append(shown, files...)
			if strings.HasPrefix(d.Name, "agreement-") {
				note, err := s.note(v, files[len(files)-1])
				if err != nil {
					return nil, err
				}
				shown = append(shown, note)
			}
		}
	}
	return shown, nil
}

// files are the three forms of a document, PDF last.
func (e *edition) files(d *Document) ([]version.Shown, error) {
	page, err := e.html(d)
	if err != nil {
		return nil, err
	}
	paper, err := e.pdf(d)
	if err != nil {
		return nil, err
	}
	return []version.Shown{
		{Document: d.Name, Lang: d.Lang, Format: "html", Content: page},
		{Document: d.Name, Lang: d.Lang, Format: "md", Content: e.markdown(d)},
		{Document: d.Name, Lang: d.Lang, Format: "pdf", Content: paper},
	}, nil
}

// note signs a PDF: name, version, date and digest, with the house's log key.
func (s *Service) note(v version.Version, pdf version.Shown) (version.Shown, error) {
	words := fmt.Sprintf("%s\nversion %d\neffective %s\nsha256 %s\n",
		version.ShownName(pdf.Document, pdf.Lang, pdf.Format), v.Number, v.EffectiveAt.UTC().Format(time.RFC3339), digest(pdf.Content))
	note, err := s.Signer.Sign(words)
	if err != nil {
		return version.Shown{}, fmt.Errorf("sign %s: %w", pdf.Document, err)
	}
	return version.Shown{Document: pdf.Document, Lang: pdf.Lang, Format: "note", Content: note}, nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
