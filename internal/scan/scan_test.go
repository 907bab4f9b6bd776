package scan

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/jba/templatecheck"

	"github.com/tillid/tillid/examples/eksempel"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/lint"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

var update = flag.Bool("update", false, "rewrite docs/scan-report.schema.json")

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func examplePlan(t *testing.T) *policy.Plan {
	t.Helper()
	src, err := eksempel.Files.ReadFile("tillid.yaml")
	if err != nil {
		t.Fatal(err)
	}
	plan, problems := policy.Parse("tillid.yaml", src, nil)
	if plan == nil {
		t.Fatal(problems)
	}
	return plan
}

func starterPlan(t *testing.T) *policy.Plan {
	t.Helper()
	plan, problems := policy.Parse("tillid.yaml", policy.Starter(policy.StarterOptions{Company: "Prøve ApS", Host: "www.example.dk", Email: "kontakt@example.dk", Today: noon}), nil)
	if plan == nil {
		t.Fatal(problems)
	}
	return plan
}

var all = []Pass{Untouched, Refused, Accepted}

// messy is a site that does a bit of everything.
func messy() *Result {
	return &Result{
		Start: "https://www.example.dk/", Began: noon, Ended: noon.Add(time.Minute), Whole: true, Sandbox: true, Pages: []string{"/", "/kontakt"},
		Banner: map[Pass]Answer{Refused: {"Cookiebot", true}, Accepted: {"Cookiebot", true}},
		Items: []*Item{
			{Kind: Cookie, Name: "PHPSESSID", Domain: "www.example.dk", Lifetime: "PT0S", HTTPOnly: true, Passes: all, Pages: []string{"/"}, Service: "php", KnownBy: "name"},
			{Kind: Cookie, Name: "_ga", Domain: "example.dk", Lifetime: "P400D", Passes: []Pass{Accepted}, Pages: []string{"/"}, Service: "google_analytics", KnownBy: "name"},
			{Kind: Cookie, Name: "_ga_*", Domain: "example.dk", Lifetime: "P400D", Passes: []Pass{Accepted}, Pages: []string{"/"}, Service: "google_analytics", KnownBy: "name"},
			{Kind: Cookie, Name: "mystery*", Domain: "www.example.dk", Lifetime: "P30D", Passes: all, Pages: []string{"/"}},
			{Kind: Cookie, Name: "spy", Domain: "tracker.invalid", Lifetime: "P1D", Passes: all, Pages: []string{"/"}, ThirdParty: true},
			{Kind: Host, Name: "region1.google-analytics.com", Uses: []string{"connect"}, Passes: []Pass{Accepted}, Pages: []string{"/"}, Initiator: "www.googletagmanager.com", ThirdParty: true, Service: "google_analytics", KnownBy: "host"},
			{Kind: Host, Name: "tracker.invalid", Uses: []string{"image", "script"}, Passes: all, Pages: []string{"/", "/kontakt"}, ThirdParty: true},
			{Kind: Host, Name: "www.googletagmanager.com", Uses: []string{"script"}, Passes: []Pass{Accepted}, Pages: []string{"/"}, ThirdParty: true, Service: "google_analytics", KnownBy: "host"},
			{Kind: LocalStorage, Name: "basket", Domain: "www.example.dk", Passes: all, Pages: []string{"/kontakt"}},
			{Kind: ServiceWorker, Name: "/sw.js", Domain: "www.example.dk", Passes: all, Pages: []string{"/"}},
			{Kind: WebRTC, Name: "RTCPeerConnection", Passes: []Pass{Untouched}, Pages: []string{"/"}},
		},
		Trouble: []Trouble{{"/slow", Untouched, slow}, {"/gone", Untouched, failed}},
	}
}

func ids(list []Finding) []string {
	var out []string
	for _, f := range list {
		out = append(out, f.Rule+" "+f.Name)
	}
	return out
}

