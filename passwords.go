package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ostiary/auth/internal/header"
	"github.com/ostiary/auth/store"
)

// Passwords checks and sets passwords. Login, Basic and the password grant share
// its throttle and its defences.
type Passwords struct {
	users    store.Users
	attempts store.Attempts
	opts     PasswordsOptions
	log      *slog.Logger

	hashes   slots
	flights  flights
	verified verifiedCache
	dummy    dummyHash
}

// PasswordsOptions are the options of [NewPasswords].
// A zero PasswordsOptions consists entirely of default values.
type PasswordsOptions struct {
	// Hasher makes and checks hashes. Nil means Argon2id{}.
	Hasher PasswordHasher

	// Enabled switches local passwords off and on while the service runs; nil
	// means on. While it returns false no password is right.
	Enabled func() bool

	// MinLength is the length of the shortest password that Set takes, in
	// characters. Zero means 15 (NIST SP 800-63B-4); the least is 8.
	MinLength int

	// PerClient limits the attempts against one account from one client
	// network (an IPv4 address, an IPv6 /64), PerAccount those from anywhere.
	// A right password forgets them. Zero means 10 a minute and 100 an hour:
	// attackers wait, nobody is locked out for good.
	PerClient, PerAccount store.Limit

	// MaxHashes is how many passwords are hashed at the same time; each takes
	// the memory of the hasher. Zero means GOMAXPROCS. Sixteen times as many
	// may wait, for at most five seconds; beyond that the answer is 503.
	MaxHashes int

	// Logger receives the audit events. Nil means [slog.Default].
	Logger *slog.Logger
}

const (
	// MaxPassword is the length of the longest password, in bytes.
	MaxPassword = 1024
	// MaxUserName is the length of the longest user name, in characters.
	MaxUserName = 150
)

// NewPasswords returns the passwords of u, with a throttle that counts in a. Nil
// options mean the defaults. It panics if u or a is nil.
func NewPasswords(u store.Users, a store.Attempts, opts *PasswordsOptions) (*Passwords, error) {
	if isNil(u) || isNil(a) {
		panic("auth: NewPasswords: nil store")
	}
	var o PasswordsOptions
	if opts != nil {
		o = *opts
	}
	if o.Hasher == nil {
		o.Hasher = Argon2id{}
	}
	if h, ok := o.Hasher.(interface{ check() error }); ok { // Argon2id, or a pointer to one
		if err := h.check(); err != nil {
			return nil, fmt.Errorf("auth: PasswordsOptions.Hasher: %w", err)
		}
	}
	o.MinLength = cmp.Or(o.MinLength, 15)
	o.PerClient = cmp.Or(o.PerClient, store.Limit{Max: 10, Window: time.Minute})
	o.PerAccount = cmp.Or(o.PerAccount, store.Limit{Max: 100, Window: time.Hour})
	o.MaxHashes = cmp.Or(o.MaxHashes, runtime.GOMAXPROCS(0))
	switch {
	case o.MinLength < 8:
		return nil, fmt.Errorf("auth: PasswordsOptions.MinLength %d is below 8", o.MinLength)
	case o.PerClient.Max < 1 || o.PerClient.Window <= 0:
		return nil, errors.New("auth: PasswordsOptions.PerClient needs a positive Max and Window")
	case o.PerAccount.Max < 1 || o.PerAccount.Window <= 0:
		return nil, errors.New("auth: PasswordsOptions.PerAccount needs a positive Max and Window")
	case o.MaxHashes < 1:
		return nil, errors.New("auth: PasswordsOptions.MaxHashes is negative")
	}
	return &Passwords{
		users:    u,
		attempts: a,
		opts:     o,
		log:      logger(o.Logger),
		hashes:   newSlots(o.MaxHashes),
		verified: newVerifiedCache(),
	}, nil
}

var errBadPassword = &Error{Status: http.StatusUnauthorized, Detail: "Incorrect user name or password."}

// Verify returns the user whose name and password these are, and who may log in.
// A wrong login is the same [*Error] with status 401 whatever is wrong about it,
// and after the same work. Too many attempts are status 429, too many at the
// same time 503; any other error is an outage.
//
// The throttle counts by the client address in ctx, see [WithClientAddr].
func (p *Passwords) Verify(ctx context.Context, name, password string) (store.User, error) {
	if why := p.unfit(name, password); why != "" {
		return store.User{}, p.refuse(ctx, name, why)
	}
	a, err := p.prepare(ctx, name, password)
	if err != nil {
		return store.User{}, err
	}
	return p.decide(ctx, a)
}

