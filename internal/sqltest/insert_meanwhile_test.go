package sqltest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// A token does not live if what it depends on ended before any of the statements that
// store it: what was read before may be out of date, and in MySQL the conditions are read
// before the insert. It does not come to life either when the work that the revocation
// left is done.
func TestEndMeanwhileAnInsert(t *testing.T) {
	for _, d := range databases() {
		levels := []string{""}
		if mysqlIsolation(d.name, "serializable") != "" {
			levels = []string{"repeatable-read", "serializable", "read-committed"}
		}
		for _, level := range levels {
			t.Run(d.name+" "+level, func(t *testing.T) {
				t.Parallel()
				p := d.fresh(t)
				calm := p.open(t)
				if level != "" {
					p.DSN += mysqlIsolation(d.name, level)
				}
				db, tap := p.tapped(t)
				m := &meanwhile{calm: calm, st: openShaky(t, db, p, 0), tap: tap}
				hit := 0
				for _, end := range endsMeanwhile() {
					for _, deep := range []int{0, 1, 2} {
						for trip := 1; m.run(t, end, deep, trip); trip++ {
							hit++
						}
					}
				}
				if hit < 30 {
					t.Errorf("%d moments", hit)
				}
			})
		}
	}
}

// An endMeanwhile ends what a token depends on.
type endMeanwhile struct {
	name   string
	parent bool // it ends what mints the token, which then lives at no moment
	alone  bool // it ends a token that nobody mints
	do     func(ctx context.Context, st *sqlstore.Store, m dependence) error
}

// A dependence is what there is when something ends.
type dependence struct {
	user        store.User
	application int64
	parent      store.Token // with a zero ID if there is none
	now         time.Time
}

func endsMeanwhile() []endMeanwhile {
	revoke := func(sel func(m dependence) store.Selection) func(context.Context, *sqlstore.Store, dependence) error {
		return func(ctx context.Context, st *sqlstore.Store, m dependence) error {
			_, err := st.RevokeTokens(ctx, sel(m), m.now)
			return err
		}
	}
	return []endMeanwhile{
		{"token", true, false, revoke(func(m dependence) store.Selection { return store.Selection{TokenID: m.parent.ID} })},
		{"family", true, false, revoke(func(m dependence) store.Selection { return store.Selection{Family: m.parent.Family} })},
		{"minted", false, false, revoke(func(m dependence) store.Selection { return store.Selection{MintedBy: m.parent.Family} })},
		{"changed", false, false, func(ctx context.Context, st *sqlstore.Store, m dependence) error {
			tok, err := st.TokenByID(ctx, m.parent.ID)
			if err != nil {
				return err
			}
			tok.Digest, tok.Scopes = accessOf(fmt.Sprint("changed", tok.ID)), "nothing"
			return st.UpdateToken(ctx, tok, store.EndMinted)
		}},
		{"user", true, true, revoke(func(m dependence) store.Selection { return store.Selection{UserID: m.user.ID} })},
		{"application", true, true, revoke(func(m dependence) store.Selection { return store.Selection{ApplicationID: m.application} })},
		{"both", true, true, revoke(func(m dependence) store.Selection {
			return store.Selection{UserID: m.user.ID, ApplicationID: m.application}
		})},
		{"all", true, true, revoke(func(dependence) store.Selection { return store.Selection{All: true} })},
		{"deleted user", true, true, func(ctx context.Context, st *sqlstore.Store, m dependence) error {
			return st.DeleteUser(ctx, m.user.ID, m.now)
		}},
		{"deleted application", true, true, func(ctx context.Context, st *sqlstore.Store, m dependence) error {
			return st.DeleteApplication(ctx, m.application, m.now)
		}},
	}
}

type meanwhile struct {
	calm, st *sqlstore.Store
	tap      *tap
	tokens   int
}

