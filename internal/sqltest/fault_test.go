package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// A faulted is one operation that is done on records of the given name, which
// prepare made. state tells how far it came: "before", "after", or something
// that must not be.
type faulted struct {
	name    string
	prepare func(x *faultCase) error
	run     func(x *faultCase) error
	state   func(x *faultCase) string
	// read is an operation without an effect.
	read bool
	// state changes what it looks at.
	once bool
}

// A faultCase is a store without faults, one with faults, and a name for the
// records.
type faultCase struct {
	ctx         context.Context
	calm, shaky *sqlstore.Store
	name        string
	id          int64
	now         time.Time
}

func (x *faultCase) token(name string) string {
	a, err := x.calm.AccessByDigest(context.Background(), accessOf(name))
	return faultState(a.Revoked, err)
}

func (x *faultCase) session(name string) string {
	v, _, err := x.calm.SessionByDigest(context.Background(), sessionOf(name))
	return faultState(v.Ended, err)
}

func faultState(ended time.Time, err error) string {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "absent"
	case err != nil:
		return err.Error()
	case ended.IsZero():
		return "live"
	}
	return "dead"
}

// either names the two states that may be.
func either(got, before, after string) string {
	switch got {
	case before:
		return "before"
	case after:
		return "after"
	}
	return got
}

func (x *faultCase) issue(name string, parent int64) error {
	t := tokenNamed(name, x.now)
	t.ParentID = parent
	t, err := x.calm.InsertToken(x.ctx, t, limits)
	if parent == 0 {
		x.id = t.ID
	}
	return err
}

func (x *faultCase) login(name string) error {
	_, _, err := x.calm.InsertSession(x.ctx, sessionNamed(name, "u"+x.name, x.now), store.Digest{}, 0)
	return err
}

// chain stores a token with a grant and rotates it n times.
func (x *faultCase) chain(st *sqlstore.Store, n int) error {
	_, err := st.InsertToken(x.ctx, x.inChain(-1).Token, limits)
	for i := range n {
		_, err2 := st.Rotate(x.ctx, x.inChain(i))
		err = errors.Join(err, err2)
	}
	return err
}

// inChain rotates token i of a chain.
func (x *faultCase) inChain(i int) store.Rotation {
	r := store.Rotation{
		Refresh: refreshOf(fmt.Sprint(x.name, ".", i)), ApplicationID: 1, Revision: 1, At: x.now,
		Token: tokenNamed(fmt.Sprint(x.name, ".", i+1), x.now),
	}
	r.Token.Refresh.Grant = store.DigestOf(x.name)
	return r
}

func sessionNamed(name, user string, now time.Time) store.Session {
	return store.Session{Digest: sessionOf(name), UserID: user, Created: now, Seen: now, Expires: now.Add(hour)}
}

