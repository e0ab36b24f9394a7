package remote_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/remote"
)

const (
	issuer   = "https://auth.example"
	resource = "https://jobs.example/"
	secret   = "client-secret-that-nobody-sees"
	token    = "ost_at_0123456789abcdefghijklmnopqrstuvwxyz"
)

// A network answers in place of an authorization server, and counts.
type network struct {
	calls  atomic.Int64
	answer func(r *http.Request) (*http.Response, error)
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.calls.Add(1)
	return n.answer(r)
}

// says returns a network that answers with a body.
func says(body string) *network {
	return &network{answer: func(*http.Request) (*http.Response, error) { return reply(200, "application/json", body), nil }}
}

func reply(status int, kind, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body))}
}

// live is the answer about a live token of alice; pairs replace members, and an
// empty value removes one.
func live(expires time.Time, pairs ...string) string {
	members := map[string]string{
		"active": "true", "iss": `"` + issuer + `"`, "token_type": `"Bearer"`, "scope": `"read"`, "sub": `"42"`, "username": `"alice"`,
		"client_id": `"c"`, "aud": `["` + resource + `"]`, "jti": `"7"`, "application": "3", "exp": fmt.Sprint(expires.Unix()),
	}
	for i := 0; i < len(pairs); i += 2 {
		if members[pairs[i]] = pairs[i+1]; pairs[i+1] == "" {
			delete(members, pairs[i])
		}
	}
	var list []string
	for name, value := range members {
		list = append(list, `"`+name+`":`+value)
	}
	return "{" + strings.Join(list, ",") + "}"
}

// newRemote returns an authenticator that asks n.
func newRemote(t testing.TB, n http.RoundTripper, change func(*remote.Options)) *remote.Authenticator {
	t.Helper()
	o := remote.Options{ClientID: "jobs", Secret: secret, Resource: resource, Transport: n}
	if change != nil {
		change(&o)
	}
	return auth.Must(remote.New(issuer, &o))
}

var quiet = slog.New(slog.DiscardHandler)
