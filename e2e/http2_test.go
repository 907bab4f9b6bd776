//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// A real browser speaks HTTP/2 to a real server that ends TLS, and that server
// speaks HTTP/2 without TLS to Tillid: before a choice and after a yes.
//
// Rows: A1, E10.
func TestHTTP2BehindTLS(t *testing.T) {
	e := newEstate(t, "http2", lite)
	c, port, dir := newCertificate(t), freePort(t), t.TempDir()
	e.change(t, "hosts: [www.http2.test]", "hosts: [www.http2.test, \"www.http2.test:"+port+"\"]")
	s := e.serve(t)
	config := "{\n\tadmin off\n\tauto_https disable_redirects\n\tdefault_bind 127.0.0.1\n}\nhttps://www.http2.test:" + port + " {\n\ttls " + c.cert + " " + c.key +
		"\n\treverse_proxy h2c://" + s.addr + "\n}\n"
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("caddy", "run", "--adapter", "caddyfile", "--config", file)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	runServer(t, cmd, "127.0.0.1:"+port)
	b := newBrowser(t, look{width: 1280, height: 900, lang: "en", pin: c.pin})
	spoken := func() {
		t.Helper()
		if got := eval[string](b, `performance.getEntriesByType("navigation")[0].nextHopProtocol`); got != "h2" {
			t.Errorf("the browser spoke %s", got)
		}
	}
	b.open("https://www.http2.test:" + port + "/")
	b.do(chromedp.WaitVisible(".tillid-banner"))
	b.wants("The company's own page.")
	spoken()
	b.press(".tillid-banner .tillid-button:last-child")
	b.do(chromedp.WaitVisible(".tillid-entry"))
	if c := b.cookie("tillid_choice"); c == nil || !c.Secure || !c.HTTPOnly {
		t.Errorf("the choice is kept as %+v", c)
	}
	b.open("https://www.http2.test:" + port + "/privacy/choices?lang=en")
	b.wants("Google Analytics")
	spoken()
	b.noErrors()
}
