package memory

import (
	"sync/atomic"

	"github.com/ostiary/auth/store"
)

// Bulk revocations change no token. They publish a cut-off that every read
// sees: tokens from before it are dead. A token knows the cut-offs that can
// concern it, so that a read takes no lock and no look-up.

// A cutKey is the subject of a cut-off: a user, an application, both, or the
// descendants of a family. An empty field matches all. The zero cutKey concerns
// all tokens.
type cutKey struct {
	userID        string
	applicationID int64
	mintedBy      int64
}

// A cut is where the newest cut-off of something stands.
type cut struct{ last atomic.Pointer[cutoff] }

// A heldCut is that of a cutKey. It exists while there is something that it can
// concern.
type heldCut struct {
	cut
	key  cutKey
	refs int // guarded by Store.mu
}

// A cutoff ends the tokens, codes and devices from before it.
type cutoff struct {
	seq int64
	at  instant
}

// ends returns the instant at which a subject with that number ended, or 0.
func (c *cut) ends(seq int64) instant {
	if last := c.last.Load(); last != nil && seq < last.seq {
		return last.at
	}
	return 0
}

// cuts are the cut-offs of a store.
type cuts struct {
	byKey map[cutKey]*heldCut
	all   cut
	seq   int64 // of the newest cut-off; guarded by Store.mu

	// todo are the cut-offs whose tokens are still to be marked, with how many
	// are left to look at.
	todo []*marking
}

func newCuts() cuts { return cuts{byKey: make(map[cutKey]*heldCut)} }

// hold returns the cut of a key and keeps it until release.
func (cs *cuts) hold(key cutKey) *heldCut {
	c := cs.byKey[key]
	if c == nil {
		c = &heldCut{key: key}
		cs.byKey[key] = c
	}
	c.refs++
	return c
}

func (cs *cuts) release(c *heldCut) {
	if c == nil {
		return
	}
	if c.refs--; c.refs == 0 {
		delete(cs.byKey, c.key)
	}
}

// A reach has the cuts that can concern something: of the user, of the application,
// of both; nil for none.
type reach [3]*heldCut

// reach returns the cuts of a user and an application, until released.
func (cs *cuts) reach(userID string, applicationID int64) (r reach) {
	if userID != "" {
		r[0] = cs.hold(cutKey{userID: userID})
	}
	if applicationID != 0 {
		r[1] = cs.hold(cutKey{applicationID: applicationID})
	}
	if userID != "" && applicationID != 0 {
		r[2] = cs.hold(cutKey{userID: userID, applicationID: applicationID})
	}
	return r
}

func (r *reach) release(cs *cuts) {
	for _, c := range r {
		cs.release(c)
	}
}

// ends returns when a cut-off ended something of that number, 0 for not.
func (r *reach) ends(cs *cuts, seq int64) instant {
	for _, c := range r {
		if c == nil {
			continue
		}
		if at := c.ends(seq); at != 0 {
			return at
		}
	}
	return cs.all.ends(seq)
}

// A subject is a code or a device, with the number of the newest cut-off when it was
// issued.
type subject struct {
	seq int64
	reach
}

// ends returns when a cut-off ended the subject, 0 for not.
func (s *subject) ends(cs *cuts) instant { return s.reach.ends(cs, s.seq) }

// keyOf returns the cut-off that stands for a selection. Others name few tokens.
func keyOf(sel store.Selection) (key cutKey, bulk bool) {
	if sel.TokenID != 0 || sel.Family != 0 {
		return cutKey{}, false
	}
	key = cutKey{sel.UserID, sel.ApplicationID, sel.MintedBy}
	if key.mintedBy != 0 {
		return key, key == cutKey{mintedBy: key.mintedBy}
	}
	return key, key != cutKey{} || sel.All
}

// cutOff ends everything that a key concerns.
func (s *Store) cutOff(key cutKey, at instant) {
	s.cuts.seq++
	var c *cut
	if held := s.cuts.byKey[key]; held != nil {
		c = &held.cut
	} else if f := s.keptByID(key.mintedBy); f != nil {
		if m := s.minted(f); m != nil {
			c = &m.cut
		}
	} else if key == (cutKey{}) {
		c = &s.cuts.all
	}
	if c == nil {
		return // there is nothing that it could concern
	}
	c.last.Store(&cutoff{s.cuts.seq, at.end()})
	s.cuts.todo = append(s.cuts.todo, s.newMarking(key, at))
}
