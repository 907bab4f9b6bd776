// Package app builds one house from its folder and serves many from one
// process. It is the only package that knows every feature: each gets here what
// it needs of the others, as plain values and functions.
package app

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tillid/tillid/internal/backup"
	"github.com/tillid/tillid/internal/breach"
	"github.com/tillid/tillid/internal/connect"
	"github.com/tillid/tillid/internal/consent"
	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/file"
	"github.com/tillid/tillid/internal/gateway"
	"github.com/tillid/tillid/internal/intake"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/publish"
	"github.com/tillid/tillid/internal/request"
	"github.com/tillid/tillid/internal/retain"
	"github.com/tillid/tillid/internal/scan"
	"github.com/tillid/tillid/internal/staff"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/version"
	"github.com/tillid/tillid/internal/web"
)

// Options are what a process gives to its houses.
type Options struct {
	Log       *slog.Logger
	Now       func() time.Time
	Getenv    func(string) string
	Trusted   []netip.Prefix // servers in front whose X-Forwarded-For counts
	Mail      string         // overrides the house's TILLID_SMTP_URL; the demo's mail room
	Chromium  string         // with which sites are scanned; empty: they are not
	ScanAsked bool           // sites are scanned only when somebody asks, not every night
	Hasher    *staff.Hasher  // of passwords; nil: argon2id with 64 MiB and three passes

	Restoring bool                  // the house is opened to be restored or tried: it need not be up to date, and serves nobody
	Tell      func(backup.Progress) // of every step of a backup or restore; may be nil
}

// House is one controller's whole system, built from its folder.
type House struct {
	Dir string
	Now func() time.Time
	Log *slog.Logger

	options  Options
	settings Settings
	folder   *folder

	ledger   *ledger.Log
	subjects *subject.Service
	versions *version.Service
	mail     *mail.Service
	files    *file.Service
	connect  *connect.Service
	erase    *erase.Service
	backup   *backup.Service
	retain   *retain.Service
	staff    *staff.Service
	publish  *publish.Service
	consent  *consent.Service
	gateway  *gateway.Service
	intake   *intake.Service
	request  *request.Service
	breach   *breach.Service
	scan     *scan.Service

	web        *web.House
	visits     *web.Limiter // of the public doors
	runner     *job.Runner
	checks     []func(context.Context) ([]*fault.Error, error)
	pulse      pulse
	remembered atomic.Int64 // the newest version whose questions consent knows
	handlers   struct {
		once         sync.Once
		site, office http.Handler
	}
}

// Open opens the house in dir, making it when the folder holds only a
// declaration. Whatever is wrong with its files is said here, with what to do.
func Open(ctx context.Context, dir string, o Options) (_ *House, err error) {
	h := &House{Dir: dir, Now: o.Now, Log: o.Log, options: o}
	if err := h.alone(ctx); err != nil {
		return nil, err
	}
	if h.settings, err = readSettings(dir, o.Getenv); err != nil {
		return nil, err
	}
	if o.Mail != "" {
		h.settings.SMTP = o.Mail
	}
	src, err := os.ReadFile(h.draft())
	if err != nil && !exists(filepath.Join(dir, "tillid.db")) {
		return nil, fault.New(fault.Invalid, "%s has no tillid.yaml.", dir).
			WithHint("A house is a folder with a declaration. tillid init --dir %s writes a first one.", dir).Because(err)
	}
	if len(src) > 0 && !exists(filepath.Join(dir, "tillid.db")) {
		if _, problems := policy.Parse(h.draft(), src, Dir(dir)); len(problems) > 0 {
			return nil, problemsFault(problems)
		}
	}
	if err := restoreInterrupted(dir); err != nil {
		return nil, err
	}
	if h.settings.Database == "" && !exists(filepath.Join(dir, "tillid.db")) {
		if err := backedUp(dir, h.settings); err != nil {
			return nil, err
		}
	}
	if h.folder, err = openFolder(ctx, dir, h.settings, o.Now); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			h.Close()
		}
	}()
	h.wire()
	if !o.Restoring {
		if err := h.backup.Guard(ctx, dir); err != nil {
			return nil, err
		}
	}
	if err := h.versions.Open(ctx, h.draft(), src, Dir(dir)); err != nil {
		return nil, err
	}
	if err := h.rememberOffers(ctx); err != nil {
		return nil, err
	}
	if err := h.archiveShown(ctx); err != nil {
		return nil, err
	}
	h.serveAs()
	return h, nil
}

