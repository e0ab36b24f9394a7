package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/internal/forwarded"
	"github.com/ostiary/auth/internal/header"
	"github.com/ostiary/auth/internal/hook"
	"github.com/ostiary/auth/internal/options"
	"github.com/ostiary/auth/internal/text"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// Passwords checks and sets passwords. Login, Basic and the password grant
// share its throttle, which doc/throttle.md describes.
type Passwords struct {
	users    store.Users
	memory   *memory.Store // users if that is one itself, see [memory.Store.ReadUser]
	attempts store.Attempts
	opts     PasswordsOptions
	log      *slog.Logger
	hook     *hook.Hook

	hashes  *slots
	floods  *floods
	flights *flights
	proofs  *proofs // of Basic
	dummy   dummyHash
	pace    pace
	noted   notes
	purge   *unpurged
	apart   atomic.Bool // users read no hash along with a user, so that nobody asks for it
}

// PasswordsOptions are the options of [NewPasswords].
// A zero PasswordsOptions consists entirely of default values.
type PasswordsOptions struct {
	// Hasher makes and checks hashes. Nil means Argon2id{}. [NewPasswords] refuses
	// an [Argon2id] with weak parameters; the parameters of other types, and of
	// types that embed one, are the host's responsibility.
	Hasher PasswordHasher

	// Enabled switches local passwords off and on while the service runs; nil
	// means on. While it returns false, every password is wrong.
	Enabled func() bool

	// MinLength is the length of the shortest password that Set accepts, in
	// characters. Zero means 15 (NIST SP 800-63B-4); the minimum is 8.
	MinLength int

	// PerClient limits the wrong passwords for one account from one client
	// network (an IPv4 address, an IPv6 /64) or known browser. Zero means 10 a
	// minute. A right password from the same place resets it.
	PerClient store.Limit

	// PerAccount limits the wrong passwords for one account from all unknown
	// networks together. A network or browser is known for 30 days after a
	// login of the account. Each known one has this limit for itself. Zero
	// means 100 an hour.
	PerAccount store.Limit

	// PerNetwork limits the wrong passwords from one client network for all
	// accounts together that the network is not known for. Zero means 300 an
	// hour.
	PerNetwork store.Limit

	// MaxHashes is the number of passwords that are hashed at the same time;
	// each takes the memory of the hasher. Zero means GOMAXPROCS. Up to 512
	// times as many wait, for at most 30 seconds and with a fair share for each
	// network. Further ones are answered 503.
	MaxHashes int

	// RefusalTime is the minimum time of a refused comparison. With hashes of
	// several kinds, the time would otherwise tell which names exist. Zero
	// means the time of the slowest kind of hash that this process has
	// compared, or no minimum if it has compared one kind only. Other values are
	// between a millisecond and a minute. Set it to the time of the slowest kind
	// while imported hashes are in use.
	RefusalTime time.Duration

	// InsecureCookie drops Secure from the cookie of
	// [Passwords.RememberBrowser], for plain-HTTP development.
	InsecureCookie bool

	// Logger receives the audit events. Nil means [slog.Default].
	Logger *slog.Logger

	// Observe is called for the events PasswordChecked, PasswordHashed,
	// PasswordChanged, Throttled and Purged, see package observe.
	// Nil costs nothing.
	Observe observe.Func
}

const (
	// MaxPassword is the length of the longest password, in bytes.
	MaxPassword = 1024
	// MaxUserName is the length of the longest user name, in characters.
	MaxUserName = 150
)

// NewPasswords returns the passwords of the users in u, with a throttle that
// counts in a. Nil options mean the defaults. It panics if u or a is nil.
func NewPasswords(u store.Users, a store.Attempts, opts *PasswordsOptions) (*Passwords, error) {
	if options.IsNil(u) || options.IsNil(a) {
		panic("auth: NewPasswords: nil store")
	}
	var o PasswordsOptions
	if opts != nil {
		o = *opts
	}
	if err := o.settle(); err != nil {
		return nil, err
	}
	log := options.Logger(o.Logger)
	db, _ := u.(*memory.Store)
	return &Passwords{
		users:    u,
		memory:   db,
		attempts: a,
		opts:     o,
		log:      log,
		hook:     hook.New(o.Observe, log),
		hashes:   newSlots(o.MaxHashes),
		floods:   newFloods(o.PerNetwork),
		flights:  newFlights(),
		proofs:   newProofs(),
		pace:     pace{least: o.RefusalTime},
		purge:    &unpurged{since: time.Now()},
	}, nil
}

