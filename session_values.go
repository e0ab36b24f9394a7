package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alexedwards/scs/v2"
)

// hostValues keeps values of the host in sessions, by scs. Only this file knows
// scs. The user and the times of a session are not among the values, and scs
// sees neither the identifier of a session nor the store: it gives encoded
// values to the keeper of the request.
type hostValues struct {
	manager *scs.SessionManager
	key     any // of the values in a context
	seed    maphash.Seed
	// decoded has hashes of gob that this process has decoded.
	decoded *[1024]atomic.Uint64
	// deputies are *deputy. They hold nothing of a request.
	deputies *sync.Pool
}

// heldValues are the encoded values of the session with that ID, with their revision.
// They never change.
type heldValues struct {
	id       int64
	data     []byte
	revision int64
	decoded  map[string]any // what data says, to be cloned; nil if that is not kept
}

// A keeper has the session of a request.
type keeper interface {
	// data returns the values of the session, and false if the request has none.
	data() (*heldValues, bool)
	// share tells the keeper what held, which data has returned, has decoded to, if
	// requests may share the values. It clones the map if it keeps that. The session may
	// have other values by then, or be another one.
	share(held *heldValues, values map[string]any)
	// keep stores encoded values, in a new session if the request has none.
	keep(data []byte) error
	// end ends the session.
	end() error
	// empty returns a context without values, from which keeperOf gets the keeper.
	empty() context.Context
}

// newHostValues returns values for sessions of a lifetime, in the manager of
// the host or, if that is nil, in a new one. KeeperOf must return the keeper
// that a context carries, or nil.
func newHostValues(host *scs.SessionManager, lifetime time.Duration, keeperOf func(context.Context) keeper) (hostValues, error) {
	v := hostValues{
		manager: new(scs.SessionManager), // scs.New would leave a goroutine behind
		seed:    maphash.MakeSeed(),
		decoded: new([1024]atomic.Uint64),
	}
	if host != nil {
		*v.manager = *host // for its context key; the host's stays as it is
	}
	v.manager.Store = scsStore{keeperOf}
	v.manager.Codec = codec{}
	v.manager.IdleTimeout = 0 // it would write with every request
	v.manager.Lifetime = lifetime
	v.manager.HashTokenInStore = false // it has nothing to hash
	probe := &keyProbe{Context: context.Background()}
	if _, err := v.manager.Load(probe, ""); err != nil {
		return hostValues{}, fmt.Errorf("auth: start an scs manager: %w", err)
	}
	v.key = probe.key
	manager := v.manager
	v.deputies = &sync.Pool{New: func() any {
		d := &deputy{manager: *manager}
		d.manager.Store, d.manager.Codec = deputyStore{scsStore{keeperOf}}, &d.codec
		return d
	}}
	return v, nil
}

// requestValues are what scs looks for in the context of one request. They are
// decoded when somebody asks for one. They are safe for concurrent use.
type requestValues struct{ decoded atomic.Value }

var errTwoSessions = errors.New("auth: a request passes two Sessions that share an scs manager: set SessionOptions.Manager")

// of returns what scs looks for in the context of a request whose keeper is k. If the
// values cannot be decoded, that is no values, and an error.
func (v *hostValues) of(values *requestValues, k keeper) (any, error) {
	if data := values.decoded.Load(); data != nil {
		return data, nil
	}
	data, err := v.load(values, k)
	if err != nil {
		data = v.lost(values, k.empty())
	}
	return data, err
}

// lost returns what scs looks for in a context inside ctx that has no values, if nobody
// has asked before.
func (v *hostValues) lost(values *requestValues, ctx context.Context) any {
	if values.decoded.Load() == nil {
		values.decoded.CompareAndSwap(nil, v.none(ctx).Value(v.key))
	}
	return values.decoded.Load()
}

// load decodes the values of a request whose keeper is k. Of those that do so at once
// the first one counts.
func (v *hostValues) load(values *requestValues, k keeper) (any, error) {
	held, ok := k.data()
	if !ok {
		return v.lost(values, k.empty()), nil
	}
	deadline, decoded, err := held.decode(k)
	if err != nil {
		return nil, err
	}
	d := v.deputies.Get().(*deputy)
	d.codec.deadline, d.codec.values = deadline, decoded
	ctx, err := d.manager.Load(k.empty(), scsToken)
	d.codec = changes{}
	v.deputies.Put(d)
	if err != nil {
		return nil, err
	}
	values.decoded.CompareAndSwap(nil, ctx.Value(v.key))
	return values.decoded.Load(), nil
}

// decode returns a map of the values that the request can change.
func (held *heldValues) decode(k keeper) (deadline time.Time, values map[string]any, err error) {
	if held.decoded != nil {
		return deadlineOf(held.data), maps.Clone(held.decoded), nil
	}
	deadline, values, shareable, err := decodeValues(held.data)
	if shareable {
		k.share(held, values)
	}
	return deadline, values, err
}