// problemsFault is a declaration that cannot be read, as one error.
func problemsFault(problems []policy.Problem) error {
	p := problems[0]
	return fault.New(fault.Invalid, "%s:%d:%d: %s", p.Pos.File, p.Pos.Line, p.Pos.Col, p.Msg).
		WithHint("%s There are %d problems in all: tillid lint %s", p.Hint, len(problems), p.Pos.File)
}

// rememberedVersions is how many earlier versions' questions are known by heart;
// whoever answered an older one is asked anew.
const rememberedVersions = 50

// rememberOffers tells consent what earlier versions asked visitors, so that their
// answers stay in force for what has not changed. A version that cannot be read
// only means that its visitors are asked anew.
func (h *House) rememberOffers(ctx context.Context) error {
	all, err := h.versions.List(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b version.Version) int { return b.Number - a.Number })
	known := h.remembered.Load()
	for _, v := range all[:min(len(all), rememberedVersions)] {
		if int64(v.Number) <= known {
			break
		}
		_, plan, err := h.versions.Get(ctx, v.Number)
		if err != nil {
			h.Log.WarnContext(ctx, "earlier version cannot be read", "number", v.Number, "err", err)
			continue
		}
		h.consent.Remember(plan)
		h.remembered.Store(max(h.remembered.Load(), int64(v.Number)))
	}
	return nil
}

// placeholder is what stands where an embed would be.
func (h *House) placeholder(r *http.Request, lang string, e gateway.Embed) []byte {
	return h.consent.Placeholder(r, lang, consent.Embed{Service: e.Service, Host: e.Host, Title: e.Title, Width: e.Width, Height: e.Height, Src: e.Src})
}

// declaredFile returns a file that the declaration in force names, as it was published.
func (h *House) declaredFile(ctx context.Context, name string) ([]byte, error) {
	v, _, err := h.versions.Get(ctx, h.versions.InForce().Number)
	if err != nil {
		return nil, err
	}
	return v.Files.ReadFile(name)
}

// draft is the declaration file; once a version is in force it is only a draft.
func (h *House) draft() string { return filepath.Join(h.Dir, "tillid.yaml") }

// Plan returns the declaration in force.
func (h *House) Plan() *policy.Plan { return h.versions.Current() }

// Close ends the house. Work that Run has begun must have ended before.
func (h *House) Close() {
	if h.backup != nil {
		h.backup.Wait()
	}
	if h.folder != nil {
		h.folder.close()
		os.Remove(filepath.Join(h.Dir, socketName))
	}
}

// Run does the house's background work until ctx ends.
func (h *House) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { h.ledger.Run(ctx) })
	running.Go(func() { h.runner.Run(ctx) })
	running.Wait()
}

// key derives a key for one use from the house's secret.
func (h *House) key(use string) []byte {
	k, err := hkdf.Key(sha256.New, h.folder.secret, nil, "tillid "+use, 32)
	if err != nil {
		panic("app: derive key: " + err.Error()) // the length is fixed
	}
	return k
}

// Hosts returns the house's handlers by host, as its declaration in force names them.
func (h *House) Hosts() map[string]http.Handler {
	plan, hosts := h.Plan(), map[string]http.Handler{}
	site, office := h.Handlers()
	for _, s := range plan.Sites {
		for _, host := range s.Hosts {
			hosts[host] = site
		}
		if s.Consent != "" {
			hosts[s.Consent] = h.besideHandler()
		}
	}
	for _, host := range plan.Backoffice.Hosts {
		hosts[host] = office
	}
	return hosts
}

// kindOf names a host's kind for the metrics.
func (h *House) kindOf(host string) string {
	if plan := h.Plan(); plan.SiteByHost(host) != nil || plan.SiteByConsentHost(host) != nil {
		return "site"
	}
	return "backoffice"
}

