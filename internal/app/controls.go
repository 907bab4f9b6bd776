package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/lint"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/staff"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/version"
)

// What the controls answer: plain values, printed by the command line.
type (
	// VersionLine is one published version.
	VersionLine struct {
		Number      int       `json:"number"`
		Hash        string    `json:"hash"`
		Class       string    `json:"class"`
		Author      string    `json:"author"`
		PublishedAt time.Time `json:"published_at"`
		EffectiveAt time.Time `json:"effective_at"`
	}
	// DeclarationText is the declaration in force, as its file was written.
	DeclarationText struct {
		Number int    `json:"number"`
		Source string `json:"source"`
	}
	// ChangeLine is one difference, in words.
	ChangeLine struct {
		Class string `json:"class"`
		Path  string `json:"path"`
		Text  string `json:"text"`
	}
	// RetentionLine is one record that goes.
	RetentionLine struct {
		Due    time.Time `json:"due"`
		Rule   string    `json:"rule"`
		Kind   string    `json:"kind"`
		Record string    `json:"record"` // pseudonym
		Why    string    `json:"why"`
	}
	// LedgerReport is what verifying the log found.
	LedgerReport struct {
		Size   int64          `json:"size"`
		Faults []ledger.Fault `json:"faults"`
	}
	// AccountLine is a customer account.
	AccountLine struct {
		Number string `json:"number"`
		Name   string `json:"name"`
	}
	// UserLine is a new user with the link to set a password.
	UserLine struct {
		Account string `json:"account"`
		Name    string `json:"name"`
		Link    string `json:"link"`
	}
)

// controls are the calls of the command line, by name.
func (h *House) controls() map[string]control {
	return map[string]control{
		"health":            h.controlHealth,
		"versions":          h.controlVersions,
		"declaration":       h.controlDeclaration,
		"diff":              h.controlDiff,
		"publish":           h.controlPublish,
		"retention/plan":    h.controlRetentionPlan,
		"retention/run":     h.controlRetentionRun,
		"retention/asked":   h.controlApprovals,
		"retention/decide":  h.controlDecide,
		"ledger/verify":     h.controlVerify,
		"ledger/checkpoint": h.controlCheckpoint,
		"proof":             h.controlProof,
		"account/add":       h.controlAddAccount,
		"user/add":          h.controlAddUser,
		"snippet":           h.controlSnippet,
		"bypass":            h.controlBypass,
		"backup/start":      h.controlBackupStart,
		"backup/status":     h.controlBackupStatus,
		"backup/list":       h.controlBackupList,
		"backup/drilled":    h.controlDrilled,
		"backup/mail":       h.controlReleaseMail,
	}
}

func (h *House) controlHealth(ctx context.Context, _ url.Values) (any, error) {
	ready, problems := h.Health(ctx)
	return Health{Live: true, Ready: ready, Problems: sentences(problems)}, nil
}

func versionLine(v version.Version) VersionLine {
	return VersionLine{v.Number, v.Hash, string(v.Class), v.Author, v.PublishedAt, v.EffectiveAt}
}

func (h *House) controlVersions(ctx context.Context, _ url.Values) (any, error) {
	all, err := h.versions.List(ctx)
	if err != nil {
		return nil, err
	}
	lines := make([]VersionLine, len(all))
	for i, v := range all {
		lines[i] = versionLine(v)
	}
	return lines, nil
}

func (h *House) controlDeclaration(context.Context, url.Values) (any, error) {
	return DeclarationText{Number: h.versions.InForce().Number, Source: string(h.Plan().Source)}, nil
}

// Changes says in words what differs between two declarations.
func Changes(from, to *policy.Plan, l text.Lang) []ChangeLine {
	lines := []ChangeLine{}
	for _, c := range policy.Diff(from, to) {
		lines = append(lines, ChangeLine{c.Class, c.Path, c.Text.In(l)})
	}
	return lines
}

func (h *House) controlDiff(_ context.Context, in url.Values) (any, error) {
	plan, problems, err := ReadDeclaration(h.draft())
	if err != nil {
		return nil, err
	}
	if plan == nil {
		return nil, problemsFault(problems)
	}
	return Changes(h.Plan(), plan, text.Lang(in.Get("lang"))), nil
}

