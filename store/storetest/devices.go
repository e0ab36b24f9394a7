package storetest

import (
	"errors"
	"time"

	"github.com/ostiary/auth/store"
)

var deviceChecks = []check{
	{
		name:    "every field is kept",
		promise: "InsertDevice stores d; text byte for byte, times in UTC to the microsecond",
		run:     deviceFields,
	},
	{
		name:    "a taken code is ErrExists",
		promise: "InsertDevice returns ErrExists if one of its codes is taken",
		run:     deviceTaken,
	},
	{
		name:    "an absent device is ErrNotFound",
		promise: "a record that does not exist is ErrNotFound",
		run:     deviceAbsent,
	},
	{
		name:    "a decision is noted once",
		promise: "DecideDevice notes what the user said, once; one that was decided before is ErrUsed",
		run:     deviceDecide,
	},
	{
		name:    "an expired device cannot be decided",
		promise: "a device that has expired at the given instant is ErrNotFound",
		run:     deviceDecideExpired,
	},
	{
		name:    "a poll is noted and returns the device as it was before",
		promise: "PollDevice notes a poll and returns the device as it was before",
		run:     devicePoll,
	},
	{
		name:    "polls that are too fast make the interval grow",
		promise: "if the device polled less than its Interval ago, the Interval grows by slower in the same step",
		run:     devicePollFast,
	},
	{
		name:    "another application cannot poll",
		promise: "PollDevice: an unknown code and one of another application are ErrNotFound",
		run:     devicePollForeign,
	},
	{
		name:    "of 64 inserts of one code one succeeds",
		races:   true,
		promise: "InsertDevice returns ErrExists if one of its codes is taken",
		run:     deviceInsertRace,
	},
	{
		name:    "of 64 decisions one counts",
		races:   true,
		promise: "DecideDevice notes what the user said, once",
		run:     deviceDecideRace,
	},
	{
		name:    "of 64 polls one is the first",
		races:   true,
		promise: "PollDevice notes a poll, returns the device as it was before and makes the Interval grow in the same step",
		run:     devicePollRace,
	},
}

func (t *tester) sameDevice(what string, want store.Device) {
	t.Helper()
	got, err := t.st.DeviceByUserCode(t.Context(), want.UserCode)
	t.must(err)
	t.same(what, want, got)
}

func deviceFields(t *tester) {
	app := t.application()
	times := oddTimes()
	for i, s := range oddTexts() {
		given := store.Device{
			Digest: t.digest(), UserCode: t.digest(), ApplicationID: app.ID, Scopes: s, Audience: s,
			Created: times[i%len(times)], Expires: times[(i+1)%len(times)], Interval: time.Duration(i) * time.Second,
		}
		t.must(t.st.InsertDevice(t.Context(), given))
		want := given
		want.Created, want.Expires = kept(given.Created), kept(given.Expires)
		t.sameDevice("DeviceByUserCode", want)
	}
	for _, s := range oddTexts() {
		d := t.device(app.ID)
		t.must(t.st.DecideDevice(t.Context(), d.UserCode, store.Denied, s, -7, at(us)))
		d.Decision, d.UserID, d.Epoch = store.Denied, s, -7
		t.sameDevice("after a decision", d)
	}
}

func deviceTaken(t *tester) {
	app := t.application()
	d := t.device(app.ID)
	for _, thief := range []store.Device{
		{Digest: d.Digest, UserCode: t.digest(), ApplicationID: app.ID, Expires: at(day)},
		{Digest: t.digest(), UserCode: d.UserCode, ApplicationID: app.ID, Expires: at(day)},
		{Digest: d.Digest, UserCode: d.UserCode, ApplicationID: app.ID, Expires: at(day)},
	} {
		t.refused("a taken code", store.ErrExists, t.st.InsertDevice(t.Context(), thief))
		if thief.UserCode != d.UserCode {
			_, err := t.st.DeviceByUserCode(t.Context(), thief.UserCode)
			t.refused("the device that was refused", store.ErrNotFound, err)
		}
		if thief.Digest != d.Digest {
			_, err := t.st.PollDevice(t.Context(), thief.Digest, app.ID, 0, at(us))
			t.refused("the device that was refused", store.ErrNotFound, err)
		}
	}
	t.sameDevice("the device that was there", d)
}

func deviceAbsent(t *tester) {
	app := t.application()
	d := t.device(app.ID)
	for _, digest := range []store.Digest{{}, t.digest(), d.Digest} {
		_, err := t.st.DeviceByUserCode(t.Context(), digest)
		t.refused("DeviceByUserCode", store.ErrNotFound, err)
		err = t.st.DecideDevice(t.Context(), digest, store.Approved, "1", 1, at(us))
		t.refused("DecideDevice", store.ErrNotFound, err)
	}
	for _, digest := range []store.Digest{{}, t.digest(), d.UserCode} {
		_, err := t.st.PollDevice(t.Context(), digest, app.ID, time.Second, at(us))
		t.refused("PollDevice", store.ErrNotFound, err)
	}
	t.sameDevice("the device", d)
}

