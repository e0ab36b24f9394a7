package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
)

// requestIDField names a request in the logs of all programs that it passes.
const requestIDField = "X-Request-Id"

// maxRequestID is the length of the longest identifier that is taken over.
const maxRequestID = 128

type requestIDKey struct{}

// withRequestID gives each request an identifier, which stands in its log records and
// in the response. It is the one that a trusted proxy sent, if that is one of letters,
// digits, dots, dashes and underscores. Clients do not choose it: they could give
// their requests the identifier of another one.
func withRequestID(proxies []netip.Prefix, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := ""
		if sent := r.Header[requestIDField]; len(sent) == 1 && goodRequestID(sent[0]) && fromPeer(proxies, r.RemoteAddr) {
			id = sent[0]
		} else {
			id = rand.Text()
		}
		w.Header().Set(requestIDField, id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

func goodRequestID(s string) bool {
	if s == "" || len(s) > maxRequestID {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c|0x20 >= 'a' && c|0x20 <= 'z', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// fromPeer reports whether the other end of the connection is one of the proxies.
func fromPeer(proxies []netip.Prefix, remoteAddr string) bool {
	peer, err := netip.ParseAddrPort(remoteAddr)
	return err == nil && slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(peer.Addr().Unmap()) })
}

// requestIDs adds the identifier of the request to the records of a handler.
type requestIDs struct{ slog.Handler }

func (h requestIDs) Handle(ctx context.Context, r slog.Record) error {
	if id, ok := ctx.Value(requestIDKey{}).(string); ok {
		r.AddAttrs(slog.String("request_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h requestIDs) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestIDs{h.Handler.WithAttrs(attrs)}
}

func (h requestIDs) WithGroup(name string) slog.Handler {
	return requestIDs{h.Handler.WithGroup(name)}
}