// unfit tells why a name and a password are refused before any look-up, "" if
// they are not. The answer depends on nothing that is stored.
func (p *Passwords) unfit(name, password string) string {
	switch {
	case p.opts.Enabled != nil && !p.opts.Enabled():
		return "local passwords are off"
	case !validUserName(name) || !validPassword(password):
		return "malformed"
	}
	return ""
}

func (p *Passwords) refuse(ctx context.Context, name, why string) error {
	p.event(ctx, slog.LevelWarn, eventPasswordRefused, name, why)
	return errBadPassword
}

// An attempt is a name and a password, with what they are compared with.
type attempt struct {
	name, password string
	user           store.User
	hash           string
	key            cacheKey
}

// prepare looks up what an attempt is compared with.
func (p *Passwords) prepare(ctx context.Context, name, password string) (attempt, error) {
	u, hash, err := p.lookUp(ctx, name)
	if err != nil {
		return attempt{}, err
	}
	return attempt{name, password, u, hash, p.verified.key(name, password, hash)}, nil
}

// decide compares, once for all that ask the same at the same time.
func (p *Passwords) decide(ctx context.Context, a attempt) (store.User, error) {
	v := p.flights.do(ctx, flightKey{a.key, clientNetwork(ctx)}, func() verdict { return p.check(ctx, a) })
	if v.err != nil {
		return store.User{}, v.err
	}
	switch {
	case !v.ok:
		return store.User{}, errBadPassword
	case !a.user.Active: // unlike for the one that asked first, perhaps
		return store.User{}, p.refuse(ctx, a.name, "user is disabled")
	}
	return a.user, nil
}

// verifyRequest is Verify for a client that sends its password with every
// request: it believes what was verified before, for as long as neither the
// stored hash nor the user's state has changed.
func (p *Passwords) verifyRequest(r *http.Request, name, password string) (store.User, error) {
	if why := p.unfit(name, password); why != "" {
		return store.User{}, p.refuse(withClient(r), name, why)
	}
	a, err := p.prepare(r.Context(), name, password)
	if err != nil {
		return store.User{}, err
	}
	now := time.Now()
	if a.user.Active && p.verified.has(a.key, now) {
		return a.user, nil
	}
	u, err := p.decide(withClient(r), a)
	if err == nil {
		p.verified.put(a.key, now)
	}
	return u, err
}

// lookUp returns the user of that name and the hash to compare with. For an
// unknown user, and one without a password, it is the dummy, and the user is one
// who may not log in. Whoever it is, the steps are the same: how long they take
// must not tell which names exist.
func (p *Passwords) lookUp(ctx context.Context, name string) (store.User, string, error) {
	dummy, err := p.dummy.get(p.opts.Hasher)
	if err != nil {
		return store.User{}, "", fmt.Errorf("auth: hash a password: %w", err)
	}
	u, err := p.users.UserByName(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		u, err = store.User{}, nil
	}
	if err != nil {
		return store.User{}, "", fmt.Errorf("auth: look up a user: %w", err)
	}
	hash, err := p.users.PasswordHash(ctx, u.ID)
	if errors.Is(err, store.ErrNotFound) { // nobody has the ID ""
		u, hash, err = store.User{}, "", nil
	}
	if err != nil {
		return store.User{}, "", fmt.Errorf("auth: look up a password: %w", err)
	}
	if hash == "" {
		u.Active, hash = false, dummy
	}
	return u, hash, nil
}

// check charges the throttle, then compares.
func (p *Passwords) check(ctx context.Context, a attempt) verdict {
	keys := [...]string{"password:" + clientNetwork(ctx).String() + ":" + a.name, "password::" + a.name}
	v, err := p.attempts.Charge(ctx, []store.Charge{
		{Key: keys[0], Limit: p.opts.PerClient},
		{Key: keys[1], Limit: p.opts.PerAccount},
	}, time.Now())
	if err != nil {
		return verdict{err: fmt.Errorf("auth: count a password attempt: %w", err)}
	}
	if !v.Allowed {
		p.event(ctx, slog.LevelWarn, eventPasswordRefused, a.name, "throttled")
		return verdict{err: &Error{
			Status:     http.StatusTooManyRequests,
			Detail:     "Too many attempts. Try again later.",
			RetryAfter: max(v.RetryAfter, time.Second),
		}}
	}
	if err := p.hashes.acquire(ctx); err != nil {
		return verdict{err: err}
	}
	ok, outdated, err := p.compare(a.hash, a.password)
	switch {
	case err != nil:
		p.event(ctx, slog.LevelError, eventPasswordRefused, a.name, err.Error())
		return verdict{}
	case !ok || a.user.ID == "":
		p.event(ctx, slog.LevelWarn, eventPasswordRefused, a.name, "wrong user name or password")
		return verdict{}
	case !a.user.Active:
		p.event(ctx, slog.LevelWarn, eventPasswordRefused, a.name, "user is disabled")
		return verdict{}
	}
	if outdated {
		p.rehash(ctx, a)
	}
	if err := p.attempts.Forgive(ctx, keys[:]); err != nil {
		p.log.WarnContext(ctx, eventStoreFailed, "operation", "forgive attempts", "error", err)
	}
	return verdict{ok: true}
}

