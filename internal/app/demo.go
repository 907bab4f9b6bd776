package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tillid/tillid/examples/eksempel"
	"github.com/tillid/tillid/internal/backup"
	"github.com/tillid/tillid/internal/connect/desk"
	"github.com/tillid/tillid/internal/demosite"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/staff"
	"github.com/tillid/tillid/internal/version"
)

// The demo's sign-ins. They open an invented company on loopback only.
const (
	DemoPassword = "sommerfugl-42-kasse" //nolint:gosec // opens an invented company on loopback
	DemoStaff    = "1000"
	DemoUser     = "astrid"
	DemoCustomer = "2044"
	demoAdmin    = "admin"
)

// Demo is the demonstration: the real program on the declaration of an invented
// company. Only the outside world is simulated: the mail relay, the help desk,
// and the advertising and video hosts, all on loopback.
type Demo struct {
	Dir    string       // folder of the house
	Public net.Listener // where everything is served
	Out    io.Writer
	Options

	port     string
	room     *mail.Room
	desk     *desk.Server
	upstream net.Listener
	desks    net.Listener
}

// Run serves the demo until ctx ends.
func (d *Demo) Run(ctx context.Context) error {
	_, d.port, _ = net.SplitHostPort(d.Public.Addr().String())
	if err := d.simulate(ctx); err != nil {
		return err
	}
	defer d.stop()
	house, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer house.Close()
	d.room.Zone = house.Plan().Loc
	site := demosite.Site(d.outside())
	server := &Server{Houses: []*House{house}, Log: d.Log, Metrics: NewMetrics(), Extra: map[string]http.Handler{
		"mail.localhost:" + d.port:       d.room.Handler(d.Log),
		"processors.localhost:" + d.port: d.desk,
	}}
	outside := demosite.Outside()
	for _, host := range []string{"google", "google-region", "googleads", "meta", "linkedin", "youtube", "outside"} {
		server.Extra[host+".localhost:"+d.port] = outside
	}
	work, stop := context.WithCancel(ctx)
	defer stop()
	for l, handler := range map[net.Listener]http.Handler{d.upstream: site, d.desks: d.desk} {
		s := DefaultLimits().server(handler, d.Log)
		go s.Serve(l) //nolint:errcheck // ends when the listener is closed
		defer s.Close()
	}
	d.print(house)
	return server.Run(work, d.Public, nil)
}

// simulate starts the outside world. Its ports follow the public one, so that a
// demo that is started again in the same folder is the same.
func (d *Demo) simulate(ctx context.Context) (err error) {
	port, _ := strconv.Atoi(d.port)
	d.room = &mail.Room{Now: d.Now}
	if err := d.room.Start("127.0.0.1:0"); err != nil {
		return err
	}
	d.desk = &desk.Server{File: filepath.Join(d.Dir, "helpdesk.json")}
	if d.upstream, err = near(ctx, port+1); err != nil {
		return err
	}
	d.desks, err = near(ctx, port+2)
	return err
}

// near listens on a loopback port, or on any when that one is taken.
func near(ctx context.Context, port int) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		l, err = lc.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	return l, err
}

func (d *Demo) stop() {
	d.room.Close() //nolint:errcheck // the demo ends
	d.upstream.Close()
	d.desks.Close()
}

// outside names the simulated hosts that stand in for the real ones.
func (d *Demo) outside() demosite.Hosts {
	at := func(name string) string { return name + ".localhost:" + d.port }
	return demosite.Hosts{Google: at("google"), Meta: at("meta"), LinkedIn: at("linkedin"), YouTube: at("youtube")}
}

// open writes the demo's declaration, opens its house, and makes the sign-ins.
func (d *Demo) open(ctx context.Context) (*House, error) {
	if err := d.write(); err != nil {
		return nil, err
	}
	o := d.Options
	o.Mail = d.room.Relay()
	house, err := Open(ctx, d.Dir, o)
	if err != nil {
		return nil, err
	}
	if err := d.prepare(ctx, house); err != nil {
		house.Close()
		return nil, err
	}
	return house, nil
}

func (d *Demo) prepare(ctx context.Context, house *House) error {
	src, err := os.ReadFile(house.draft())
	if err != nil {
		return err
	}
	_, err = house.versions.Publish(ctx, version.Draft{Name: house.draft(), Source: src, Files: Dir(d.Dir), Author: "demo", Note: "The demo's ports changed."})
	if err != nil && fault.Of(err).Kind != fault.Conflict { // nothing changed: the usual case
		return err
	}
	if err := house.versions.Refresh(ctx); err != nil {
		return err
	}
	house.serveAs()
	if own, err := house.ownAccount(ctx); err != nil || own != "" {
		return err
	}
	if _, _, err := house.staff.Bootstrap(ctx, DemoStaff, house.Plan().Controller.LegalName, staff.NewUser{UserName: DemoUser, Password: DemoPassword}); err != nil {
		return err
	}
	customer, err := house.staff.AddAccount(ctx, staff.Customer, DemoCustomer, "Café Solsort")
	if err != nil {
		return err
	}
	_, _, err = house.staff.AddUser(ctx, staff.NewUser{Account: customer.ID, UserName: demoAdmin, Password: DemoPassword, Roles: []string{"admin"}})
	return err
}

