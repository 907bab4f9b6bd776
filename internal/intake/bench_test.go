package intake

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkSubmit measures sealed, durable forms with their leaves through the
// HTTP handler, from 256 clients, on SQLite. It reports forms/s and the 99th
// percentile of what a client waits.
func BenchmarkSubmit(b *testing.B) {
	h := newHouse(b, lite(b))
	const clients = 256
	var next atomic.Int64
	waits := make([][]time.Duration, clients)
	var wg sync.WaitGroup
	b.ResetTimer()
	for c := range clients {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				start := time.Now()
				if code := h.benchPost(i); code != http.StatusSeeOther {
					b.Errorf("status %d", code)
					return
				}
				waits[c] = append(waits[c], time.Since(start))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	report(b, slices.Concat(waits...))
}

// BenchmarkSubmitOffered offers 1,000 forms a second, evenly, and reports what
// their senders wait.
func BenchmarkSubmitOffered(b *testing.B) {
	h := newHouse(b, lite(b))
	waits := make([]time.Duration, b.N)
	var wg sync.WaitGroup
	b.ResetTimer()
	begin := time.Now()
	for i := range b.N {
		due := begin.Add(time.Duration(i) * time.Millisecond)
		time.Sleep(time.Until(due))
		wg.Go(func() {
			if code := h.benchPost(int64(i)); code != http.StatusSeeOther {
				b.Errorf("status %d", code)
			}
			waits[i] = time.Since(due)
		})
	}
	wg.Wait()
	b.StopTimer()
	report(b, waits)
}

func (h *house) benchPost(i int64) int {
	body := fmt.Sprintf("name=Kanarie+Pr%%C3%%B8vesen&email=k%d%%40example.dk&message=%s", i, strings.Repeat("Kan+I+ringe+om+kasse+nummer+2%3F+", 15))
	r := httptest.NewRequest(http.MethodPost, "http://site.localhost/_tillid/forms/contact", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.Public.ServeHTTP(w, r)
	io.Copy(io.Discard, w.Body)
	return w.Code
}

func report(b *testing.B, waits []time.Duration) {
	if len(waits) == 0 {
		return
	}
	slices.Sort(waits)
	b.ReportMetric(float64(len(waits))/b.Elapsed().Seconds(), "forms/s")
	b.ReportMetric(float64(waits[len(waits)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}
