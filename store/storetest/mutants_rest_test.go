package storetest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/storetest"
)

var deviceMutants = []mutant{
	{"overwrites devices", "Devices/a taken code is ErrExists", func(r right) storetest.Store { return overwritesDevices{r} }},
	{"decides again", "Devices/a decision is noted once", func(r right) storetest.Store { return decidesAgain{r} }},
	{"reads, then decides", "Devices/of 64 decisions one counts", func(r right) storetest.Store { return readsThenDecides{r} }},
	{"decides the expired", "Devices/an expired device cannot be decided", func(r right) storetest.Store { return decidesExpired{r} }},
	{"never slows down", "Devices/polls that are too fast make the interval grow", func(r right) storetest.Store { return neverSlows{r} }},
	{"polls in two steps", "Devices/of 64 polls one is the first", func(r right) storetest.Store { return pollsInSteps{r} }},
	{"anybody may poll", "Devices/another application cannot poll", func(r right) storetest.Store { return anybodyPolls{r} }},
	{"a poll returns what it did", "Devices/a poll is noted and returns the device as it was before", func(r right) storetest.Store { return pollsAfter{r} }},
	{"reads the device, then redeems", "RedeemDevice/of 64 calls one succeeds, and the others end the family", func(r right) storetest.Store { return readsDevice{r} }},
	{"unapproved devices are used ones", "RedeemDevice/one that is not approved is ErrNotFound and unchanged", func(r right) storetest.Store { return unapprovedIsUsed{r} }},
}

type overwritesDevices struct{ right }

func (m overwritesDevices) InsertDevice(ctx context.Context, d store.Device) error {
	err := m.Store.InsertDevice(ctx, d)
	if errors.Is(err, store.ErrExists) {
		err = nil
	}
	return err
}

type decidesAgain struct{ right }

func (m decidesAgain) DecideDevice(ctx context.Context, d store.Digest, say store.Decision, userID string, epoch int64, at time.Time) error {
	err := m.Store.DecideDevice(ctx, d, say, userID, epoch, at)
	if errors.Is(err, store.ErrUsed) {
		err = nil
	}
	return err
}

type readsThenDecides struct{ right }

func (m readsThenDecides) DecideDevice(ctx context.Context, d store.Digest, say store.Decision, userID string, epoch int64, at time.Time) error {
	if x, err := m.DeviceByUserCode(ctx, d); err == nil && x.Decision != store.Undecided {
		return store.ErrUsed
	}
	gap()
	return decidesAgain(m).DecideDevice(ctx, d, say, userID, epoch, at)
}

type decidesExpired struct{ right }

func (m decidesExpired) DecideDevice(ctx context.Context, d store.Digest, say store.Decision, userID string, epoch int64, at time.Time) error {
	return m.Store.DecideDevice(ctx, d, say, userID, epoch, at.Add(-time.Microsecond))
}

type neverSlows struct{ right }

func (m neverSlows) PollDevice(ctx context.Context, d store.Digest, id int64, slower time.Duration, at time.Time) (store.Device, error) {
	return m.Store.PollDevice(ctx, d, id, 0, at)
}

type pollsInSteps struct{ right }

func (m pollsInSteps) PollDevice(ctx context.Context, d store.Digest, id int64, slower time.Duration, at time.Time) (store.Device, error) {
	before, err := m.Store.PollDevice(ctx, d, id, 0, at)
	if err != nil || before.Polled.IsZero() || at.Sub(before.Polled) >= before.Interval {
		return before, err
	}
	gap()
	_, err = m.Store.PollDevice(ctx, d, id, slower, at)
	return before, err
}

type anybodyPolls struct{ right }

func (m anybodyPolls) PollDevice(ctx context.Context, d store.Digest, id int64, slower time.Duration, at time.Time) (store.Device, error) {
	x, err := m.Store.PollDevice(ctx, d, id, slower, at)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return x, err
}

type pollsAfter struct{ right }

func (m pollsAfter) PollDevice(ctx context.Context, d store.Digest, id int64, slower time.Duration, at time.Time) (store.Device, error) {
	x, err := m.Store.PollDevice(ctx, d, id, slower, at)
	x.Polled = at
	return x, err
}

type readsDevice struct{ right }

func (m readsDevice) RedeemDevice(ctx context.Context, r store.Redemption) (store.Token, error) {
	t, err := m.Store.RedeemDevice(ctx, r)
	if errors.Is(err, store.ErrUsed) {
		return m.InsertToken(ctx, r.Token, limits)
	}
	return t, err
}

type unapprovedIsUsed struct{ right }

func (m unapprovedIsUsed) RedeemDevice(ctx context.Context, r store.Redemption) (store.Token, error) {
	t, err := m.Store.RedeemDevice(ctx, r)
	if errors.Is(err, store.ErrNotFound) {
		err = store.ErrUsed
	}
	return t, err
}

