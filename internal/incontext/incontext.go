// Package incontext passes a request from one handler of this module to the next with
// another context, without a copy of the request for each context. Only the last of
// them makes the copy, with which handlers of the host are called.
package incontext

import (
	"context"
	"net/http"
)

// A Handler can be told the context of a request apart from the request.
type Handler interface {
	http.Handler
	// ServeIn answers as ServeHTTP(w, r.WithContext(ctx)) does. It neither changes
	// r nor reads the context that r has itself.
	ServeIn(ctx context.Context, w http.ResponseWriter, r *http.Request)
}

// Serve calls h with the request r in the context ctx.
func Serve(ctx context.Context, h http.Handler, w http.ResponseWriter, r *http.Request) {
	if h, ok := h.(Handler); ok {
		h.ServeIn(ctx, w, r)
		return
	}
	h.ServeHTTP(w, r.WithContext(ctx))
}
