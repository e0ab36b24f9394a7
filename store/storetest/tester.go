package storetest

import (
	"crypto/rand"
	"errors"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ostiary/auth/store"
)

// tester is one check at work.
type tester struct {
	*testing.T
	st   Store
	have parts // of st
	open func(t *testing.T, users store.Users) Store

	races bool // the check is marked
}

// limits are wide enough for every tree that is not about limits.
var limits = store.InsertLimits{Depth: store.MaxDepth, Live: 100_000}

const (
	us   = time.Microsecond // the grain of time in a store
	hour = time.Hour
	day  = 24 * hour
)

// at returns the instant d after the one at which checks begin.
func at(d time.Duration) time.Time {
	return time.Date(2030, 3, 4, 5, 6, 7, 89012000, time.UTC).Add(d)
}

// kept returns t as a store keeps it.
func kept(t time.Time) time.Time { return t.Truncate(us).UTC() }

// oddTimes are instants that an adapter may spoil.
func oddTimes() []time.Time {
	east, west := time.FixedZone("", 5*3600+1800), time.FixedZone("", -11*3600)
	return []time.Time{
		{},
		time.Time{}.In(west),
		at(999 * time.Nanosecond).In(east),
		at(-1).In(west),
		time.Date(1969, 12, 31, 23, 59, 59, 999999999, time.UTC),
		time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC),       // more than 32 bits of seconds
		time.Date(2263, 1, 1, 0, 0, 0, 1000, time.UTC),      // more than 64 bits of nanoseconds
		time.Date(3000, 2, 28, 23, 59, 59, 123456789, east), // far
		time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
		time.Now(), // has a monotonic reading
	}
}

// oddTexts differ byte for byte, though some collation thinks otherwise of
// most.
func oddTexts() []string {
	return []string{
		"", " ", "root", "Root", "ROOT", "root ", " root", "root\t", "root\n", "r\u00f6\u00f6t", "ro\u0308o\u0308t",
		"stra\u00dfe", "strasse", "\u0131", "i", "\ufb01", "fi", "k", "\u212a", "a\u200bb", "ab", "日本語", "\U0001f511", "\U0001f512",
		`%`, `_`, `\`, `'; --`, `"`, "?", "$1", "{}", "null", "0", "00", "\x01\x7f", "\ufeff", "\uffff", "\U0010ffff",
	}
}

func (t *tester) digest() (d store.Digest) {
	rand.Read(d[:])
	return d
}

// must ends the check if something failed that should not.
func (t *tester) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

// refused reports an error that is not the promised one.
func (t *tester) refused(what string, want, err error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

// same reports a difference.
func (t *tester) same(what string, want, got any) {
	t.Helper()
	if reflect.DeepEqual(want, got) {
		return // quicker
	}
	if diff := cmp.Diff(want, got, comparers); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

var comparers = cmp.Options{
	cmpopts.EquateEmpty(),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) && a.Location() == b.Location() }),
}

// user stores an active user.
func (t *tester) user() store.User {
	t.Helper()
	u, err := t.st.InsertUser(t.Context(), store.User{Name: rand.Text(), Active: true, Epoch: 1, Created: at(0)})
	t.must(err)
	return u
}

// application stores a confidential application. If the store has no
// applications, it returns a zero one.
func (t *tester) application() store.Application {
	t.Helper()
	if t.have&oauthPart == 0 {
		return store.Application{}
	}
	return t.applicationOf(1)
}

func (t *tester) applicationOf(organization int64) store.Application {
	t.Helper()
	a, err := t.st.InsertApplication(t.Context(), store.Application{
		ClientID: rand.Text(), Name: rand.Text(), OrganizationID: organization, Confidential: true,
		Secret: t.digest(), GrantType: "authorization-code", RedirectURIs: []string{"https://client.example/cb"},
		Created: at(0), Modified: at(0),
	})
	t.must(err)
	return a
}

// personal is a personal access token that is not stored yet.
func (t *tester) personal(userID string) store.Token {
	return store.Token{
		Digest: t.digest(), UserID: userID, Scopes: "read write", Epoch: 1, Description: "a token",
		Created: at(0), Modified: at(0), Expires: at(day),
	}
}

