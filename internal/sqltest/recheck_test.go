package sqltest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// A6, A8: what a request knows of its token is from when the body had arrived. The
// statement that stores a new token compares it with what there is.
func TestMintByWhatWasRead(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		st := fresh(t).open(t)
		ctx := t.Context()
		u, err := st.InsertUser(ctx, store.User{Name: "mint", Admin: true, Active: true, Created: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		app, err := st.InsertApplication(ctx, store.Application{ClientID: "mint", Name: "mint", OrganizationID: 1, GrantType: oauth.GrantPassword})
		if err != nil {
			t.Fatal(err)
		}
		const few = 5
		for _, mode := range []auth.Minting{auth.MintChildren, auth.InsecureMintIndependent} {
			var meanwhile func() error
			quiet := slog.New(slog.DiscardHandler)
			tokens := auth.Must(auth.NewTokens(st, st, &auth.TokensOptions{Logger: quiet, Minting: mode, MaxPerUser: few,
				MayIssue: func(context.Context, store.User) error {
					f := meanwhile
					if meanwhile = nil; f == nil {
						return nil
					}
					return f()
				}}))
			server := auth.Must(oauth.NewServer(tokens, st, st, &oauth.Options{Logger: quiet}))
			gate := auth.NewGate(auth.NewBearer(tokens), &auth.GateOptions{Logger: quiet})
			api := auth.Must(httpapi.New(httpapi.Config{Gate: gate, Users: st, Tokens: tokens, OAuth: server}))
			change := func(t store.Token, do func(*store.Token)) error {
				do(&t)
				return st.UpdateToken(ctx, t, store.KeepMinted)
			}
			narrow := func(t store.Token) error { return change(t, func(t *store.Token) { t.Scopes = "read" }) }
			for _, tt := range []struct {
				name, scope string
				do          func(store.Token) error
				want        int
			}{
				{"nothing", "write", func(store.Token) error { return nil }, 201},
				{"narrowed, but not too much", "read", narrow, 201},
				{"narrowed", "write", narrow, 403},
				{"rotated", "read", func(t store.Token) error {
					return change(t, func(t *store.Token) { t.Digest = accessOf(t.Description) })
				}, 401},
				{"shortened", "read", func(t store.Token) error {
					return change(t, func(t *store.Token) { t.Expires = time.Now().Add(time.Minute) })
				}, 401},
				{"described", "read", func(t store.Token) error { return change(t, func(t *store.Token) { t.Description += "!" }) }, 201},
				{"ended", "read", func(t store.Token) error {
					_, err := st.RevokeTokens(ctx, store.Selection{TokenID: t.ID}, time.Now())
					return err
				}, 401},
				{"ended with all", "read", func(t store.Token) error {
					_, err := st.RevokeTokens(ctx, store.Selection{UserID: u.ID}, time.Now())
					return err
				}, 401},
				{"at the limit", "read", func(tok store.Token) error {
					for range few - 1 {
						authtest.AddToken(t, tokens, u, auth.ScopeRead)
					}
					return nil
				}, 409},
			} {
				for kind, further := range map[string]string{"personal": "", "of an application": `,"application":` + fmt.Sprint(app.ID)} {
					token := authtest.AddToken(t, tokens, u, auth.ScopeWrite)
					parent, err := st.TokenByID(ctx, mustAccess(t, st, token).TokenID)
					if err != nil {
						t.Fatal(err)
					}
					parent.Description = fmt.Sprint(tt.name, kind, mode)
					meanwhile = func() error { return tt.do(parent) }
					r := httptest.NewRequest("POST", "/api/v2/tokens/", strings.NewReader(`{"scope":"`+tt.scope+`"`+further+`}`))
					r.Header.Set("Content-Type", "application/json")
					r.Header.Set("Authorization", "Bearer "+token)
					w := httptest.NewRecorder()
					api.ServeHTTP(w, r)
					if w.Code != tt.want {
						t.Errorf("mode %d, %s, %s: %d %s, want %d", mode, tt.name, kind, w.Code, w.Body, tt.want)
					}
					if _, err := st.RevokeTokens(ctx, store.Selection{UserID: u.ID}, time.Now()); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	})
}
