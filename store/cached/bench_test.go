package cached_test

import (
	"context"
	"net/netip"
	"testing"

	"github.com/ostiary/auth/store/cached"
)

func netipEqual(a, b netip.Prefix) bool { return a == b }

// BenchmarkHit is a look-up of a token that is kept.
func BenchmarkHit(b *testing.B) {
	w := newWorld(b)
	st := w.open(cached.Options{})
	// As of a request, which can be cancelled.
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := st.AccessByDigest(ctx, w.token.Digest); err != nil {
			b.Fatal(err)
		}
	}
}
