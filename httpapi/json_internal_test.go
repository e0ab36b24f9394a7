package httpapi

import (
	"math"
	"testing"
	"time"
)

// FuzzTimestamp holds that times are written as package time writes them.
func FuzzTimestamp(f *testing.F) {
	for _, text := range []string{
		"2026-11-30T01:02:03.456789Z", "2024-02-29T23:59:59.999999999Z", "1969-12-31T23:59:59.000001999Z", "0001-01-01T00:00:00.1Z", "9999-12-31T23:59:59.999999Z",
		"2026-03-29T01:30:00+02:00", "9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00",
	} {
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			f.Fatal(err)
		}
		_, offset := at.Zone()
		f.Add(at.Unix(), int64(at.Nanosecond()), offset)
	}
	f.Add(int64(math.MinInt64), int64(0), 0)
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), -1)
	f.Fuzz(func(t *testing.T, seconds, nanoseconds int64, offset int) {
		at := time.Unix(seconds, nanoseconds).In(time.FixedZone("", offset%86400))
		want := at.UTC().Format(`"2006-01-02T15:04:05.000000Z"`)
		if at.IsZero() {
			want = "null"
		}
		if got := string(timestamp(at).append([]byte("x"))); got != "x"+want {
			t.Errorf("%s, want x%s", got, want)
		}
	})
}
