package sqlstore

import "time"

const (
	// skewBound is the difference of clocks that is logged. Clocks that are set
	// over the network differ by much less, and the times that depend on them
	// are minutes.
	skewBound = 30 * time.Second
	// skewInterval is the time between two notes of it.
	skewInterval = 10 * time.Minute
)

// noticeSkew logs, once in a while, that a record has a time which is still to
// come: the clock of the server that wrote it is ahead of this one. A server
// that is ahead itself sees nothing of it, but those that are behind do. It
// decides nothing.
func (s *Store) noticeSkew(record string, times ...time.Time) {
	var latest time.Time
	for _, at := range times {
		if at.After(latest) {
			latest = at
		}
	}
	if latest.IsZero() {
		return
	}
	now := time.Now()
	ahead := latest.Sub(now)
	if ahead <= skewBound {
		return
	}
	last := s.skewNoted.Load()
	if since := now.Sub(time.UnixMicro(last)); since >= 0 && since < skewInterval || !s.skewNoted.CompareAndSwap(last, now.UnixMicro()) {
		return
	}
	s.log.Warn("the clocks of the servers are apart: a stored time lies in the future", "record", record, "ahead", ahead.Round(time.Millisecond))
}