func faultedOperations() []faulted {
	rotation := func(x *faultCase) store.Rotation {
		return store.Rotation{Refresh: refreshOf(x.name), ApplicationID: 1, Revision: 1, At: x.now, Token: tokenNamed(x.name+".2", x.now)}
	}
	redemption := func(x *faultCase) store.Redemption {
		return store.Redemption{Code: store.DigestOf(x.name), ApplicationID: 1, At: x.now, Token: tokenNamed(x.name, x.now)}
	}
	insertCode := func(x *faultCase) error {
		return x.calm.InsertCode(x.ctx, store.Code{Digest: store.DigestOf(x.name), ApplicationID: 1, Created: x.now, Expires: x.now.Add(hour)}, anyNumber)
	}
	code := func(x *faultCase) string {
		c, err := x.calm.CodeByDigest(context.Background(), store.DigestOf(x.name))
		return faultState(c.Spent, err) + fmt.Sprint(c.Family != 0)
	}
	return []faulted{
		{
			name:    "issue a child",
			prepare: func(x *faultCase) error { return x.issue(x.name, 0) },
			run: func(x *faultCase) error {
				t := tokenNamed(x.name+".1", x.now)
				t.ParentID = x.id
				_, err := x.shaky.InsertToken(x.ctx, t, limits)
				return err
			},
			state: func(x *faultCase) string { return either(x.token(x.name+".1"), "absent", "live") },
		}, {
			name:    "verify",
			prepare: func(x *faultCase) error { return x.issue(x.name, 0) },
			run: func(x *faultCase) error {
				a, err := x.shaky.AccessByDigest(x.ctx, accessOf(x.name))
				if err == nil && a.TokenID != x.id {
					return fmt.Errorf("another token: %v", a)
				}
				return err
			},
			read: true,
		}, {
			name: "rotate, with a child",
			prepare: func(x *faultCase) error {
				return errors.Join(x.issue(x.name, 0), x.issue(x.name+".child", x.id))
			},
			run: func(x *faultCase) error {
				_, err := x.shaky.Rotate(x.ctx, rotation(x))
				return err
			},
			state: func(x *faultCase) string {
				return either(x.token(x.name)+x.token(x.name+".2")+x.token(x.name+".child"), "liveabsentlive", "deadlivelive")
			},
		}, {
			name: "rotate a second time",
			prepare: func(x *faultCase) error {
				err := x.issue(x.name, 0)
				_, err2 := x.calm.Rotate(x.ctx, rotation(x))
				return errors.Join(err, err2)
			},
			run: func(x *faultCase) error {
				r := rotation(x)
				r.Token = tokenNamed(x.name+".3", x.now)
				_, err := x.shaky.Rotate(x.ctx, r)
				return expected(err, store.ErrUsed)
			},
			state: func(x *faultCase) string {
				return either(x.token(x.name+".2")+x.token(x.name+".3"), "liveabsent", "deadabsent")
			},
		}, {
			name:    "rotate, with a token to remove",
			prepare: func(x *faultCase) error { return x.chain(x.calm, 1) },
			run: func(x *faultCase) error {
				_, err := x.shaky.Rotate(x.ctx, x.inChain(1))
				return err
			},
			state: func(x *faultCase) string {
				return either(x.token(x.name+".0")+x.token(x.name+".1")+x.token(x.name+".2"), "deadliveabsent", "absentdeadlive")
			},
		}, {
			name:    "rotate a removed token",
			prepare: func(x *faultCase) error { return x.chain(x.calm, 2) },
			run: func(x *faultCase) error {
				r := x.inChain(0)
				r.Token.Digest, r.Token.Refresh.Digest = accessOf(x.name), refreshOf(x.name)
				_, err := x.shaky.Rotate(x.ctx, r)
				return expected(err, store.ErrUsed)
			},
			state: func(x *faultCase) string {
				return either(x.token(x.name+".1")+x.token(x.name+".2")+x.token(x.name), "deadliveabsent", "deaddeadabsent")
			},
		}, {
			name:    "redeem",
			prepare: insertCode,
			run: func(x *faultCase) error {
				_, err := x.shaky.Redeem(x.ctx, redemption(x))
				return err
			},
			state: func(x *faultCase) string { return either(code(x)+x.token(x.name), "livefalseabsent", "deadtruelive") },
		}, {
			name: "redeem a second time",
			prepare: func(x *faultCase) error {
				err := insertCode(x)
				_, err2 := x.calm.Redeem(x.ctx, redemption(x))
				return errors.Join(err, err2)
			},
			run: func(x *faultCase) error {
				_, err := x.shaky.Redeem(x.ctx, redemption(x))
				return expected(err, store.ErrUsed)
			},
			state: func(x *faultCase) string { return either(x.token(x.name), "live", "dead") },
		}, {
			name: "revoke with children and grandchildren",
			prepare: func(x *faultCase) error {
				err := x.issue(x.name, 0)
				child := tokenNamed(x.name+".1", x.now)
				child.ParentID = x.id
				child, err2 := x.calm.InsertToken(x.ctx, child, limits)
				return errors.Join(err, err2, x.issue(x.name+".2", child.ID))
			},
			run: func(x *faultCase) error {
				_, err := x.shaky.RevokeTokens(x.ctx, store.Selection{TokenID: x.id}, x.now)
				return err
			},
			state: func(x *faultCase) string {
				return either(x.token(x.name)+x.token(x.name+".1")+x.token(x.name+".2"), "livelivelive", "deaddeaddead")
			},
		}, {
			name:    "log in with a limit",
			prepare: func(x *faultCase) error { return errors.Join(x.login(x.name), x.login(x.name+".2")) },
			run: func(x *faultCase) error {
				_, _, err := x.shaky.InsertSession(x.ctx, sessionNamed(x.name+".3", "u"+x.name, x.now.Add(time.Second)), sessionOf(x.name), 1)
				return err
			},
			state: func(x *faultCase) string {
				return either(x.session(x.name)+x.session(x.name+".2")+x.session(x.name+".3"), "liveliveabsent", "deaddeadlive")
			},
		}, {
			name:    "log out",
			prepare: func(x *faultCase) error { return x.login(x.name) },
			run: func(x *faultCase) error {
				_, err := x.shaky.EndSessions(x.ctx, store.SessionSelection{Digest: sessionOf(x.name)}, store.EndedLogout, x.now)
				return err
			},
			state: func(x *faultCase) string { return either(x.session(x.name), "live", "dead") },
		}, {
			name: "delete a user with a token and a session",
			prepare: func(x *faultCase) error {
				_, err := x.calm.InsertUser(x.ctx, store.User{ID: "u" + x.name, Name: x.name, Created: x.now})
				t := tokenNamed(x.name, x.now)
				t.UserID = "u" + x.name
				_, err2 := x.calm.InsertToken(x.ctx, t, limits)
				return errors.Join(err, err2, x.login(x.name))
			},
			run: func(x *faultCase) error { return x.shaky.DeleteUser(x.ctx, "u"+x.name, x.now) },
			state: func(x *faultCase) string {
				u, err := x.calm.UserByID(context.Background(), "u"+x.name)
				return either(faultState(u.Created.AddDate(-9999, 0, 0), err)[:1]+x.token(x.name)+x.session(x.name), "dlivelive", "adeaddead")
			},
		}, {
			name:    "charge",
			once:    true,
			prepare: func(x *faultCase) error { return nil },
			run: func(x *faultCase) error {
				_, err := x.shaky.Charge(x.ctx, []store.Charge{{Key: x.name, Limit: store.Limit{Max: 1, Window: hour}}, {Key: x.name + "/", Limit: store.Limit{Max: 1, Window: hour}}}, x.now)
				return err
			},
			state: func(x *faultCase) string {
				// What is counted is seen by charging again; after that there
				// is nothing left to see, so once is all.
				a, err1 := x.calm.Charge(x.ctx, []store.Charge{{Key: x.name, Limit: store.Limit{Max: 1, Window: hour}}}, x.now)
				b, err2 := x.calm.Charge(x.ctx, []store.Charge{{Key: x.name + "/", Limit: store.Limit{Max: 1, Window: hour}}}, x.now)
				return either(fmt.Sprint(a.Allowed, b.Allowed, err1, err2), "true true <nil> <nil>", "false false <nil> <nil>")
			},
		},
	}
}

