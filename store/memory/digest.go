package memory

import (
	"encoding/binary"
	"hash/maphash"
	"sync/atomic"

	"github.com/ostiary/auth/store"
)

// A digest is a [store.Digest] that readers without a lock may read while it changes.
type digest [4]atomic.Uint64

func (x *digest) setDigest(d store.Digest) {
	for i := range x {
		x[i].Store(binary.LittleEndian.Uint64(d[8*i:]))
	}
}

func (x *digest) getDigest() (d store.Digest) {
	for i := range x {
		binary.LittleEndian.PutUint64(d[8*i:], x[i].Load())
	}
	return d
}

func (x *digest) isDigest(d *store.Digest) bool {
	for i := range x {
		if x[i].Load() != binary.LittleEndian.Uint64(d[8*i:]) {
			return false
		}
	}
	return true
}

// hash32 needs no hashing: a digest is uniform, and nobody can choose the digests that
// are stored.
func hash32(d *store.Digest) uint32 { return binary.BigEndian.Uint32(d[:]) }

// hashText is hash32 for a text that somebody may choose.
func (s *Store) hashText(text string) uint32 { return uint32(maphash.String(s.textSeed, text)) }