// controlPublish puts tillid.yaml in force. It lints first: an error refuses.
func (h *House) controlPublish(ctx context.Context, in url.Values) (any, error) {
	plan, problems, err := ReadDeclaration(h.draft())
	if err != nil {
		return nil, err
	}
	if plan == nil {
		return nil, problemsFault(problems)
	}
	if err := lintFault(plan, h.draft(), h.Now()); err != nil {
		return nil, err
	}
	d := version.Draft{Name: h.draft(), Source: plan.Source, Files: Dir(h.Dir), Author: in.Get("author")}
	if at := in.Get("effective"); at != "" {
		day, err := policy.ParseDate(at)
		if err != nil {
			return nil, fault.New(fault.Invalid, "--effective: %v.", err)
		}
		d.EffectiveAt = day.In(plan.Loc)
	}
	if class := version.ClassOf(h.Plan(), plan); class != version.Editorial && !d.EffectiveAt.After(h.Now()) {
		return nil, fault.New(fault.Invalid, "People must be told of this change before it takes effect (class %s).", class).
			WithHint("See tillid diff. Announce it, and publish with --effective YYYY-MM-DD, a day in the future.")
	}
	v, err := h.versions.Publish(ctx, d)
	if err != nil {
		return nil, err
	}
	if err := h.versions.Refresh(ctx); err != nil {
		return nil, err
	}
	return versionLine(v), nil
}

// lintFault is an error when lint finds one in the declaration.
func lintFault(plan *policy.Plan, name string, now time.Time) error {
	packs, err := law.Load(plan.Law)
	if err != nil {
		return fault.New(fault.Invalid, "%v", err)
	}
	found := lint.Run(plan, packs, policy.DateOf(now.In(plan.Loc))).Errors()
	if len(found) == 0 {
		return nil
	}
	f := found[0]
	return fault.New(fault.Invalid, "%s:%d:%d: %s: %s", name, f.Pos.Line, f.Pos.Col, f.Rule, f.Message.In(text.EN)).
		WithHint("Lint finds %d errors; nothing was published. See: tillid lint %s", len(found), name)
}

func (h *House) controlRetentionPlan(ctx context.Context, in url.Values) (any, error) {
	day := policy.DateOf(h.Now().In(h.Plan().Loc))
	if at := in.Get("as-of"); at != "" {
		var err error
		if day, err = policy.ParseDate(at); err != nil {
			return nil, fault.New(fault.Invalid, "--as-of: %v.", err)
		}
	}
	end := day.In(h.Plan().Loc).AddDate(0, 0, 1)
	return h.retentionLines(ctx, end)
}

func (h *House) retentionLines(ctx context.Context, at time.Time) ([]RetentionLine, error) {
	forecast, err := h.retain.Forecast(ctx, at)
	if err != nil {
		return nil, err
	}
	lines := []RetentionLine{}
	for _, l := range forecast {
		for _, r := range l.Records {
			lines = append(lines, RetentionLine{Due: r.Due, Rule: l.Rule, Kind: r.Kind, Record: r.ID, Why: l.Why})
		}
	}
	return lines, nil
}

// controlRetentionRun answers with what was due, and deletes it.
func (h *House) controlRetentionRun(ctx context.Context, _ url.Values) (any, error) {
	lines, err := h.retentionLines(ctx, h.Now())
	if err != nil {
		return nil, err
	}
	_, err = h.retain.Sweep(ctx)
	return lines, err
}

func (h *House) controlApprovals(ctx context.Context, _ url.Values) (any, error) {
	return h.retain.Approvals(ctx)
}

func (h *House) controlDecide(ctx context.Context, in url.Values) (any, error) {
	return nil, h.retain.Decide(ctx, in.Get("id"), in.Get("do") == "approve", "")
}

func (h *House) controlVerify(ctx context.Context, in url.Values) (any, error) {
	if _, err := h.ledger.Sequence(ctx); err != nil {
		return nil, err
	}
	var old []byte
	if kept := in.Get("checkpoint"); kept != "" {
		old = []byte(kept)
	}
	faults, err := h.ledger.Verify(ctx, old)
	if err != nil {
		return nil, err
	}
	size, err := h.ledger.Size(ctx)
	return LedgerReport{Size: size, Faults: faults}, err
}