var applicationMutants = []mutant{
	{"folds names of applications", "Applications/identifiers and names are compared byte for byte", func(r right) storetest.Store { return foldsNames{r} }},
	{"shares redirect URIs", "Applications/records share no memory", func(r right) storetest.Store { return sharesURIs{r, map[int64][]string{}} }},
	{"last writer wins, applications", "Applications/a stale revision is ErrConflict and changes nothing", func(r right) storetest.Store { return lastApplicationWins{r} }},
	{"names are unique everywhere", "Applications/a taken client identifier or name is ErrExists", func(r right) storetest.Store { return uniqueEverywhere{r} }},
	{"deletes the application alone", "Applications/DeleteApplication ends everything of it and nothing else", func(r right) storetest.Store { return deletesApplicationAlone{r, map[int64]bool{}} }},
	{"deletes the application after its tokens", "Applications/no order of an insert and a deletion leaves a live token", func(r right) storetest.Store { return &deletesAfterTokens{right: r} }},
	{"lists every application", "ListApplications/which are listed", func(r right) storetest.Store { return listsAll{r} }},
	{"ignores a list of IDs", "ListApplications/which are listed", func(r right) storetest.Store { return ignoresIDs{r} }},
	{"counts what is shown", "ListApplications/tokens are summarized", func(r right) storetest.Store { return countsShown{r} }},
	{"summarizes for everybody", "ListApplications/tokens are summarized", func(r right) storetest.Store { return summarizesAll{r} }},
	{"orders by organization alone", "ListApplications/orders and pages", func(r right) storetest.Store { return organizationAlone{r} }},
}

type foldsNames struct{ right }

func (m foldsNames) InsertApplication(ctx context.Context, a store.Application) (store.Application, error) {
	all, _, err := m.ListApplications(ctx, store.ApplicationFilter{All: true}, store.Page{Limit: 1000})
	if err != nil {
		return a, err
	}
	for _, other := range all {
		if strings.EqualFold(other.Name, a.Name) && other.OrganizationID == a.OrganizationID {
			return store.Application{}, store.ErrExists
		}
	}
	return m.Store.InsertApplication(ctx, a)
}

type sharesURIs struct {
	right
	given map[int64][]string
}

func (m sharesURIs) InsertApplication(ctx context.Context, a store.Application) (store.Application, error) {
	stored, err := m.Store.InsertApplication(ctx, a)
	m.given[stored.ID] = a.RedirectURIs
	return stored, err
}

func (m sharesURIs) ApplicationByID(ctx context.Context, id int64) (store.Application, error) {
	a, err := m.Store.ApplicationByID(ctx, id)
	a.RedirectURIs = m.given[id]
	return a, err
}

type lastApplicationWins struct{ right }

func (m lastApplicationWins) UpdateApplication(ctx context.Context, a store.Application) error {
	now, err := m.ApplicationByID(ctx, a.ID)
	if err != nil {
		return err
	}
	a.Revision = now.Revision
	return m.Store.UpdateApplication(ctx, a)
}

type uniqueEverywhere struct{ right }

func (m uniqueEverywhere) InsertApplication(ctx context.Context, a store.Application) (store.Application, error) {
	_, n, err := m.ListApplications(ctx, store.ApplicationFilter{All: true, Name: a.Name}, store.Page{})
	if err == nil && n > 0 {
		err = store.ErrExists
	}
	if err != nil {
		return store.Application{}, err
	}
	return m.Store.InsertApplication(ctx, a)
}

type deletesApplicationAlone struct {
	right
	gone map[int64]bool
}

func (m deletesApplicationAlone) DeleteApplication(ctx context.Context, id int64, at time.Time) error {
	if _, err := m.ApplicationByID(ctx, id); err != nil {
		return err
	}
	m.gone[id] = true
	return nil
}

func (m deletesApplicationAlone) ApplicationByID(ctx context.Context, id int64) (store.Application, error) {
	if m.gone[id] {
		return store.Application{}, store.ErrNotFound
	}
	return m.Store.ApplicationByID(ctx, id)
}

type deletesAfterTokens struct {
	right
	gone sync.Map
}

func (m *deletesAfterTokens) DeleteApplication(ctx context.Context, id int64, at time.Time) error {
	if _, err := m.RevokeTokens(ctx, store.Selection{ApplicationID: id}, at); err != nil {
		return err
	}
	gap()
	m.gone.Store(id, true)
	return nil
}

func (m *deletesAfterTokens) ApplicationByID(ctx context.Context, id int64) (store.Application, error) {
	if _, gone := m.gone.Load(id); gone {
		return store.Application{}, store.ErrNotFound
	}
	return m.Store.ApplicationByID(ctx, id)
}

