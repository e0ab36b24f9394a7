package memory

import (
	"bytes"
	"encoding/binary"
	"sync/atomic"
)

// A blobs keeps data of any length. That of a few blocks is in a slab: no object for
// each, and nothing that the collector follows. Readers need no lock, as those of a
// [slab].
type blobs struct {
	slab[block]
	long handles[[]byte]
}

type block struct {
	next  atomic.Uint32
	words [blockSize / 4]atomic.Uint32
}

// blockSize is how much data a block has. With what leads to the next one it takes a
// line of a processor's cache.
const blockSize = 60

// longData is how many bytes are copied in one go, sooner than block by block.
const longData = 8*blockSize + 1

// blocksOf returns how many blocks n bytes take.
func blocksOf(n int) int { return (n + blockSize - 1) / blockSize }

// hasRoom reports whether there is room for n bytes.
func (b *blobs) hasRoom(n int) bool {
	if n >= longData {
		return b.long.hasRoom(1)
	}
	return b.slab.hasRoom(blocksOf(n))
}

// put stores data, and returns its first block, 0 for none.
func (b *blobs) put(data []byte) (first ref) {
	if len(data) >= longData {
		kept := bytes.Clone(data)
		return b.long.put(&kept)
	}
	for i := blocksOf(len(data)) - 1; i >= 0; i-- { // each knows the one behind it
		var piece [blockSize]byte
		copy(piece[:], data[i*blockSize:])
		r, x := b.take()
		for w := range x.words {
			x.words[w].Store(binary.LittleEndian.Uint32(piece[4*w:]))
		}
		x.next.Store(uint32(first))
		first = r
	}
	return first
}

// read returns n bytes that were put. For a reader without a lock they may be
// anything, if a change has begun.
func (b *blobs) read(first ref, n int) []byte {
	data := make([]byte, n)
	if n >= longData {
		if kept := b.long.get(first); kept != nil {
			copy(data, *kept)
		}
		return data
	}
	for at := 0; at < n; {
		x := b.at(first)
		if x == nil {
			break
		}
		if n-at >= blockSize {
			x.read((*[blockSize]byte)(data[at:]))
			at += blockSize
		} else {
			var piece [blockSize]byte
			x.read(&piece)
			at += copy(data[at:], piece[:])
		}
		first = ref(x.next.Load())
	}
	return data
}

func (x *block) read(piece *[blockSize]byte) {
	for w := range x.words {
		binary.LittleEndian.PutUint32(piece[4*w:], x.words[w].Load())
	}
}

// drop forgets n bytes.
func (b *blobs) drop(first ref, n int) {
	if n >= longData {
		b.long.drop(first)
		return
	}
	for first != 0 {
		next := ref(b.locked(first).next.Load())
		b.slab.drop(first)
		first = next
	}
}