// pair is an access token with a refresh token that is not stored yet.
func (t *tester) pair(userID string, applicationID int64) store.Token {
	tok := t.personal(userID)
	tok.ApplicationID, tok.Expires = applicationID, at(hour)
	tok.Refresh = store.Refresh{Digest: t.digest(), Scopes: "read write", Expires: at(10 * day)}
	return tok
}

func (t *tester) insert(tok store.Token) store.Token {
	t.Helper()
	tok, err := t.st.InsertToken(t.Context(), tok, limits)
	t.must(err)
	return tok
}

// stored returns the result of InsertToken for a token without a parent.
func stored(given, got store.Token) store.Token {
	want := given
	want.ID, want.Family, want.Revision = got.ID, got.ID, got.Revision
	want.RootID, want.Depth, want.ViaApplicationID = 0, 0, given.ApplicationID
	want.Created, want.Modified, want.Expires, want.LastUsed = kept(given.Created), kept(given.Modified), kept(given.Expires), kept(given.LastUsed)
	want.Refresh.Expires, want.Refresh.GrantExpires = kept(given.Refresh.Expires), kept(given.Refresh.GrantExpires)
	want.Refresh.Number, want.Refresh.GrantCreated = 0, time.Time{}
	if given.Refresh.Digest != (store.Digest{}) {
		want.Refresh.GrantCreated = want.Created
	}
	return want
}

// child stores a token that parent minted.
func (t *tester) child(parent store.Token) store.Token {
	t.Helper()
	return t.insert(t.mintedBy(parent))
}

// mintedBy is a personal token that parent mints, which is not stored yet.
func (t *tester) mintedBy(parent store.Token) store.Token {
	tok := t.personal(parent.UserID)
	tok.ParentID = parent.Family
	if tok.Expires.After(parent.Expires) {
		tok.Expires = parent.Expires
	}
	return tok
}

func (t *tester) token(id int64) store.Token {
	t.Helper()
	tok, err := t.st.TokenByID(t.Context(), id)
	t.must(err)
	return tok
}

// live reports tokens that are revoked.
func (t *tester) live(what string, toks ...store.Token) {
	t.Helper()
	for _, tok := range toks {
		if got := t.token(tok.ID); !got.Revoked.IsZero() {
			t.Errorf("%s: token %d is revoked", what, tok.ID)
		}
	}
}

// revoked reports tokens that were not revoked at that instant.
func (t *tester) revoked(what string, when time.Time, toks ...store.Token) {
	t.Helper()
	for _, tok := range toks {
		if got := t.token(tok.ID); !got.Revoked.Equal(when) {
			t.Errorf("%s: token %d: got Revoked %v, want %v", what, tok.ID, got.Revoked, when)
		}
	}
}

// dead reports tokens that are not revoked. It does not check the instant.
func (t *tester) dead(what string, toks ...store.Token) {
	t.Helper()
	for _, tok := range toks {
		if got := t.token(tok.ID); got.Revoked.IsZero() {
			t.Errorf("%s: token %d is live", what, tok.ID)
		}
		a, err := t.st.AccessByDigest(t.Context(), tok.Digest)
		t.must(err)
		if a.Revoked.IsZero() {
			t.Errorf("%s: token %d opens doors", what, tok.ID)
		}
	}
}

// anyNumber of codes may be pending.
const anyNumber = math.MaxInt

// code stores an authorization code.
func (t *tester) code(userID string, applicationID int64) store.Code {
	t.Helper()
	c := store.Code{
		Digest: t.digest(), ApplicationID: applicationID, UserID: userID, Scopes: "read write", Epoch: 1,
		RedirectURI: "https://client.example/cb", Challenge: strings.Repeat("c", 43), Created: at(0), Expires: at(time.Minute),
	}
	t.must(t.st.InsertCode(t.Context(), c, anyNumber))
	return c
}