// demoIdentity opens the demo's backups. In a real house it is on another machine.
const demoIdentity = "backup-identity.txt"

// writeIdentity names somebody who can open the demo's backups.
func (d *Demo) writeIdentity() error {
	settings := filepath.Join(d.Dir, "settings.env")
	if exists(settings) {
		return nil
	}
	file, recipient, err := backup.Keygen(d.Now())
	if err != nil {
		return err
	}
	if name := filepath.Join(d.Dir, demoIdentity); !exists(name) {
		if err := writeSecret(name, file); err != nil {
			return err
		}
		return writeSecret(settings, "TILLID_BACKUP_RECIPIENTS="+recipient+"\n")
	}
	return nil
}

// write copies the example into the folder, with the demo's hosts in place of the real ones.
func (d *Demo) write() error {
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return fault.New(fault.Unavailable, "The folder %s cannot be made.", d.Dir).WithHint("Name one that you may write, or leave --dir out.").Because(err)
	}
	if err := d.writeIdentity(); err != nil {
		return err
	}
	return fs.WalkDir(eksempel.Files, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || name == "as-published.yaml" {
			return err
		}
		b, err := eksempel.Files.ReadFile(name)
		if err != nil {
			return err
		}
		if name == "tillid.yaml" {
			b = []byte(d.localise(string(b)))
		}
		to := filepath.Join(d.Dir, filepath.FromSlash(name))
		return errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, b, 0o600))
	})
}

// localise puts loopback hosts in the place of the example's. What the browser
// may load is changed only under services:, links elsewhere stay as they are.
func (d *Demo) localise(src string) string {
	host := func(name string) string { return name + ".localhost:" + d.port }
	src = strings.NewReplacer(
		"https://www.eksempel.example", "http://"+host("site"),
		"www.eksempel.example", host("site"),
		"backoffice.eksempel.example", host("backoffice"),
		"http://127.0.0.1:8081", "http://"+d.upstream.Addr().String(),
		"http://processors.eksempel.example", "http://"+d.desks.Addr().String(),
	).Replace(src)
	before, rest, _ := strings.Cut(src, "\nservices:\n")
	services, after, _ := strings.Cut(rest, "\ndevice_access:\n")
	services = strings.NewReplacer(
		"www.googletagmanager.com", host("google"),
		"region1.google-analytics.com", host("google-region"),
		"www.google-analytics.com", host("google"),
		"www.googleadservices.com", host("googleads"),
		"connect.facebook.net", host("meta"),
		"www.facebook.com", host("meta"),
		"snap.licdn.com", host("linkedin"),
		"px.ads.linkedin.com", host("linkedin"),
		"www.youtube-nocookie.com", host("youtube"),
		"i.ytimg.com", host("youtube"),
	).Replace(services)
	return before + "\nservices:\n" + services + "\ndevice_access:\n" + after
}

func (d *Demo) print(h *House) {
	at := func(name string) string { return "http://" + name + ".localhost:" + d.port + "/" }
	fmt.Fprintf(d.Out, `Tillid demo: the real program on the declaration of an invented company.
Nobody outside is contacted: mail, help desk, advertising and video are simulated here.

  The company's site   %s
  Backoffice           %s
  Mail room            %s   every mail that is sent
  Processors           %s   a help desk that can be told to lie
  Outside world        %s   what Google, Meta, LinkedIn and YouTube were asked for

  Sign in              customer number   user name   password
  staff                %-16s  %-10s  %s
  a customer           %-16s  %-10s  %s

Try this:
  1. Open the site. The banner asks; until you say yes, nothing outside is loaded.
  2. Write to the company at %skontakt; read the receipt in the mail room.
  3. Sign in as staff, open the enquiry, answer it, close it: it is deleted, with a certificate.
  4. Ask what is held on you at %sprivacy/me; erase it; check the certificate
     with: tillid verify FILE
  5. Let the help desk lie (Processors), erase again, and see the case stay open.
  6. Sign in as the customer: the data-processing agreement is under Support.
  7. Try the backup that was made at the start, with what you have erased since:
     tillid restore --drill --house %s --identity %s

The house is in %s. Stop with Ctrl-C.
`, at("site"), at("backoffice"), at("mail"), at("processors"), at("outside"),
		DemoStaff, DemoUser, DemoPassword, DemoCustomer, demoAdmin, DemoPassword,
		at("site"), at("site"), h.Dir, filepath.Join(h.Dir, demoIdentity), h.Dir)
}
