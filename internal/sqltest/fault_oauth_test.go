package sqltest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ostiary/auth/store"
)

func tokenOperations() []faulted {
	issue := func(x *faultCase) error { return x.issue(x.name, 0) }
	two := func(x *faultCase) error { return errors.Join(x.issue(x.name, 0), x.issue(x.name+".2", x.id)) }
	ofUser := func(x *faultCase) error {
		for _, name := range []string{x.name, x.name + ".2"} {
			t := tokenNamed(name, x.now)
			t.UserID = x.userID()
			if _, err := x.calm.InsertToken(x.ctx, t, limits); err != nil {
				return err
			}
		}
		return nil
	}
	pair := func(x *faultCase) string { return x.token(x.name) + x.token(x.name+".2") }
	right := func(x *faultCase, t store.Token, err error) error { return only(err, t.ID == x.id) }
	described := func(x *faultCase) string {
		t, err := x.calm.TokenByID(context.Background(), x.id)
		return faultState(t.Revoked, err) + t.Description
	}
	used := func(x *faultCase) (state string) {
		for _, name := range []string{x.name, x.name + ".2"} {
			t, err := x.calm.TokenByDigest(context.Background(), accessOf(name))
			state += faultState(t.LastUsed, err)
		}
		return state
	}
	touch := func(names ...string) func(x *faultCase) error {
		return func(x *faultCase) error {
			var seen []store.Sighting
			for _, name := range names {
				t, err := x.calm.TokenByDigest(context.Background(), accessOf(x.name+name))
				if err != nil {
					return err
				}
				seen = append(seen, store.Sighting{TokenID: t.ID, At: x.now})
			}
			return x.shaky.Touch(x.ctx, seen)
		}
	}
	return []faulted{
		reads("find a token by access token", issue, func(x *faultCase) error {
			t, err := x.shaky.TokenByDigest(x.ctx, accessOf(x.name))
			return right(x, t, err)
		}),
		reads("find a token by ID", issue, func(x *faultCase) error {
			t, err := x.shaky.TokenByID(x.ctx, x.id)
			return right(x, t, err)
		}),
		reads("find a token by refresh token", issue, func(x *faultCase) error {
			t, err := x.shaky.TokenByRefresh(x.ctx, refreshOf(x.name))
			return right(x, t, err)
		}),
		reads("list tokens", ofUser, func(x *faultCase) error {
			list, total, err := x.shaky.ListTokens(x.ctx, store.TokenFilter{UserID: x.userID()}, store.Page{Limit: 5})
			return only(err, total == 2 && len(list) == 2)
		}),
		changes("issue", nothing, func(x *faultCase) error {
			t, err := x.shaky.InsertToken(x.ctx, tokenNamed(x.name, x.now), limits)
			return only(err, t.Family == t.ID)
		}, func(x *faultCase) string {
			t, err := x.calm.TokenByDigest(context.Background(), accessOf(x.name))
			return faultState(t.Revoked, err) + fmt.Sprint(t.Family == t.ID)
		}, "absenttrue", "livetrue"),
		changes("update a token", issue, func(x *faultCase) error {
			t := tokenNamed(x.name, x.now)
			t.ID, t.Revision, t.Description = x.id, 1, "new"
			return x.shaky.UpdateToken(x.ctx, t, store.KeepMinted)
		}, described, "live", "livenew"),
		changes("note a use", two, touch(""), used, "livelive", "deadlive"),
		changes("note two uses", two, touch("", ".2"), used, "livelive", "deaddead"),
		changes("revoke the tokens of a user", ofUser, func(x *faultCase) error {
			_, err := x.shaky.RevokeTokens(x.ctx, store.Selection{UserID: x.userID()}, x.now)
			return err
		}, pair, "livelive", "deaddead"),
		// A step for each kind: they do not depend on each other.
		changes("purge a token", longAgo(func(x *faultCase) error { return x.issue(x.name, 0) }),
			purgeLongAgo, func(x *faultCase) string { return x.token(x.name) }, "live", "absent"),
		changes("purge a code", longAgo(func(x *faultCase) error { return x.insertCode(1, x.now.Add(hour)) }),
			purgeLongAgo, (*faultCase).code, "live", "absent"),
		changes("purge a device", longAgo((*faultCase).insertDevice),
			purgeLongAgo, func(x *faultCase) string {
				_, err := x.calm.DeviceByUserCode(context.Background(), x.userCodeOf())
				return faultState(time.Time{}, err)
			}, "live", "absent"),
	}
}

// longAgo prepares what is purged before what other operations leave behind.
func longAgo(prepare func(x *faultCase) error) func(x *faultCase) error {
	return func(x *faultCase) error {
		x.now = x.now.Add(-2 * long)
		return prepare(x)
	}
}

func purgeLongAgo(x *faultCase) error {
	_, err := x.shaky.Purge(x.ctx, x.now.Add(long), 1000)
	return err
}