// compare compares a password with a hash in the slot that the caller acquired.
func (p *Passwords) compare(hash, password string) (ok, outdated bool, err error) {
	defer p.hashes.release()
	ok, outdated, err = p.opts.Hasher.Verify(hash, password)
	if err != nil {
		// It was refused at a glance. Django stores such a "hash" for users who
		// log in elsewhere: take as long as for a wrong password.
		if dummy, dummyErr := p.dummy.get(p.opts.Hasher); dummyErr == nil {
			_, _, _ = p.opts.Hasher.Verify(dummy, password)
		}
		return false, false, err
	}
	return ok, outdated, nil
}

// rehash stores a better hash of a password that was just verified. The loser of
// a race does nothing, and a failure is no reason to refuse the login.
func (p *Passwords) rehash(ctx context.Context, a attempt) {
	next, err := p.hash(ctx, a.password)
	if err == nil {
		err = p.users.SwapPasswordHash(ctx, a.user.ID, a.hash, next)
	}
	switch {
	case err == nil:
		p.event(ctx, slog.LevelInfo, eventPasswordRehash, a.name, "outdated")
	case !errors.Is(err, store.ErrConflict):
		p.log.WarnContext(ctx, eventStoreFailed, "operation", "rehash password", "error", err)
	}
}

func (p *Passwords) hash(ctx context.Context, password string) (string, error) {
	if err := p.hashes.acquire(ctx); err != nil {
		return "", err
	}
	defer p.hashes.release()
	return p.opts.Hasher.Hash(password)
}

// Set gives a user a new password and ends all of the user's sessions, and the
// tokens too with TokensOptions.EndWithPassword. It returns an [*Error] with
// status 400 that names the field "password" for a password it does not take.
func (p *Passwords) Set(ctx context.Context, userID, password string) error {
	if utf8.RuneCountInString(password) < p.opts.MinLength {
		return &Error{Status: http.StatusBadRequest, Field: "password", Detail: fmt.Sprintf("Must have at least %d characters.", p.opts.MinLength)}
	}
	if !validPassword(password) {
		return &Error{Status: http.StatusBadRequest, Field: "password", Detail: fmt.Sprintf("Must be UTF-8 without control characters, of at most %d bytes.", MaxPassword)}
	}
	hash, err := p.hash(ctx, password)
	if err != nil {
		return err
	}
	if err := p.users.SetPasswordHash(ctx, userID, hash); err != nil {
		return fmt.Errorf("auth: set a password: %w", err)
	}
	p.event(ctx, slog.LevelInfo, eventPasswordChanged, userID, "")
	return nil
}

// Purge forgets attempts whose window ended before the given instant, and
// returns how many. Call it now and then; nothing else does.
func (p *Passwords) Purge(ctx context.Context, endedBefore time.Time) (int, error) {
	return purge(ctx, endedBefore, p.attempts.PurgeAttempts)
}

// validUserName reports whether a user can have that name. There is one spelling
// of a name, for look-up, throttle and audit alike: what is not canonical is
// refused and never repaired.
func validUserName(s string) bool {
	if s == "" || len(s) > 4*MaxUserName || !utf8.ValidString(s) || utf8.RuneCountInString(s) > MaxUserName ||
		strings.TrimSpace(s) != s {
		return false
	}
	for _, r := range s {
		// Cc, and Cf: bidirectional overrides, zero width characters.
		if unicode.Is(unicode.C, r) {
			return false
		}
	}
	return true
}

// validPassword reports whether s can be a password. bcrypt takes NUL for an
// end, so control characters are refused everywhere.
func validPassword(s string) bool {
	return s != "" && len(s) <= MaxPassword && utf8.ValidString(s) && !header.HasControl(s)
}

// clientNetwork is the network that the throttle counts by.
func clientNetwork(ctx context.Context) netip.Prefix {
	addr, _ := clientAddr(ctx)
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64 // one customer has at least this much
	}
	network, _ := addr.Prefix(bits) // the zero Prefix for no address
	return network
}