func deviceDecide(t *tester) {
	u, v, app := t.user(), t.user(), t.application()
	for _, say := range []store.Decision{store.Approved, store.Denied} {
		d, bystander := t.device(app.ID), t.device(app.ID)
		t.must(t.st.DecideDevice(t.Context(), d.UserCode, say, u.ID, 5, at(us)))
		d.Decision, d.UserID, d.Epoch = say, u.ID, 5
		t.sameDevice("after a decision", d)
		for _, again := range []store.Decision{store.Approved, store.Denied} {
			err := t.st.DecideDevice(t.Context(), d.UserCode, again, v.ID, 6, at(2*us))
			t.refused("a second decision", store.ErrUsed, err)
		}
		t.sameDevice("after a second decision", d)
		t.sameDevice("another device", bystander)
	}
}

func deviceDecideExpired(t *tester) {
	u, app := t.user(), t.application()
	d := t.device(app.ID)
	for _, when := range []time.Time{d.Expires, d.Expires.Add(999), d.Expires.Add(day)} {
		t.refused("an expired device", store.ErrNotFound, t.st.DecideDevice(t.Context(), d.UserCode, store.Approved, u.ID, 1, when))
	}
	t.sameDevice("an expired device", d)
	t.must(t.st.DecideDevice(t.Context(), d.UserCode, store.Approved, u.ID, 1, d.Expires.Add(-us)))
}

// poll polls and compares the result.
func (t *tester) poll(what string, want store.Device, slower time.Duration, when time.Time) {
	t.Helper()
	got, err := t.st.PollDevice(t.Context(), want.Digest, want.ApplicationID, slower, when)
	t.must(err)
	t.same(what, want, got)
}

func devicePoll(t *tester) {
	u, app := t.user(), t.application()
	d, bystander := t.device(app.ID), t.device(app.ID)
	t.poll("the first poll", d, time.Second, at(us+1))
	d.Polled = at(us)
	t.sameDevice("after the first poll", d)
	t.poll("the second poll", d, time.Second, at(us).Add(d.Interval))
	d.Polled = at(us).Add(d.Interval)
	t.sameDevice("after the second poll", d)
	t.must(t.st.DecideDevice(t.Context(), d.UserCode, store.Approved, u.ID, 3, at(hour/60)))
	d.Decision, d.UserID, d.Epoch = store.Approved, u.ID, 3
	t.poll("after a decision", d, time.Second, at(hour))
	d.Polled = at(hour)
	t.poll("long after it expired", d, time.Second, at(day))
	t.sameDevice("another device", bystander)
}

func devicePollFast(t *tester) {
	app := t.application()
	d := t.device(app.ID)
	when := at(0)
	t.poll("the first poll", d, 7*time.Second, when)
	for _, tt := range []struct {
		name  string
		after time.Duration
		grows bool
	}{
		{"a microsecond too fast", d.Interval - us, true},
		{"the old interval", d.Interval, true},
		{"at the very instant", 0, true},
		{"the interval that it has by now", d.Interval + 3*7*time.Second, false},
		{"a microsecond too fast for that", d.Interval + 3*7*time.Second - us, true},
		{"slowly", hour, false},
	} {
		d.Polled, when = when, when.Add(tt.after)
		t.poll(tt.name, d, 7*time.Second, when)
		if tt.grows {
			d.Interval += 7 * time.Second
		}
		d.Polled = when
		t.sameDevice("after: "+tt.name, d)
	}
}

func devicePollForeign(t *tester) {
	app, other := t.application(), t.application()
	d := t.device(app.ID)
	for _, id := range []int64{other.ID, 0, -1} {
		_, err := t.st.PollDevice(t.Context(), d.Digest, id, time.Second, at(us))
		t.refused("another application", store.ErrNotFound, err)
	}
	t.sameDevice("the device", d)
}

func deviceInsertRace(t *tester) {
	app := t.application()
	k := 0
	t.rounds(func() {
		k++
		digest, userCode := t.digest(), t.digest()
		devices := make([]store.Device, contenders)
		winner := t.oneWinner("InsertDevice", store.ErrExists, race(contenders, func(i int) error {
			d := store.Device{Digest: digest, UserCode: userCode, ApplicationID: app.ID, Expires: at(day)}
			if k%2 == 0 {
				d.Digest = t.digest()
			}
			devices[i] = d
			return t.st.InsertDevice(t.Context(), d)
		}))
		t.sameDevice("the winner", devices[winner])
	})
}

func deviceDecideRace(t *tester) {
	u, app := t.user(), t.application()
	t.rounds(func() {
		d := t.device(app.ID)
		say := func(i int) store.Decision { return []store.Decision{store.Approved, store.Denied}[i%2] }
		winner := t.oneWinner("DecideDevice", store.ErrUsed, race(contenders, func(i int) error {
			return t.st.DecideDevice(t.Context(), d.UserCode, say(i), u.ID, int64(i), at(us))
		}))
		d.Decision, d.UserID, d.Epoch = say(winner), u.ID, int64(winner)
		t.sameDevice("the winner's decision", d)
	})
}