// checkGob returns an error if the values of a request cannot be decoded. It decodes
// them only if this process has not decoded the same gob lately, because that
// is slow.
func (v *hostValues) checkGob(values *requestValues, k keeper) error {
	held, _ := k.data()
	hash := maphash.Bytes(v.seed, held.data[codecHeader:])
	known := &v.decoded[hash%uint64(len(v.decoded))]
	if known.Load() == hash {
		return nil
	}
	_, err := v.load(values, k)
	if err == nil {
		known.Store(hash)
	}
	return err
}

// none returns ctx with no values. Values that are put into it are lost.
func (v *hostValues) none(ctx context.Context) context.Context {
	with, err := v.manager.Load(ctx, "")
	if err != nil { // nothing is read
		return ctx
	}
	return with
}

// changed reports whether the host changed values, which ctx carries.
func (v *hostValues) changed(values *requestValues, ctx context.Context) bool {
	return values.decoded.Load() != nil && v.manager.Status(ctx) == scs.Modified
}

// flush gives the values of ctx to its keeper, changed or not. They are encoded
// once, and not at all if they are those that stored is the encoded form of.
func (v *hostValues) flush(ctx context.Context, stored []byte) error {
	d := v.deputies.Get().(*deputy)
	d.codec.stored = stored
	_, _, err := d.manager.Commit(ctx)
	d.codec = changes{}
	v.deputies.Put(d)
	return err
}

// deputy is the manager for the values of one request after the other.
type deputy struct {
	manager scs.SessionManager
	codec   changes
}

// changes is a codec for values that may be encoded or decoded already.
type changes struct {
	codec
	stored   []byte
	deadline time.Time
	values   map[string]any
}

// Decode implements scs.Codec.
func (c changes) Decode([]byte) (time.Time, map[string]any, error) {
	return c.deadline, c.values, nil
}

// deputyStore is the store of a deputy, whose codec has the values.
type deputyStore struct{ scsStore }

// FindCtx implements scs.CtxStore.
func (deputyStore) FindCtx(context.Context, string) ([]byte, bool, error) { return nil, true, nil }

// Encode implements scs.Codec.
func (c changes) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	if holdsValues(c.stored, values) {
		return c.stored, nil
	}
	return c.codec.Encode(deadline, values)
}

// clear removes the values of ctx, which is a change.
func (v *hostValues) clear(ctx context.Context) error { return v.manager.Clear(ctx) }

// forget removes the values of ctx together with the session of its keeper.
func (v *hostValues) forget(ctx context.Context) error { return v.manager.Destroy(ctx) }

// drop removes the values of a session that has ended, which ctx still carries, so that
// no later session of the request gets them.
func (v *hostValues) drop(values *requestValues, ctx context.Context) error {
	if values.decoded.Load() == nil {
		return nil
	}
	return v.forget(ctx)
}

// reset leaves a request whose keeper is k without values. It takes no lock of scs, which
// may have called for the end of the session. Goroutines that decode at the same time
// come too late.
func (v *hostValues) reset(values *requestValues, k keeper) {
	values.decoded.Store(v.none(k.empty()).Value(v.key))
}

// scsToken stands for the identifier of every stored session, which scs does
// not see.
const scsToken = "session"

// scsStore is a store of scs that keeps the session of the request.
type scsStore struct{ keeperOf func(context.Context) keeper }

var errNoRequest = errors.New("auth: scs: the context is not of a request that passed Session.Handler")

// Find, Commit and Delete are never called: scs prefers the methods below.
func (scsStore) Find(string) ([]byte, bool, error)      { return nil, false, errNoRequest }
func (scsStore) Commit(string, []byte, time.Time) error { return errNoRequest }
func (scsStore) Delete(string) error                    { return errNoRequest }

// FindCtx implements scs.CtxStore.
func (s scsStore) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	k := s.keeperOf(ctx)
	if k == nil {
		return nil, false, errNoRequest
	}
	held, ok := k.data()
	return bytes.Clone(held.data), ok && token == scsToken, nil // a clone, because requests share the data
}

// CommitCtx implements scs.CtxStore. The identifier and the expiry are not for
// scs to decide.
func (s scsStore) CommitCtx(ctx context.Context, _ string, data []byte, _ time.Time) error {
	k := s.keeperOf(ctx)
	if k == nil {
		return errNoRequest
	}
	return k.keep(data)
}

// DeleteCtx implements scs.CtxStore. The host called Destroy or RenewToken.
func (s scsStore) DeleteCtx(ctx context.Context, _ string) error {
	k := s.keeperOf(ctx)
	if k == nil {
		return errNoRequest
	}
	return k.end()
}

// keyProbe finds the key under which scs looks for its values in a context.
type keyProbe struct {
	context.Context
	key any
}

func (p *keyProbe) Value(key any) any {
	p.key = key
	return nil
}
