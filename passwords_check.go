package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// An attempt is a name and a password, with the user and the hash that they are
// compared with, and the place they come from.
type attempt struct {
	name, password string
	user           store.User
	hash           string
	key            attemptKey
	network        netip.Prefix // the zero Prefix if it is not known
	browser        string       // a known one, or ""
}

// prepare returns an attempt with the user and the hash to compare with. It refuses
// what cannot be right before any look-up.
func (p *Passwords) prepare(ctx context.Context, network netip.Prefix, name, password string) (a attempt, err error) {
	if why := p.unfit(name, password); why != "" {
		return a, p.refuse(ctx, name, why)
	}
	// The first attempt makes the dummy, for a known or an unknown user.
	dummy, err := p.dummy.get(p.opts.Hasher)
	if err != nil {
		return a, fmt.Errorf("auth: hash a password: %w", err)
	}
	a.name, a.password, a.network = name, password, network
	if a.hash, err = p.lookUp(ctx, name, &a.user); err != nil {
		return a, err
	}
	if a.hash == "" {
		a.hash = dummy
	}
	a.key = p.flights.key(name, password, a.hash)
	return a, nil
}

// lookUp sets u to the user of that name and returns the hash to compare with. For an
// unknown user, a service account, and a user without a password, it returns "" and an
// inactive user. The steps are the same for all, because the time must not tell which
// names exist.
func (p *Passwords) lookUp(ctx context.Context, name string, u *store.User) (hash string, err error) {
	var read *stores.Hash
	if p.memory != nil {
		hash, err = p.memory.ReadUser(ctx, name, u)
	} else {
		*u, read, err = p.byName(ctx, name)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		*u = store.User{}
	case err != nil:
		return "", fmt.Errorf("auth: look up a user: %w", err)
	case u.Name != name || u.ID == "":
		// The table folds or trims names. Code that compares names would take
		// each spelling for another user.
		why := "UserByName returned " + audit.Clip(u.Name) + ", which is another name: nobody can log in by this spelling"
		if u.Name == "" || u.ID == "" {
			why = "UserByName returned neither an error nor a user with a name and an ID: store.ErrNotFound says that there is none"
		}
		p.note(ctx, &p.noted.spelling, audit.StoreFailed, slog.String(audit.KeyOperation, "look up a user"),
			slog.String(audit.KeyUser, audit.Clip(name)), slog.String(audit.KeyError, why))
		*u = store.User{}
	}
	if p.memory == nil {
		hash, err = read.Of(ctx, p.users, u.ID)
	}
	if errors.Is(err, store.ErrNotFound) { // nobody has the ID ""
		*u, hash, err = store.User{}, "", nil
	}
	if err != nil {
		return "", fmt.Errorf("auth: look up a password: %w", err)
	}
	if hash == "" || u.Service || u.ID == "" {
		u.Active, hash = false, ""
	}
	return hash, nil
}

// byName looks up a user, and the hash with it if the store reads that along.
func (p *Passwords) byName(ctx context.Context, name string) (u store.User, read *stores.Hash, err error) {
	if p.apart.Load() {
		u, err = p.users.UserByName(ctx, name)
		return u, nil, err
	}
	ctx, read = stores.WithHash(ctx, p.users)
	if u, err = p.users.UserByName(ctx, name); err == nil && !read.Noted() {
		p.apart.Store(true)
	}
	return u, read, err
}

// decide compares an attempt, once for all equal ones at the same time.
func (p *Passwords) decide(ctx context.Context, a attempt) (store.User, error) {
	v := p.flights.do(ctx, flightKey{a.key, a.network, a.browser}, func() verdict { return p.check(ctx, a) })
	if v.err != nil {
		return store.User{}, v.err
	}
	switch {
	case !v.ok:
		return store.User{}, errBadPassword
	case !a.user.Active: // the leader may have found an active one
		return store.User{}, p.refuse(ctx, a.name, "user is disabled")
	}
	stores.SeeHash(ctx, p, a.user.ID, v.hash)
	return a.user, nil
}