// otherOperations are the rest of the contract.
func otherOperations() []faulted {
	return slices.Concat(accountOperations(), tokenOperations(), grantOperations(),
		deviceOperations(), applicationOperations(), sessionOperations(), attemptOperations())
}

// expected turns the error that is to come into none.
func expected(err, want error) error {
	if err == nil {
		return errors.New("no error")
	}
	if errors.Is(err, want) {
		return nil
	}
	return err
}

// Whatever call to the database fails, hangs or breaks the connection: an
// operation happens wholly or not at all, never reports a success that it had
// not, and reports nothing but an outage. What has not happened can be done
// afterwards.
func TestFaultAtEveryCall(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		faultEveryCall(t, fresh, anyOperation)
	})
}

// In MySQL a new token is one statement in READ COMMITTED.
func TestFaultsUnderReadCommitted(t *testing.T) {
	for _, d := range databases() {
		setting := mysqlIsolation(d.name, "read-committed")
		if setting == "" {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			fresh := func(t testing.TB) place {
				p := d.fresh(t)
				p.DSN += setting
				return p
			}
			faultEveryCall(t, fresh, func(op string) bool { return strings.HasPrefix(op, "issue") || strings.HasPrefix(op, "redeem") })
		})
	}
}

func anyOperation(string) bool { return true }

