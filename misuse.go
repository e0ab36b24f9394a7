package auth

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ostiary/auth/internal/options"
	"github.com/ostiary/auth/store"
)

// mustHandle panics if next is nil, which would panic with each request instead.
func mustHandle(where string, next http.Handler) {
	if options.IsNil(next) {
		panic("auth: " + where + ": nil http.Handler: give it the handler to guard")
	}
}

// unpurged notices that a process never calls a Purge, so that ended records
// accumulate.
type unpurged struct {
	since  time.Time
	called atomic.Bool
	warn   sync.Once
}

// purgeWithin is the time without a Purge after which a warning is logged.
const purgeWithin = 7 * 24 * time.Hour

// note logs a warning, once, if Purge of the named type is overdue.
func (u *unpurged) note(ctx context.Context, log *slog.Logger, name string) {
	if u.called.Load() || time.Since(u.since) < purgeWithin {
		return
	}
	u.warn.Do(func() {
		log.WarnContext(ctx, "auth: this process has not called "+name+".Purge for a week, and nothing else forgets what has ended: call it every hour, unless another process does")
	})
}

// strangers notices that a store has other users than those that were given to
// a constructor beside it, so that no credential is ever good.
type strangers struct{ warn sync.Once }

// note logs a warning, once, if users has the user and the store does not. A
// deleted user is in neither.
func (s *strangers) note(ctx context.Context, log *slog.Logger, users store.Users, id, constructor string) {
	u, err := users.UserByID(ctx, id)
	if err != nil || u.ID != id {
		return
	}
	s.warn.Do(func() {
		log.WarnContext(ctx, "auth: "+constructor+" got users that its store does not know, so that nobody is let in: "+
			"open the store with them (sqlstore.Options.Users, memory.NewWithUsers), or give it as the users, too")
	})
}