func (h *House) controlCheckpoint(ctx context.Context, _ url.Values) (any, error) {
	note, err := h.ledger.Checkpoint(ctx)
	return string(note), err
}

// controlProof gathers all that there is about one leaf of the log.
func (h *House) controlProof(ctx context.Context, in url.Values) (any, error) {
	if _, err := h.ledger.Sequence(ctx); err != nil {
		return nil, err
	}
	d, err := h.consent.Dossier(ctx, in.Get("leaf"))
	if err != nil {
		return nil, err
	}
	if v, _, err := h.versions.ByHash(ctx, d.Version.Hash); err == nil {
		d.Version.Number, d.Version.PublishedAt, d.Version.EffectiveAt = v.Number, v.PublishedAt, v.EffectiveAt
	}
	return d, nil
}

func (h *House) controlAddAccount(ctx context.Context, in url.Values) (any, error) {
	name := in.Get("name")
	if name == "" {
		name = in.Get("number")
	}
	a, err := h.staff.AddAccount(ctx, staff.Customer, in.Get("number"), name)
	return AccountLine{a.Number, a.Name}, err
}

// controlAddUser adds a user. In a new house the first one makes the
// controller's own account, number 1000 unless another was given.
func (h *House) controlAddUser(ctx context.Context, in url.Values) (any, error) {
	n := staff.NewUser{UserName: in.Get("name"), Roles: []string{in.Get("role")}}
	number := in.Get("account")
	own, err := h.ownAccount(ctx)
	if err != nil {
		return nil, err
	}
	if own == "" && number == "" {
		number = "1000"
	}
	if own == "" {
		_, token, err := h.staff.Bootstrap(ctx, number, h.Plan().Controller.LegalName, n)
		return h.userLine(number, n.UserName, token), err
	}
	if number == "" {
		number = own
	}
	a, err := h.staff.AccountByNumber(ctx, number)
	if err != nil {
		return nil, err
	}
	n.Account = a.ID
	_, token, err := h.staff.AddUser(ctx, n)
	return h.userLine(number, n.UserName, token), err
}

// ownAccount returns the number of the controller's own account, "" in a new house.
func (h *House) ownAccount(ctx context.Context) (string, error) {
	accounts, err := h.staff.Accounts(ctx)
	for _, a := range accounts {
		if a.Kind == staff.Staff {
			return a.Number, err
		}
	}
	return "", err
}

func (h *House) userLine(number, name, token string) UserLine {
	link := staff.LinkPath(token)
	if hosts := h.Plan().Backoffice.Hosts; len(hosts) > 0 {
		link = scheme(hosts[0]) + hosts[0] + link
	}
	return UserLine{Account: number, Name: name, Link: link}
}

// ParseProxies reads addresses and prefixes of trusted servers in front.
func ParseProxies(list []string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(strings.TrimSpace(s))
		if err != nil {
			a, err := netip.ParseAddr(strings.TrimSpace(s))
			if err != nil {
				return nil, fault.New(fault.Invalid, "%q is neither an address nor a prefix.", s).WithHint("For example 10.0.0.5 or 10.0.0.0/8.")
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, nil
}

// PublicKey returns the house's verifier key, for tillid verify --key.
func PublicKey(dir string) (string, error) {
	b, err := os.ReadFile(dir + "/log.key")
	if err != nil {
		return "", err
	}
	s, err := ledger.NewSigner(strings.TrimSpace(string(b)))
	if err != nil {
		return "", errors.Join(fmt.Errorf("read %s/log.key", dir), err)
	}
	return s.Verifier(), nil
}

// controlBypass switches the gateway out of a site's way, back, or says how it is.
func (h *House) controlBypass(ctx context.Context, in url.Values) (any, error) {
	switch do := in.Get("do"); do {
	case "status":
		return h.gateway.Bypasses(ctx)
	case "on", "off":
		lasts, err := time.ParseDuration(in.Get("for"))
		if err != nil && do == "on" {
			return nil, fault.New(fault.Invalid, "%q is no time.", in.Get("for")).WithHint("Write it like 30m or 2h.")
		}
		return h.gateway.SetBypass(ctx, do == "on", in.Get("site"), lasts)
	default:
		return nil, fault.New(fault.Invalid, "%q is neither on, off nor status.", do)
	}
}
