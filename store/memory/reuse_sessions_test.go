package memory_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// Places of sessions and of their data are used again while others read without a lock.
// Nobody sees a part of one session and a part of another, nor of a session before and
// after a change, nor the user of another one. A user who stays is found throughout.
func TestReadersSeeOneSession(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4*runtime.NumCPU() + 4))
	ctx, s := t.Context(), memory.New()
	addUser(t, s, "stays")
	name := func(n int) string { return fmt.Sprint("u", n) }
	address := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}) }
	data := func(n int) []byte { // short and long
		return bytes.Repeat([]byte{byte(n), byte(n >> 8)}, 100+n%2*500)
	}
	expires := func(n int) time.Time { return now.Add(time.Duration(n+1) * time.Minute) }
	var current, mixed, reads atomic.Int64
	stopInPlace := readers(t, runtime.NumCPU()+1, func() bool {
		n := int(current.Load())
		d := digest(n)
		var x stores.SessionRow
		u, err := s.ReadSession(ctx, &d, &x, nil, func(_, revision int64) bool { return revision == 2 })
		reads.Add(1)
		if errors.Is(err, store.ErrNotFound) {
			return true
		}
		later, revision := s.SessionData(x.Place, x.ID)
		if err != nil || u.Name != name(n) || x.UserID != u.ID || x.Epoch != int64(n) || x.Ended || x.Reason != "" || x.Created != now.UnixMicro() ||
			x.Expires != expires(n).UnixMicro() && (x.Revision != 2 || x.Expires != expires(n+2).UnixMicro()) ||
			x.Read != (x.Revision == 1) || x.Read && !bytes.Equal(x.Data, data(n)) ||
			revision != 0 && (revision < x.Revision || !bytes.Equal(later, data(n+int(revision)-1))) || revision == 0 && later != nil {
			if mixed.Add(1) == 1 {
				t.Errorf("session %d of %q in place: %+v, %v; later revision %d of %d bytes", n, u.Name, x, err, revision, len(later))
			}
		}
		return true
	})
	stopOthers := readers(t, runtime.NumCPU()+1, func() bool {
		n := int(current.Load())
		x, u, err := s.SessionByDigest(ctx, digest(n))
		reads.Add(1)
		if stays, err := s.UserByName(ctx, "stays"); err != nil || stays.Name != "stays" {
			t.Errorf("the user who stays is %+v, %v", stays, err)
			return false
		}
		if errors.Is(err, store.ErrNotFound) {
			return true
		}
		k := n // whose data and address it has
		if x.Revision == 2 {
			k++
		}
		touched := k
		if !x.Expires.Equal(expires(n)) {
			touched = n + 2
		}
		if err != nil || u.Name != name(n) || x.UserID != u.ID || x.Epoch != int64(n) || x.Agent != name(n) || !bytes.Equal(x.Data, data(k)) ||
			touched == n+2 && (x.Address != address(touched) || !x.Expires.Equal(expires(touched)) || x.Revision != 2) ||
			touched != n+2 && x.Address != address(n) || !x.Ended.IsZero() {
			if mixed.Add(1) == 1 {
				t.Errorf("session %d of %q: %+v, %v", n, u.Name, x, err)
			}
		}
		return true
	})
	wait := func() {
		for before := reads.Load(); reads.Load() < before+20 && mixed.Load() == 0 && !t.Failed(); {
			runtime.Gosched()
		}
	}
	end := time.Now().Add(1500 * time.Millisecond)
	for n := 0; time.Now().Before(end) && mixed.Load() == 0 && !t.Failed(); n++ {
		u, err := s.InsertUser(ctx, store.User{Name: name(n), Active: true})
		must(t, u, err)
		x, _, err := s.InsertSession(ctx, store.Session{
			Digest: digest(n), UserID: u.ID, Epoch: int64(n), Data: data(n), Address: address(n), Agent: name(n), Created: now, Expires: expires(n),
		}, store.Digest{}, 0)
		must(t, x, err)
		current.Store(int64(n))
		wait()
		if err := s.SaveSession(ctx, digest(n), data(n+1), 1, now); err != nil {
			t.Fatal(err)
		}
		wait()
		if err := s.TouchSession(ctx, digest(n), expires(n+2), now, address(n+2)); err != nil {
			t.Fatal(err)
		}
		wait()
		removed, err := s.PurgeSessions(ctx, expires(n+2).Add(time.Second), 10)
		if must(t, removed, err) != 1 {
			t.Fatalf("%d sessions purged", removed)
		}
		if err := s.DeleteUser(ctx, u.ID, now); err != nil {
			t.Fatal(err)
		}
	}
	stopInPlace()
	stopOthers()
	if n := mixed.Load(); n != 0 {
		t.Errorf("%d of %d reads saw parts of two sessions", n, reads.Load())
	}
}
