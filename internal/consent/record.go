package consent

import (
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// A receipt speaks the terms of ISO/IEC TS 27560:2023, written in the W3C
// community's Data Privacy Vocabulary (https://w3id.org/dpv, profile dpv-27560) as
// JSON-LD. Its shape is published as docs/consent-receipt.schema.json.

// Status of a purpose, as DPV names it.
const (
	statusGiven     = "dpv:ConsentGiven"
	statusRefused   = "dpv:ConsentRefused"
	statusWithdrawn = "dpv:ConsentWithdrawn"
	statusExpired   = "dpv:ConsentExpired"
)

// receiptContext gives the prefixes of a receipt their meaning.
func receiptContext() map[string]string {
	return map[string]string{
		"dct": "http://purl.org/dc/terms/", "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "skos": "http://www.w3.org/2004/02/skos/core#",
		"dpv": "https://w3id.org/dpv#", "dpv-27560": "https://w3id.org/dpv/schema/dpv-27560#",
		"eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#", "loc": "https://w3id.org/dpv/loc#",
		"house": "urn:tillid:house:", "tillid": "urn:tillid:",
	}
}

// Record is a consent record: what was asked and what was answered at one moment.
type Record struct {
	Type     []string          `json:"@type"`
	Conforms string            `json:"dct:conformsTo"`
	ID       string            `json:"dpv:hasIdentifier"` // of the leaf
	Subject  Identified        `json:"dpv:hasDataSubject"`
	Created  time.Time         `json:"dct:created"`
	Language text.Lang         `json:"dct:language"`
	Notice   []Notice          `json:"dpv:hasNotice"`
	Process  []Process         `json:"dpv:hasProcess"`
	Entity   map[string]Entity `json:"dpv:hasEntity"`
}

// Identified is something that has only an identifier.
type Identified struct {
	ID string `json:"dpv:hasIdentifier"`
}

// Notice is what was shown in asking.
type Notice struct {
	Type     []string  `json:"@type"`
	ID       string    `json:"dpv:hasIdentifier"` // SHA-256 of what was shown, or hash of the declaration
	Language text.Lang `json:"dct:language"`
	Date     time.Time `json:"dct:date"`
	Layer    string    `json:"tillid:layer,omitempty"`   // banner, page, placeholder, api
	Control  string    `json:"tillid:control,omitempty"` // the button
	Address  string    `json:"dct:source,omitempty"`
}

// Process is one purpose: what it uses, who gets it, and what was answered.
type Process struct {
	Type         []string  `json:"@type"`
	Purpose      []Concept `json:"dpv:hasPurpose"`
	Data         []Concept `json:"dpv:hasPersonalData"`
	Processing   []string  `json:"dpv:hasProcessing"`
	Controller   []string  `json:"dpv:hasDataController"`
	Source       []string  `json:"dpv:hasDataSource"`
	Storage      []Storage `json:"dpv:hasStorageCondition"`
	Recipients   []string  `json:"dpv:hasRecipient"`
	Services     []Concept `json:"dpv:hasService"` // what was asked about, one by one
	Basis        []string  `json:"dpv:hasLegalBasis"`
	Jurisdiction []string  `json:"dpv:hasJurisdiction"`
	Rights       []string  `json:"dpv:hasRight"`
	Withdrawal   []Control `json:"dpv:hasConsentControl"`
	Status       []Status  `json:"dpv:hasConsentStatus"`
}

// Concept is something that the declaration names.
type Concept struct {
	Type   []string `json:"@type"`
	ID     string   `json:"dpv:hasIdentifier"`
	Label  string   `json:"skos:prefLabel"`
	What   string   `json:"dct:description,omitempty"`
	Status string   `json:"dpv:hasConsentStatus,omitempty"` // of a service
	By     string   `json:"dpv:isImplementedByEntity,omitempty"`
}

// Storage is where or how long something is kept.
type Storage struct {
	Type     []string  `json:"@type"`
	Location string    `json:"dpv:hasLocation,omitempty"`
	Duration *Duration `json:"dpv:hasDuration,omitempty"`
}

// Duration is an ISO 8601 period.
type Duration struct {
	Type  string `json:"@type"`
	Value string `json:"rdf:value"`
}

// Control is a way to take a consent back.
type Control struct {
	Type []string `json:"@type"`
	At   string   `json:"dpv:isExercisedAt"`
	How  string   `json:"dct:description,omitempty"`
}

// Status is an event: what state a consent came into, when, and for how long.
type Status struct {
	Type  []string  `json:"@type"` // one of the four states
	At    time.Time `json:"dct:date"`
	Valid string    `json:"dct:valid,omitempty"` // ISO 8601 interval
	By    string    `json:"dpv:isImplementedByEntity"`
}

// Entity is a party.
type Entity struct {
	Type    []string `json:"@type"`
	ID      string   `json:"dpv:hasIdentifier"`
	Name    string   `json:"dpv:hasName"`
	Address string   `json:"dpv:hasAddress"`
	Contact string   `json:"dpv:hasContact"`
	Country string   `json:"dpv:hasLocation"`
}

const (
	controllerKey = "house:controller"
	visitorKey    = "house:visitor"
)

// record says in the terms of the standard what a leaf says, with the declaration
// that it happened under.
func (o *offer) record(leaf ledger.Leaf, home string) Record {
	l := text.Lang(leaf.Facts["language"])
	rec := Record{
		Type: []string{"dpv:ConsentRecord"}, Conforms: "dpv-27560:record-eu-gdpr", ID: leaf.ID, Created: leaf.At, Language: l,
		Subject: Identified{principal(leaf)}, Process: []Process{}, Entity: o.entities(),
	}
	if shown := leaf.Facts["shown"]; shown != "" {
		rec.Notice = append(rec.Notice, Notice{
			Type: []string{"dpv:ConsentNotice"}, ID: shown, Language: l, Date: leaf.At, Layer: leaf.Facts["layer"], Control: leaf.Facts["control"], Address: home + choicesPath,
		})
	}
	rec.Notice = append(rec.Notice, Notice{Type: []string{"dpv:PrivacyNotice"}, ID: leaf.Version, Language: l, Date: leaf.At, Address: home + "/privacy/versions"})
	for _, g := range o.Groups {
		rec.Process = append(rec.Process, o.process(g, leaf, l, home))
	}
	return rec
}

// principal is the identifier of whom a leaf concerns: the commitment, from which
// nobody can tell the person who does not hold its nonce.
func principal(leaf ledger.Leaf) string {
	if len(leaf.Commitment) == 0 {
		return "tillid:nobody"
	}
	return "tillid:commitment:" + hexOf(leaf.Commitment)
}

func (o *offer) process(g group, leaf ledger.Leaf, l text.Lang, home string) Process {
	p := g.Purpose
	proc := Process{
		Type:    []string{"dpv:Process"},
		Purpose: []Concept{{Type: []string{"dpv:Purpose"}, ID: p.ID, Label: p.Label.In(l), What: p.Description.In(l)}},
		Data:    []Concept{}, Processing: []string{"dpv:Collect", "dpv:Use"}, Controller: []string{controllerKey}, Source: []string{"dpv:DataSubjectDataSource"},
		Recipients: []string{}, Basis: []string{"eu-gdpr:A6-1-a"}, Jurisdiction: []string{"loc:" + o.plan.Controller.Country}, Rights: o.rights(p.ID),
		Withdrawal: []Control{{Type: []string{"dpv:WithdrawConsent"}, At: home + choicesPath, How: p.Withdrawal.In(l)}},
		Status:     []Status{statusOf(p.ID, leaf)},
	}
	for _, id := range p.Data {
		c := Concept{Type: []string{"dpv:PersonalData"}, ID: id, Label: id}
		if d := o.plan.DataCategory(id); d != nil {
			c.Label = d.Label.In(l)
		}
		proc.Data = append(proc.Data, c)
	}
	for _, it := range g.Items {
		proc.Services = append(proc.Services, serviceConcept(o.plan, it, leaf, l))
		if key := partyKey(o.plan, it.Service); key != "" && !slices.Contains(proc.Recipients, key) {
			proc.Recipients = append(proc.Recipients, key)
		}
	}
	if len(proc.Recipients) > 0 {
		proc.Processing = append(proc.Processing, "dpv:Disclose")
	}
	proc.Storage = o.storage(g)
	return proc
}

func serviceConcept(plan *policy.Plan, it item, leaf ledger.Leaf, l text.Lang) Concept {
	c := Concept{Type: []string{"dpv:Service"}, ID: it.ID, Label: it.Label.In(l), Status: statusRefused, By: controllerKey}
	if key := partyKey(plan, it.Service); key != "" {
		c.By = key
	}
	if slices.Contains(listed(leaf, "services"), it.ID) {
		c.Status = statusGiven
		if leaf.Kind == holder+"."+lapses {
			c.Status = statusExpired
		}
	}
	return c
}

// statusOf is what a leaf says about a purpose.
func statusOf(purpose string, leaf ledger.Leaf) Status {
	s := Status{Type: []string{statusRefused}, At: leaf.At, By: visitorKey}
	switch {
	case slices.Contains(listed(leaf, "purposes"), purpose):
		s.Type = []string{statusGiven}
		if until := leaf.Facts["until."+purpose]; until != "" {
			s.Valid = leaf.At.UTC().Format(time.RFC3339) + "/" + until
		}
	case slices.Contains(listed(leaf, "withdrawn"), purpose):
		s.Type = []string{statusWithdrawn}
	case slices.Contains(listed(leaf, "lapsed"), purpose):
		s.Type, s.By = []string{statusExpired}, controllerKey
	}
	return s
}

// listed returns the words of a leaf's fact that is a list.
func listed(leaf ledger.Leaf, fact string) []string {
	if leaf.Facts[fact] == "" {
		return nil
	}
	return strings.Split(leaf.Facts[fact], ",")
}

// storage says where data goes and how long what is stored stays.
func (o *offer) storage(g group) []Storage {
	all := []Storage{{Type: []string{"dpv:StorageLocation"}, Location: "loc:" + o.plan.Controller.Country}}
	add := func(s Storage) {
		same := func(x Storage) bool {
			return x.Location == s.Location && (s.Duration == nil || x.Duration != nil && *x.Duration == *s.Duration)
		}
		if !slices.ContainsFunc(all, same) {
			all = append(all, s)
		}
	}
	for _, it := range g.Items {
		for _, country := range append([]string{it.Country}, it.Transfer...) {
			if country != "" {
				add(Storage{Type: []string{"dpv:StorageLocation"}, Location: "loc:" + country})
			}
		}
		for _, d := range it.Devices {
			add(Storage{Type: []string{"dpv:StorageDuration"}, Duration: &Duration{"dpv:TemporalDuration", d.Duration.String()}})
		}
	}
	for _, r := range o.plan.RulesFor(g.Purpose.ID) {
		add(Storage{Type: []string{"dpv:StorageDuration"}, Duration: &Duration{"dpv:TemporalDuration", r.Duration.String()}})
	}
	return all
}

func (o *offer) rights(purpose string) []string {
	articles := map[policy.Right]string{
		policy.Access: "A15", policy.Rectification: "A16", policy.Erasure: "A17", policy.Restriction: "A18", policy.Portability: "A20",
		policy.Objection: "A21", policy.ObjectMarketing: "A21-2", policy.Withdraw: "A7-3", policy.Complaint: "A77", policy.NoAutomated: "A22",
	}
	var all []string
	for _, r := range o.plan.RightsOf(purpose) {
		all = append(all, "eu-gdpr:"+articles[r])
	}
	return all
}

// partyKey names the party behind a service; "" for the site's own storage.
func partyKey(plan *policy.Plan, svc *policy.Service) string {
	if svc == nil {
		return ""
	}
	e := plan.Engagement(svc.Engagement)
	if e == nil {
		return ""
	}
	return "house:" + e.Party
}

func (o *offer) entities() map[string]Entity {
	c := o.plan.Controller
	all := map[string]Entity{controllerKey: {
		Type: []string{"dpv:DataController"}, ID: c.CVR, Name: c.LegalName, Address: c.Address, Contact: c.Email, Country: "loc:" + c.Country,
	}}
	for _, it := range o.items {
		key := partyKey(o.plan, it.Service)
		if p := o.plan.Party(strings.TrimPrefix(key, "house:")); p != nil {
			all[key] = Entity{Type: []string{"dpv:Recipient", "dpv:ThirdParty"}, ID: p.ID, Name: p.LegalName, Address: p.Address, Contact: p.Contact, Country: "loc:" + p.Country}
		}
	}
	return all
}
