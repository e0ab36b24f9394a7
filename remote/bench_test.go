package remote_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// localAndRemote returns the local authenticator and one with a kept answer, and
// requests for them.
func localAndRemote(t testing.TB) (local, far auth.Authenticator, atHome, away []*http.Request) {
	db := memory.New()
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Logger: quiet}))
	alice := authtest.AddUser(t, db, store.User{Name: "alice"}, "")
	far = newRemote(t, says(live(time.Now().Add(time.Hour))), nil)
	request := func(token string) *http.Request {
		return &http.Request{Method: "GET", URL: &url.URL{Path: "/"}, Header: http.Header{"Authorization": {"Bearer " + token}}}
	}
	for range 1024 {
		token := authtest.AddToken(t, tokens, alice, auth.ScopeRead)
		atHome, away = append(atHome, request(token)), append(away, request(token))
	}
	return auth.NewBearer(tokens), far, atHome, away
}

// BenchmarkVerify compares the authenticator with the local one in one run.
func BenchmarkVerify(b *testing.B) {
	local, far, atHome, away := localAndRemote(b)
	run := func(name string, a auth.Authenticator, requests []*http.Request) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for _, r := range requests {
				if _, err := a.Authenticate(r); err != nil {
					b.Fatal(err)
				}
			}
			i := 0
			for b.Loop() {
				if _, err := a.Authenticate(requests[i%len(requests)]); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
	run("local", local, atHome)
	run("remote", far, away)
}

// A kept answer costs one allocation, for the principal.
func TestAllocations(t *testing.T) {
	_, far, _, away := localAndRemote(t)
	if _, err := far.Authenticate(away[0]); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(1000, func() { _, _ = far.Authenticate(away[0]) }); n != 1 {
		t.Errorf("%v allocations, want 1", n)
	}
}
