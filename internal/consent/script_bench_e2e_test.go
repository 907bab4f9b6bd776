//go:build e2e

package consent

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/tracing"
	"github.com/chromedp/chromedp"
)

// traced is an event of Chromium's tracing, as far as it matters here; times are in µs.
type traced struct {
	Name      string
	TS, Dur   float64
	TDur      float64 // of the processor, for this thread: other work on the machine does not count
	PID, TID  int
	Arguments struct {
		Data struct{ URL string }
	} `json:"args"`
}

// BenchmarkBrowserScript opens a page with the banner in Chromium, its processor
// slowed down four times, nothing in its cache, and reports how long the banner's
// script has the main thread: compiling, running, and what it calls later.
func BenchmarkBrowserScript(b *testing.B) {
	st := newStage(b, "enforce", nil)
	tab := st.browser(b, desktop)
	var mu sync.Mutex
	var events []traced
	ended := make(chan struct{}, 1)
	if err := chromedp.Listen(tab.ctx, func(event any) {
		switch e := event.(type) {
		case *tracing.EventDataCollected:
			mu.Lock()
			defer mu.Unlock()
			for _, v := range e.Value {
				var one traced
				if json.Unmarshal(v, &one) == nil {
					events = append(events, one)
				}
			}
		case *tracing.EventTracingComplete:
			ended <- struct{}{}
		}
	}); err != nil {
		b.Fatal(err)
	}
	tab.do(call(emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: 4}))
	var all []float64
	b.ResetTimer()
	for range b.N {
		events = nil
		tab.do(call(network.ClearBrowserCache, cdp.Empty{}), chromedp.Navigate("about:blank"),
			call(tracing.Start, tracing.StartParams{TraceConfig: &tracing.TraceConfig{IncludedCategories: []string{"devtools.timeline", "v8", "disabled-by-default-v8.compile"}}}))
		tab.open("/om-os")
		tab.do(chromedp.WaitVisible(`.tillid-banner`))
		tab.settled()
		tab.do(call(tracing.End, cdp.Empty{}))
		<-ended
		all = append(all, busy(events))
	}
	b.StopTimer()
	slices.Sort(all)
	if all[0] == 0 {
		b.Fatal("the trace does not show the script")
	}
	b.ReportMetric(all[len(all)/2], "ms-median")
	b.ReportMetric(all[len(all)-1], "ms-most")
	b.ReportMetric(0, "ns/op")
}

// busy sums, in ms, what events of the banner's script took, those within others once.
func busy(events []traced) (ms float64) {
	var own []traced
	for _, e := range events {
		if strings.Contains(e.Arguments.Data.URL, "/_tillid/t.js") && (e.Name == "EvaluateScript" || e.Name == "FunctionCall" || e.Name == "v8.compile") {
			own = append(own, e)
		}
	}
	slices.SortFunc(own, func(a, b traced) int { return int(a.TS - b.TS) })
	end := map[[2]int]float64{}
	for _, e := range own {
		thread := [2]int{e.PID, e.TID}
		if e.TS >= end[thread] {
			ms += e.TDur / 1000
			end[thread] = e.TS + e.Dur
		}
	}
	return ms
}
