//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// certificate is one that only these tests' browsers trust, good for *.test and
// the hosts below front.test. Over https a browser does everything that it does
// on the internet: Secure cookies, Sec-Fetch headers, its cache.
type certificate struct {
	cert, key string // files
	pin       string // by which a browser is told to trust it
	tls       tls.Certificate
}

func newCertificate(t testing.TB) *certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Tillid tests"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		DNSNames: []string{"*.test", "*.front.test", "*.tag.test", "*.outside.test"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err1 := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	spki, err2 := x509.MarshalPKIXPublicKey(&key.PublicKey)
	private, err3 := x509.MarshalPKCS8PrivateKey(key)
	c := &certificate{cert: filepath.Join(t.TempDir(), "cert.pem"), key: filepath.Join(t.TempDir(), "key.pem")}
	err4 := os.WriteFile(c.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
	err5 := os.WriteFile(c.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(spki)
	c.pin = base64.StdEncoding.EncodeToString(sum[:])
	c.tls = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return c
}

// client returns the settings of a client that trusts the certificate.
func (c *certificate) client() *tls.Config {
	pool := x509.NewCertPool()
	if leaf, err := x509.ParseCertificate(c.tls.Certificate[0]); err == nil {
		pool.AddCert(leaf)
	}
	return &tls.Config{RootCAs: pool}
}

// serve runs h on loopback with the certificate and returns its port.
func (c *certificate) serve(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{c.tls}}
	s.StartTLS()
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// outsider stands for every outside host: it answers whatever it is asked, and lists
// who was asked for what.
type outsider struct {
	mu    sync.Mutex
	asked []string // host and path
}

func (s *outsider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, port, _ := net.SplitHostPort(r.Host)
	s.mu.Lock()
	s.asked = append(s.asked, host+r.URL.Path)
	s.mu.Unlock()
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cache-Control", "no-store")
	if strings.HasSuffix(r.URL.Path, ".js") {
		h.Set("Content-Type", "text/javascript")
		w.Write([]byte("window.ran = (window.ran || '') + '" + host + " ';"))
	}
	if r.URL.Path == "/tag.js" { // a container whose custom tags bring others along
		fmt.Fprintf(w, `(function () {
var at = "https://custom.outside.test:%s/", s = document.createElement("script");
s.src = at + "c.js"; document.head.append(s);
new Image().src = at + "i.png"; navigator.sendBeacon(at + "b");
document.cookie = "custom_tag=1; path=/";
var d = document.createElement("div"); d.innerHTML = "<iframe src='" + at + "f'></iframe>"; document.documentElement.append(d);
})();`, port)
	}
}

// take returns what was asked since the last call, each once and in order.
func (s *outsider) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	slices.Sort(asked)
	return slices.Compact(asked)
}

// freePort returns a port that is free on loopback now.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
