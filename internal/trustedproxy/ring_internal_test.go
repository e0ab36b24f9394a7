package trustedproxy

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"testing"
	"time"
	"unsafe"
)

// A key that the gateway has withdrawn must not outlive MaxKeyAge because the machine
// slept, while the monotonic clock stood, or because the other clock was set back.
func TestKeysAgeByEitherClock(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name            string
		monotonic, wall time.Duration
		want            int // keys
	}{
		{"a minute", time.Minute, time.Minute, 1},
		{"a day", 25 * time.Hour, 25 * time.Hour, 0},
		{"a day of sleep", time.Second, 25 * time.Hour, 0},
		{"a day, and the clock was set back", 25 * time.Hour, time.Minute, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calls := 0
			v, err := NewVerifier(Options{
				Keys: []*rsa.PublicKey{&key.PublicKey}, MaxKeyAge: 24 * time.Hour, RefreshInterval: time.Minute, ReplayEntries: 1,
				Refresh: func(context.Context) ([]*rsa.PublicKey, error) { calls++; return nil, errors.New("down") },
				Fetched: func(context.Context, int, error) {},
			})
			if err != nil {
				t.Fatal(err)
			}
			at := v.keys.current.Load().at
			v.keys.tried = at
			now := later(t, at, tt.monotonic, tt.wall)
			if got := len(v.keys.keys(t.Context(), now).keys); got != tt.want {
				t.Errorf("%d keys count, want %d", got, tt.want)
			}
			if wants := 1 - tt.want; calls != wants {
				t.Errorf("the keys were fetched %d times, want %d", calls, wants)
			}
		})
	}
}

// later returns the time at which the two clocks have gone on by so much. It sets the
// seconds in package time's own form, because no function of that package moves one
// clock alone.
func later(t *testing.T, at time.Time, monotonic, wall time.Duration) time.Time {
	t.Helper()
	now := at.Add(monotonic)
	const nanosecondBits = 30
	*(*uint64)(unsafe.Pointer(&now)) += uint64((wall-monotonic)/time.Second) << nanosecondBits
	if now.Sub(at) != monotonic || now.Round(0).Sub(at.Round(0)) != wall {
		t.Fatalf("package time has another form: %v, not %v, and %v, not %v", now.Sub(at), monotonic, now.Round(0).Sub(at.Round(0)), wall)
	}
	return now
}