func devicePollRace(t *tester) {
	app := t.application()
	t.rounds(func() {
		d := t.device(app.ID)
		seen := map[time.Duration]int{}
		first := 0
		for _, got := range race(contenders, func(int) store.Device {
			got, err := t.st.PollDevice(t.Context(), d.Digest, app.ID, time.Second, at(us))
			if err != nil {
				t.Errorf("PollDevice: %v", err)
			}
			return got
		}) {
			seen[got.Interval]++
			if got.Polled.IsZero() {
				first++
			}
		}
		t.same("how many polls were the first", 1, first)
		// All but the first were too fast, each by one step.
		t.same("how many different intervals", contenders-1, len(seen))
		d.Polled, d.Interval = at(us), d.Interval+(contenders-1)*time.Second
		t.sameDevice("the device", d)
	})
}

var approvedDevices = grants{
	open: func(t *tester, u store.User, applicationID int64) grant {
		d := t.approved(applicationID, u)
		return grant{d.Digest, applicationID, u.ID, d.Expires}
	},
	redeem: func(t *tester, r store.Redemption) (store.Token, error) { return t.st.RedeemDevice(t.Context(), r) },
	state: func(t *tester, g grant) (time.Time, int64, error) {
		// A poll is the way to look a device up by its code.
		d, err := t.st.PollDevice(t.Context(), g.digest, g.applicationID, 0, at(us))
		return d.Spent, d.Family, err
	},
}

var redeemDeviceChecks = append(approvedDevices.checks("RedeemDevice", "device code"),
	check{
		name:    "one that is not approved is ErrNotFound and unchanged",
		promise: "RedeemDevice: one that is not approved is ErrNotFound",
		run:     deviceUnapproved,
	},
	check{
		name:    "codes and devices are not mistaken for each other",
		promise: "r.Code is the device code",
		run:     deviceMixed,
	},
	check{
		name:    "no order of a decision and a redemption pays a denied device",
		races:   true,
		promise: "DecideDevice notes what the user said, once; RedeemDevice is one atomic step",
		run:     deviceDecideRedeemRace,
	},
)

func deviceUnapproved(t *tester) {
	u, app := t.user(), t.application()
	undecided, denied := t.device(app.ID), t.device(app.ID)
	t.must(t.st.DecideDevice(t.Context(), denied.UserCode, store.Denied, u.ID, 1, at(0)))
	denied.Decision, denied.UserID, denied.Epoch = store.Denied, u.ID, 1
	for _, d := range []store.Device{undecided, denied} {
		r := store.Redemption{Code: d.Digest, ApplicationID: app.ID, At: at(us), Token: t.pair(u.ID, app.ID)}
		_, err := t.st.RedeemDevice(t.Context(), r)
		t.refused("not approved", store.ErrNotFound, err)
		_, err = t.st.TokenByDigest(t.Context(), r.Token.Digest)
		t.refused("the token", store.ErrNotFound, err)
		t.sameDevice("not approved", d)
	}
}

func deviceMixed(t *tester) {
	u, app := t.user(), t.application()
	c, d := t.code(u.ID, app.ID), t.approved(app.ID, u)
	for _, tt := range []struct {
		name   string
		redeem func(r store.Redemption) (store.Token, error)
		code   store.Digest
	}{
		{"Redeem of a device code", func(r store.Redemption) (store.Token, error) { return t.st.Redeem(t.Context(), r) }, d.Digest},
		{"RedeemDevice of a code", func(r store.Redemption) (store.Token, error) { return t.st.RedeemDevice(t.Context(), r) }, c.Digest},
		{"RedeemDevice of a user code", func(r store.Redemption) (store.Token, error) { return t.st.RedeemDevice(t.Context(), r) }, d.UserCode},
	} {
		_, err := tt.redeem(store.Redemption{Code: tt.code, ApplicationID: app.ID, At: at(us), Token: t.pair(u.ID, app.ID)})
		t.refused(tt.name, store.ErrNotFound, err)
	}
	t.sameCode("the code", c)
	t.sameDevice("the device", d)
}

func deviceDecideRedeemRace(t *tester) {
	u, app := t.user(), t.application()
	t.rounds(func() {
		d := t.device(app.ID)
		r := store.Redemption{Code: d.Digest, ApplicationID: app.ID, At: at(us), Token: t.pair(u.ID, app.ID)}
		errs := race(3, func(i int) error {
			switch i {
			case 0:
				return t.st.DecideDevice(t.Context(), d.UserCode, store.Approved, u.ID, 1, at(us))
			case 1:
				return t.st.DecideDevice(t.Context(), d.UserCode, store.Denied, u.ID, 1, at(us))
			default:
				_, err := t.st.RedeemDevice(t.Context(), r)
				return err
			}
		})
		t.oneWinner("DecideDevice", store.ErrUsed, errs[:2])
		_, err := t.st.TokenByDigest(t.Context(), r.Token.Digest)
		t.stays("the token", errs[2] == nil, err)
		switch {
		case errs[2] == nil && errs[0] != nil:
			t.Error("a denied device got a token")
		case errs[2] != nil && !errors.Is(errs[2], store.ErrNotFound):
			t.Errorf("RedeemDevice: got error %v, want %v", errs[2], store.ErrNotFound)
		}
	})
}
