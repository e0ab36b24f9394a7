package sqltest

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// odd is text that a statement must not read.
const odd = `{"a\b",'c',$1,?,NULL} é` + "\t\n"

func importedUsers(n int, now time.Time) []sqlstore.ImportedUser {
	users := make([]sqlstore.ImportedUser, n)
	for i := range users {
		users[i] = sqlstore.ImportedUser{PasswordHash: "hash" + odd, User: store.User{
			ID: strconv.Itoa(100 + i), Name: fmt.Sprintf("imported%d", i), Email: odd, FirstName: "a", LastName: odd,
			Admin: i%2 == 0, Auditor: i%3 == 0, Active: i%5 != 0, Created: now,
		}}
	}
	return users
}

func TestImportUsers(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		st := fresh(t).open(t)
		ctx, now := t.Context(), time.Now().UTC().Truncate(time.Microsecond)
		taken, err := st.InsertUser(ctx, store.User{ID: "101", Name: "owner", Created: now})
		if err != nil {
			t.Fatal(err)
		}
		other, err := st.InsertUser(ctx, store.User{ID: "7", Name: "imported2", Active: true, Service: true, Created: now})
		if err != nil {
			t.Fatal(err)
		}
		users := importedUsers(sqlstore.MaxImport, now)
		users[3].Service, users[3].PasswordHash = true, ""
		for range 2 { // repeating is harmless
			if err := st.ImportUsers(ctx, users); err != nil {
				t.Fatal(err)
			}
		}
		for _, i := range []int{0, 3, 5, len(users) - 1} {
			got, err := st.UserByID(ctx, users[i].ID)
			if diff := cmp.Diff(users[i].User, got); diff != "" || err != nil {
				t.Errorf("user (-want +got):\n%s%v", diff, err)
			}
			if hash, err := st.PasswordHash(ctx, users[i].ID); hash != users[i].PasswordHash || err != nil {
				t.Errorf("hash %q, %v", hash, err)
			}
		}
		for _, want := range []store.User{taken, other} {
			if got, err := st.UserByID(ctx, want.ID); !cmp.Equal(want, got) || err != nil {
				t.Errorf("a user who was there became %+v, %v", got, err)
			}
			if hash, err := st.PasswordHash(ctx, want.ID); hash != "" || err != nil {
				t.Errorf("a user who was there has the hash %q, %v", hash, err)
			}
		}
		if _, err := st.UserByID(ctx, "102"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a user whose name is taken: %v", err)
		}
		next, err := st.InsertUser(ctx, store.User{Name: "next", Created: now})
		if err != nil || next.ID != strconv.Itoa(100+len(users)) {
			t.Errorf("the next user is %+v, %v", next, err)
		}
		for name, bad := range map[string][]sqlstore.ImportedUser{
			"no ID": {{User: store.User{Name: "x"}}}, "a service account with a password": {{User: store.User{ID: "x", Name: "x", Service: true}, PasswordHash: "hash"}},
			"NUL": {{User: store.User{ID: "x", Name: "a\x00"}}}, "too many": importedUsers(sqlstore.MaxImport+1, now),
		} {
			if err := st.ImportUsers(ctx, bad); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
	})
}

// importedTokens are tokens of application 1, and every third one personal.
func importedTokens(n int, now time.Time) []store.Token {
	tokens := make([]store.Token, n)
	for i := range tokens {
		tok := store.Token{
			Digest: accessOf(fmt.Sprint("imported", i)), UserID: "101", Scopes: "read write", Epoch: 3, Description: odd,
			Created: now, Modified: now.Add(time.Second), Expires: now.Add(time.Hour), LastUsed: now.Add(time.Minute),
		}
		if i%3 != 0 {
			tok.ApplicationID, tok.LastUsed = 1, time.Time{}
			tok.Refresh = store.Refresh{Digest: refreshOf(fmt.Sprint("imported", i)), Scopes: "write", Expires: now.Add(2 * time.Hour), GrantExpires: now.Add(9 * time.Hour), Grant: accessOf(fmt.Sprint("grant", i))}
		}
		tokens[i] = tok
	}
	return tokens
}

func TestImportTokens(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		st := fresh(t).open(t)
		ctx, now := t.Context(), time.Now().UTC().Truncate(time.Microsecond)
		if _, err := st.InsertUser(ctx, store.User{ID: "101", Name: "owner", Active: true, Epoch: 3, Created: now}); err != nil {
			t.Fatal(err)
		}
		tokens := importedTokens(sqlstore.MaxImport, now)
		alien := tokens[1]
		alien.Refresh, alien.Digest, alien.UserID = store.Refresh{}, tokens[0].Digest, "elsewhere"
		if _, err := st.InsertToken(ctx, alien, limits); err != nil {
			t.Fatal(err)
		}
		byRefresh := tokens[4]
		byRefresh.Digest = accessOf("another")
		if _, err := st.InsertToken(ctx, byRefresh, limits); err != nil {
			t.Fatal(err)
		}
		for pass, want := range []int{len(tokens) - 2, 0} {
			if n, err := st.ImportTokens(ctx, tokens); n != want || err != nil {
				t.Errorf("pass %d stored %d, %v, want %d", pass, n, err, want)
			}
		}
		// One more round with InsertToken tells what a token must look like.
		for _, i := range []int{2, 3, len(tokens) - 1} {
			model := tokens[i]
			model.Digest = accessOf(fmt.Sprint("model", i))
			if model.Refresh.Digest != (store.Digest{}) {
				model.Refresh.Digest = refreshOf(fmt.Sprint("model", i))
			}
			want, err := st.InsertToken(ctx, model, limits)
			if err != nil {
				t.Fatal(err)
			}
			got, err := st.TokenByDigest(ctx, tokens[i].Digest)
			if err != nil || got.Family != got.ID {
				t.Fatal(got.ID, got.Family, err)
			}
			want.ID, want.Family, want.Digest, want.Refresh.Digest = got.ID, got.Family, got.Digest, got.Refresh.Digest
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
				t.Errorf("token %d (-inserted +imported):\n%s", i, diff)
			}
		}
		mixed := slices.Concat(tokens[:6], []store.Token{{Digest: accessOf("nobody")}})
		if got, err := st.CompareTokens(ctx, mixed); err != nil || !slices.Equal(got, []sqlstore.Presence{
			sqlstore.Taken, sqlstore.Same, sqlstore.Same, sqlstore.Same, sqlstore.Taken, sqlstore.Same, sqlstore.Absent,
		}) {
			t.Errorf("presences %v, %v", got, err)
		}
		refused(t, st, now)
	})
}

