package sqltest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ostiary/auth/store"
)

// long is before everything that other operations leave behind.
const long = 1000 * hour

func (x *faultCase) userID() string { return "u" + x.name }

func (x *faultCase) insertUser() error {
	_, err := x.calm.InsertUser(x.ctx, store.User{ID: x.userID(), Name: x.name, Active: true, Epoch: 1, Created: x.now})
	return errors.Join(err, x.calm.SetPasswordHash(x.ctx, x.userID(), "old"))
}

// user is what matters of the user: the password hash, and how the epoch and the
// rest differ from what insertUser stored.
func (x *faultCase) user() string {
	ctx := context.Background()
	u, err := x.calm.UserByID(ctx, x.userID())
	hash, err2 := x.calm.PasswordHash(ctx, x.userID())
	if err = errors.Join(err, err2); err != nil {
		return faultState(time.Time{}, err)
	}
	return fmt.Sprint(hash, " ", u.Epoch > 2, u.Name == x.name, u.Active)
}

func (x *faultCase) application() store.Application {
	return store.Application{
		ClientID: x.name, Name: x.name, OrganizationID: 1, GrantType: "authorization-code", Created: x.now, Modified: x.now,
	}
}

func (x *faultCase) insertApplication() error {
	a, err := x.calm.InsertApplication(x.ctx, x.application())
	x.id = a.ID
	return err
}

func (x *faultCase) applicationState() string {
	a, err := x.calm.ApplicationByClientID(context.Background(), x.name)
	return faultState(time.Time{}, err) + a.Description
}

// codeOf, userCodeOf: the digests of what belongs to the case.
func (x *faultCase) codeOf() store.Digest     { return store.DigestOf("code " + x.name) }
func (x *faultCase) userCodeOf() store.Digest { return store.DigestOf("user code " + x.name) }

func (x *faultCase) insertCode(application int64, expires time.Time) error {
	return x.calm.InsertCode(x.ctx, store.Code{
		Digest: x.codeOf(), ApplicationID: application, UserID: x.userID(), Created: x.now, Expires: expires,
	}, anyNumber)
}

func (x *faultCase) code() string {
	c, err := x.calm.CodeByDigest(context.Background(), x.codeOf())
	return faultState(c.Spent, err)
}

func (x *faultCase) newDevice(application int64, expires time.Time) store.Device {
	return store.Device{
		Digest: x.codeOf(), UserCode: x.userCodeOf(), ApplicationID: application,
		Created: x.now, Expires: expires, Interval: time.Second,
	}
}

func (x *faultCase) insertDevice() error {
	return x.calm.InsertDevice(x.ctx, x.newDevice(1, x.now.Add(hour)))
}

func (x *faultCase) approve() error {
	return errors.Join(x.insertDevice(), x.calm.DecideDevice(x.ctx, x.userCodeOf(), store.Approved, x.userID(), 1, x.now))
}

func (x *faultCase) device() string {
	d, err := x.calm.DeviceByUserCode(context.Background(), x.userCodeOf())
	return faultState(d.Spent, err) + fmt.Sprint(d.Decision, !d.Polled.IsZero(), d.Family != 0)
}

func (x *faultCase) redemption() store.Redemption {
	return store.Redemption{Code: x.codeOf(), ApplicationID: 1, At: x.now, Token: tokenNamed(x.name, x.now)}
}

// use is the charge that the key of the case allows once.
func (x *faultCase) use(suffix string) []store.Charge {
	return []store.Charge{{Key: x.name + suffix, Limit: store.Limit{Max: 1, Window: hour}}}
}

// free reports which of the keys are free, by using them.
func (x *faultCase) free(at time.Time, suffixes ...string) (state string) {
	for _, suffix := range suffixes {
		v, err := x.calm.Charge(context.Background(), x.use(suffix), at)
		if err != nil {
			return err.Error()
		}
		state += fmt.Sprint(v.Allowed)
	}
	return state
}

func (x *faultCase) useUp(at time.Time, suffixes ...string) error {
	if got := x.free(at, suffixes...); got != fmt.Sprint(true) && got != fmt.Sprint(true)+fmt.Sprint(true) {
		return errors.New(got)
	}
	return nil
}

// settlement forgets and returns what useUp used, and remembers the name.
func (x *faultCase) settlement() store.Settlement {
	return store.Settlement{
		Return:   []store.Reservation{{Key: x.name + "/", Start: x.now}},
		Forget:   []string{x.name},
		Remember: store.Memory{Key: x.name, Group: x.name, Until: x.now.Add(hour), Most: 1},
	}
}

// only turns the results of an operation into its error, or into one that says
// that what it returned is wrong.
func only(err error, right bool) error {
	if err == nil && !right {
		return errors.New("a wrong answer")
	}
	return err
}

