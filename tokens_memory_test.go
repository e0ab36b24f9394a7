package auth_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/internal/secret"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// TestMemoryIsReadAsOthers holds that tokens in a memory.Store, which is read in a way
// of its own, are worth what they are worth in any other store.
func TestMemoryIsReadAsOthers(t *testing.T) {
	db := memory.New()
	alice := authtest.AddUser(t, db, store.User{Name: "alice"}, "")
	gone := authtest.AddUser(t, db, store.User{Name: "gone"}, "")
	issuer := auth.Must(auth.NewTokens(db, db, nil))
	foreign := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Prefix: "abc"}))
	// planted stores a token with that text, whatever it looks like.
	planted := func(text string, change func(*store.Token)) string {
		now := time.Now()
		tok := store.Token{UserID: alice.ID, Digest: store.DigestOf(text), Scopes: "read", Created: now, Modified: now, Expires: now.Add(time.Hour)}
		change(&tok)
		if _, err := db.InsertToken(t.Context(), tok, store.InsertLimits{}); err != nil {
			t.Fatal(err)
		}
		return text
	}
	same := func(*store.Token) {}
	inactive := authtest.AddToken(t, issuer, gone, auth.ScopeRead)
	gone.Active = false
	if err := db.UpdateUser(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	good := authtest.AddToken(t, issuer, alice, auth.ScopeRead)
	for _, tt := range []struct {
		name, token        string
		accepted, imported bool // by TokensOptions.Imported
	}{
		{"good", good, true, true},
		{"unknown", secret.New("ost", secret.Access), false, false},
		{"checksum", good[:len(good)-1] + "!", false, false},
		{"expired", planted(secret.New("ost", secret.Access), func(tok *store.Token) { tok.Expires = tok.Created }), false, false},
		{"revoked", planted(secret.New("ost", secret.Access), func(tok *store.Token) { tok.Revoked = tok.Created }), false, false},
		{"other resource", planted(secret.New("ost", secret.Access), func(tok *store.Token) { tok.Audience = "https://other.example" }), false, false},
		{"inactive user", inactive, false, false},
		{"other prefix", authtest.AddToken(t, foreign, alice, auth.ScopeRead), false, false},
		{"of a refresh token", planted(secret.New("ost", secret.Refresh), same), false, false},
		{"imported", planted("abcdefghijklmnopqrstuvwxyz0123", same), false, true},
		{"any text", planted("secret", same), false, false},
		{"nothing", planted("", same), false, false},
	} {
		for _, imported := range []bool{false, true} {
			opts := &auth.TokensOptions{Imported: imported}
			others := struct{ *memory.Store }{db} // is no memory.Store
			want, wantErr := auth.Must(auth.NewTokens(others, others, opts)).Verify(t.Context(), tt.token)
			got, err := auth.Must(auth.NewTokens(db, db, opts)).Verify(t.Context(), tt.token)
			if diff := cmp.Diff(want, got); diff != "" || err != wantErr {
				t.Errorf("%s: %v, want %v (-other store +memory):\n%s", tt.name, err, wantErr, diff)
			}
			accepted := tt.accepted
			if imported {
				accepted = tt.imported
			}
			if (err == nil) != accepted {
				t.Errorf("%s, imported %v: %v", tt.name, imported, err)
			}
		}
	}
}