func grantOperations() []faulted {
	rotation := func(x *faultCase) store.Rotation {
		return store.Rotation{
			Refresh: refreshOf(x.name), ApplicationID: 1, Revision: 1, At: x.now, Grace: hour, Token: tokenNamed(x.name+".2", x.now),
		}
	}
	insertCode := func(x *faultCase) error { return x.insertCode(1, x.now.Add(hour)) }
	code := (*faultCase).code
	return []faulted{
		changes("insert a code", nothing, func(x *faultCase) error {
			return x.shaky.InsertCode(x.ctx, store.Code{Digest: x.codeOf(), ApplicationID: 1, Created: x.now, Expires: x.now.Add(hour)}, anyNumber)
		}, code, "absent", "live"),
		reads("find a code", insertCode, func(x *faultCase) error {
			c, err := x.shaky.CodeByDigest(x.ctx, x.codeOf())
			return only(err, c.UserID == x.userID())
		}),
		changes("spend a code", insertCode, func(x *faultCase) error {
			return x.shaky.SpendCode(x.ctx, x.codeOf(), x.now)
		}, code, "live", "dead"),
		reads("spend a code again", func(x *faultCase) error {
			return errors.Join(insertCode(x), x.calm.SpendCode(x.ctx, x.codeOf(), x.now))
		}, func(x *faultCase) error { return x.shaky.SpendCode(x.ctx, x.codeOf(), x.now) }),
		reads("rotate again within the grace period", func(x *faultCase) error {
			err := x.issue(x.name, 0)
			_, err2 := x.calm.Rotate(x.ctx, rotation(x))
			return errors.Join(err, err2)
		}, func(x *faultCase) error {
			out, err := x.shaky.Rotate(x.ctx, rotation(x))
			if state := x.token(x.name + ".2"); state != "live" {
				return errors.New("the successor is " + state)
			}
			return only(err, out.Replayed)
		}),
	}
}

func deviceOperations() []faulted {
	insert, approve, device := (*faultCase).insertDevice, (*faultCase).approve, (*faultCase).device
	paid := func(x *faultCase) string { return device(x) + x.token(x.name) }
	return []faulted{
		changes("insert a device", nothing, func(x *faultCase) error {
			return x.shaky.InsertDevice(x.ctx, x.newDevice(1, x.now.Add(hour)))
		}, device, "absent0 false false", "live0 false false"),
		reads("find a device", insert, func(x *faultCase) error {
			d, err := x.shaky.DeviceByUserCode(x.ctx, x.userCodeOf())
			return only(err, d.Digest == x.codeOf())
		}),
		changes("decide about a device", insert, func(x *faultCase) error {
			return x.shaky.DecideDevice(x.ctx, x.userCodeOf(), store.Denied, x.userID(), 1, x.now)
		}, device, "live0 false false", "live2 false false"),
		reads("decide a second time", approve, func(x *faultCase) error {
			return expected(x.shaky.DecideDevice(x.ctx, x.userCodeOf(), store.Denied, x.userID(), 1, x.now), store.ErrUsed)
		}),
		changes("poll", insert, func(x *faultCase) error {
			d, err := x.shaky.PollDevice(x.ctx, x.codeOf(), 1, time.Second, x.now)
			return only(err, d.Polled.IsZero())
		}, device, "live0 false false", "live0 true false"),
		changes("redeem a device code", approve, func(x *faultCase) error {
			_, err := x.shaky.RedeemDevice(x.ctx, x.redemption())
			return err
		}, paid, "live1 false falseabsent", "dead1 false truelive"),
		changes("redeem a device code a second time", func(x *faultCase) error {
			err := approve(x)
			_, err2 := x.calm.RedeemDevice(x.ctx, x.redemption())
			return errors.Join(err, err2)
		}, func(x *faultCase) error {
			_, err := x.shaky.RedeemDevice(x.ctx, x.redemption())
			return expected(err, store.ErrUsed)
		}, paid, "dead1 false truelive", "dead1 false truedead"),
	}
}

func applicationOperations() []faulted {
	insert, state := (*faultCase).insertApplication, (*faultCase).applicationState
	return []faulted{
		reads("find an application by ID", insert, func(x *faultCase) error {
			a, err := x.shaky.ApplicationByID(x.ctx, x.id)
			return only(err, a.Name == x.name)
		}),
		reads("find an application by client ID", insert, func(x *faultCase) error {
			a, err := x.shaky.ApplicationByClientID(x.ctx, x.name)
			return only(err, a.ID == x.id)
		}),
		reads("list applications", insert, func(x *faultCase) error {
			list, total, err := x.shaky.ListApplications(x.ctx, store.ApplicationFilter{All: true, Name: x.name}, store.Page{Limit: 5})
			return only(err, total == 1 && len(list) == 1)
		}),
		reads("summarize tokens", insert, func(x *faultCase) error {
			list, err := x.shaky.SummarizeTokens(x.ctx, []int64{x.id}, store.TokenFilter{All: true}, 5)
			return only(err, len(list) == 1)
		}),
		changes("insert an application", nothing, func(x *faultCase) error {
			a, err := x.shaky.InsertApplication(x.ctx, x.application())
			return only(err, a.ID != 0)
		}, state, "absent", "live"),
		changes("update an application", insert, func(x *faultCase) error {
			a := x.application()
			a.ID, a.Revision, a.Description = x.id, 1, "new"
			return x.shaky.UpdateApplication(x.ctx, a)
		}, state, "live", "livenew"),
		changes("delete an application with a token, a code and a device", func(x *faultCase) error {
			err := insert(x)
			t := tokenNamed(x.name, x.now)
			t.ApplicationID = x.id
			_, err2 := x.calm.InsertToken(x.ctx, t, limits)
			return errors.Join(err, err2, x.insertCode(x.id, x.now.Add(hour)), x.calm.InsertDevice(x.ctx, x.newDevice(x.id, x.now.Add(hour))))
		}, func(x *faultCase) error { return x.shaky.DeleteApplication(x.ctx, x.id, x.now) },
			func(x *faultCase) string {
				_, err := x.calm.DeviceByUserCode(context.Background(), x.userCodeOf())
				return state(x) + x.token(x.name) + x.code() + faultState(time.Time{}, err)
			}, "livelivelivelive", "absentdeadabsentabsent"),
	}
}