// changes is an operation with an effect that observe sees.
func changes(name string, prepare, run func(x *faultCase) error, observe func(x *faultCase) string, before, after string) faulted {
	return faulted{name: name, prepare: prepare, run: run, state: func(x *faultCase) string { return either(observe(x), before, after) }}
}

// reads is an operation without an effect.
func reads(name string, prepare, run func(x *faultCase) error) faulted {
	return faulted{name: name, prepare: prepare, run: run, read: true}
}

func nothing(*faultCase) error { return nil }

func accountOperations() []faulted {
	insertUser := (*faultCase).insertUser
	user := (*faultCase).user
	return []faulted{
		reads("find a user by ID", insertUser, func(x *faultCase) error {
			u, err := x.shaky.UserByID(x.ctx, x.userID())
			return only(err, u.Name == x.name)
		}),
		reads("find a user by name", insertUser, func(x *faultCase) error {
			u, err := x.shaky.UserByName(x.ctx, x.name)
			return only(err, u.ID == x.userID())
		}),
		reads("find a password hash", insertUser, func(x *faultCase) error {
			hash, err := x.shaky.PasswordHash(x.ctx, x.userID())
			return only(err, hash == "old")
		}),
		reads("list users", insertUser, func(x *faultCase) error {
			list, total, err := x.shaky.ListUsers(x.ctx, store.UserFilter{Name: x.name}, store.Page{Limit: 2})
			return only(err, total == 1 && len(list) == 1 && list[0].Name == x.name)
		}),
		changes("swap a password hash", insertUser, func(x *faultCase) error {
			return x.shaky.SwapPasswordHash(x.ctx, x.userID(), "old", "new")
		}, user, "old false true true", "new false true true"),
		reads("swap another password hash", insertUser, func(x *faultCase) error {
			return expected(x.shaky.SwapPasswordHash(x.ctx, x.userID(), "other", "new"), store.ErrConflict)
		}),
		changes("set a password hash", insertUser, func(x *faultCase) error {
			return x.shaky.SetPasswordHash(x.ctx, x.userID(), "new")
		}, user, "old false true true", "new true true true"),
		changes("replace a password", insertUser, func(x *faultCase) error {
			u, err := x.calm.UserByID(x.ctx, x.userID())
			if err == nil {
				u, err = x.shaky.ReplacePassword(x.ctx, u.ID, u.Epoch, "new")
			}
			return only(err, u.Active)
		}, user, "old false true true", "new true true true"),
		changes("update a user", insertUser, func(x *faultCase) error {
			return x.shaky.UpdateUser(x.ctx, store.User{ID: x.userID(), Name: x.name + "'"})
		}, user, "old false true true", "old true false false"),
		changes("change a user", insertUser, func(x *faultCase) error {
			u, err := x.shaky.ChangeUser(x.ctx, x.userID(), store.UserChange{Active: new(false)})
			return only(err, !u.Active)
		}, user, "old false true true", "old true true false"),
		reads("list users by conditions", insertUser, func(x *faultCase) error {
			w := store.Where{{{Column: store.ColumnName, Values: []any{x.name}}}}
			_, total, err := x.shaky.ListUsers(x.ctx, store.UserFilter{Where: w}, store.Page{Limit: 2})
			return only(err, total == 1)
		}),
		changes("insert a user", nothing, func(x *faultCase) error {
			u, err := x.shaky.InsertUser(x.ctx, store.User{Name: x.name, Created: x.now})
			return only(err, u.ID != "")
		}, func(x *faultCase) string {
			_, err := x.calm.UserByName(context.Background(), x.name)
			return faultState(time.Time{}, err)
		}, "absent", "live"),
		changes("insert a user with an ID", nothing, func(x *faultCase) error {
			_, err := x.shaky.InsertUser(x.ctx, store.User{ID: fmt.Sprint(x.now.UnixNano()), Name: x.name, Created: x.now})
			return err
		}, func(x *faultCase) string {
			_, err := x.calm.UserByName(context.Background(), x.name)
			return faultState(time.Time{}, err)
		}, "absent", "live"),
	}
}

