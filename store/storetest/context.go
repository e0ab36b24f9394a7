package storetest

import (
	"context"
	"crypto/rand"
	"net/netip"
	"slices"
	"time"

	"github.com/ostiary/auth/store"
)

var contextChecks = []check{
	{
		name:    "a cancelled call fails and changes nothing",
		promise: "methods honour the context; every error that is not a sentinel is an outage; a method that changes something changes all of it or nothing",
		alone:   true,
		run:     contextCancelled,
	},
}

// everything has the answers of a store about the records of one check.
type everything struct {
	Users        []store.User
	Hash         string
	Applications []store.Application
	Tokens       []store.Token
	Token        store.Token
	Code         store.Code
	Device       store.Device
	Session      store.Session
	Sessions     []store.Session
}

func contextCancelled(t *tester) {
	u, app := t.user(), t.application()
	t.must(t.st.SetPasswordHash(t.Context(), u.ID, "hash"))
	tok, ended, code, device, undecided := t.insert(t.pair(u.ID, app.ID)), t.insert(t.personal(u.ID)), t.code(u.ID, app.ID), t.approved(app.ID, u), t.device(app.ID)
	session := t.insertSession(t.login(u.ID, at(0)))
	t.end(store.SessionSelection{ID: t.insertSession(t.login(u.ID, at(0))).ID}, store.EndedLogout, at(us))
	_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: ended.ID}, at(us))
	t.must(err)
	old := store.Charge{Key: rand.Text(), Limit: store.Limit{Max: 1, Window: time.Minute}}
	counted := t.charge("an attempt", at(0), allowed, old)
	hosted := t.open(t.T, hostUsers{})
	fresh := store.Charge{Key: rand.Text(), Limit: store.Limit{Max: 1, Window: time.Minute}}

	look := func() (all everything) {
		t.Helper()
		ctx, page := t.Context(), store.Page{Limit: 100}
		var errs [9]error
		all.Users, _, errs[0] = t.st.ListUsers(ctx, store.UserFilter{}, page)
		all.Hash, errs[1] = t.st.PasswordHash(ctx, u.ID)
		all.Applications, _, errs[2] = t.st.ListApplications(ctx, store.ApplicationFilter{All: true}, page)
		all.Tokens, _, errs[3] = t.st.ListTokens(ctx, store.TokenFilter{All: true}, page)
		all.Token, errs[4] = t.st.TokenByID(ctx, ended.ID)
		all.Code, errs[5] = t.st.CodeByDigest(ctx, code.Digest)
		all.Device, errs[6] = t.st.DeviceByUserCode(ctx, undecided.UserCode)
		all.Session, _, errs[7] = t.st.SessionByDigest(ctx, session.Digest)
		all.Sessions, _, errs[8] = t.st.ListSessions(ctx, store.SessionFilter{UserID: u.ID}, at(us), newest)
		for _, err := range errs {
			t.must(err)
		}
		return all
	}
	before := look()
	newCode := store.Code{Digest: t.digest(), ApplicationID: app.ID, UserID: u.ID, Expires: at(day)}
	newDevice := store.Device{Digest: t.digest(), UserCode: t.digest(), ApplicationID: app.ID, Expires: at(day)}
	newSession := t.login("somebody else", at(0))

	for _, call := range []struct {
		name string
		f    func(ctx context.Context) error
	}{
		{"UserByID", func(ctx context.Context) error { _, err := t.st.UserByID(ctx, u.ID); return err }},
		{"UserByName", func(ctx context.Context) error { _, err := t.st.UserByName(ctx, u.Name); return err }},
		{"PasswordHash", func(ctx context.Context) error { _, err := t.st.PasswordHash(ctx, u.ID); return err }},
		{"SwapPasswordHash", func(ctx context.Context) error { return t.st.SwapPasswordHash(ctx, u.ID, "hash", "x") }},
		{"SetPasswordHash", func(ctx context.Context) error { return t.st.SetPasswordHash(ctx, u.ID, "x") }},
		{"ReplacePassword", func(ctx context.Context) error { _, err := t.st.ReplacePassword(ctx, u.ID, u.Epoch, "x"); return err }},
		{"InsertUser", func(ctx context.Context) error {
			_, err := t.st.InsertUser(ctx, store.User{Name: rand.Text()})
			return err
		}},
		{"UpdateUser", func(ctx context.Context) error { return t.st.UpdateUser(ctx, store.User{ID: u.ID, Name: rand.Text()}) }},
		{"ChangeUser", func(ctx context.Context) error {
			_, err := t.st.ChangeUser(ctx, u.ID, store.UserChange{Email: new("x")})
			return err
		}},
		{"DeleteUser", func(ctx context.Context) error { return t.st.DeleteUser(ctx, u.ID, at(us)) }},
		{"ListUsers", func(ctx context.Context) error {
			_, _, err := t.st.ListUsers(ctx, store.UserFilter{}, store.Page{Limit: 1})
			return err
		}},
		{"AccessByDigest", func(ctx context.Context) error {
			_, err := t.st.AccessByDigest(ctx, tok.Digest)
			return err
		}},
		{"AccessByDigest with the host's users", func(ctx context.Context) error {
			_, err := hosted.AccessByDigest(ctx, tok.Digest)
			return err
		}},
		{"TokenByDigest", func(ctx context.Context) error { _, err := t.st.TokenByDigest(ctx, tok.Digest); return err }},
		{"TokenByID", func(ctx context.Context) error { _, err := t.st.TokenByID(ctx, tok.ID); return err }},
		{"ListTokens", func(ctx context.Context) error {
			_, _, err := t.st.ListTokens(ctx, store.TokenFilter{All: true}, store.Page{Limit: 1})
			return err
		}},
		{"InsertToken", func(ctx context.Context) error { _, err := t.st.InsertToken(ctx, t.personal(u.ID), limits); return err }},
		{"UpdateToken", func(ctx context.Context) error {
			next := tok
			next.Description = "x"
			return t.st.UpdateToken(ctx, next, store.KeepMinted)
		}},
		{"RevokeTokens", func(ctx context.Context) error {
			_, err := t.st.RevokeTokens(ctx, store.Selection{UserID: u.ID}, at(us))
			return err
		}},
		{"Touch", func(ctx context.Context) error {
			return t.st.Touch(ctx, []store.Sighting{{TokenID: tok.ID, At: at(us)}})
		}},
		{"Purge", func(ctx context.Context) error { _, err := t.st.Purge(ctx, at(day), 100); return err }},
		{"InsertCode", func(ctx context.Context) error { return t.st.InsertCode(ctx, newCode, anyNumber) }},
		{"CodeByDigest", func(ctx context.Context) error { _, err := t.st.CodeByDigest(ctx, code.Digest); return err }},
		{"SpendCode", func(ctx context.Context) error { return t.st.SpendCode(ctx, code.Digest, at(us)) }},
		{"Redeem", func(ctx context.Context) error { _, err := t.st.Redeem(ctx, t.redemption(code, at(us))); return err }},
		{"TokenByRefresh", func(ctx context.Context) error {
			_, err := t.st.TokenByRefresh(ctx, tok.Refresh.Digest)
			return err
		}},
		{"TokenByGrant", func(ctx context.Context) error {
			_, err := t.st.TokenByGrant(ctx, tok.Refresh.Grant)
			return err
		}},
		{"Rotate", func(ctx context.Context) error { _, err := t.st.Rotate(ctx, t.rotation(tok, at(us))); return err }},
		{"InsertDevice", func(ctx context.Context) error { return t.st.InsertDevice(ctx, newDevice) }},
		{"DeviceByUserCode", func(ctx context.Context) error {
			_, err := t.st.DeviceByUserCode(ctx, device.UserCode)
			return err
		}},
		{"DecideDevice", func(ctx context.Context) error {
			return t.st.DecideDevice(ctx, undecided.UserCode, store.Approved, u.ID, 1, at(us))
		}},
		{"PollDevice", func(ctx context.Context) error {
			_, err := t.st.PollDevice(ctx, undecided.Digest, app.ID, time.Second, at(us))
			return err
		}},
		{"RedeemDevice", func(ctx context.Context) error {
			_, err := t.st.RedeemDevice(ctx, store.Redemption{Code: device.Digest, ApplicationID: app.ID, At: at(us), Token: t.pair(u.ID, app.ID)})
			return err
		}},
		{"ApplicationByID", func(ctx context.Context) error { _, err := t.st.ApplicationByID(ctx, app.ID); return err }},
		{"ApplicationByClientID", func(ctx context.Context) error {
			_, err := t.st.ApplicationByClientID(ctx, app.ClientID)
			return err
		}},
		{"ListApplications", func(ctx context.Context) error {
			_, _, err := t.st.ListApplications(ctx, store.ApplicationFilter{All: true}, store.Page{Limit: 1})
			return err
		}},
		{"SummarizeTokens", func(ctx context.Context) error {
			_, err := t.st.SummarizeTokens(ctx, []int64{app.ID}, store.TokenFilter{All: true}, 1)
			return err
		}},
		{"InsertApplication", func(ctx context.Context) error {
			_, err := t.st.InsertApplication(ctx, store.Application{ClientID: rand.Text(), Name: rand.Text()})
			return err
		}},
		{"UpdateApplication", func(ctx context.Context) error {
			next := app
			next.Description = "x"
			return t.st.UpdateApplication(ctx, next)
		}},
		{"DeleteApplication", func(ctx context.Context) error { return t.st.DeleteApplication(ctx, app.ID, at(us)) }},
		{"SessionByDigest", func(ctx context.Context) error {
			_, _, err := t.st.SessionByDigest(ctx, session.Digest)
			return err
		}},
		{"InsertSession", func(ctx context.Context) error {
			_, _, err := t.st.InsertSession(ctx, newSession, session.Digest, 1)
			return err
		}},
		{"SaveSession", func(ctx context.Context) error {
			return t.st.SaveSession(ctx, session.Digest, []byte("x"), session.Revision, at(us))
		}},
		{"TouchSession", func(ctx context.Context) error {
			return t.st.TouchSession(ctx, session.Digest, at(day), at(us), netip.Addr{})
		}},
		{"EndSessions", func(ctx context.Context) error {
			_, err := t.st.EndSessions(ctx, store.SessionSelection{UserID: u.ID}, store.EndedAdmin, at(us))
			return err
		}},
		{"ListSessions", func(ctx context.Context) error {
			_, _, err := t.st.ListSessions(ctx, store.SessionFilter{UserID: u.ID}, at(us), newest)
			return err
		}},
		{"PurgeSessions", func(ctx context.Context) error { _, err := t.st.PurgeSessions(ctx, at(hour), 100); return err }},
		{"Charge", func(ctx context.Context) error {
			_, err := t.st.Charge(ctx, []store.Charge{fresh}, at(us))
			return err
		}},
		{"Settle", func(ctx context.Context) error {
			return t.st.Settle(ctx, store.Settlement{
				Return: counted.Reserved, Forget: []string{old.Key}, Remember: store.Memory{Key: fresh.Key, Until: at(day), Most: 1},
			})
		}},
		{"Remembers", func(ctx context.Context) error { _, err := t.st.Remembers(ctx, fresh.Key, at(us)); return err }},
		{"PurgeAttempts", func(ctx context.Context) error { _, err := t.st.PurgeAttempts(ctx, at(hour), 100); return err }},
	} {
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Hour))
		for _, ctx := range []context.Context{cancelled, late} {
			t.outage(call.name+": "+ctx.Err().Error(), call.f(ctx))
		}
		cancel()
		if t.Failed() {
			return
		}
		t.same(call.name+": what the store holds", before, look())
	}

	// The look does not see these.
	_, err = t.st.CodeByDigest(t.Context(), newCode.Digest)
	t.refused("a code", store.ErrNotFound, err)
	_, err = t.st.DeviceByUserCode(t.Context(), newDevice.UserCode)
	t.refused("a device", store.ErrNotFound, err)
	_, _, err = t.st.SessionByDigest(t.Context(), newSession.Digest)
	t.refused("a session", store.ErrNotFound, err)
	t.remembers("a key that was not remembered", false, fresh.Key, at(us))
	t.charge("a key that was not charged", at(us), allowed, fresh)
	t.charge("a key that was not forgotten or purged", at(us), refusedFor(time.Minute-us), old)
	// And that nothing is locked now shows in the end.
	t.redeem(t.redemption(code, at(us)))
	t.rotate(t.rotation(tok, at(us)))
	n, err := t.st.PurgeSessions(t.Context(), at(hour/2), 100)
	t.must(err)
	t.same("sessions to purge", 1, n)
	if !slices.ContainsFunc(look().Users, func(x store.User) bool { return x.ID == u.ID }) {
		t.Error("the user is gone")
	}
}
