package auth_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// gatewayKey is made once: it takes a while.
var gatewayKey = sync.OnceValue(func() *rsa.PrivateKey { return auth.Must(rsa.GenerateKey(rand.Reader, 2048)) })

func TestUsersOfAGateway(t *testing.T) {
	db := memory.New()
	for _, u := range []store.User{
		{Name: "alice", Active: true}, {Name: "root", Active: true, Admin: true, Auditor: true}, {Name: "gone"},
	} {
		if _, err := db.InsertUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	create := func(ctx context.Context, name string) (store.User, error) {
		switch name {
		case "mallory":
			return store.User{}, store.ErrNotFound
		case "outage":
			return store.User{}, errors.New("down")
		case "changed":
			return store.User{ID: "9", Name: "root", Active: true, Admin: true}, nil
		case "raced":
			if _, err := db.InsertUser(ctx, store.User{Name: name, Active: true}); err != nil {
				return store.User{}, err
			}
			return store.User{}, store.ErrExists
		}
		return db.InsertUser(ctx, store.User{Name: name, Active: true})
	}
	const proxy, other = "10.0.0.1:1", "192.0.2.1:1"
	for _, tt := range []struct {
		name   string
		opts   auth.ProxyUsersOptions
		method string
		peer   string
		line   []string
		want   string
	}{
		{"user", auth.ProxyUsersOptions{}, "GET", proxy, []string{"X-Remote-User: alice"}, "200 alice"},
		{"an administrator has ordinary rights", auth.ProxyUsersOptions{}, "GET", proxy, []string{"X-Remote-User: root"}, "200 root"},
		{"unless the operator wants", auth.ProxyUsersOptions{Admins: true}, "GET", proxy, []string{"X-Remote-User: root"}, "200 root admin auditor"},
		{"nobody", auth.ProxyUsersOptions{}, "GET", proxy, nil, "401"},
		{"from anybody", auth.ProxyUsersOptions{}, "GET", other, []string{"X-Remote-User: alice"}, "401"},
		{"other spelling", auth.ProxyUsersOptions{}, "GET", proxy, []string{"X_Remote_User: alice"}, "401"},
		{"two", auth.ProxyUsersOptions{}, "GET", proxy, []string{"X-Remote-User: alice", "X-Remote-User: root"}, "400"},
		{"two in one line", auth.ProxyUsersOptions{}, "GET", proxy, []string{"X-Remote-User: alice, root"}, "401"},
		{"empty", auth.ProxyUsersOptions{}, "GET", proxy, []string{"X-Remote-User: "}, "401"},
		{"invisible", auth.ProxyUsersOptions{}, "GET", proxy, []string{"X-Remote-User: alice\u200b"}, "401"},
		{"invalid UTF-8", auth.ProxyUsersOptions{}, "GET", proxy, []string{"X-Remote-User: alice\xff"}, "401"},
		{"disabled", auth.ProxyUsersOptions{Create: create}, "GET", proxy, []string{"X-Remote-User: gone"}, "401"},
		{"unknown", auth.ProxyUsersOptions{}, "GET", proxy, []string{"X-Remote-User: bob"}, "401"},
		{"created", auth.ProxyUsersOptions{Create: create}, "GET", proxy, []string{"X-Remote-User: bob"}, "200 bob"},
		{"created by another request", auth.ProxyUsersOptions{Create: create}, "GET", proxy, []string{"X-Remote-User: raced"}, "200 raced"},
		{"refused by the host", auth.ProxyUsersOptions{Create: create}, "GET", proxy, []string{"X-Remote-User: mallory"}, "401"},
		{"outage", auth.ProxyUsersOptions{Create: create}, "GET", proxy, []string{"X-Remote-User: outage"}, "503"},
		{"never another user than the one named", auth.ProxyUsersOptions{Create: create, Admins: true}, "GET", proxy, []string{"X-Remote-User: changed"}, "401"},
		{"page of another origin", auth.ProxyUsersOptions{}, "POST", proxy, []string{"X-Remote-User: alice", "Origin: https://evil.example"}, "403"},
		{"page of this origin", auth.ProxyUsersOptions{}, "POST", proxy, []string{"X-Remote-User: alice", "Origin: https://app.example", "X-Forwarded-Proto: https"}, "200 alice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8"), UserField: "HTTP_X_REMOTE_USER", InsecureAddressAlone: true, Logger: quiet}))
			gate := auth.NewGate(auth.Must(auth.NewProxyUsers(p, db, &tt.opts)), &auth.GateOptions{Logger: quiet})
			r := from(tt.peer, tt.line...)
			r.Method = tt.method
			w := httptest.NewRecorder()
			p.Handler(gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				p, _ := auth.FromContext(r.Context())
				fmt.Fprint(w, " ", p.Name)
				if p.Admin {
					fmt.Fprint(w, " admin")
				}
				if p.Auditor {
					fmt.Fprint(w, " auditor")
				}
			}))).ServeHTTP(w, r)
			got := fmt.Sprint(w.Code)
			if w.Code == 200 {
				got += w.Body.String()
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}

	t.Run("without the handler nothing is proven", func(t *testing.T) {
		p := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8"), UserField: "X-Remote-User", InsecureAddressAlone: true}))
		if _, err := auth.Must(auth.NewProxyUsers(p, db, nil)).Authenticate(from(proxy, "X-Remote-User: alice")); !errors.Is(err, auth.ErrNoCredentials) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("nor for a proxy that is believed but not proven", func(t *testing.T) {
		p := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8"), UnixSocket: true, UserField: "X-Remote-User"}))
		r := seenBy(p, from(proxy, "X-Remote-User: alice"))
		r.Header.Set("X-Remote-User", "alice") // by some handler in between
		if _, err := auth.Must(auth.NewProxyUsers(p, db, nil)).Authenticate(r); !errors.Is(err, auth.ErrNoCredentials) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an address alone does not construct", func(t *testing.T) {
		p := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8"), UserField: "X-Remote-User"}))
		if _, err := auth.NewProxyUsers(p, db, nil); err == nil {
			t.Error("no error")
		}
	})
}

func exampleUsers() store.Users {
	db := memory.New()
	auth.Must(db.InsertUser(context.Background(), store.User{Name: "alice", Active: true}))
	return db
}