// An import, and another run of it, goes on beside users who refresh what it has brought:
// what they lose against each other is repeated, and nobody gets to know.
func TestImportBesideRotations(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		const workers, batches, size, refreshed = 4, 2, 100, 40
		p := fresh(t)
		st, db := p.openDB(t)
		ctx, now := t.Context(), time.Now()
		var wg sync.WaitGroup
		var stored atomic.Int64
		for w := range workers {
			wg.Go(func() {
				for n := range batches {
					tokens := make([]store.Token, size)
					for i := range tokens {
						tokens[i] = tokenNamed(fmt.Sprint(n, "-", i), now)
					}
					k, err := st.ImportTokens(ctx, tokens)
					if err != nil {
						t.Errorf("import: %v", err)
						return
					}
					stored.Add(int64(k))
					for i := w; i < refreshed; i += workers {
						name := fmt.Sprint(n, "-", i)
						_, err := st.Rotate(ctx, store.Rotation{
							Refresh: refreshOf(name), ApplicationID: 1, Revision: 1, At: now, Token: tokenNamed(name+" next", now),
						})
						if err != nil {
							t.Errorf("refresh %s: %v", name, err)
						}
					}
				}
			})
		}
		wg.Wait()
		if stored.Load() != batches*size {
			t.Errorf("%d tokens were stored, want %d", stored.Load(), batches*size)
		}
		var live, families, odd int
		err := db.QueryRow(p.sql(`SELECT COUNT(*), COUNT(DISTINCT family), COALESCE(SUM(CASE WHEN family = 0 THEN 1 ELSE 0 END), 0)
			FROM auth_tokens WHERE revoked_at IS NULL`)).Scan(&live, &families, &odd)
		if err != nil || live != batches*size || families != live || odd != 0 {
			t.Errorf("%d live tokens of %d families, %d without one, %v", live, families, odd, err)
		}
	})
}

// refused are tokens that are not imported.
func refused(t *testing.T, st *sqlstore.Store, now time.Time) {
	t.Helper()
	one := func(change func(*store.Token)) []store.Token {
		tok := importedTokens(1, now)[0]
		tok.Digest = accessOf("refused")
		change(&tok)
		return []store.Token{tok}
	}
	for name, bad := range map[string][]store.Token{
		"unknown application": one(func(t *store.Token) { t.ApplicationID = 99 }),
		"NUL":                 one(func(t *store.Token) { t.Description = "a\x00" }),
		"parent":              one(func(t *store.Token) { t.ParentID = 1 }),
		"family":              one(func(t *store.Token) { t.Family = 1 }),
		"too many":            importedTokens(sqlstore.MaxImport+1, now),
	} {
		n, err := st.ImportTokens(t.Context(), bad)
		if n != 0 || err == nil || (name == "unknown application") != errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	if _, err := st.TokenByDigest(t.Context(), accessOf("refused")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a refused token is stored: %v", err)
	}
}

// What ends the user or the application ends imported tokens, before and after.
func TestImportedTokensEnd(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		st := fresh(t).open(t)
		ctx, now := t.Context(), time.Now()
		tokens := importedTokens(4, now)
		if _, err := st.RevokeTokens(ctx, store.Selection{UserID: "101"}, now); err != nil {
			t.Fatal(err)
		}
		if n, err := st.ImportTokens(ctx, tokens); n != 4 || err != nil {
			t.Fatal(n, err)
		}
		for _, tok := range tokens {
			if got, err := st.TokenByDigest(ctx, tok.Digest); err != nil || !got.Revoked.IsZero() {
				t.Errorf("a token that came after the revocation: %+v, %v", got, err)
			}
		}
		app, err := st.ApplicationByID(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		app.Disabled, app.Modified = true, now
		if err := st.UpdateApplication(ctx, app); err != nil {
			t.Fatal(err)
		}
		if _, err := st.ImportTokens(ctx, importedTokens(9, now)); !errors.Is(err, store.ErrConflict) {
			t.Errorf("into a disabled application: %v", err)
		}
		for i, tok := range tokens {
			if got, err := st.TokenByDigest(ctx, tok.Digest); err != nil || got.Revoked.IsZero() != (i%3 == 0) {
				t.Errorf("token %d of a disabled application: %+v, %v", i, got, err)
			}
		}
	})
}
