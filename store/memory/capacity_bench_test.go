package memory_test

import (
	"runtime"
	"testing"
)

// BenchmarkMemory reports the bytes of one token in the store with all its indexes.
func BenchmarkMemory(b *testing.B) {
	const size = 200_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := filled(b, size)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/size, "B/token")
		runtime.KeepAlive(s)
	}
}
