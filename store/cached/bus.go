package cached

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth/internal/secret"
	"github.com/ostiary/auth/internal/stores"
)

// A Bus carries short messages between processes, such as LISTEN and NOTIFY of
// PostgreSQL in module pgbus. A message has no secret and no name of a user.
type Bus interface {
	// Publish sends a message to all processes that listen. Its length is at most
	// 64 bytes, and it is ASCII. Publish must honour the context.
	Publish(ctx context.Context, message string) error

	// Listen calls receive with each message, one after the other, until ctx ends or
	// an error occurs. It must call lost as soon as it hears all that is sent from
	// then on, and again whenever messages may have been lost.
	Listen(ctx context.Context, receive func(message string), lost func()) error
}

const (
	version  = "1" // of the messages
	nameLen  = 12
	minPause = 100 * time.Millisecond
	maxPause = 5 * time.Second
)

func newName() string { return secret.Random(nameLen) }

// changed notes a change here, and tells the others.
func (s *Store) changed(ctx context.Context, sub subject) {
	s.changes.note(sub)
	if s.bus == nil {
		return
	}
	ctx, cancel := stores.Detach(ctx)
	defer cancel()
	if err := s.bus.Publish(ctx, version+" "+s.name+" "+strconv.Itoa(int(sub))); err != nil {
		s.log.WarnContext(ctx, "cached: other processes were not told about a change", "max_age", s.maxAge, "error", err)
	}
}

// heard notes the change of another process. A message that this version does not know
// can mean anything.
func (s *Store) heard(message string) {
	rest, known := strings.CutPrefix(message, version+" ")
	name, slot, found := strings.Cut(rest, " ")
	n, err := strconv.ParseUint(slot, 10, 16)
	switch {
	case !known || !found || err != nil || n > uint64(everything):
		s.changes.note(everything)
	case name != s.name:
		s.changes.note(subject(n))
	}
}

// Run listens to Options.Bus until ctx ends, and returns its error. A host starts it in
// a goroutine of its own. When the bus fails, Run forgets all answers and tries again,
// after five seconds at most. Without a bus it returns an error at once.
func (s *Store) Run(ctx context.Context) error {
	if s.bus == nil {
		return errors.New("cached: Options.Bus is nil")
	}
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		err := s.bus.Listen(ctx, s.heard, func() {
			pause = minPause
			s.changes.note(everything)
		})
		s.changes.note(everything)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.log.LogAttrs(ctx, slog.LevelWarn, "cached: the bus has failed", slog.Duration("max_age", s.maxAge), slog.Any("error", err))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
