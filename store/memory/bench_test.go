package memory_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// BenchmarkAccessByDigest is the look-up of a bearer check. With two cores it
// should cost no more CPU than with one: readers share no lock.
func BenchmarkAccessByDigest(b *testing.B) {
	for _, size := range []int{1_000, 100_000} {
		s := filled(b, size)
		ctx := b.Context()
		b.Run(fmt.Sprintf("%d tokens/serial", size), func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n = (n + 7919) % size
				if a, err := s.AccessByDigest(ctx, digest(n)); err != nil || a.User.Name != "alice" {
					b.Fatal(a, err)
				}
			}
		})
		b.Run(fmt.Sprintf("%d tokens/parallel", size), func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				n := 0
				for pb.Next() {
					n = (n + 7919) % size
					if _, err := s.AccessByDigest(ctx, digest(n)); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkPurge is one token of 100,000 that ends, with all its indexes.
func BenchmarkPurge(b *testing.B) {
	s := filled(b, 100_000)
	n := 100_000
	for b.Loop() {
		insert(b, s, n)
		n++
		if purged, err := s.Purge(b.Context(), now.Add(time.Hour+time.Duration(n-100_000)*time.Second), 1); purged != 1 || err != nil {
			b.Fatal(purged, err)
		}
	}
}

func filled(b *testing.B, size int) *memory.Store {
	s := memory.New()
	addUser(b, s, "alice")
	for n := range size {
		insert(b, s, n)
	}
	return s
}

func insert(b *testing.B, s *memory.Store, n int) {
	_, err := s.InsertToken(b.Context(), store.Token{
		Digest: digest(n), UserID: "1", Scopes: "read", Created: now, Modified: now,
		Expires: now.Add(time.Hour + time.Duration(n)*time.Second),
	}, store.InsertLimits{})
	if err != nil {
		b.Fatal(err)
	}
}