// faultEveryCall does some of the operations with each of their calls spoiled, in each way.
func faultEveryCall(t *testing.T, fresh func(testing.TB) place, some func(op string) bool) {
	t.Parallel() // most of it is waiting
	for _, how := range []struct {
		name string
		harm harm
	}{{"fails", fails}, {"drops", drops}, {"drops late", dropsLate}, {"hangs", hangs}} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			p := fresh(t)
			calm := p.open(t)
			db, tap := p.tapped(t)
			// Look-ups have a deadline of their own, for nobody can give up. What
			// hangs meets a short one, what does not has time on a busy machine.
			patient, hasty := openShaky(t, db, p, 0), openShaky(t, db, p, 500*time.Millisecond)
			done := 0
			for _, op := range append(faultedOperations(), otherOperations()...) {
				if !some(op.name) {
					continue
				}
				done++
				shaky := patient
				if op.read && how.harm == hangs && !tap.local {
					shaky = hasty
				}
				faultLoop(t, op, tap, how.harm, how.name, calm, shaky, patient)
			}
			if done < 5 {
				t.Errorf("only %d operations", done)
			}
		})
	}
}

// openShaky opens a store on a pool. Without a timeout it has that of all tests.
func openShaky(t *testing.T, db *sql.DB, p place, timeout time.Duration) *sqlstore.Store {
	t.Helper()
	opts := p.options()
	if timeout > 0 {
		opts.Timeout, opts.LookupTimeout = timeout, timeout
	}
	st, err := sqlstore.Open(t.Context(), db, p.Dialect, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// faultLoop spoils one call after the other of an operation on shaky. What comes
// afterwards is done on patient, which has the same connections.
func faultLoop(t *testing.T, op faulted, tap *tap, how harm, harmName string, calm, shaky, patient *sqlstore.Store) {
	t.Helper()
	var struck []string
	succeeded, undone, done := 0, 0, 0
	for n := 1; ; n++ {
		x := &faultCase{
			ctx: t.Context(), calm: calm, shaky: shaky,
			name: fmt.Sprintf("%s %s %d", op.name, harmName, n), now: time.Now(),
		}
		if err := op.prepare(x); err != nil {
			t.Fatalf("%s: prepare: %v", op.name, err)
		}
		var cancel func()
		x.ctx, cancel = context.WithCancel(t.Context())
		tap.arm(n, how, cancel)
		err := op.run(x)
		call := tap.arm(0, fails, nil)
		cancel()
		x.ctx, x.shaky = t.Context(), patient
		switch {
		case call != "":
			struck = append(struck, call)
		case shaky != patient && err != nil: // nothing was spoiled, but the machine was busy
			err = op.run(x)
		}
		for _, verdict := range []error{store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrUsed} {
			if errors.Is(err, verdict) {
				t.Errorf("%s: call %d (%s) %s: reported as %v", op.name, n, call, harmName, err)
			}
		}
		state := "after"
		if !op.read {
			state = op.state(x)
		}
		switch {
		case err == nil:
			succeeded++
			if state != "after" {
				t.Errorf("%s: call %d (%s) %s: success without effect: %s", op.name, n, call, harmName, state)
			}
		case state == "before":
			undone++
		case state == "after":
			done++
		default:
			t.Errorf("%s: call %d (%s) %s: done by halves: %s (%v)", op.name, n, call, harmName, state, err)
		}
		if err != nil && !op.once && (op.read || state == "before") {
			if err := op.run(x); err != nil {
				t.Errorf("%s: call %d (%s) %s: does not work afterwards: %v", op.name, n, call, harmName, err)
			} else if !op.read && op.state(x) != "after" {
				t.Errorf("%s: call %d (%s) %s: without effect afterwards", op.name, n, call, harmName)
			}
		}
		if call == "" { // there is no n-th call
			if err != nil {
				t.Errorf("%s: without a fault: %v", op.name, err)
			}
			break
		}
	}
	slices.Sort(struck)
	t.Logf("%s: %d calls spoiled: %d succeeded all the same, %d errors and nothing done, %d errors although done",
		op.name, len(struck), succeeded-1, undone, done)
}
