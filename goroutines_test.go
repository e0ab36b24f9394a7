package auth_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/ostiary/auth/internal/leaktest"
)

// no request starts a goroutine, whatever credential it has and however it
// ends. (Outside of tests the server starts one for each connection, and
// database/sql one for each transaction and for each query that can be canceled.)
func TestRequestsStartNoGoroutine(t *testing.T) {
	const requests = 20
	for path := range paths {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSystem(t, nil)
				ctx, cancel := context.WithCancel(t.Context()) // as requests of a server have
				defer cancel()
				handler := s.handler
				s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r.WithContext(ctx)) })
				method, target, lines := paths[path](t, s)
				started := requests
				for range 3 {
					started = min(started, leaktest.Started(func() {
						for range requests {
							s.send(method, target, lines...)
						}
					}))
				}
				if started > 0 {
					t.Errorf("%d requests start %d goroutines", requests, started)
				}
			})
		})
	}
}
