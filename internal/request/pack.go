package request

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/connect"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
)

// Pack is the answer to a request for access (GDPR Art. 15): everything that is
// held, why, who got it and when it goes. Its JSON form is described by
// docs/access-pack.schema.json, which is made from these types.
type Pack struct {
	Format      string         `json:"format" doc:"Always tillid.access-pack/1."`
	Created     time.Time      `json:"created" doc:"When the pack was made, in UTC."`
	Language    string         `json:"language" doc:"Language of the labels, as a BCP 47 tag."`
	Controller  PackController `json:"controller" doc:"Who answers for the data (Art. 15(1))."`
	Authority   string         `json:"complaint_authority" doc:"Where to complain about it (Art. 15(1)(f))."`
	Identifiers []PackValue    `json:"identifiers" doc:"By what you are known here."`
	Records     []PackRecord   `json:"records" doc:"Everything that is held about you, oldest first."`
	Rights      []string       `json:"rights" doc:"Your rights over what is held (Art. 15(1)(e) and (f))."`
}

// PackController is the controller.
type PackController struct {
	Name    string `json:"name" doc:"Legal name."`
	Address string `json:"address" doc:"Postal address."`
	Contact string `json:"contact" doc:"Address for questions about your data."`
	Policy  string `json:"policy" doc:"Where the policy in force can be read."`
}

// PackValue is one value with its label.
type PackValue struct {
	Label string `json:"label" doc:"What it is, in words."`
	Value string `json:"value" doc:"The value itself."`
	Data  string `json:"data,omitempty" doc:"Category of personal data in the declaration (Art. 15(1)(b))."`
	given bool   // by the person
}

// PackRecord is one thing that is held.
type PackRecord struct {
	ID         string          `json:"id" doc:"Its random name."`
	Kind       string          `json:"kind" doc:"What it is, for example enquiry."`
	Title      string          `json:"title" doc:"What it is, in words."`
	Received   time.Time       `json:"received" doc:"When it came, in UTC."`
	Values     []PackValue     `json:"values" doc:"What it holds."`
	Files      []PackFile      `json:"files,omitempty" doc:"The files that belong to it; the ZIP file has them, byte for byte."`
	Purpose    string          `json:"purpose" doc:"Why it is held (Art. 15(1)(a))."`
	Basis      string          `json:"legal_basis" doc:"Its legal basis, for example 6.1.f."`
	Rule       string          `json:"retention_rule" doc:"Name of the retention rule."`
	Goes       time.Time       `json:"goes" doc:"When it is deleted at the latest, in UTC (Art. 15(1)(d))."`
	Version    string          `json:"version" doc:"Hash of the declaration it was collected under."`
	Told       string          `json:"told" doc:"Where the text that you were then told can be read."`
	Recipients []PackRecipient `json:"recipients" doc:"Who got it, by name, from the log of disclosures (Art. 15(1)(c))."`
	Source     string          `json:"source" doc:"Where it comes from (Art. 15(1)(g))."`
	Paused     string          `json:"use_paused,omitempty" doc:"Why it is stored and not used (Art. 18), when it is."`

	purpose string // its id
}

// PackFile is a file that belongs to a record.
type PackFile struct {
	Name   string `json:"name" doc:"Its name, as it was sent."`
	Type   string `json:"type" doc:"Its media type."`
	Size   int64  `json:"size" doc:"Its size in bytes."`
	SHA256 string `json:"sha256" doc:"SHA-256 of its content, hexadecimal."`
	Path   string `json:"path" doc:"Where it lies in the ZIP file."`

	id string
}

// At is where a person who is signed in gets the file.
func (f PackFile) At(record string) string { return "/privacy/me/file/" + record + "/" + f.id }

// PackRecipient is somebody who got a record.
type PackRecipient struct {
	Name    string    `json:"name" doc:"Legal name."`
	Country string    `json:"country" doc:"Country, ISO 3166-1 alpha-2."`
	Role    string    `json:"role" doc:"Role, for example processor."`
	At      time.Time `json:"at" doc:"When it was handed over, in UTC."`
	State   string    `json:"state" doc:"attempted: it may have arrived; sent: it arrived."`
}

// packFormat names the shape of a pack.
const packFormat = "tillid.access-pack/1"

// errMeanwhile says that something was erased while a pack was being gathered.
var errMeanwhile = fault.New(fault.Conflict, "Something of this was deleted just now.").WithHint("See the page again.").In("request.meanwhile")

// pack gathers everything that is held about persons: all of what was there at one moment,
// or a fault. While single records go, it begins again.
func (s *Service) pack(ctx context.Context, persons []subject.PersonID, l text.Lang) (p Pack, err error) {
	for range 5 {
		if p, err = s.gather(ctx, persons, l); !errors.Is(err, errMeanwhile) {
			break
		}
	}
	return p, err
}

