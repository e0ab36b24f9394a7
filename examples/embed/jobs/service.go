// Package jobs runs work in the background, with the rights of those who asked for
// it, as far as they have them when it runs.
package jobs

import (
	"context"
	"net/http"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store/memory"
)

// A Job waits in a queue. Its token stands for the rights, so the queue is as secret
// as the tokens in it.
type Job struct {
	Name  string
	Token auth.Secret
	ID    int64 // of the token
}

// A Service takes jobs by HTTP and runs them in a worker.
type Service struct {
	Handler http.Handler
	Queue   chan Job // or a table
	tokens  *auth.Tokens
}

// New returns the service.
func New(db *memory.Store) *Service {
	passwords := auth.Must(auth.NewPasswords(db, db, nil))
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	session := auth.Must(auth.NewSession(db, db, nil))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session), nil)
	s := &Service{Queue: make(chan Job, 100), tokens: tokens}

	mux := http.NewServeMux()
	mux.Handle("/api/", auth.Must(httpapi.New(httpapi.Config{
		Gate: gate, Users: db, Passwords: passwords, Session: session, Tokens: tokens,
	})))
	mux.Handle("POST /jobs/{name}", gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		// The token of the job can do no more than the credential of the request,
		// ends with it if that is a token, and appears among the tokens of the user,
		// who can end the job by it.
		issued, err := tokens.Issue(r.Context(), p, auth.TokenRequest{
			Scopes: auth.ScopeWrite, Description: "job " + r.PathValue("name"), Expires: time.Now().Add(24 * time.Hour),
		})
		if err != nil {
			gate.Deny(w, r, err)
			return
		}
		s.Queue <- Job{r.PathValue("name"), issued.AccessToken, issued.ID}
		w.WriteHeader(http.StatusAccepted)
	})))
	s.Handler = session.Handler(mux)
	return s
}

// Run runs one job: do is called with its user, unless the user was disabled, the
// token was ended or its time is over since. The token ends with the job.
func (s *Service) Run(ctx context.Context, job Job, do func(ctx context.Context, name string) error) error {
	p, err := s.tokens.Verify(ctx, job.Token.Reveal())
	if err != nil {
		return err // an auth.Error is final; any other error is an outage, so try again
	}
	if err := do(auth.NewContext(ctx, p), job.Name); err != nil {
		return err
	}
	return s.tokens.End(ctx, p, job.ID)
}
