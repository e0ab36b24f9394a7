package auth

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

const (
	// knownFor is the time for which a network or a browser is known after a
	// login.
	knownFor = 30 * 24 * time.Hour
	// maxKnown is the number of networks that are known for one account at a
	// time.
	maxKnown = 20
	// siteNetworks is how many networks of an IPv6 site can use up PerNetwork.
	siteNetworks = 16
	// clocksApart is the difference of clocks from which a warning is logged.
	clocksApart = 30 * time.Second
)

// throttleKey returns a key of the throttle. Each part has its length before
// it, so that no two lists of parts have the same key.
func throttleKey(kind string, parts ...string) string {
	var room [128]byte // on the stack
	b := append(append(room[:0], "password "...), kind...)
	for _, part := range parts {
		b = append(b, ' ')
		b = strconv.AppendInt(b, int64(len(part)), 10)
		b = append(b, ':')
		b = append(b, part...)
	}
	return string(b)
}

// account returns the account that an attempt is counted for: the ID of the
// record, not the spelling of the request. An unknown name is counted, too, or
// the counters would tell which names exist.
func (a attempt) account() string {
	if a.user.ID != "" {
		return throttleKey("id", a.user.ID)
	}
	return throttleKey("name", a.name)
}

// knownKey is the key in the store while the network is known for the account.
func (a attempt) knownKey() string {
	return throttleKey("known", a.account(), a.network.String())
}

// fromHere is the counter of the account and the browser or network of the
// attempt.
func (a attempt) fromHere() string {
	if a.browser != "" {
		return throttleKey("account and browser", a.account(), a.browser)
	}
	return throttleKey("account and network", a.account(), a.network.String())
}

// charges are the counters of an attempt, for one step of the store.
func (a attempt) charges(o *PasswordsOptions) []store.Charge {
	account := a.account()
	nobody := a.user.ID == ""
	here := store.Charge{Key: a.fromHere(), Limit: o.PerClient, Spare: nobody}
	switch {
	case a.browser != "":
		// A known browser has both limits for itself.
		return []store.Charge{here, {Key: throttleKey("known browser", account, a.browser), Limit: o.PerAccount}}
	case !a.network.IsValid():
		// All clients without an address count as one. With a limit over all
		// names, any of them could lock all others out.
		return []store.Charge{here, {Key: throttleKey("account", account), Limit: o.PerAccount, Spare: nobody}}
	}
	network, known := a.network.String(), a.knownKey()
	charges := []store.Charge{
		{Key: throttleKey("network", network), Limit: o.PerNetwork, Unless: known, Spare: true},
		here,
		{
			Key: throttleKey("account", account), Limit: o.PerAccount, Spare: nobody,
			Unless: known, Instead: throttleKey("known network", account, network),
		},
	}
	if site := client.Site(a.network); site != a.network {
		limit := store.Limit{Max: min(o.PerNetwork.Max, math.MaxInt/siteNetworks) * siteNetworks, Window: o.PerNetwork.Window}
		charges = append(charges, store.Charge{Key: throttleKey("site", site.String()), Limit: limit, Unless: known, Spare: true})
	}
	return charges
}

// settlement is the step of the store after a right password. It resets the
// counter of fromHere (NIST SP 800-63B-4 section 3.2.2), and takes the
// reservation of this attempt back from all others. A login that is repeated
// all day therefore gives nobody else more attempts.
func (a attempt) settlement(reserved []store.Reservation, now time.Time) store.Settlement {
	s := store.Settlement{Forget: []string{a.fromHere()}}
	for _, r := range reserved {
		if r.Key != s.Forget[0] {
			s.Return = append(s.Return, r)
		}
	}
	if a.network.IsValid() {
		s.Remember = store.Memory{Key: a.knownKey(), Group: a.account(), Until: now.Add(knownFor), Most: maxKnown}
	}
	return s
}

// known reports whether the browser or the network of the attempt is known for
// the account.
func (p *Passwords) known(ctx context.Context, a attempt) (bool, error) {
	if a.browser != "" || !a.network.IsValid() {
		return a.browser != "", nil
	}
	known, err := p.attempts.Remembers(ctx, a.knownKey(), time.Now())
	if err != nil {
		return false, fmt.Errorf("auth: look up a known network: %w", err)
	}
	return known, nil
}

// reserve counts an attempt as a wrong one. It returns an [*Error] with status
// 429 if there have been too many.
func (p *Passwords) reserve(ctx context.Context, a attempt) ([]store.Reservation, error) {
	if !a.network.IsValid() {
		p.note(ctx, &p.noted.address, audit.ClientUnknown,
			slog.String(audit.KeyReason, "Verify got a context without an address: see VerifyRequest and WithClientAddr"))
	}
	p.purge.note(ctx, p.log, "Passwords")
	v, err := p.attempts.Charge(ctx, a.charges(&p.opts), time.Now())
	if err != nil {
		return nil, fmt.Errorf("auth: count a password attempt: %w", err)
	}
	if v.Behind > clocksApart {
		p.note(ctx, &p.noted.clocks, audit.ClocksDiffer, slog.Duration(audit.KeyBehind, v.Behind))
	}
	if !v.Allowed {
		return nil, p.throttled(ctx, a, v.RetryAfter, observe.KindPassword)
	}
	return v.Reserved, nil
}

// throttled records and returns a refusal by a kind of limit.
func (p *Passwords) throttled(ctx context.Context, a attempt, wait time.Duration, limit observe.Kind) *Error {
	// No proof must answer a guess that the throttle refuses to compare.
	p.proofs.drop(a.pair())
	p.event(ctx, slog.LevelWarn, audit.PasswordRefused, a.name, "throttled")
	p.hook.One(ctx, observe.Throttled, limit, observe.ReasonThrottled)
	return &Error{
		Status:     http.StatusTooManyRequests,
		Detail:     "Too many attempts. Try again later.",
		RetryAfter: max(wait, time.Second),
	}
}

// flooded returns the time that an attempt must wait if it is part of a flood.
// Otherwise it returns the key of the bucket, for putting a token back after a
// right password.
//
// It keeps floods off the store and limits networks only. An account that the
// network is known for has a bucket of its own.
func (p *Passwords) flooded(ctx context.Context, a attempt) (taken string, wait time.Duration, err error) {
	if !a.network.IsValid() {
		return "", 0, nil
	}
	taken = a.network.String()
	if wait = p.floods.take(taken); wait == 0 {
		return taken, 0, nil
	}
	if known, err := p.known(ctx, a); err != nil || !known {
		return "", wait, err
	}
	taken = a.fromHere()
	return taken, p.floods.take(taken), nil
}

// A pair is an account and a network from which it logs in.
type pair struct {
	userID  string
	network netip.Prefix
}

func (a attempt) pair() pair { return pair{a.user.ID, a.network} }