// wire makes the features and gives each what it needs of the others.
func (h *House) wire() {
	f := h.folder
	h.web = &web.House{Plan: h.planOrNil, May: staff.May}
	h.visits = &web.Limiter{Every: 100 * time.Millisecond, Burst: 100}
	h.wireBase(f)
	h.wireForgetting(f)
	h.wirePublic(f)
	h.web.PublicNav = h.publicNav()
	h.wireOffice(f)
	h.runner = &job.Runner{DB: f.db, Log: h.Log, Now: h.Now, Kinds: h.jobs(), Periodic: h.periodic()}
	h.checks = []func(context.Context) ([]*fault.Error, error){h.runner.Health, h.ledgerHealth, h.retain.Health, h.erase.Health, h.backup.Health, h.gateway.Health, h.files.Health}
}

// planOrNil is Plan for pages that must answer before a version is open.
func (h *House) planOrNil() *policy.Plan {
	if h.versions == nil || h.versions.InForce().Number == 0 {
		return nil
	}
	return h.versions.Current()
}

// planOf returns the declaration with a hash, in force now or once.
func (h *House) planOf(ctx context.Context, hash string) (*policy.Plan, error) {
	_, plan, err := h.versions.ByHash(ctx, hash)
	return plan, err
}

// render makes everything that people are shown under a version: the documents,
// and all by which visitors are asked.
func (h *House) render(plan *policy.Plan, v version.Version) ([]version.Shown, error) {
	documents, err := h.publish.Render(plan, v)
	if err != nil {
		return nil, err
	}
	banner, err := h.consent.Archive(plan)
	return append(documents, banner...), err
}

// archiveShown keeps what visitors are asked by today: a newer program may write
// the banner of the same version in another way.
func (h *House) archiveShown(ctx context.Context) error {
	shown, err := h.consent.Archive(h.Plan())
	if err != nil {
		return err
	}
	return h.versions.Archive(ctx, h.versions.InForce().Number, shown)
}

// keepShown keeps what one visitor was asked, under the version in force.
func (h *House) keepShown(ctx context.Context, shown version.Shown) error {
	return h.versions.Archive(ctx, h.versions.InForce().Number, []version.Shown{shown})
}

// banners lists what visitors have been asked by.
func (h *House) banners(ctx context.Context) ([]consent.Banner, error) {
	list, err := h.versions.Editions(ctx, "banner-")
	var all []consent.Banner
	for _, e := range list {
		all = append(all, consent.Banner{Version: e.Number, Lang: e.Lang, Digest: e.SHA256, From: e.EffectiveAt})
	}
	return all, err
}

// keptShown returns what people were shown, by its digest.
func (h *House) keptShown(ctx context.Context, sha256 string) ([]byte, error) {
	shown, _, err := h.versions.Kept(ctx, sha256)
	if err != nil {
		return nil, err
	}
	return shown.Content, nil
}

func (h *House) wireBase(f *folder) {
	h.ledger = &ledger.Log{DB: f.db, Origin: f.signer.Name(), Signer: f.signer, Now: h.Now, Logger: h.Log}
	if f.origin != "" {
		h.ledger.Origin = f.origin
	}
	h.ledger.Witnesses, _ = h.settings.cosigners()
	h.versions = &version.Service{DB: f.db, Ledger: h.ledger, Log: h.Log, Now: h.Now}
	h.subjects = &subject.Service{DB: f.db, Keys: f.keys, Plan: h.Plan, Now: h.Now, Index: h.key("index")}
	h.files = &file.Service{DB: f.db, Keys: f.keys, Now: h.Now, Log: h.Log}
	h.files.Scanner, _ = h.settings.scanner()
	f.keys.Paused = func(ctx context.Context, record string) (bool, error) { return h.subjects.IsPaused(ctx, f.db, record) }
	h.mail = &mail.Service{Paused: h.subjects.IsPaused, DB: f.db, Keys: f.keys, From: h.settings.MailFrom, Relay: h.settings.SMTP, Now: h.Now, Log: h.Log}
}