type listsAll struct{ right }

func (m listsAll) ListApplications(ctx context.Context, f store.ApplicationFilter, p store.Page) ([]store.Application, int, error) {
	f.All = f.All || f.Organizations == nil
	return m.Store.ListApplications(ctx, f, p)
}

type ignoresIDs struct{ right }

func (m ignoresIDs) ListApplications(ctx context.Context, f store.ApplicationFilter, p store.Page) ([]store.Application, int, error) {
	f.IDs = nil
	return m.Store.ListApplications(ctx, f, p)
}

type countsShown struct{ right }

func (m countsShown) SummarizeTokens(ctx context.Context, applications []int64, f store.TokenFilter, most int) ([]store.TokenSummary, error) {
	list, err := m.Store.SummarizeTokens(ctx, applications, f, most)
	for i := range list {
		list[i].Total = len(list[i].First)
	}
	return list, err
}

type summarizesAll struct{ right }

func (m summarizesAll) SummarizeTokens(ctx context.Context, applications []int64, f store.TokenFilter, most int) ([]store.TokenSummary, error) {
	f.All = true
	return m.Store.SummarizeTokens(ctx, applications, f, most)
}

type organizationAlone struct{ right }

func (m organizationAlone) ListApplications(ctx context.Context, f store.ApplicationFilter, p store.Page) ([]store.Application, int, error) {
	if p.Order == store.OrderOrganization {
		p.Order = store.OrderID
	}
	return m.Store.ListApplications(ctx, f, p)
}

var attemptMutants = []mutant{
	{"counts after it looked", "Attempts/64 parallel attempts never exceed the limit", func(r right) storetest.Store { return &countsLater{right: r, n: map[string]int{}} }},
	{"key by key", "Attempts/nothing is counted if one key has used up its limit", func(r right) storetest.Store { return keyByKey{r} }},
	{"forgets nothing", "Attempts/what is forgotten starts another window", func(r right) storetest.Store {
		return settles{r, func(s *store.Settlement) { s.Forget = nil }}
	}},
	{"returns nothing", "Attempts/what is returned counts no more", func(r right) storetest.Store {
		return settles{r, func(s *store.Settlement) { s.Return = nil }}
	}},
	{"forgets what is returned", "Attempts/what is returned counts no more", func(r right) storetest.Store { return settles{r, forgetsReturned} }},
	{"returns into any window", "Attempts/what is returned counts no more", func(r right) storetest.Store { return &anyWindow{right: r, now: map[string]time.Time{}} }},
	{"remembers nothing", "Attempts/a key is remembered until its instant", func(r right) storetest.Store {
		return settles{r, func(s *store.Settlement) { s.Remember = store.Memory{} }}
	}},
	{"remembers a moment longer", "Attempts/a key is remembered until its instant", func(r right) storetest.Store {
		return settles{r, func(s *store.Settlement) { s.Remember.Until = s.Remember.Until.Add(time.Microsecond) }}
	}},
	{"has one group", "Attempts/the latest keys of a group are remembered", func(r right) storetest.Store {
		return settles{r, func(s *store.Settlement) { s.Remember.Group = "" }}
	}},
	{"has no bound for a group", "Attempts/the latest keys of a group are remembered", func(r right) storetest.Store {
		return settles{r, func(s *store.Settlement) { s.Remember.Most *= 1000 }}
	}},
	{"remembers before it forgets, or not", "Attempts/a settlement is one step", func(r right) storetest.Store {
		return settles{r, func(s *store.Settlement) {
			if s.Remember.Key != "" {
				s.Return, s.Forget = nil, nil
			}
		}}
	}},
	{"exempts nobody", "Attempts/a remembered key takes the attempt off the charge", func(r right) storetest.Store {
		return charged{r, func(c *store.Charge) { c.Unless = "" }}
	}},
	{"exempts from everything", "Attempts/a remembered key takes the attempt off the charge", func(r right) storetest.Store {
		return charged{r, func(c *store.Charge) { c.Instead = "" }}
	}},
	{"does not say what it reserved", "Attempts/what is returned counts no more", func(r right) storetest.Store { return noReserved{r} }},
	{"purges remembered keys early", "Attempts/what ended before goes and nothing else", func(r right) storetest.Store {
		return settles{r, func(s *store.Settlement) { s.Remember.Until = s.Remember.Until.Add(-time.Microsecond) }}
	}},
	{"loses what is returned in parallel", "Attempts/parallel charges and returns lose nothing", func(r right) storetest.Store { return &losesReturns{right: r} }},
	{"folds keys", "Attempts/keys are compared byte for byte", func(r right) storetest.Store { return foldsKeys{r} }},
	{"does not say when", "Attempts/Max attempts in a window", func(r right) storetest.Store { return noRetryAfter{r} }},
	{"one attempt too many", "Attempts/Max attempts in a window", func(r right) storetest.Store { return oneTooMany{r} }},
	{"purges windows too early", "Attempts/what ended before goes and nothing else", func(r right) storetest.Store { return purgesWindowsEarly{r} }},
}