func (s *Service) gather(ctx context.Context, persons []subject.PersonID, l text.Lang) (Pack, error) {
	plan := s.Plan()
	p := Pack{
		Format: packFormat, Created: s.Now().UTC(), Language: string(l),
		Controller:  PackController{plan.Controller.LegalName, plan.Controller.Address, contact(plan), s.baseURL(l, "/privacy")},
		Identifiers: []PackValue{}, Records: []PackRecord{}, Rights: []string{},
	}
	if a, ok, err := s.authority(law.PersonalData); err != nil {
		return Pack{}, err
	} else if ok {
		p.Authority = addressOf(a, l)
	}
	rights := map[policy.Right]bool{}
	for _, person := range persons {
		if err := s.addIdentifiers(ctx, &p, person, l); err != nil {
			return Pack{}, err
		}
		records, err := s.Subjects.Of(ctx, s.DB, person)
		if err != nil {
			return Pack{}, err
		}
		given, err := s.Connect.Disclosures(ctx, s.DB, person)
		if err != nil {
			return Pack{}, err
		}
		for _, r := range records {
			held, err := s.held(ctx, r, given, l)
			if k := fault.Of(err).Kind; err != nil && (k == fault.NotFound || k == fault.Gone) {
				return Pack{}, errMeanwhile
			}
			if err != nil {
				return Pack{}, err
			}
			p.Records = append(p.Records, held)
			for _, right := range plan.RightsOf(r.Purpose) {
				rights[right] = true
			}
		}
	}
	for _, right := range allRights {
		if rights[right] {
			p.Rights = append(p.Rights, text.T(l, "request.right."+string(right)))
		}
	}
	return p, nil
}

// allRights is the order in which rights are listed.
var allRights = []policy.Right{
	policy.Access, policy.Rectification, policy.Erasure, policy.Restriction, policy.Portability,
	policy.Objection, policy.ObjectMarketing, policy.Withdraw, policy.NoAutomated, policy.Complaint,
}

func (s *Service) addIdentifiers(ctx context.Context, p *Pack, person subject.PersonID, l text.Lang) error {
	known, err := s.Subjects.Identifiers(ctx, s.DB, person)
	if err != nil {
		return err
	}
	for _, kind := range []string{subject.Email, subject.Phone, subject.Visitor} {
		for _, v := range known[kind] {
			p.Identifiers = append(p.Identifiers, PackValue{Label: text.T(l, "request.identifier."+kind), Value: v.Reveal()})
		}
	}
	return nil
}

// held is one record in words.
func (s *Service) held(ctx context.Context, r subject.Record, given []connect.Handover, l text.Lang) (PackRecord, error) {
	h := s.holderOf(r.Holder)
	if h == nil {
		return PackRecord{}, fmt.Errorf("show record: no feature is called %q", r.Holder)
	}
	v, err := h.Show(ctx, s.DB, r, l)
	if err != nil {
		return PackRecord{}, err
	}
	plan := s.Plan()
	out := PackRecord{
		ID: r.ID, Kind: r.Kind, Title: v.Title, Received: r.Received.UTC(), Goes: r.Due.UTC(), Rule: r.Rule, Version: r.Version,
		Told:   "/privacy?as-of=" + r.Received.In(plan.Loc).Format(time.DateOnly) + "&lang=" + string(l),
		Values: []PackValue{}, Recipients: []PackRecipient{}, Purpose: r.Purpose, purpose: r.Purpose, Source: text.T(l, "request.source.us"),
	}
	for _, f := range v.Fields {
		out.Values = append(out.Values, PackValue{f.Label, f.Value.Reveal(), f.Data, f.Given})
		if f.Given {
			out.Source = text.T(l, "request.source.you")
		}
	}
	for i, f := range v.Files {
		out.Files = append(out.Files, PackFile{f.Name, f.MediaType, f.Size, f.SHA256, fmt.Sprintf("files/%s/%d-%s", r.ID, i+1, f.Name), f.ID})
	}
	paused, err := s.Subjects.Restrictions(ctx, s.DB, []string{r.ID})
	if err != nil {
		return out, err
	}
	for _, p := range paused {
		out.Paused = text.T(l, "request.pause."+p.Ground)
	}
	if p := plan.Purpose(r.Purpose); p != nil {
		out.Purpose = p.Label.In(l)
		if p.Basis != nil {
			out.Basis = p.Basis.Art
		}
	}
	for _, g := range given {
		if g.Record == r.ID {
			out.Recipients = append(out.Recipients, recipient(plan, g))
		}
	}
	return out, nil
}

func recipient(plan *policy.Plan, g connect.Handover) PackRecipient {
	out := PackRecipient{Name: g.Engagement, At: g.Sent, State: string(g.State)}
	if out.At.IsZero() {
		out.At = g.Attempted
	}
	if e := plan.Engagement(g.Engagement); e != nil {
		out.Role = e.Role
		if p := plan.Party(e.Party); p != nil {
			out.Name, out.Country = p.LegalName, p.Country
		}
	}
	out.At = out.At.UTC()
	return out
}

// contact is the address for questions about data.
func contact(plan *policy.Plan) string {
	if plan.Rights.Email != "" {
		return plan.Rights.Email
	}
	return plan.Controller.Email
}

// short is a hash as people compare it.
func short(hash string) string {
	hash = strings.TrimPrefix(hash, "sha256:")
	return hash[:min(len(hash), 12)]
}

// owns reports whether a record is one of the persons'.
func owns(persons []subject.PersonID, r subject.Record) bool {
	return slices.Contains(persons, r.Person)
}
