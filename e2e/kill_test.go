//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/db/dbtest"
)

// soak reports whether the long tests are asked for.
func soak() bool { return os.Getenv("TILLID_SOAK") == "1" }

// The house is killed in the middle of its work again and again: nothing that
// was acknowledged is lost or stored twice, everything has its leaf and its
// key, nothing that was erased is left, and all that was begun ends.
//
// Rows: C1, D1, E7.
func TestKill(t *testing.T) {
	rounds := 50
	if soak() {
		rounds = 1000
	}
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) {
		e := newEstate(t, "kill", dsn)
		k := &killing{t: t, estate: e, random: rand.New(rand.NewPCG(uint64(rounds), 1))}
		s := e.serve(t)
		k.cookie = s.signIn(t)
		s.kill()
		for round := range rounds {
			k.round(round)
		}
		s = e.serve(t)
		k.finish(s)
		if code := s.stop(t); code != 0 {
			t.Errorf("exit code %d after SIGTERM\n%s", code, s.log())
		}
		k.settle(t)
		k.check()
	})
}

// A new house that is killed while it is being made starts the next time.
func TestKillAtBirth(t *testing.T) {
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) {
		random := rand.New(rand.NewPCG(7, 7))
		for n := range 15 {
			e := newEstate(t, "born", func(which string) string { return dsn(fmt.Sprintf("%s%d", which, n)) })
			for range 1 + random.IntN(3) {
				e.killStarting(t, time.Duration(random.Int64N(int64(200*time.Millisecond))))
			}
			s := e.serve(t)
			if status, problems := s.health(t); status != http.StatusOK || len(problems) > 0 {
				t.Errorf("house %d: %d %v", n, status, problems)
			}
			if code := s.stop(t); code != 0 {
				t.Errorf("exit code %d\n%s", code, s.log())
			}
		}
	})
}

// killing is what the clients of a house that is killed know and still want.
type killing struct {
	t *testing.T
	*estate
	random *rand.Rand // of the main goroutine
	cookie string     // of a member of staff

	mu        sync.Mutex
	enquiries []*told  // acknowledged, to be sent again or closed
	yes       []string // cookies of visitors who said yes
	unsure    []*deed  // begun, without an answer: to be tried again
	choices   []string // leaves of acknowledged choices
	all       []*told
	tried     int // choices that were sent
	rounds    int
}

// told is an enquiry and what its sender was told.
type told struct {
	key, body string
	id        string // of the record
	number    string
	leaf      string
	closed    bool // deleted, or about to be
}

// deed is something that a client wants done, however often it must ask. An
// answer that does not fit is an error; none at all means: ask again.
type deed struct {
	tries int
	do    func(c *http.Client, d *deed) (done bool, err error)
}

// round starts the house, lets clients loose on it, and kills it; every fifth
// time while it is still starting.
func (k *killing) round(n int) {
	k.rounds++
	pause := time.Duration(k.random.Int64N(int64(700 * time.Millisecond)))
	if n%5 == 4 {
		k.killStarting(k.t, pause/3)
		return
	}
	s := k.serve(k.t)
	var dead atomic.Bool
	var clients sync.WaitGroup
	for i := range 16 {
		random := rand.New(rand.NewPCG(uint64(n), uint64(i)))
		clients.Go(func() {
			for !dead.Load() {
				k.attempt(s.http, k.next(random), &dead)
			}
		})
	}
	time.Sleep(pause)
	dead.Store(true)
	s.kill()
	clients.Wait()
	k.complaints(s)
}

// killStarting starts the house and kills it before it is ready, or soon after.
func (e *estate) killStarting(t *testing.T, d time.Duration) {
	t.Helper()
	cmd := exec.Command(binary(t), "serve", "--listen", "127.0.0.1:0", "--metrics", "", e.dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(d)
	cmd.Process.Kill()
	cmd.Wait()
}

// complaints fails the test when the house logged an error: a kill must leave
// nothing that the next start stumbles over.
func (k *killing) complaints(s *served) {
	for line := range strings.Lines(s.log()) {
		if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, "panic") {
			k.t.Errorf("the house complains: %s", line)
		}
	}
}

// attempt tries a deed once and keeps it when there is no answer.
func (k *killing) attempt(c *http.Client, d *deed, dead *atomic.Bool) {
	d.tries++
	done, err := d.do(c, d)
	if err != nil && !dead.Load() { // dead is set before the process is killed
		k.t.Errorf("a living house does not answer: %v", err)
	}
	if done {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.unsure = append(k.unsure, d)
}

// next returns what a client does now: what nobody knows the outcome of, or
// something new.
func (k *killing) next(random *rand.Rand) *deed {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := len(k.unsure); n > 0 {
		d := k.unsure[n-1]
		k.unsure = k.unsure[:n-1]
		return d
	}
	// Whoever does something with an enquiry takes it out and puts it back.
	take := func() *told {
		i := random.IntN(len(k.enquiries))
		e := k.enquiries[i]
		k.enquiries = slices.Delete(k.enquiries, i, i+1)
		return e
	}
	switch dice := random.IntN(100); {
	case dice < 25 && len(k.all) < 12*(1+k.rounds):
		return k.enquire(random)
	case dice < 35 && len(k.enquiries) > 0:
		return k.send(take(), true)
	case dice < 40 && len(k.enquiries) > 20:
		return k.close(take())
	case dice < 50 && len(k.yes) > 0:
		cookie := k.yes[len(k.yes)-1]
		k.yes = k.yes[:len(k.yes)-1]
		return k.erase(cookie)
	case dice < 75:
		return k.choose("all")
	default:
		return k.choose("none")
	}
}

// from is a header that makes each request come from another network.
func from() (name, value string) {
	a := rand.Uint32()
	return "X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", a>>16&255, a>>8&255, a&255)
}