type countsLater struct {
	right
	mu sync.Mutex
	n  map[string]int
}

func (m *countsLater) Charge(_ context.Context, charges []store.Charge, _ time.Time) (store.Verdict, error) {
	for _, c := range charges {
		m.mu.Lock()
		used := m.n[c.Key] >= c.Limit.Max
		m.mu.Unlock()
		if used {
			return store.Verdict{}, nil
		}
	}
	gap()
	for _, c := range charges {
		m.mu.Lock()
		m.n[c.Key]++
		m.mu.Unlock()
	}
	return store.Verdict{Allowed: true}, nil
}

type keyByKey struct{ right }

func (m keyByKey) Charge(ctx context.Context, charges []store.Charge, now time.Time) (v store.Verdict, err error) {
	v.Allowed = true
	for _, c := range charges {
		if v, err = m.Store.Charge(ctx, []store.Charge{c}, now); err != nil || !v.Allowed {
			return v, err
		}
	}
	return v, err
}

// settles changes what is settled.
type settles struct {
	right
	change func(*store.Settlement)
}

func (m settles) Settle(ctx context.Context, s store.Settlement) error {
	m.change(&s)
	return m.Store.Settle(ctx, s)
}

func forgetsReturned(s *store.Settlement) {
	for _, r := range s.Return {
		s.Forget = append(s.Forget, r.Key)
	}
}

// anyWindow returns an attempt to the window that a key is in by now.
type anyWindow struct {
	right
	mu  sync.Mutex
	now map[string]time.Time
}

func (m *anyWindow) Charge(ctx context.Context, charges []store.Charge, now time.Time) (store.Verdict, error) {
	v, err := m.Store.Charge(ctx, charges, now)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range v.Reserved {
		m.now[r.Key] = r.Start
	}
	return v, err
}

func (m *anyWindow) Settle(ctx context.Context, s store.Settlement) error {
	m.mu.Lock()
	s.Return = slices.Clone(s.Return)
	for i, r := range s.Return {
		s.Return[i].Start = m.now[r.Key]
	}
	m.mu.Unlock()
	return m.Store.Settle(ctx, s)
}

// losesReturns returns attempts unless others do at the same time.
type losesReturns struct {
	right
	busy atomic.Int32
}

func (m *losesReturns) Settle(ctx context.Context, s store.Settlement) error {
	if m.busy.Add(1) > 1 {
		s.Return = nil
	}
	gap()
	defer m.busy.Add(-1)
	return m.Store.Settle(ctx, s)
}

// charged changes what is charged.
type charged struct {
	right
	change func(*store.Charge)
}

func (m charged) Charge(ctx context.Context, charges []store.Charge, now time.Time) (store.Verdict, error) {
	changed := slices.Clone(charges)
	for i := range changed {
		m.change(&changed[i])
	}
	return m.Store.Charge(ctx, changed, now)
}

type noReserved struct{ right }

func (m noReserved) Charge(ctx context.Context, charges []store.Charge, now time.Time) (store.Verdict, error) {
	v, err := m.Store.Charge(ctx, charges, now)
	v.Reserved = nil
	return v, err
}

type foldsKeys struct{ right }

func (m foldsKeys) Charge(ctx context.Context, charges []store.Charge, now time.Time) (store.Verdict, error) {
	folded := make([]store.Charge, len(charges))
	for i, c := range charges {
		folded[i] = store.Charge{Key: strings.ToLower(c.Key), Limit: c.Limit}
	}
	return m.Store.Charge(ctx, folded, now)
}

type noRetryAfter struct{ right }

func (m noRetryAfter) Charge(ctx context.Context, charges []store.Charge, now time.Time) (store.Verdict, error) {
	v, err := m.Store.Charge(ctx, charges, now)
	v.RetryAfter = 0
	return v, err
}

type oneTooMany struct{ right }

func (m oneTooMany) Charge(ctx context.Context, charges []store.Charge, now time.Time) (store.Verdict, error) {
	more := make([]store.Charge, len(charges))
	for i, c := range charges {
		c.Limit.Max++
		more[i] = c
	}
	return m.Store.Charge(ctx, more, now)
}

type purgesWindowsEarly struct{ right }

func (m purgesWindowsEarly) PurgeAttempts(ctx context.Context, endedBefore time.Time, max int) (int, error) {
	return m.Store.PurgeAttempts(ctx, endedBefore.Add(time.Microsecond), max)
}
