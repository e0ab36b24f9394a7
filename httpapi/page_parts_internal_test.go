package httpapi

import (
	"testing"
	"time"
)

// A moment that lies ahead is told by the nearest hour, so that a token for 30
// days says so a moment after it was made. The past is told in whole units.
func TestMomentText(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		at   time.Duration
		want string
	}{
		{"30 days, a moment later", 30*day - time.Second, "in 30 days"},
		{"a day, a moment later", day - time.Second, "in 1 day"},
		{"an hour and most of the next", 2*time.Hour - time.Minute, "in 2 hours"},
		{"less than an hour", 59*time.Minute + 59*time.Second, "in 59 minutes"},
		{"less than a minute", 30 * time.Second, "in less than a minute"},
		{"half a day more", 29*day + 12*time.Hour, "in 29 days"},
		{"now", 0, "just now"},
		{"nearly a day ago", -day + time.Second, "23 hours ago"},
		{"two days ago", -2 * day, "2 days ago"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := new(api).moment(now.Add(c.at), now).Text; got != c.want {
				t.Errorf("want %q, got %q", c.want, got)
			}
		})
	}
}