// settle sets the defaults and refuses invalid options.
func (o *PasswordsOptions) settle() error {
	if o.Hasher == nil {
		o.Hasher = Argon2id{}
	}
	if options.IsNil(o.Hasher) {
		return errors.New("auth: PasswordsOptions.Hasher holds a nil pointer: leave it out for Argon2id{}")
	}
	var err error
	switch h := o.Hasher.(type) { // exact types: a type that embeds one may hash in its own way
	case Argon2id:
		err = h.check()
	case *Argon2id:
		err = h.check()
	}
	if err != nil {
		return fmt.Errorf("auth: PasswordsOptions.Hasher: %w", err)
	}
	o.MinLength = cmp.Or(o.MinLength, 15)
	o.PerClient = cmp.Or(o.PerClient, store.Limit{Max: 10, Window: time.Minute})
	o.PerAccount = cmp.Or(o.PerAccount, store.Limit{Max: 100, Window: time.Hour})
	o.PerNetwork = cmp.Or(o.PerNetwork, store.Limit{Max: 300, Window: time.Hour})
	o.MaxHashes = cmp.Or(o.MaxHashes, runtime.GOMAXPROCS(0))
	for _, l := range []struct {
		name string
		store.Limit
	}{{"PerClient", o.PerClient}, {"PerAccount", o.PerAccount}, {"PerNetwork", o.PerNetwork}} {
		if l.Max < 1 || l.Window < time.Millisecond {
			return fmt.Errorf("auth: PasswordsOptions.%s needs a positive Max, and a Window of at least a millisecond", l.name)
		}
	}
	switch {
	case o.MinLength > MaxPassword:
		return fmt.Errorf("auth: PasswordsOptions.MinLength %d is above MaxPassword, so that no password could be set", o.MinLength)
	case o.MinLength < 8:
		return fmt.Errorf("auth: PasswordsOptions.MinLength %d is below 8", o.MinLength)
	case o.MaxHashes < 1:
		return errors.New("auth: PasswordsOptions.MaxHashes is negative")
	case o.RefusalTime != 0 && (o.RefusalTime < time.Millisecond || o.RefusalTime > time.Minute):
		return fmt.Errorf("auth: PasswordsOptions.RefusalTime %v is not between a millisecond and a minute", o.RefusalTime)
	}
	return nil
}

// Verify returns the active user with this name and password. Every wrong login
// is the same [*Error] with status 401, after the same work. Too many attempts
// are status 429, too many at the same time 503. Any other error is an outage.
//
// The throttle counts by the client address in ctx, see [WithClientAddr].
// Without an address, all clients count as one and can lock each other out.
// Handlers of HTTP requests should call [Passwords.VerifyRequest].
func (p *Passwords) Verify(ctx context.Context, name, password string) (store.User, error) {
	began := p.hook.Now()
	u, err := p.verify(ctx, "", name, password)
	observeChecked(ctx, p.hook, began, err)
	return u, err
}

// VerifyRequest is [Passwords.Verify] for the handler of a login form, or of
// another request with a name and a password. It takes the client address from
// r, see [ClientAddr], and the browser from the cookie of
// [Passwords.RememberBrowser].
func (p *Passwords) VerifyRequest(r *http.Request, name, password string) (store.User, error) {
	p.noteProxy(r)
	began := p.hook.Now()
	u, err := p.verify(client.Context(r), p.deviceCookie(r), name, password)
	observeChecked(r.Context(), p.hook, began, err)
	return u, err
}

func (p *Passwords) verify(ctx context.Context, device, name, password string) (store.User, error) {
	a, err := p.prepare(ctx, client.NetworkOf(ctx), name, password)
	if err != nil {
		return store.User{}, err
	}
	a.browser = browserOf(device, a, time.Now())
	return p.decide(ctx, a)
}

// off reports whether local passwords are switched off.
func (p *Passwords) off() bool { return p.opts.Enabled != nil && !p.opts.Enabled() }

// unfit returns the reason to refuse a name and a password before any look-up,
// or "". It depends on nothing that is stored.
func (p *Passwords) unfit(name, password string) string {
	switch {
	case p.off():
		return "local passwords are off"
	case text.Name(name, MaxUserName) != "" || !validPassword(password):
		return "malformed"
	}
	return ""
}

func (p *Passwords) refuse(ctx context.Context, name, why string) error {
	p.event(ctx, slog.LevelWarn, audit.PasswordRefused, name, why)
	return errBadPassword
}

var errServicePassword = &Error{Status: http.StatusBadRequest, Field: "Password", Code: "service_account", Detail: "A service account has no password."}

// Set gives a user a new password and ends all sessions of the user, and with
// TokensOptions.EndWithPassword all tokens. An unacceptable password, and any
// password of a service account, is an [*Error] with status 400 and the field
// "Password". Set also returns an error if the SetPasswordHash of the user table
// breaks its promise to raise the epoch: then the password is set, but old
// sessions live on.
func (p *Passwords) Set(ctx context.Context, userID, password string) error {
	if err := p.acceptable(password); err != nil {
		return err
	}
	hash, err := p.hash(ctx, password)
	if err != nil {
		return err
	}
	before, err := p.users.UserByID(ctx, userID)
	if err != nil {
		return fmt.Errorf("auth: set a password: %w", err)
	}
	if before.Service {
		return errServicePassword
	}
	_, err = p.setHash(ctx, before, hash)
	return err
}

