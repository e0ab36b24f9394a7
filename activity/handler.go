package activity

import (
	"context"
	"log/slog"
)

// Handler returns a handler that passes every record to next, and makes an entry of
// the stream of each audit event about a user, a token or an application. It takes
// the events of all levels from INFO on, whatever level next has. It never waits for
// the store.
func (s *Stream) Handler(next slog.Handler) slog.Handler { return handler{next, s} }

type handler struct {
	next   slog.Handler
	stream *Stream
}

// Enabled implements [slog.Handler].
func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || h.next.Enabled(ctx, level)
}

// Handle implements [slog.Handler].
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if a, ok := entryOf(r); ok {
		h.stream.add(ctx, a)
	}
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler]. The events that the stream keeps have all their
// attributes in the record.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.next.WithAttrs(attrs), h.stream}
}

// WithGroup implements [slog.Handler].
func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.next.WithGroup(name), h.stream}
}