// What a site does is held against its declaration: what is not declared, what
// comes before a yes, what lives longer, what was never seen.
//
// Rows: A1, A2.
func TestCompare(t *testing.T) {
	got := slices.DeleteFunc(ids(Compare(starterPlan(t), messy())), func(s string) bool { return s == "SC-06 " })
	want := []string{
		"SC-01 PHPSESSID", "SC-01 _ga", "SC-01 _ga_*", "SC-01 mystery*", "SC-01 spy", "SC-02 /sw.js", "SC-02 basket",
		"SC-03 region1.google-analytics.com", "SC-03 tracker.invalid", "SC-03 www.googletagmanager.com",
		"SC-09 ", "SC-10 RTCPeerConnection", "SC-09 ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// Rows: A2.
func TestCompareWithTheExample(t *testing.T) {
	plan, r := examplePlan(t), messy()
	r.Trouble = nil
	r.Items = []*Item{
		{Kind: Cookie, Name: "_ga", Domain: "www.eksempel.example", Lifetime: "P395D", Passes: all, Pages: []string{"/"}},
		{Kind: Cookie, Name: "_fbp", Domain: "www.eksempel.example", Lifetime: "P120D", Passes: []Pass{Accepted}, Pages: []string{"/"}},
		{Kind: Cookie, Name: "eksempel_session", Domain: "www.eksempel.example", Lifetime: "PT0S", Passes: all, Pages: []string{"/kontakt"}},
		{Kind: Cookie, Name: "tillid_me", Domain: "www.eksempel.example", Lifetime: "P2D", Passes: all, Pages: []string{"/"}},
		{Kind: Cookie, Name: "_ga", Domain: "tracker.invalid", Lifetime: "P1D", Passes: all, Pages: []string{"/"}, ThirdParty: true},
		{Kind: Host, Name: "www.googletagmanager.com", Uses: []string{"font", "script"}, Passes: []Pass{Refused, Accepted}, Pages: []string{"/"}},
		{Kind: Host, Name: "www.youtube-nocookie.com", Uses: []string{"frame"}, Passes: []Pass{Accepted}, Pages: []string{"/"}},
	}
	var got []string
	for _, f := range Compare(plan, r) {
		if f.Severity != Info {
			got = append(got, f.Rule+" "+f.Name+" "+f.Path)
		}
		if f.Path != "" && f.Line < 2 {
			t.Errorf("%s %s has no line", f.Rule, f.Path)
		}
	}
	want := []string{
		"SC-04 _ga device_access._ga", "SC-04 _ga device_access._ga", "SC-04 www.googletagmanager.com services.google_analytics",
		"SC-05 _fbp device_access._fbp.duration", "SC-05 tillid_me device_access.tillid_me.duration",
		"SC-08 www.googletagmanager.com services.google_analytics.hosts",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, f := range Compare(plan, r) {
		for _, l := range text.Langs() {
			if s := f.Message[l] + f.Fix[l]; strings.Contains(s, "⟦") || strings.Contains(s, "<no value>") || f.Message[l] == "" || f.Fix[l] == "" {
				t.Errorf("%s in %s: %q", f.Rule, l, s)
			}
		}
	}
}

// Without a banner nothing is said to be unused: there was no chance to see it.
func TestNoBanner(t *testing.T) {
	r := messy()
	r.Items, r.Trouble, r.Banner = nil, nil, nil
	got := ids(Compare(examplePlan(t), r))
	if !slices.Equal(got, []string{"SC-07 "}) {
		t.Errorf("got %q", got)
	}
}

// The patch applies with the tool that people have, and what it makes parses;
// lint finds only what is marked. Put in, nothing is undeclared any more.
//
// Rows: A2.
func TestPatch(t *testing.T) {
	plan, r := starterPlan(t), messy()
	p := NewPatch(plan, r)
	dir := t.TempDir()
	file := filepath.Join(dir, "tillid.yaml")
	if err := errors.Join(os.WriteFile(file, plan.Source, 0o600), os.WriteFile(filepath.Join(dir, "tillid.patch"), p.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "git", "apply", "--unsafe-paths", "--directory="+dir, filepath.Join(dir, "tillid.patch"))
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git apply: %v\n%s\n%s", err, out, p.Bytes())
	}
	patched, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(patched, p.File) {
		t.Error("applied, the diff makes another file than the patch's own")
	}
	after, problems := policy.Parse("tillid.yaml", patched, nil)
	if after == nil {
		t.Fatalf("%v\n%s", problems, patched)
	}
	for _, f := range Compare(after, r) {
		if f.Severity == Error && f.Rule != tooEarly { // that it comes before a yes, no declaration mends
			t.Errorf("still there: %s", f.Message.In(text.EN))
		}
	}
	marked(t, after)
	if again := NewPatch(after, r); len(again.Diff) != 0 {
		t.Errorf("the patched declaration is patched again:\n%s", again.Diff)
	}
}

// marked fails for a finding of lint that the unpatched declaration had not, in a line without CHANGE.
func marked(t *testing.T, plan *policy.Plan) {
	t.Helper()
	packs, err := law.Load(plan.Law)
	if err != nil {
		t.Fatal(err)
	}
	before := map[string]bool{}
	for _, f := range lint.Run(starterPlan(t), packs, policy.DateOf(noon)).Findings {
		before[f.Rule+f.Path] = true
	}
	lines := strings.Split(string(plan.Source), "\n")
	for _, f := range lint.Run(plan, packs, policy.DateOf(noon)).Findings {
		if line := lines[f.Pos.Line-1]; !before[f.Rule+f.Path] && f.Suppressed == nil && f.Severity != lint.Info && !strings.Contains(line, "# CHANGE: ") {
			t.Errorf("%s at %s is not marked: %s\n%s", f.Rule, f.Path, f.Message.In(text.EN), line)
		}
	}
}

// A declared service that uses more hosts than it says gets them in its own lines.
func TestPatchAddsHosts(t *testing.T) {
	plan := examplePlan(t)
	r := &Result{Items: []*Item{
		{Kind: Host, Name: "region5.google-analytics.com", Uses: []string{"connect"}, Passes: []Pass{Accepted}, Service: "google_analytics", KnownBy: "host"},
		{Kind: Host, Name: "www.googletagmanager.com", Uses: []string{"style"}, Passes: []Pass{Accepted}, Service: "google_analytics", KnownBy: "host"},
		{Kind: Cookie, Name: "_gcl_aw", Domain: "eksempel.example", Lifetime: "P90D", Passes: []Pass{Accepted}},
	}}
	p := NewPatch(plan, r)
	s := string(p.File)
	if !strings.Contains(s, "connect: [www.google-analytics.com, region1.google-analytics.com, region5.google-analytics.com]") {
		t.Errorf("the host is not in its line:\n%s", p.Diff)
	}
	if !strings.Contains(s, "  _gcl_aw:\n    service: google_ads\n    party: google\n    category: marketing\n    purpose: aim_marketing\n") {
		t.Errorf("the cookie does not belong to the declared service:\n%s", p.Diff)
	}
	if len(p.ByHand) != 1 || !strings.Contains(p.ByHand[0], "style: [www.googletagmanager.com]") {
		t.Errorf("by hand: %q", p.ByHand)
	}
}

func TestLock(t *testing.T) {
	r := messy()
	lock := NewLock(r, nil)
	b := lock.Bytes()
	if !bytes.Equal(b, NewLock(messy(), nil).Bytes()) {
		t.Error("the same scan gives other bytes")
	}
	if n := bytes.Count(b, []byte("\n")); n != len(r.Items)+6 {
		t.Errorf("%d lines for %d items:\n%s", n, len(r.Items), b)
	}
	back, err := ParseLock("x", b)
	if err != nil || !reflect.DeepEqual(back, lock) {
		t.Fatalf("read back: %v", err)
	}
	if changes := lock.Since(back); len(changes) != 0 {
		t.Errorf("no change: %v", changes)
	}
	// A cookie that ends on a fixed day lives a little shorter every day.
	r.Items[1].Lifetime = "P390D"
	if changes := NewLock(r, back).Since(back); len(changes) != 0 {
		t.Errorf("ten days less of four hundred: %v", changes)
	}
	r.Items[1].Lifetime = "P90D"
	r.Items[2].Name = "_new"
	changes := NewLock(r, back).Since(back)
	var what []string
	for _, c := range changes {
		what = append(what, c.What)
	}
	slices.Sort(what)
	if !slices.Equal(what, []string{"added", "changed", "gone"}) {
		t.Errorf("got %v", changes)
	}
	for _, bad := range []string{"", "{", `{"format":"other"}`, "[]"} {
		if _, err := ParseLock("x", []byte(bad)); fault.Of(err).Kind != fault.Invalid || fault.Of(err).Hint == "" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestReport(t *testing.T) {
	r := messy()
	r.Pictures = map[Pass][]byte{Untouched: {0xff, 0xd8}}
	rep := NewReport(starterPlan(t), r)
	files, err := rep.Files(starterPlan(t), r, text.DA, "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"report.html", "report.json", "report.sarif", "tillid.patch", "untouched.jpg"} {
		if len(files[name]) == 0 {
			t.Errorf("%s is missing", name)
		}
	}
	doc, err := goquery.NewDocumentFromReader(bytes.NewReader(files["report.html"]))
	if err != nil {
		t.Fatal(err)
	}
	if n := doc.Find("article.finding.error").Length(); n != rep.Errors || n == 0 {
		t.Errorf("%d errors shown, %d found", n, rep.Errors)
	}
	if got := doc.Find("table").First().Find("tbody tr").Length(); got != 8 {
		t.Errorf("%d rows of storage", got)
	}
	if doc.Find(`html[lang="da"]`).Length() != 1 || doc.Find("script, link, [style]").Length() != 0 || !strings.Contains(doc.Find("h1").Text(), "www.example.dk") {
		t.Error("the page is not what it should be")
	}
	if src, _ := doc.Find("img").Attr("src"); src != "untouched.jpg" {
		t.Errorf("picture %q", src)
	}
	var sarif struct {
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct{ Rules []struct{ ID string } }
			}
			Results []struct {
				RuleID    string
				RuleIndex int
				Locations []struct {
					PhysicalLocation struct{ Region struct{ StartLine int } }
				}
			}
		}
	}
	if err := json.Unmarshal(files["report.sarif"], &sarif); err != nil {
		t.Fatal(err)
	}
	run := sarif.Runs[0]
	if sarif.Version != "2.1.0" || len(run.Results) != len(rep.Findings) {
		t.Errorf("%d results of %d findings", len(run.Results), len(rep.Findings))
	}
	for _, res := range run.Results {
		if run.Tool.Driver.Rules[res.RuleIndex].ID != res.RuleID {
			t.Errorf("%s has the index of %s", res.RuleID, run.Tool.Driver.Rules[res.RuleIndex].ID)
		}
	}
	if line := run.Results[0].Locations[0].PhysicalLocation.Region.StartLine; line < 2 {
		t.Errorf("an undeclared cookie stands at line %d", line)
	}
	var b bytes.Buffer
	if err := rep.WriteText(&b, text.EN); err != nil || !strings.Contains(b.String(), "SC-01 error: The cookie PHPSESSID of www.example.dk is not declared.") {
		t.Errorf("%v\n%s", err, &b)
	}
}

func TestReportTemplate(t *testing.T) {
	for _, l := range text.Langs() {
		tpl, err := reportTemplate(l)
		if err != nil {
			t.Fatal(err)
		}
		if err := templatecheck.CheckHTML(tpl, reportView{Report: &Report{}}); err != nil {
			t.Error(err)
		}
	}
}

// schemaOf writes the JSON Schema of a type of this package from its tags.
func schemaOf(t reflect.Type) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Pointer:
		return schemaOf(t.Elem())
	case t.Kind() == reflect.String:
		return map[string]any{"type": "string"}
	case t.Kind() == reflect.Int:
		return map[string]any{"type": "integer"}
	case t.Kind() == reflect.Bool:
		return map[string]any{"type": "boolean"}
	case t.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case t.Kind() == reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem())}
	}
	properties, required := map[string]any{}, []string{}
	for i := range t.NumField() {
		name, option, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name == "" {
			continue
		}
		properties[name] = schemaOf(t.Field(i).Type)
		if option != "omitempty" {
			required = append(required, name)
		}
	}
	return map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

