package app

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// sized is a page of about some bytes, as companies have them; among its markup is
// some that has to be made inert.
func sized(bytes int) string {
	part := strings.Repeat("<p class=\"a\">Tekst og mere tekst, <a href=\"/kontakt\">og et link</a>.</p>\n", 60) +
		"<img src=\"/billede.jpg\" alt=\"\"><script src=\"https://www.googletagmanager.com/gtag/js?id=G-1\"></script><img src=\"https://spor.example/p.gif\" alt=\"\">\n"
	return "<!doctype html><html lang=da><head><title>Side</title></head><body>" + strings.Repeat(part, bytes/len(part)) + "</body></html>"
}

// BenchmarkGateway asks for a page through the whole server and through a bare
// reverse proxy, in turns, so that whatever else the machine does touches both
// alike. Client and site share the machine. It reports medians of the turns.
func BenchmarkGateway(b *testing.B) {
	for _, size := range []int{30_000, 100_000} {
		b.Run(fmt.Sprintf("%dKB", size/1000), func(b *testing.B) {
			page := sized(size)
			upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				io.WriteString(w, page)
			}))
			defer upstream.Close()
			bare, tillid := besideEachOther(b, upstream.URL)
			defer bare.server.Close()
			defer tillid.server.Close()
			b.ResetTimer()
			for range max(b.N/turn, 5) {
				bare.turn(b)
				tillid.turn(b)
			}
			for range max(b.N/10, 200) {
				bare.alone(b)
				tillid.alone(b)
			}
			b.ReportMetric(100*median(tillid.rate)/median(bare.rate), "%-of-bare-rate")
			b.ReportMetric(100*median(bare.cpu)/median(tillid.cpu), "%-of-bare-by-CPU")
			b.ReportMetric(median(tillid.rate), "requests/s")
			b.ReportMetric(1000*(median(tillid.whole)-median(bare.whole)), "added-p50-ms")
			b.ReportMetric(1000*(median(tillid.first)-median(bare.first)), "first-byte-later-ms")
		})
	}
}

const turn = 200 // requests

// runner asks one server, and measures.
type runner struct {
	server       *httptest.Server
	client       *http.Client
	rate, cpu    []float64 // of each turn: requests/s, processor seconds for a request
	whole, first []float64 // of each request alone: seconds
}

func besideEachOther(b *testing.B, upstream string) (bare, tillid *runner) {
	b.Helper()
	u, err := url.Parse(upstream)
	if err != nil {
		b.Fatal(err)
	}
	house := benchHouse(b, upstream)
	server := &Server{Houses: []*House{house}, Log: house.Log, Metrics: NewMetrics()}
	if err := server.Build(); err != nil {
		b.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(u)
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 256}
	made := func(h http.Handler) *runner {
		return &runner{server: httptest.NewServer(h), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
	}
	return made(proxy), made(server)
}

func (r *runner) get(b *testing.B, trace *httptrace.ClientTrace) {
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(b.Context(), trace), http.MethodGet, r.server.URL+"/", http.NoBody)
	if err != nil {
		b.Error(err)
		return
	}
	req.Host = "www.eksempel.example"
	req.Header.Set("Sec-Fetch-Dest", "document")
	resp, err := r.client.Do(req)
	if err != nil {
		b.Error(err)
		return
	}
	defer resp.Body.Close()
	if n, _ := io.Copy(io.Discard, resp.Body); n < 20_000 || resp.StatusCode != http.StatusOK {
		b.Errorf("%d, %d bytes", resp.StatusCode, n)
	}
}

// turn is many requests, sixteen at a time.
func (r *runner) turn(b *testing.B) {
	began, used := time.Now(), processor()
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range turn / 16 {
				r.get(b, &httptrace.ClientTrace{})
			}
		})
	}
	all.Wait()
	n := float64(turn / 16 * 16)
	r.rate = append(r.rate, n/time.Since(began).Seconds())
	r.cpu = append(r.cpu, (processor()-used).Seconds()/n)
}

// alone is one request while nothing else is asked.
func (r *runner) alone(b *testing.B) {
	began := time.Now()
	r.get(b, &httptrace.ClientTrace{GotFirstResponseByte: func() { r.first = append(r.first, time.Since(began).Seconds()) }})
	r.whole = append(r.whole, time.Since(began).Seconds())
}

// processor is the time that this process's threads have run.
func processor() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}
