package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
)

// A verdict is the answer to one password check.
type verdict struct {
	ok   bool
	hash string // that is stored now, "" if it is not known
	err  error
}

type flightKey struct {
	key     attemptKey
	network netip.Prefix
	browser string
}

// flights joins equal checks that run at the same time, so that many parallel
// requests with one password cost one hash and one attempt.
type flights struct {
	secret  [sha256.Size]byte
	mu      sync.Mutex
	current map[flightKey]*flight
}

type flight struct {
	done    chan struct{}
	verdict verdict
}

func newFlights() *flights {
	f := &flights{current: make(map[flightKey]*flight)}
	_, _ = rand.Read(f.secret[:])
	return f
}

func (f *flights) do(ctx context.Context, key flightKey, check func() verdict) verdict {
	for {
		f.mu.Lock()
		leader := f.current[key]
		if leader == nil {
			return f.lead(key, check)
		}
		f.mu.Unlock()
		select {
		case <-leader.done:
		case <-ctx.Done():
			return verdict{err: ctx.Err()}
		}
		// A leader whose client hung up has no verdict for the others.
		if err := leader.verdict.err; !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			return leader.verdict
		}
	}
}

// lead runs check for all callers that wait for key. The caller must hold f.mu.
func (f *flights) lead(key flightKey, check func() verdict) verdict {
	mine := &flight{done: make(chan struct{}), verdict: verdict{err: context.Canceled}} // if check panics
	f.current[key] = mine
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.current, key)
		f.mu.Unlock()
		close(mine.done)
	}()
	mine.verdict = check()
	return mine.verdict
}

// An attemptKey stands for a user name, a password and the stored hash. It cannot
// be computed outside this process.
type attemptKey [sha256.Size]byte

// key hashes a secret and the parts, each with its length before it, so that no
// two triples have the same text. The digest stays in the process, so that
// length extension is no attack.
func (f *flights) key(name, password, hash string) attemptKey {
	var scratch [512]byte
	b := append(scratch[:0], f.secret[:]...)
	for _, part := range []string{name, password, hash} {
		b = append(binary.LittleEndian.AppendUint64(b, uint64(len(part))), part...)
	}
	k := attemptKey(sha256.Sum256(b))
	clear(b)
	return k
}