// The published schema is the one of the types.
func TestReportSchemaFresh(t *testing.T) {
	const file = "../../docs/scan-report.schema.json"
	schema := schemaOf(reflect.TypeFor[Report]())
	schema["$schema"], schema["title"] = "https://json-schema.org/draft/2020-12/schema", "Report of tillid scan"
	schema["description"] = "What report.json holds: version 1. Lifetimes are ISO 8601 periods, PT0S for a session. No value of a cookie and no query of an address is in it."
	want, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not fresh (%v): run go test ./internal/scan -update", file, err)
	}
}

func TestAddress(t *testing.T) {
	for in, want := range map[string]string{
		"www.example.dk":                                      "https://www.example.dk/",
		"http://WWW.example.dk/a?email=a@b.dk#x":              "http://www.example.dk/a",
		"https://www.example.dk:8443/x/":                      "https://www.example.dk:8443/x/",
		"ftp://example.dk":                                    "",
		"file:///etc/passwd":                                  "",
		"javascript:alert(1)":                                 "",
		"https://user:secret@example.dk/":                     "",
		"https://":                                            "",
		"https://exa mple.dk/":                                "",
		"chrome://settings":                                   "",
		"https://www.example.dk/" + strings.Repeat("a", 2000): "",
	} {
		u, err := Address(in)
		got := ""
		if err == nil {
			got = u.String()
		} else if f := fault.Of(err); f.Kind != fault.Invalid || f.Hint == "" || strings.Contains(f.Msg, "secret") {
			t.Errorf("%s: %v", in, err)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

func TestPublicAddresses(t *testing.T) {
	for s, want := range map[string]bool{
		"93.184.216.34": true, "2606:2800:220:1::1": true, "127.0.0.1": false, "::1": false, "10.1.2.3": false, "192.168.1.1": false,
		"172.16.0.1": false, "169.254.169.254": false, "fe80::1": false, "fd00::1": false, "100.64.0.1": false, "0.0.0.0": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "224.0.0.1": false,
	} {
		if got := public(netip.MustParseAddr(s)); got != want {
			t.Errorf("%s: %t", s, got)
		}
	}
}

// The start is refused before a browser runs when it lies on a private network.
func TestPrivateStartIsRefused(t *testing.T) {
	for _, address := range []string{"http://169.254.169.254/", "http://10.0.0.1/", "http://[fd00::1]/", "http://192.168.0.1:8080/admin"} {
		start, err := Address(address)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Run(t.Context(), Options{Start: start, Chromium: "/nonexistent", Work: t.TempDir(), Now: time.Now})
		if f := fault.Of(err); f.Kind != fault.Denied || !strings.Contains(f.Hint, "--allow-private") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// The guard is the browser's only way out: it refuses private addresses, also
// those that a public page asks for, cuts what is too much, and knows who was asked.
func TestGuard(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.Copy(w, io.LimitReader(zeros{}, 10<<20))
	}))
	defer site.Close()
	get := func(o Options, bytes int64, address string) (int, int64, error) {
		g, err := newGuard(o)
		if err != nil {
			t.Fatal(err)
		}
		defer g.close()
		g.allow(bytes)
		proxy, _ := url.Parse(g.address())
		client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}
		// Go never sends requests for loopback through a proxy of the environment; this one it does.
		resp, err := client.Get(address)
		if err != nil {
			return 0, 0, err
		}
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, n, err
	}
	at := func(s string) Options { u, _ := url.Parse(s); return Options{Start: u} }
	if code, n, err := get(at(site.URL), 100<<20, site.URL); code != 200 || n != 10<<20 || err != nil {
		t.Errorf("a loopback site that was asked for: %d, %d bytes, %v", code, n, err)
	}
	if code, n, _ := get(at(site.URL), 1<<20, site.URL); n > 2<<20 {
		t.Errorf("a page of 10 MiB that may have one: %d, %d bytes", code, n)
	}
	if code, _, _ := get(at("https://www.example.dk/"), 100<<20, site.URL); code != http.StatusBadGateway {
		t.Errorf("loopback asked for by a public site: %d", code)
	}
	o := at("https://www.example.dk/")
	o.AllowPrivate = true
	if code, _, _ := get(o, 100<<20, site.URL); code != 200 {
		t.Errorf("loopback with --allow-private: %d", code)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestLife(t *testing.T) {
	for rest, want := range map[time.Duration]string{
		0: "PT0S", -time.Hour: "PT0S", 395*24*time.Hour - 3*time.Second: "P395D", 24*time.Hour - time.Second: "PT24H", 2 * time.Hour: "PT2H",
		30*time.Minute - 8*time.Second: "PT30M", 61 * time.Second: "PT60S", 3 * time.Second: "PT10S", 48 * time.Hour: "P2D",
	} {
		if got := life(rest); got != want {
			t.Errorf("%s: got %s, want %s", rest, got, want)
		}
	}
}

// Names with ids in them are the same in every scan, and hold nobody's address.
func TestNamed(t *testing.T) {
	plan := examplePlan(t)
	for _, test := range []struct{ kind, name, host, want string }{
		{Cookie, "_ga", "www.eksempel.example", "_ga"},
		{Cookie, "_ga_G12AB34CD5", "www.eksempel.example", "_ga_*"},
		{Cookie, "_hjSessionUser_1234567", "www.eksempel.example", "_hjSessionUser_*"},
		{Cookie, "visit-5f3a9c1e77", "www.eksempel.example", "visit-*"},
		{LocalStorage, "persist:karla@example.dk", "www.eksempel.example", "persist:karla*"},
		{LocalStorage, "cart 42 æ", "www.eksempel.example", "cart*"},
		{LocalStorage, strings.Repeat("x", 300), "www.eksempel.example", "*"},
		{LocalStorage, "83f1c2d4a5b6", "www.eksempel.example", "*"},
		{Cookie, "plain_name", "www.eksempel.example", "plain_name"},
	} {
		if got := named(test.kind, test.name, test.host, plan); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
	for in, want := range map[string]string{
		"/kontakt": "/kontakt", "/u/karla@example.dk/x": "/u/*/x", "/o/123456789": "/o/*", "/t/6f9619ff-8b86-d011-b42d": "/t/*", "/2026/11/nyt": "/2026/11/nyt",
	} {
		if got := masked(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestRobots(t *testing.T) {
	const file = "# hello\nUser-agent: other\nDisallow: /\n\nUser-agent: *\nDisallow: /private\nAllow: /private/open\nDisallow: /*.php$\nDisallow:\n"
	r := parseRobots(strings.NewReader(file))
	for path, want := range map[string]bool{"/": true, "/private": false, "/private/x": false, "/private/open": true, "/a.php": false, "/a.php/b": true} {
		if r.allows(path) != want {
			t.Errorf("%s: %t", path, !want)
		}
	}
	if ours := parseRobots(strings.NewReader("User-agent: *\nDisallow: /\nUser-agent: Tillid\nDisallow: /x\n")); !ours.allows("/a") || ours.allows("/x") {
		t.Error("our own group goes before the group for all")
	}
	if !parseRobots(strings.NewReader("<html>not found</html>")).allows("/") {
		t.Error("a page is no rule")
	}
}

func FuzzRobots(f *testing.F) {
	f.Add("User-agent: *\nDisallow: /*a*b$")
	f.Fuzz(func(_ *testing.T, s string) { parseRobots(strings.NewReader(s)).allows("/a/b") })
}

// A state file that was cut, or is of another scan, begins anew; one of the
// same scan goes on.
func TestStateFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "work", "state.json")
	s := &State{Format: stateFormat, Start: "https://www.example.dk/", Pages: []Page{{URL: "https://www.example.dk/"}}, Next: 1, Items: map[string]*Item{"a": {Name: "x"}}}
	if err := s.save(name); err != nil {
		t.Fatal(err)
	}
	back, err := load(name)
	if err != nil || back == nil || back.Next != 1 || back.Items["a"].Name != "x" {
		t.Fatalf("%+v %v", back, err)
	}
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{whole[:len(whole)/2], nil, []byte("{}"), []byte(strings.Replace(string(whole), `"next":1`, `"next":9`, 1))} {
		if err := os.WriteFile(name, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if back, err := load(name); back != nil || err != nil {
			t.Errorf("%.40s: %+v %v", bad, back, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(name), ".tillid-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Redirects are read as curl reads --connect-to, and the first that fits counts.
func TestRedirects(t *testing.T) {
	for _, s := range []string{"", "a", "a:1", "a:1:b", "a:1::2", "a:1:b:", "[::1:1:b:2", "shop.example.dk:::1"} {
		if _, err := ParseRedirects([]string{s}); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
	all, err := ParseRedirects([]string{"www.example.dk:443:127.0.0.1:8443", "[2001:db8::1]:80:[::1]:81", "shop.example.dk::shop.test:1", "::sink.test:9"})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Redirects: all}
	for addr, want := range map[string]string{
		"WWW.example.dk:443": "127.0.0.1:8443", "www.example.dk:80": "sink.test:9", "[2001:db8::1]:80": "[::1]:81", "shop.example.dk:7": "shop.test:1", "nonsense": "",
	} {
		if got := o.redirected(addr); got != want {
			t.Errorf("%s leads to %q, want %q", addr, got, want)
		}
	}
	if got := (Options{}).redirected("www.example.dk:443"); got != "" {
		t.Errorf("without redirects: %q", got)
	}
}
