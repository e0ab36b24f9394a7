package auth

import (
	"net/netip"
	"slices"

	"github.com/ostiary/auth/internal/client"
)

// A line has the waiters for a slot, by site and by network. A site is what one
// customer may well have of IPv6: it has 65,536 networks.
type line struct {
	places, waiting int
	sites           shares
}

// A share has the waiters of one site or of one network.
type share struct {
	prefix   netip.Prefix
	waiting  int
	networks shares    // of a site
	waiters  []*waiter // of a network, in the order in which they came
}

// shares are the sites of a line, or the networks of a site.
type shares struct {
	of    map[netip.Prefix]*share
	turns []*share // in the order of their turns
}

type waiter struct {
	line    *line
	network netip.Prefix
	turn    chan error // nil for a slot
}

// add returns the share of a prefix.
func (s *shares) add(prefix netip.Prefix) *share {
	mine := s.of[prefix]
	if mine == nil {
		if s.of == nil {
			s.of = make(map[netip.Prefix]*share)
		}
		mine = &share{prefix: prefix}
		s.of[prefix] = mine
		s.turns = append(s.turns, mine)
	}
	return mine
}

func (s *shares) drop(gone *share) {
	delete(s.of, gone.prefix)
	at := slices.Index(s.turns, gone)
	s.turns = slices.Delete(s.turns, at, at+1)
}

// next returns the share that has its turn and moves it to the end.
func (s *shares) next() *share {
	mine := s.turns[0]
	s.turns = append(s.turns[1:], mine)
	return mine
}

// most returns the share that has the most places.
func (s *shares) most() *share {
	return slices.MaxFunc(s.turns, func(a, b *share) int { return a.waiting - b.waiting })
}

// yields returns the share that gives a place up for one of the given prefix. It
// returns nil if every share has one place. Inside reports that the share is that of
// the prefix itself.
func (s *shares) yields(prefix netip.Prefix) (from *share, inside bool) {
	most := s.most()
	mine := s.of[prefix]
	switch {
	case mine != nil && mine.waiting+1 >= most.waiting:
		return mine, true
	case most.waiting == 1:
		return nil, false
	}
	return most, false
}

// enter takes a place and reports whether there was one. If all are taken, it
// takes that of the last waiter of the network with most waiters, in the site with
// most waiters. One network may therefore have all places, but only until another
// one comes.
func (l *line) enter(w *waiter) bool {
	if l.waiting >= l.places {
		last := l.victim(w.network)
		if last == nil {
			return false
		}
		l.leave(last)
		last.turn <- errBusy
	}
	site := l.sites.add(client.Site(w.network))
	mine := site.networks.add(w.network)
	mine.waiters = append(mine.waiters, w)
	l.waiting++
	site.waiting++
	mine.waiting++
	return true
}

// victim returns the waiter that gives its place to one of the network, or nil.
func (l *line) victim(network netip.Prefix) *waiter {
	site, inside := l.sites.yields(client.Site(network))
	if site == nil {
		return nil
	}
	from := site.networks.most()
	if inside {
		if from, inside = site.networks.yields(network); from == nil || inside {
			return nil
		}
	}
	return from.waiters[len(from.waiters)-1]
}

// first returns the next waiter, or nil, and moves its site and its network to the
// end.
func (l *line) first() *waiter {
	if l.waiting == 0 {
		return nil
	}
	return l.sites.next().networks.next().waiters[0]
}

// leave gives up the place of w and reports whether w had one.
func (l *line) leave(w *waiter) bool {
	site := l.sites.of[client.Site(w.network)]
	if site == nil {
		return false
	}
	mine := site.networks.of[w.network]
	if mine == nil {
		return false
	}
	i := slices.Index(mine.waiters, w)
	if i < 0 {
		return false
	}
	mine.waiters = slices.Delete(mine.waiters, i, i+1)
	l.waiting--
	site.waiting--
	if mine.waiting--; mine.waiting == 0 {
		site.networks.drop(mine)
	}
	if site.waiting == 0 {
		l.sites.drop(site)
	}
	return true
}