// setHash stores the hash of a new password for a user and returns the user as of
// then.
func (p *Passwords) setHash(ctx context.Context, before store.User, hash string) (store.User, error) {
	if err := p.users.SetPasswordHash(ctx, before.ID, hash); err != nil {
		return store.User{}, fmt.Errorf("auth: set a password: %w", err)
	}
	p.eventChanged(ctx, before.ID)
	p.hook.One(ctx, observe.PasswordChanged, observe.KindNone, observe.ReasonNone)
	after, err := p.users.UserByID(ctx, before.ID)
	if err != nil {
		return store.User{}, fmt.Errorf("auth: look at a new password: %w", err)
	}
	if after.Epoch == before.Epoch {
		return store.User{}, errors.New("auth: the password is set, but SetPasswordHash of the user table has not raised Epoch: the user's sessions live on")
	}
	return after, nil
}

// acceptable refuses what cannot be a new password.
func (p *Passwords) acceptable(password string) error {
	if utf8.RuneCountInString(password) < p.opts.MinLength {
		return &Error{Status: http.StatusBadRequest, Field: "Password", Detail: fmt.Sprintf("Must have at least %d characters.", p.opts.MinLength)}
	}
	if !validPassword(password) {
		return &Error{Status: http.StatusBadRequest, Field: "Password", Detail: fmt.Sprintf("Must be UTF-8 without control characters, of at most %d bytes.", MaxPassword)}
	}
	return nil
}

func (p *Passwords) hash(ctx context.Context, password string) (string, error) {
	asked := p.hook.Now()
	if err := p.hashes.acquire(ctx, client.NetworkOf(ctx), func() (bool, error) { return true, nil }); err != nil {
		observeNotHashed(ctx, p.hook, asked, err)
		return "", err
	}
	defer p.hashes.release()
	got := p.hook.Now()
	hash, err := p.opts.Hasher.Hash(password)
	observeHashed(ctx, p.hook, asked, got, err)
	return hash, err
}

// Purge deletes counters whose window ended before the given instant, and
// networks that were known until then. It returns their number. The host should
// call it from time to time, since nothing else does, with an instant that is
// an hour ago if the clocks of several processes differ.
func (p *Passwords) Purge(ctx context.Context, endedBefore time.Time) (int, error) {
	p.purge.called.Store(true)
	return purge(ctx, p.hook, observe.KindAttempts, endedBefore, p.attempts.PurgeAttempts)
}

// validPassword reports whether s can be a password. Control characters are
// refused, because bcrypt stops at NUL.
func validPassword(s string) bool {
	return s != "" && len(s) <= MaxPassword && utf8.ValidString(s) && !header.HasControl(s)
}

func (p *Passwords) eventChanged(ctx context.Context, userID string) {
	p.log.LogAttrs(ctx, slog.LevelInfo, audit.PasswordChanged,
		slog.String(audit.KeyUserID, userID), slog.String(audit.KeyClient, client.Text(ctx)))
}

func (p *Passwords) event(ctx context.Context, level slog.Level, name, user, reason string) {
	p.log.LogAttrs(ctx, level, name, slog.String(audit.KeyUser, audit.Clip(user)),
		slog.String(audit.KeyReason, reason), slog.String(audit.KeyClient, client.Text(ctx)))
}

// notes are warnings about the configuration of the service. Each is logged at
// most once an hour.
type notes struct {
	spelling, address, clocks, proxy atomic.Int64 // when it was logged, in Unix seconds
}

// note logs a warning unless it was logged within the hour.
func (p *Passwords) note(ctx context.Context, last *atomic.Int64, message string, attrs ...slog.Attr) {
	now, before := time.Now().Unix(), last.Load()
	if (before == 0 || now-before >= 3600 || now < before) && last.CompareAndSwap(before, now) {
		p.log.LogAttrs(ctx, slog.LevelWarn, message, attrs...)
	}
}

// noteProxy warns that something writes X-Forwarded-For which nobody decides about:
// if it is a proxy, the throttle takes all of its clients for one, and one of them
// can keep all others out.
func (p *Passwords) noteProxy(r *http.Request) {
	if len(r.Header[forwarded.FieldFor]) > 0 && forwarded.Of(r.Context()) == nil {
		p.note(r.Context(), &p.noted.proxy, "auth: a login has X-Forwarded-For and has not passed Proxy.Handler, so that all clients of the proxy are one to the throttle; "+
			"put the Handler of a Proxy with ProxyOptions.Peers around the mux, an empty one if there is no proxy")
	}
}
