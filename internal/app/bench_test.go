package app

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tillid/tillid/examples/eksempel"
)

func benchHouse(b *testing.B, upstream string) *House {
	b.Helper()
	return benchOpen(b, benchFolder(b, upstream))
}

func benchFolder(b *testing.B, upstream string) string {
	b.Helper()
	dir := filepath.Join(b.TempDir(), "house")
	src, err := eksempel.Files.ReadFile("tillid.yaml")
	if err != nil {
		b.Fatal(err)
	}
	text := strings.Replace(string(src), "http://127.0.0.1:8081", upstream, 1)
	err = errors.Join(os.CopyFS(dir, eksempel.Files), os.WriteFile(filepath.Join(dir, "tillid.yaml"), []byte(text), 0o600))
	if err != nil {
		b.Fatal(err)
	}
	return dir
}

func benchOpen(b *testing.B, dir string) *House {
	b.Helper()
	h, err := Open(b.Context(), dir, Options{Log: slog.New(slog.DiscardHandler), Now: time.Now, Getenv: func(string) string { return "" }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(h.Close)
	return h
}

// BenchmarkChoices takes visitors' choices through the whole house, durable on
// SQLite, each with its leaf in the log.
func BenchmarkChoices(b *testing.B) {
	h := benchHouse(b, "http://127.0.0.1:1")
	site, _ := h.Handlers()
	var n atomic.Uint32
	b.SetParallelism(128)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			benchChoice(b, site, n.Add(1))
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "choices/s")
}

// BenchmarkChoicesOffered offers 1,000 choices a second, whether or not those before
// have been kept, and reports how long they take from when they were due.
func BenchmarkChoicesOffered(b *testing.B) {
	h := benchHouse(b, "http://127.0.0.1:1")
	site, _ := h.Handlers()
	waits := make([]time.Duration, b.N)
	var wg sync.WaitGroup
	b.ResetTimer()
	begin := time.Now()
	for i := range b.N {
		due := begin.Add(time.Duration(i) * time.Millisecond)
		time.Sleep(time.Until(due))
		wg.Go(func() {
			benchChoice(b, site, uint32(i))
			waits[i] = time.Since(due)
		})
	}
	wg.Wait()
	b.StopTimer()
	slices.Sort(waits)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "choices/s")
	b.ReportMetric(float64(waits[b.N/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(waits[b.N*99/100].Microseconds())/1000, "p99-ms")
}

// benchChoice says yes to everything, from a network of its own.
func benchChoice(b *testing.B, site http.Handler, i uint32) {
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "http://www.eksempel.example/_tillid/choice", strings.NewReader(`{"do":"all","lang":"da","layer":"banner"}`))
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = fmt.Sprintf("10.%d.%d.1:9", i>>8&255, i&255)
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		b.Errorf("%d %s", w.Code, w.Body)
	}
}

// BenchmarkFurtherHouse opens houses beside a first one, each with its handlers
// and pages asked for, and reports what one of them costs in memory.
func BenchmarkFurtherHouse(b *testing.B) {
	visit := func(h *House) {
		site, _ := h.Handlers()
		for _, path := range []string{"/privacy", "/privacy/choices", "/privacy/me"} {
			w := httptest.NewRecorder()
			site.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), http.MethodGet, "http://www.eksempel.example"+path, http.NoBody))
			if w.Code != http.StatusOK {
				b.Fatalf("%s: %d", path, w.Code)
			}
		}
	}
	visit(benchHouse(b, "http://127.0.0.1:1"))
	var dirs []string
	for range b.N {
		dirs = append(dirs, benchFolder(b, "http://127.0.0.1:1"))
		benchOpen(b, dirs[len(dirs)-1]).Close() // publishing its first version costs memory once
	}
	before := anonymous(b)
	b.ResetTimer()
	for _, dir := range dirs {
		visit(benchOpen(b, dir))
	}
	b.ReportMetric((anonymous(b)-before)/float64(b.N), "MB/house")
}

// anonymous returns the process's resident memory without files, in MB, after a collection.
func anonymous(b *testing.B) float64 {
	b.Helper()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("only Linux says how much memory a process has")
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	var kib float64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		b.Fatal(err)
	}
	return kib / 1024
}

// BenchmarkSweepUnderLoad deletes 10,000 enquiries that are due, foreseen the day before, while
// 500 forms a second arrive, and reports how long it takes until the last is gone.
func BenchmarkSweepUnderLoad(b *testing.B) {
	const due = 10_000
	for range b.N {
		b.StopTimer()
		var shift atomic.Int64
		now := func() time.Time { return time.Now().Add(time.Duration(shift.Load())) }
		h, err := Open(b.Context(), benchFolder(b, "http://127.0.0.1:1"), Options{Log: slog.New(slog.DiscardHandler), Now: now, Getenv: func(string) string { return "" }})
		if err != nil {
			b.Fatal(err)
		}
		site, _ := h.Handlers()
		var n atomic.Int64
		form := func() {
			i := n.Add(1)
			r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "http://www.eksempel.example/_tillid/forms/contact",
				strings.NewReader(fmt.Sprintf("name=Kanarie+Pr%%C3%%B8vesen&email=k%d%%40example.dk&message=Hvad+koster+en+kasse%%3F", i)))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.RemoteAddr = fmt.Sprintf("10.%d.%d.1:9", i>>8&255, i&255)
			w := httptest.NewRecorder()
			if site.ServeHTTP(w, r); w.Code != http.StatusSeeOther {
				b.Errorf("%d %s", w.Code, w.Body)
			}
		}
		var writing sync.WaitGroup
		for range 64 {
			writing.Go(func() {
				for range due / 64 {
					form()
				}
			})
		}
		writing.Wait()
		for n.Load() < due {
			form()
		}
		sweep := func(at time.Time, want int) {
			b.Helper()
			shift.Store(int64(time.Until(at)))
			if run, err := h.retain.Sweep(b.Context()); err != nil || run.Deleted < want {
				b.Fatalf("%+v %v", run, err)
			}
		}
		begun := time.Now()
		sweep(begun.AddDate(1, 0, 0).Add(-time.Hour), 0)
		stop := make(chan struct{})
		var load sync.WaitGroup
		load.Go(func() {
			tick := time.NewTicker(2 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					load.Go(form)
				case <-stop:
					return
				}
			}
		})
		b.StartTimer()
		start, before := time.Now(), n.Load()
		sweep(begun.AddDate(1, 0, 1), due)
		b.ReportMetric(time.Since(start).Seconds(), "s")
		b.ReportMetric(float64(n.Load()-before)/time.Since(start).Seconds(), "forms/s")
		b.ReportMetric(0, "ns/op")
		close(stop)
		load.Wait()
		h.Close()
	}
}
