package file

import (
	"bytes"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// BenchmarkUploads takes a hundred files of 10 MB at once on SQLite, and reports the
// most memory that the program held meanwhile.
func BenchmarkUploads(b *testing.B) {
	content := bytes.Repeat([]byte("a line of some length\n"), MaxSize/22)
	for round := 0; b.Loop(); round++ {
		s := newStore(b, func(name string) string { return filepath.Join(b.TempDir(), name) })
		stop, peak := make(chan struct{}), make(chan uint64)
		go func() {
			var most uint64
			var m runtime.MemStats
			for tick := time.NewTicker(20 * time.Millisecond); ; {
				select {
				case <-stop:
					tick.Stop()
					peak <- most
					return
				case <-tick.C:
					runtime.ReadMemStats(&m)
					most = max(most, m.HeapInuse+m.StackInuse)
				}
			}
		}()
		var all sync.WaitGroup
		for i := range 100 {
			key := s.key(b, fmt.Sprintf("r%d.%d", round, i))
			all.Go(func() {
				if _, err := s.Take(b.Context(), key, Upload{Name: "a.txt", Body: bytes.NewReader(content)}); err != nil {
					b.Error(err)
				}
			})
		}
		all.Wait()
		close(stop)
		b.ReportMetric(float64(<-peak)/(1<<20), "MB-peak")
	}
	b.SetBytes(100 * int64(len(content)))
}