func (h *House) wireForgetting(f *folder) {
	h.connect = &connect.Service{DB: f.db, Keys: f.keys, Plan: h.Plan, Processors: map[string]connect.Processor{}, Now: h.Now, Log: h.Log, Record: h.subjects.Get, Paused: h.subjects.IsPaused}
	h.erase = &erase.Service{
		DB: f.db, Subject: h.subjects, Keys: f.keys, Connect: h.connect, Ledger: h.ledger,
		Plan: h.Plan, Now: h.Now, Log: h.Log, House: h.web,
	}
	h.backup = &backup.Service{
		DB: f.db, Keys: f.keys, Subject: h.subjects, Erase: h.erase, Ledger: h.ledger, Mail: h.mail, Plan: h.Plan, Now: h.Now, Log: h.Log, House: h.web,
		ID: f.id, Dir: h.settings.Backups, KeysDir: h.settings.KeyBackups, Tell: h.options.Tell,
	}
	h.backup.Recipients, _ = backup.ParseRecipients(h.settings.Recipients)
	h.erase.Export, h.ledger.Grown = h.backup.Export, h.backup.Export
	h.mail.Held = func(ctx context.Context) (bool, error) {
		at, err := h.backup.MailHeld(ctx)
		return !at.IsZero(), err
	}
	h.retain = &retain.Service{DB: f.db, Subject: h.subjects, Erase: h.erase, Plan: h.Plan, Now: h.Now, Log: h.Log, House: h.web}
}

func (h *House) wirePublic(f *folder) {
	h.publish = &publish.Service{House: h.web, Versions: h.versions, Signer: f.signer, Log: h.Log, Now: h.Now, Findings: h.findings}
	h.versions.Render = h.render
	h.consent = &consent.Service{
		DB: f.db, Subjects: h.subjects, Ledger: h.ledger, Plan: h.planOrNil, House: h.web,
		Log: h.Log, Now: h.Now, Secret: h.key("choice cookie"), Limit: h.limit, PlanOf: h.planOf, File: h.declaredFile, Kept: h.keptShown, Keep: h.keepShown, Banners: h.banners,
		Leftover: func(r *http.Request, technology, name, page string) { h.gateway.Leftover(r, technology, name, page) },
	}
	h.gateway = &gateway.Service{
		DB: f.db, Plan: h.planOrNil, House: h.web, Log: h.Log, Now: h.Now, Trusted: h.options.Trusted, Limit: h.limit,
		Audit:   h.audit,
		Granted: h.consent.Grants, Told: h.consent.Told, First: h.consent.First, Head: h.consent.Head, Foot: h.consent.Foot, Placeholder: h.placeholder, Share: h.consent.Share,
	}
	h.intake = &intake.Service{
		DB: f.db, Plan: h.Plan, Subjects: h.subjects, Ledger: h.ledger, Mail: h.mail, Files: h.files, House: h.web, Log: h.Log, Now: h.Now,
		Secret: h.key("form tokens"), Limit: h.limit, Hand: h.connect.Hand, Erase: h.eraseRecords, Colleagues: h.colleagues,
	}
	if h.settings.IMAP != "" {
		h.intake.Box = &mail.Box{URL: h.settings.IMAP, Log: h.Log}
	}
	h.request = &request.Service{
		DB: f.db, Plan: h.Plan, Subjects: h.subjects, Connect: h.connect, Erase: h.erase, Ledger: h.ledger, Mail: h.mail,
		House: h.web, Log: h.Log, Now: h.Now, Secret: h.key("links"), Limit: h.limit, VisitorPerson: h.visitor,
		Audit: h.audit,
	}
	h.breach = &breach.Service{DB: f.db, Plan: h.Plan, Subjects: h.subjects, Ledger: h.ledger, Mail: h.mail, House: h.web, Log: h.Log, Now: h.Now, Audit: h.audit}
	holders := []subject.Holder{h.intake, h.consent, h.request}
	h.erase.Holders, h.request.Holders = holders, holders
	h.connect.Fields, h.connect.Consented = h.intake.Fields, h.intake.Consented
}

func (h *House) wireOffice(f *folder) {
	hasher := h.options.Hasher
	if hasher == nil {
		hasher = staff.NewHasher(runtime.NumCPU())
	}
	h.staff = &staff.Service{
		DB: f.db, Keys: f.keys, House: h.web, Log: h.Log, Now: h.Now, Secret: h.key("sign-in limits"), Hasher: hasher,
		Trusted: h.options.Trusted, Overview: h.overview, Append: h.ledger.Append,
	}
	h.scan = &scan.Service{
		DB: f.db, Plan: h.planOrNil, House: h.web, Log: h.Log, Now: h.Now, Chromium: h.options.Chromium,
		Off: h.settings.Scan == "off", OnlyAsked: h.options.ScanAsked, Work: filepath.Join(h.Dir, ".scan"),
	}
	h.subjects.Claims = []func(context.Context, db.Queryer, []string) ([]string, error){
		h.mail.Claim, h.files.Claim, h.request.Claim, h.staff.ClaimKeys, h.claimHouseKey,
	}
}

