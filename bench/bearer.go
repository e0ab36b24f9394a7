package bench

import (
	"context"
	"net/http"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/observe"
)

// Bearer returns the contest of requests with an access token, all of which are
// let in.
func Bearer(tb testing.TB) Contest {
	s := newSystem(tb)
	tokens := s.issue(tb, Stored)
	fields := Fields("Authorization", prefixed("Bearer ", tokens))
	watched := auth.NewGate(s.chain, &auth.GateOptions{Logger: quiet, Observe: func(context.Context, observe.Event) {}})
	duties := newDuties(tokens, s.alice)
	return Contest{"bearer", []Contestant{
		Serving("floor, tuned", tuned(tokens, theirs), Passed, fields),
		Serving("floor, naive", naive(tokens, theirs), Passed, fields),
		Serving("Require", s.gate.Require(ours), Passed, fields),
		Serving("Require, behind Session.Handler", s.session.Handler(s.gate.Require(ours)), Passed, fields),
		Serving("Require, with a hook", watched.Require(ours), Passed, fields),
		Serving("floor, principal as an argument", argued(tokens), Passed, fields),
		Serving("floor, every duty", duties.require(dutiful), Passed, fields),
		Serving("floor, every duty, behind a copy of the request", copied(duties.require(dutiful)), Passed, fields),
		Serving("floor, every duty, principal as an argument", duties.argued(byName), Passed, fields),
		Serving("RequirePrincipal", s.gate.RequirePrincipal(byName), Passed, fields),
	}}
}

// byName answers requests of alice.
func byName(w http.ResponseWriter, _ *http.Request, p auth.Principal) {
	if p.Name == "alice" {
		w.WriteHeader(Passed)
	}
}