// check reserves the attempt with the throttle, compares, and takes the
// reservation back if the password is right.
func (p *Passwords) check(ctx context.Context, a attempt) verdict {
	taken, wait, err := p.flooded(ctx, a)
	if err != nil {
		return verdict{err: err}
	}
	if wait > 0 {
		return verdict{err: p.throttled(ctx, a, wait, observe.KindFlood)}
	}
	reserved, c, err := p.compared(ctx, a)
	if err != nil {
		if e, refused := errors.AsType[*Error](err); !refused || e == errBusy {
			p.floods.put(taken)
		}
		return verdict{err: err}
	}
	if !c.ok || !a.user.Active {
		p.pace.wait(ctx, c.took)
		return p.failed(ctx, a, c)
	}
	p.floods.put(taken)
	hash := a.hash
	if c.next != "" {
		hash = p.replace(ctx, a, c.next)
	}
	p.settle(ctx, a, reserved)
	return verdict{ok: true, hash: hash}
}

// compared takes a slot, reserves the attempt and compares, in this order, so
// that every charged attempt is compared.
func (p *Passwords) compared(ctx context.Context, a attempt) (reserved []store.Reservation, c comparison, err error) {
	asked := p.hook.Now()
	if err := p.hashes.acquire(ctx, a.network, func() (bool, error) { return p.known(ctx, a) }); err != nil {
		observeNotHashed(ctx, p.hook, asked, err)
		return nil, c, err
	}
	defer p.hashes.release()
	got := p.hook.Now()
	if reserved, err = p.reserve(ctx, a); err != nil {
		observeNotHashed(ctx, p.hook, asked, err)
		return nil, c, err
	}
	c = p.compare(a)
	observeHashed(ctx, p.hook, asked, got, nil)
	return reserved, c, nil
}

// failed records the reason of a refusal after the comparison.
func (p *Passwords) failed(ctx context.Context, a attempt, c comparison) verdict {
	switch {
	case c.err != nil:
		p.event(ctx, slog.LevelError, audit.PasswordRefused, a.name, c.err.Error())
	case a.user.Service:
		p.event(ctx, slog.LevelWarn, audit.PasswordRefused, a.name, "service account")
	case !c.ok || a.user.ID == "":
		p.event(ctx, slog.LevelWarn, audit.PasswordRefused, a.name, "wrong user name or password")
	default:
		p.event(ctx, slog.LevelWarn, audit.PasswordRefused, a.name, "user is disabled")
	}
	return verdict{}
}

// A comparison is the result of comparing a password with a hash.
type comparison struct {
	ok   bool
	next string // a hash to replace the compared one by, if that is outdated
	took time.Duration
	err  error
}

// compare compares in the slot of the caller. It also makes the hash that
// replaces an outdated one, so that a login waits in line once.
func (p *Passwords) compare(a attempt) (c comparison) {
	start := time.Now()
	var outdated bool
	c.ok, outdated, c.err = p.opts.Hasher.Verify(a.hash, a.password)
	if c.err != nil {
		// The hash was refused without any work. Django stores such a "hash"
		// for users that log in elsewhere: take as long as for a wrong
		// password.
		c.ok = false
		if dummy, err := p.dummy.get(p.opts.Hasher); err == nil {
			_, _, _ = p.opts.Hasher.Verify(dummy, a.password)
		}
	}
	c.took = time.Since(start)
	if c.err == nil {
		p.pace.note(a.hash, c.took)
	}
	if c.ok && outdated && a.user.Active {
		// A failure is no reason to refuse the login.
		if next, err := p.opts.Hasher.Hash(a.password); err == nil {
			c.next = next
		}
	}
	return c
}

// replace stores a better hash of a password that was just verified. The loser of
// a race does nothing, and a failure is no reason to refuse the login. It returns
// the hash that it stored, or "".
func (p *Passwords) replace(ctx context.Context, a attempt, next string) string {
	switch err := p.users.SwapPasswordHash(ctx, a.user.ID, a.hash, next); {
	case err == nil:
		p.event(ctx, slog.LevelInfo, audit.PasswordRehashed, a.name, "outdated")
		return next
	case !errors.Is(err, store.ErrConflict):
		p.log.WarnContext(ctx, audit.StoreFailed, audit.KeyOperation, "rehash password", audit.KeyError, err)
	}
	return ""
}

// settle takes the reservation of a right password back, also after the client
// has gone. A failure is no reason to refuse the login: then the attempt counts
// as a wrong one.
func (p *Passwords) settle(ctx context.Context, a attempt, reserved []store.Reservation) {
	ctx, cancel := stores.Detach(ctx)
	defer cancel()
	if err := p.attempts.Settle(ctx, a.settlement(reserved, time.Now())); err != nil {
		p.log.WarnContext(ctx, audit.StoreFailed, audit.KeyOperation, "settle attempts", audit.KeyError, err)
	}
}