// claimHouseKey keeps the key of the house's own secret from being swept.
func (h *House) claimHouseKey(_ context.Context, _ db.Queryer, ids []string) ([]string, error) {
	own := houseKey(h.folder.id)
	if slices.Contains(ids, own) {
		return []string{own}, nil
	}
	return nil, nil
}

// colleagues are the members of staff who may work on enquiries.
func (h *House) colleagues(ctx context.Context) (all []intake.Colleague, err error) {
	accounts, err := h.staff.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	users, err := h.staff.Users(ctx)
	for _, u := range users {
		own := slices.ContainsFunc(accounts, func(a staff.Account) bool { return a.ID == u.Account && a.Kind == staff.Staff })
		if own && u.State == staff.Active && staff.May(web.Viewer{User: u.ID, Staff: true, Roles: u.Roles}, web.Enquiries) {
			all = append(all, intake.Colleague{ID: u.ID, Name: u.UserName})
		}
	}
	return all, err
}

// eraseRecords is erase.Records for features that may not know package erase.
func (h *House) eraseRecords(ctx context.Context, records []subject.Record, reason string) error {
	_, err := h.erase.Records(ctx, records, erase.Reason{Kind: erase.Kind(reason)})
	return err
}

// audit notes an act of a member of staff, for features that may not know package staff.
func (h *House) audit(ctx context.Context, tx *db.Tx, act, object string) error {
	return h.staff.Audit(ctx, tx, staff.Entry{Act: act, Object: object})
}

// visitor returns the person behind the choice cookie's random id.
func (h *House) visitor(r *http.Request) (subject.PersonID, bool) {
	id := h.consent.Granted(r).Visitor
	if id == "" {
		return "", false
	}
	person, ok, err := h.subjects.Find(r.Context(), h.folder.db, subject.Visitor, id)
	return person, ok && err == nil
}

func (h *House) limit(r *http.Request) error {
	return h.visits.Allow(web.ClientIP(r, h.options.Trusted), h.Now())
}

// jobs joins the features' kinds of background work; a name taken twice is a
// mistake of the program.
func (h *House) jobs() map[string]func(context.Context, []byte) error {
	all := map[string]func(context.Context, []byte) error{}
	for _, kinds := range []map[string]func(context.Context, []byte) error{
		h.mail.Jobs(), h.files.Jobs(), h.connect.Jobs(), h.erase.Jobs(), h.intake.Jobs(), h.request.Jobs(), h.breach.Jobs(), h.staff.Jobs(), h.scan.Jobs(),
	} {
		for name, run := range kinds {
			if _, taken := all[name]; taken {
				panic(fmt.Sprintf("app: two features have jobs of kind %s", name))
			}
			all[name] = run
		}
	}
	return all
}

func (h *House) periodic() []job.Periodic {
	return slices.Concat(
		[]job.Periodic{
			{Name: "subject.sweep", Every: time.Hour, Run: func(ctx context.Context) error { _, err := h.subjects.Sweep(ctx); return err }},
			{Name: "version.refresh", Every: 30 * time.Second, Run: h.versions.Refresh},
			{Name: "consent.remember", Every: 5 * time.Minute, Run: h.rememberOffers},
			{Name: "ledger.cosign", Every: 10 * time.Minute, Run: h.ledger.Cosign},
			{Name: "consent.archive", Every: 5 * time.Minute, Run: h.archiveShown},
			{Name: "erase.resume", Every: time.Minute, Run: h.erase.ResumeAll},
		},
		h.mail.Periodic(), h.files.Periodic(), h.retain.Periodic(), h.backup.Periodic(), h.gateway.Periodic(), h.intake.Periodic(), h.request.Periodic(), h.staff.Periodic(), h.consent.Periodic(), h.scan.Periodic(),
	)
}

// serveAs names the processors and the sender once the declaration is known.
func (h *House) serveAs() {
	plan := h.Plan()
	h.erase.Controller = plan.Controller.LegalName
	if h.mail.From == "" {
		h.mail.From = fmt.Sprintf("%q <%s>", plan.Controller.LegalName, plan.Controller.Email)
	}
	maps.Copy(h.connect.Processors, h.processors(plan))
	h.web.Nav = h.officeNav()
}