// run lets something end before a round trip of an insert, and reports whether there was
// such a trip. Tokens are minted below as many others as deep says.
func (m *meanwhile) run(t *testing.T, end endMeanwhile, deep, trip int) bool {
	t.Helper()
	if deep == 0 && !end.alone {
		return false
	}
	ctx, now := t.Context(), time.Now().UTC().Truncate(time.Microsecond)
	named := func() store.Token {
		m.tokens++
		return tokenNamed(fmt.Sprint("meanwhile", m.tokens), now)
	}
	u, err := m.calm.InsertUser(ctx, store.User{Name: fmt.Sprintf("%x", named().Digest), Active: true, Created: now})
	if err != nil {
		t.Fatal(err)
	}
	app, err := m.calm.InsertApplication(ctx, store.Application{ClientID: "meanwhile" + u.ID, Name: "meanwhile" + u.ID})
	if err != nil {
		t.Fatal(err)
	}
	at := dependence{user: u, application: app.ID, now: now}
	below := func() store.Token {
		tok := named()
		tok.UserID, tok.ApplicationID, tok.ParentID = u.ID, app.ID, at.parent.Family
		return tok
	}
	for range deep {
		if at.parent, err = m.calm.InsertToken(ctx, below(), limits); err != nil {
			t.Fatal(err)
		}
	}
	tok, own := below(), limits
	own.Owned = 10
	if deep > 0 {
		own.ParentDigest, own.ParentScopes = at.parent.Digest, at.parent.Scopes
	}
	trips, last, ended, locked := 0, false, false, false
	m.tap.tripping(func(what string) {
		trips++
		locked = locked || what == "BEGIN"
		if trips != trip || locked {
			return
		}
		ended, last = true, strings.Contains(what, "INSERT INTO")
		if err := end.do(ctx, m.calm, at); err != nil {
			t.Errorf("%s: %v", end.name, err)
		}
	})
	got, err := m.st.InsertToken(ctx, tok, own)
	m.tap.tripping(nil)
	name := fmt.Sprintf("%s ended before trip %d of a token below %d", end.name, trip, deep)
	if err != nil {
		if !ended || !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
		return ended
	}
	// A parent that has ended mints nothing. What ends all that there is ends a token whose
	// conditions were read before, and has no say in one whose conditions are read after it.
	if dead := end.parent && deep > 0 || last && trip > 1; ended && dead {
		for purged := range 2 {
			found, err := m.calm.TokenByDigest(ctx, tok.Digest)
			if purged > 0 && errors.Is(err, store.ErrNotFound) {
				break
			}
			if err != nil || found.Revoked.IsZero() {
				t.Errorf("%s: %+v lives, purged: %d, %v", name, found, purged, err)
			}
			access, err := m.st.AccessByDigest(ctx, tok.Digest)
			if err != nil || access.TokenID != got.ID || access.Revoked.IsZero() {
				t.Errorf("%s: access %+v, purged: %d, %v", name, access, purged, err)
			}
			if _, err := m.calm.Purge(ctx, now.Add(-hour), 1000); err != nil {
				t.Error(err)
			}
		}
	}
	return ended
}

// A parent that a cut-off has ended mints nothing, also before its record tells. One that
// is newer than a cut-off, or that it does not concern, does.
func TestCutParentMintsNothing(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		p := fresh(t)
		st, db := p.openDB(t)
		ctx, now, seq := t.Context(), time.Now(), 0
		name := func() string { seq++; return fmt.Sprint("cut", seq) }
		for _, tt := range []struct {
			what        string
			application int64 // of the parent
			user        string
			of          int64 // the application of the cut-off
			dead        bool
		}{
			{"its user", 0, "user", 0, true},
			{"its user, through an application", 7, "user", 0, true},
			{"its application", 7, "", 7, true},
			{"both", 7, "user", 7, true},
			{"all", 0, "", 0, true},
			{"another user", 0, "other", 0, false},
			{"another application", 7, "", 8, false},
			{"another user of its application", 7, "other", 7, false},
			{"an application, of a personal token", 0, "user", 7, false},
		} {
			token := func() store.Token {
				tok := tokenNamed(name(), now)
				tok.UserID, tok.ApplicationID, tok.Refresh = "user", 0, store.Refresh{}
				return tok
			}
			if _, err := db.Exec(p.sql("DELETE FROM auth_cutoffs")); err != nil {
				t.Fatal(err)
			}
			for when, want := range map[string]bool{"after": tt.dead, "before": false} {
				if when == "before" {
					if _, err := db.Exec(p.sql("DELETE FROM auth_cutoffs")); err != nil {
						t.Fatal(err)
					}
					seq++
					p.cut(t, db, seq, tt.user, tt.of)
				}
				parent, err := st.InsertToken(ctx, token(), limits)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := db.Exec(p.sql("UPDATE auth_tokens SET application_id = ?, via_id = ? WHERE id = ?"), tt.application, tt.application, parent.ID); err != nil {
					t.Fatal(err)
				}
				if when == "after" {
					if _, err := db.Exec(p.sql("DELETE FROM auth_cutoffs")); err != nil {
						t.Fatal(err)
					}
					seq++
					p.cut(t, db, seq, tt.user, tt.of)
				}
				child := token()
				child.ParentID = parent.Family
				if _, err = st.InsertToken(ctx, child, limits); errors.Is(err, store.ErrConflict) != want || !want && err != nil {
					t.Errorf("%s cut off %s it was issued: %v, want a conflict: %v", tt.what, when, err, want)
				}
			}
		}
	})
}
