package auth_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// stopsHalfway is a store where a step behind the first one of a limit fails.
type stopsHalfway struct{ *memory.Store }

func (stopsHalfway) InsertSession(context.Context, store.Session, store.Digest, int) (store.Session, int, error) {
	return store.Session{}, 2, errDown
}

// a login whose limit ended some sessions before an error fails without a session,
// and what ended is told.
func TestLoginWhoseLimitStopsHalfway(t *testing.T) {
	st := stopsHalfway{memory.New()}
	u, err := st.InsertUser(t.Context(), store.User{Name: "alice", Active: true})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	session := auth.Must(auth.NewSession(st, st, &auth.SessionOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))}))
	rec := httptest.NewRecorder()
	session.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err = session.Login(r, u)
	})).ServeHTTP(rec, httptest.NewRequest("POST", "https://example.org/", nil))
	if !errors.Is(err, errDown) || rec.Header()["Set-Cookie"] != nil {
		t.Errorf("login: %v, cookies %q", err, rec.Header()["Set-Cookie"])
	}
	if n := strings.Count(log.String(), "auth: session limit reached"); n != 2 || strings.Contains(log.String(), "logged in") {
		t.Errorf("%d events of the limit, want 2 and no login:\n%s", n, &log)
	}
}