func sessionOperations() []faulted {
	login := func(x *faultCase) error { return x.login(x.name) }
	two := func(x *faultCase) error { return errors.Join(x.login(x.name), x.login(x.name+".2")) }
	saved := func(x *faultCase) string {
		v, _, err := x.calm.SessionByDigest(context.Background(), sessionOf(x.name))
		return faultState(v.Ended, err) + string(v.Data) + v.Expires.Sub(v.Created).String()
	}
	return []faulted{
		reads("find a session", login, func(x *faultCase) error {
			v, _, err := x.shaky.SessionByDigest(x.ctx, sessionOf(x.name))
			return only(err, v.UserID == x.userID())
		}),
		reads("list sessions", two, func(x *faultCase) error {
			list, _, err := x.shaky.ListSessions(x.ctx, store.SessionFilter{UserID: x.userID()}, x.now, store.Page{Limit: 1000, Descending: true})
			return only(err, len(list) == 2)
		}),
		changes("save a session", login, func(x *faultCase) error {
			return x.shaky.SaveSession(x.ctx, sessionOf(x.name), []byte("new"), 1, x.now)
		}, saved, "live1h0m0s", "livenew1h0m0s"),
		reads("save a session that has changed", login, func(x *faultCase) error {
			return expected(x.shaky.SaveSession(x.ctx, sessionOf(x.name), []byte("new"), 7, x.now), store.ErrConflict)
		}),
		changes("prolong a session", login, func(x *faultCase) error {
			return x.shaky.TouchSession(x.ctx, sessionOf(x.name), x.now.Add(2*hour), x.now, netip.Addr{})
		}, saved, "live1h0m0s", "live2h0m0s"),
		changes("end all sessions of a user", two, func(x *faultCase) error {
			_, err := x.shaky.EndSessions(x.ctx, store.SessionSelection{UserID: x.userID()}, store.EndedAdmin, x.now)
			return err
		}, func(x *faultCase) string { return x.session(x.name) + x.session(x.name+".2") }, "livelive", "deaddead"),
		changes("purge sessions", func(x *faultCase) error {
			x.now = x.now.Add(-2 * long)
			return errors.Join(x.login(x.name), x.login(x.name+".2"))
		}, func(x *faultCase) error {
			_, err := x.shaky.PurgeSessions(x.ctx, x.now.Add(long), 1000)
			return err
		}, func(x *faultCase) string { return x.session(x.name) + x.session(x.name+".2") }, "livelive", "absentabsent"),
	}
}

func attemptOperations() []faulted {
	both := func(x *faultCase) error { return x.useUp(x.now, "", "/") }
	return []faulted{
		reads("charge too often", both, func(x *faultCase) error {
			v, err := x.shaky.Charge(x.ctx, x.use("/"), x.now)
			return only(err, !v.Allowed)
		}),
		changes("forget a key", both, func(x *faultCase) error {
			return x.shaky.Settle(x.ctx, store.Settlement{Forget: []string{x.name}})
		}, func(x *faultCase) string { return x.free(x.now, "") }, "false", "true"),
		changes("settle all", both, func(x *faultCase) error {
			return x.shaky.Settle(x.ctx, x.settlement())
		}, func(x *faultCase) string {
			known, err := x.calm.Remembers(context.Background(), x.name, x.now)
			return x.free(x.now, "", "/") + fmt.Sprint(known, err)
		}, "falsefalsefalse <nil>", "truetruetrue <nil>"),
		changes("remember a key again", func(x *faultCase) error {
			return x.calm.Settle(x.ctx, x.settlement())
		}, func(x *faultCase) error {
			s := x.settlement()
			s.Remember.Until = x.now.Add(2 * hour)
			return x.shaky.Settle(x.ctx, s)
		}, func(x *faultCase) string {
			known, err := x.calm.Remembers(context.Background(), x.name, x.now.Add(hour))
			return fmt.Sprint(known, err)
		}, "false <nil>", "true <nil>"),
		changes("remember one too many", func(x *faultCase) error {
			return x.calm.Settle(x.ctx, x.settlement())
		}, func(x *faultCase) error {
			s := x.settlement()
			s.Remember.Key, s.Remember.Until = x.name+"/", x.now.Add(2*hour)
			return x.shaky.Settle(x.ctx, s)
		}, func(x *faultCase) string {
			one, err1 := x.calm.Remembers(context.Background(), x.name, x.now)
			other, err2 := x.calm.Remembers(context.Background(), x.name+"/", x.now)
			return fmt.Sprint(one, other, err1, err2)
		}, "true false <nil> <nil>", "false true <nil> <nil>"),
		reads("remembers", func(x *faultCase) error {
			return x.calm.Settle(x.ctx, x.settlement())
		}, func(x *faultCase) error {
			known, err := x.shaky.Remembers(x.ctx, x.name, x.now)
			return only(err, known)
		}),
		changes("purge attempts", func(x *faultCase) error {
			x.now = x.now.Add(-2 * long)
			return x.useUp(x.now, "", "/")
		}, func(x *faultCase) error {
			_, err := x.shaky.PurgeAttempts(x.ctx, x.now.Add(long), 1000)
			return err
		}, func(x *faultCase) string { return x.free(x.now, "", "/") }, "falsefalse", "truetrue"),
	}
}