func (k *killing) post(c *http.Client, address, kind, body string, headers ...string) (answer, error) {
	name, value := from()
	a, err := send(c, http.MethodPost, address, body, append(headers, "Content-Type", kind, "Accept", jsonType, name, value)...)
	if err == nil && a.StatusCode >= 500 && a.StatusCode != http.StatusServiceUnavailable {
		k.t.Errorf("POST %s: %d %s", address, a.StatusCode, a.body)
	}
	return a, err
}

// enquire sends a new enquiry, for as long as it takes.
func (k *killing) enquire(random *rand.Rand) *deed {
	n := len(k.all)
	body, _ := json.Marshal(map[string]string{
		"name": "Kanarie Prøvesen", "email": fmt.Sprintf("k%d@example.dk", n), "message": strings.Repeat("Kassen piber. ", 1+random.IntN(60)),
	})
	e := &told{key: fmt.Sprintf("key-%d-%x", n, random.Uint64()), body: string(body)}
	k.all = append(k.all, e)
	return k.send(e, false)
}

// send sends an enquiry until it is acknowledged; known, when it has been
// before: a double click, a client that lost the answer.
func (k *killing) send(e *told, known bool) *deed {
	return &deed{do: func(c *http.Client, d *deed) (bool, error) {
		a, err := k.post(c, k.www()+"/_tillid/forms/contact", jsonType, e.body, "Idempotency-Key", e.key)
		if err != nil || a.StatusCode == http.StatusServiceUnavailable {
			return false, err
		}
		var r struct {
			Number  string
			Promise struct {
				Leaf string `json:"leaf_id"`
			}
		}
		a.json(k.t, &r)
		id, _, _ := strings.Cut(strings.TrimPrefix(a.Header.Get("Location"), "/privacy/thanks/"), ".")
		k.mu.Lock()
		defer k.mu.Unlock()
		k.enquiries = append(k.enquiries, e)
		switch {
		case a.StatusCode != http.StatusCreated && a.StatusCode != http.StatusOK:
			k.t.Errorf("enquiry: %d %s", a.StatusCode, a.body)
		case !known && d.tries == 1 && a.StatusCode != http.StatusCreated:
			k.t.Errorf("a new enquiry is said to be an old one: %s", a.body)
		case known && (a.StatusCode != http.StatusOK || e.id != id || e.number != r.Number || e.leaf != r.Promise.Leaf):
			k.t.Errorf("the same enquiry was told %s/%s/%s and now (%d) %s/%s/%s", e.id, e.number, e.leaf, a.StatusCode, id, r.Number, r.Promise.Leaf)
		}
		e.id, e.number, e.leaf = id, r.Number, r.Promise.Leaf
		return true, nil
	}}
}

// close lets staff close an enquiry, which deletes it here and at the help desk.
func (k *killing) close(e *told) *deed {
	e.closed = true
	return &deed{do: func(c *http.Client, d *deed) (bool, error) {
		a, err := k.post(c, k.office()+"/enquiries/"+e.id+"/close", formType, "drop=yes&now=yes", "Cookie", k.cookie)
		if err != nil || a.StatusCode == http.StatusServiceUnavailable {
			return false, err
		}
		if a.StatusCode != http.StatusSeeOther && (a.StatusCode != http.StatusNotFound || d.tries == 1) {
			k.t.Errorf("close (try %d): %d %.300s", d.tries, a.StatusCode, a.body)
		}
		return true, nil
	}}
}

// choose says yes or no to cookies. Whether a choice that nobody acknowledged
// was kept does not matter: the visitor is asked again.
func (k *killing) choose(what string) *deed {
	k.tried++
	return &deed{do: func(c *http.Client, _ *deed) (bool, error) {
		a, err := k.post(c, k.www()+"/_tillid/consent", jsonType, `{"do":"`+what+`","lang":"da","layer":"banner"}`)
		if err != nil || a.StatusCode == http.StatusServiceUnavailable {
			return true, err
		}
		var r struct {
			Receipt struct {
				Leaf string `json:"leaf_id"`
			}
		}
		a.json(k.t, &r)
		if a.StatusCode != http.StatusOK || r.Receipt.Leaf == "" {
			k.t.Errorf("choice: %d %s", a.StatusCode, a.body)
			return true, nil
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.choices = append(k.choices, r.Receipt.Leaf)
		if what == "all" {
			k.yes = append(k.yes, a.cookies())
		}
		return true, nil
	}}
}

// erase lets a visitor erase what is held under the id that the browser holds.
func (k *killing) erase(cookie string) *deed {
	return &deed{do: func(c *http.Client, d *deed) (bool, error) {
		a, err := k.post(c, k.www()+"/privacy/me/erase", formType, url.Values{"what": {"all"}}.Encode(), "Cookie", cookie)
		if err != nil || a.StatusCode == http.StatusServiceUnavailable {
			return false, err
		}
		to := a.Header.Get("Location")
		if a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/privacy/me/erased/") && (to != "/privacy/me" || d.tries == 1) {
			k.t.Errorf("erase (try %d): %d to %q %.300s", d.tries, a.StatusCode, to, a.body)
		}
		return true, nil
	}}
}

// finish asks until nothing is left that nobody knows the outcome of.
func (k *killing) finish(s *served) {
	var alive atomic.Bool
	for len(k.unsure) > 0 {
		d := k.unsure[0]
		k.unsure = k.unsure[1:]
		k.attempt(s.http, d, &alive)
	}
	k.complaints(s)
}
