package memory

import (
	"cmp"
	"errors"
	"math/bits"
	"sync/atomic"
)

// A ref names a record of a slab. It takes half of a pointer, and the collector does
// not follow it. 0 names none.
type ref uint32

// A slab keeps records in chunks. If T has no pointers, the collector looks at none of
// them. Readers take no lock; writers hold Store.mu.
//
// A place is used again once its record is gone, so what readers without a lock read
// must be atomic. What such a reader has found counts only if no change has begun
// meanwhile, which [Store.undisturbed] tells.
type slab[T any] struct {
	chunks atomic.Pointer[[]atomic.Pointer[chunk[T]]]
	held   []*chunk[T] // the same, for holders of Store.mu
	free   []uint64    // a bit for each record of a chunk that is free
	room   []uint32    // the chunks with a free record
	used   uint32      // records
	most   uint32      // of these; 0 for maxRecords
}

// A chunk is small, so that a few records that stay keep little memory that nobody
// uses: the allocator of Go does not keep less.
type chunk[T any] [chunkSize]T

const (
	chunkSize  = 64
	allFree    = 1<<chunkSize - 1
	maxRecords = 1<<32 - chunkSize // in chunks all of whose records have refs
)

// errFull reports that there is no ref for a further record. What takes records asks
// before it changes anything.
var errFull = errors.New("memory: no room for another record")

// hasRoom reports whether n records can be taken.
func (s *slab[T]) hasRoom(n int) bool {
	return uint64(s.used)+uint64(n) <= uint64(cmp.Or(s.most, maxRecords))
}

// at returns a record, or nil if its chunk is gone.
func (s *slab[T]) at(r ref) *T {
	chunks := s.chunks.Load()
	i := int((r - 1) / chunkSize)
	if r == 0 || chunks == nil || i >= len(*chunks) {
		return nil
	}
	c := (*chunks)[i].Load()
	if c == nil {
		return nil
	}
	return &c[(r-1)%chunkSize]
}

// locked is at for holders of Store.mu, and quicker. There is a record.
func (s *slab[T]) locked(r ref) *T { return &s.held[(r-1)/chunkSize][(r-1)%chunkSize] }

// take returns a free record, with what its last use has left there. There is room.
func (s *slab[T]) take() (ref, *T) {
	if len(s.room) == 0 {
		s.grow()
	}
	n := s.room[len(s.room)-1]
	if s.free[n] == allFree {
		s.held[n] = new(chunk[T])
		(*s.chunks.Load())[n].Store(s.held[n])
	}
	s.used++
	i := bits.TrailingZeros64(s.free[n])
	if s.free[n] &^= 1 << i; s.free[n] == 0 {
		s.room = s.room[:len(s.room)-1]
	}
	return ref(n)*chunkSize + ref(i) + 1, &s.held[n][i]
}

// grow makes place for more chunks, half as many again.
func (s *slab[T]) grow() {
	var old []atomic.Pointer[chunk[T]]
	if chunks := s.chunks.Load(); chunks != nil {
		old = *chunks
	}
	next := make([]atomic.Pointer[chunk[T]], min(len(old)+len(old)/2+1, maxRecords/chunkSize))
	for i := range old {
		next[i].Store(old[i].Load())
	}
	s.chunks.Store(&next)
	for n := len(next) - 1; n >= len(old); n-- {
		s.room = append(s.room, uint32(n))
	}
	for len(s.free) < len(next) {
		s.free, s.held = append(s.free, allFree), append(s.held, nil)
	}
}

// drop makes a record free. A chunk without records goes.
func (s *slab[T]) drop(r ref) {
	n, i := (r-1)/chunkSize, (r-1)%chunkSize
	s.used--
	if s.free[n] == 0 {
		s.room = append(s.room, uint32(n))
	}
	if s.free[n] |= 1 << i; s.free[n] == allFree {
		s.held[n] = nil
		(*s.chunks.Load())[n].Store(nil)
	}
}

// A handles gives out refs to records with pointers, which never change but for what
// is atomic in them, or guarded by Store.mu.
type handles[T any] struct {
	slab[atomic.Pointer[T]]
}

// get returns a record, or nil if it is gone.
func (h *handles[T]) get(r ref) *T {
	if p := h.at(r); p != nil {
		return p.Load()
	}
	return nil
}

func (h *handles[T]) put(record *T) ref {
	r, p := h.take()
	p.Store(record)
	return r
}

func (h *handles[T]) drop(r ref) {
	h.at(r).Store(nil)
	h.slab.drop(r)
}