// redemption spends c for a pair of tokens.
func (t *tester) redemption(c store.Code, when time.Time) store.Redemption {
	return store.Redemption{Code: c.Digest, ApplicationID: c.ApplicationID, At: when, Token: t.pair(c.UserID, c.ApplicationID)}
}

func (t *tester) redeem(r store.Redemption) store.Token {
	t.Helper()
	tok, err := t.st.Redeem(t.Context(), r)
	t.must(err)
	return tok
}

// rotation spends the refresh token of tok.
func (t *tester) rotation(tok store.Token, when time.Time) store.Rotation {
	r := store.Rotation{Refresh: tok.Refresh.Digest, ApplicationID: tok.ApplicationID, Revision: tok.Revision, At: when, Token: t.pair(tok.UserID, tok.ApplicationID)}
	r.Token.ParentID, r.Token.Refresh.GrantExpires, r.Token.Refresh.Grant = tok.ParentID, tok.Refresh.GrantExpires, tok.Refresh.Grant
	rand.Read(r.Nonce[:])
	return r
}

// rotate stores the successor of tok.
func (t *tester) rotate(r store.Rotation) store.Token {
	t.Helper()
	out, err := t.st.Rotate(t.Context(), r)
	t.must(err)
	if out.Replayed {
		t.Fatal("Rotate: replayed, want a rotation")
	}
	return out.Token
}

// device stores a device that waits for a decision.
func (t *tester) device(applicationID int64) store.Device {
	t.Helper()
	d := store.Device{
		Digest: t.digest(), UserCode: t.digest(), ApplicationID: applicationID, Scopes: "read",
		Created: at(0), Expires: at(10 * time.Minute), Interval: 5 * time.Second,
	}
	t.must(t.st.InsertDevice(t.Context(), d))
	return d
}

// approved stores a device that u has approved.
func (t *tester) approved(applicationID int64, u store.User) store.Device {
	t.Helper()
	d := t.device(applicationID)
	t.must(t.st.DecideDevice(t.Context(), d.UserCode, store.Approved, u.ID, u.Epoch, at(0)))
	d.Decision, d.UserID, d.Epoch = store.Approved, u.ID, u.Epoch
	return d
}

// login is a session that is not stored yet.
func (t *tester) login(userID string, created time.Time) store.Session {
	return store.Session{
		Digest: t.digest(), UserID: userID, Epoch: 1, Data: []byte("data"),
		Created: created, Seen: created, Expires: created.Add(hour),
	}
}

func (t *tester) insertSession(s store.Session) store.Session {
	t.Helper()
	s, _, err := t.st.InsertSession(t.Context(), s, store.Digest{}, 0)
	t.must(err)
	return s
}

func (t *tester) session(d store.Digest) store.Session {
	t.Helper()
	s, _, err := t.st.SessionByDigest(t.Context(), d)
	t.must(err)
	return s
}

// contenders is the number of calls that race for one success.
const contenders = 64

// race calls f that many times at once and returns the results.
func race[T any](n int, f func(i int) T) []T {
	out := make([]T, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			out[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return out
}

// rounds repeats a race: often where the store is quick, at least three times
// where it is slow.
func (t *tester) rounds(f func()) {
	t.Helper()
	if !t.races {
		t.Fatal("storetest: RunRaces does not know this check")
	}
	most, budget := 60, 60*time.Millisecond
	if testing.Short() {
		most, budget = 10, 20*time.Millisecond
	}
	begin := time.Now()
	for i := range most {
		if f(); t.Failed() {
			return
		}
		if i >= 2 && time.Since(begin) > budget {
			return
		}
	}
}

// oneWinner reports unless exactly one call succeeded and all others returned
// lost. It returns the winner's index.
func (t *tester) oneWinner(what string, lost error, errs []error) int {
	t.Helper()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Fatalf("%s: calls %d and %d both succeeded", what, winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, lost):
			t.Fatalf("%s: a loser got error %v, want %v", what, err, lost)
		}
	}
	if winner < 0 {
		t.Fatalf("%s: nobody succeeded", what)
	}
	return winner
}
