package sqltest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/storetest"
)

// linearNow is the instant at which everything happens.
var linearNow = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// A grantCall is a call about one code and everything issued for it. All tokens
// of a key belong to the user of that name.
type grantCall struct {
	Do    string // redeem, rotate, mint, revoke, revoke all or access
	Name  int32  // the token to rotate, mint from, revoke or check
	New   int32  // the token to issue
	Grace bool
}

// A grantAnswer is what a store said.
type grantAnswer struct {
	Err      string // a sentinel, "" for none
	Name     int32  // of the token returned
	Replayed bool
	Dead     bool // access: the token is revoked
}

func numbered(kind string, name int32) store.Digest {
	return store.DigestOf(fmt.Sprintf("%s %d", kind, name))
}

// grantToken is the token of that name. The epoch tells the name again.
func grantToken(key string, name int32) store.Token {
	return store.Token{
		Digest: numbered("access", name), UserID: key, ApplicationID: 1, Scopes: "read", Epoch: int64(name),
		Created: linearNow, Modified: linearNow, Expires: linearNow.Add(hour),
		Refresh: store.Refresh{Digest: numbered("refresh", name), Scopes: "read", Expires: linearNow.Add(2 * hour), Grant: store.DigestOf("grant " + key)},
	}
}

// sentinel names the sentinel in err. What is left is an outage.
func sentinel(err error) (string, error) {
	for _, s := range []error{store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrUsed} {
		if errors.Is(err, s) {
			return s.Error(), nil
		}
	}
	return "", err
}

var grantWorkload = workload{
	name: "grants",
	prepare: func(t *testing.T, st storetest.Store, key string) {
		err := st.InsertCode(t.Context(), store.Code{
			Digest: store.DigestOf(key), ApplicationID: 1, UserID: key, Created: linearNow, Expires: linearNow.Add(hour),
		}, anyNumber)
		if err != nil {
			t.Fatal(err)
		}
	},
	call:  callGrants,
	model: porcupine.Model{Init: func() any { return grantState{} }, Step: stepGrants},
}

func callGrants(h *history, key string) (any, any, error) {
	ctx, in, out := h.t.Context(), grantCall{Name: h.someName(key)}, grantAnswer{}
	var err error
	switch n := rand.IntN(100); {
	case n < 3, n < 50 && in.Name == 0:
		in = grantCall{Do: "redeem", New: h.newName()}
		var tok store.Token
		tok, err = h.st.Redeem(ctx, store.Redemption{
			Code: store.DigestOf(key), ApplicationID: 1, At: linearNow, Token: grantToken(key, in.New),
		})
		out.Name = int32(tok.Epoch)
	case n < 55:
		in.Do, in.Grace, in.New = "rotate", rand.IntN(4) > 0, h.newName()
		r := store.Rotation{Refresh: numbered("refresh", in.Name), ApplicationID: 1, Revision: 1, At: linearNow, Token: grantToken(key, in.New)}
		if in.Grace {
			r.Grace = time.Minute
		}
		var o store.RotateOutcome
		o, err = h.st.Rotate(ctx, r)
		out.Name, out.Replayed = int32(o.Token.Epoch), o.Replayed
	case n < 65:
		in.Do, in.New = "mint", h.newName()
		tok := grantToken(key, in.New)
		// The family of a token never changes, so this read is not part of the call. If
		// the record was removed, another one of the family will do.
		parent, perr := h.st.TokenByDigest(ctx, numbered("access", in.Name))
		if perr != nil {
			if parent, perr = h.st.TokenByGrant(ctx, tok.Refresh.Grant); perr == nil {
				in.Name = int32(parent.Epoch)
			}
		}
		tok.Refresh = store.Refresh{}
		if tok.ParentID = parent.Family; perr != nil {
			tok.ParentID = 1 << 40
		}
		tok, err = h.st.InsertToken(ctx, tok, limits)
		out.Name = int32(tok.Epoch)
	case n < 68:
		in.Do = "revoke"
		sel := store.Selection{UserID: key, TokenID: 1 << 40}
		if tok, terr := h.st.TokenByDigest(ctx, numbered("access", in.Name)); terr == nil {
			sel.TokenID = tok.ID
		}
		_, err = h.st.RevokeTokens(ctx, sel, linearNow)
	case n < 69:
		in = grantCall{Do: "revoke all"}
		_, err = h.st.RevokeTokens(ctx, store.Selection{UserID: key}, linearNow)
	default:
		in.Do = "access"
		var a store.Access
		a, err = h.st.AccessByDigest(ctx, numbered("access", in.Name))
		out.Name, out.Dead = int32(a.Epoch), !a.Revoked.IsZero()
	}
	if in.New != 0 {
		h.returned(key, in.New, err == nil && out.Name == in.New)
	}
	out.Err, err = sentinel(err)
	return in, out, err
}

// A modelToken is a token in the model. Positions count from 1; 0 is none.
type modelToken struct {
	name   int32
	state  tokenState
	family int8 // its first token
	parent int8 // the family that minted it
	next   int8 // what it was rotated to

	refresh bool
}

type tokenState uint8

const (
	live tokenState = iota
	spent
	dead
)

type grantState struct {
	redeemed bool
	cut      bool // the code is gone, since all of the user was revoked
	n        int8
	tokens   [64]modelToken
}

// find returns the position of a token, 0 if there is none.
func (s *grantState) find(name int32) int8 {
	for i := range s.n {
		if s.tokens[i].name == name {
			return i + 1
		}
	}
	return 0
}

// add puts in a token, as the first of its family if that is 0.
func (s *grantState) add(t modelToken) int8 {
	s.n++
	if t.family == 0 {
		t.family = s.n
	}
	s.tokens[s.n-1] = t
	return s.n
}

// lives reports whether a token of a family is live.
func (s *grantState) lives(family int8) bool {
	for _, t := range s.tokens[:s.n] {
		if t.family == family && t.state == live {
			return true
		}
	}
	return false
}

// endAll ends every token: all go back to the one code.
func (s *grantState) endAll() {
	for i := range s.n {
		if s.tokens[i].state == live {
			s.tokens[i].state = dead
		}
	}
}

// end ends a token and, if it was the last live one of its family, what that
// minted.
func (s *grantState) end(at int8) {
	t := &s.tokens[at-1]
	if t.state == live {
		t.state = dead
	}
	if s.lives(t.family) {
		return
	}
	for i := range s.n {
		if s.tokens[i].parent == t.family {
			s.end(i + 1)
		}
	}
}

func stepGrants(state, input, output any) (bool, any) {
	s, in, got := state.(grantState), input.(grantCall), output.(grantAnswer)
	var want grantAnswer
	notFound, conflict, used := store.ErrNotFound.Error(), store.ErrConflict.Error(), store.ErrUsed.Error()
	at := s.find(in.Name)
	switch in.Do {
	case "redeem":
		if s.cut {
			want.Err = notFound
			break
		}
		if s.redeemed {
			want.Err = used
			s.endAll()
			break
		}
		s.redeemed, want.Name = true, in.New
		s.add(modelToken{name: in.New, refresh: true})
	case "rotate":
		if at == 0 || !s.tokens[at-1].refresh {
			if want.Err = notFound; s.n > 0 { // for all that the store knows it was one of the grant
				want.Err = used
				s.endAll()
			}
			// A redemption that a revocation of all has overtaken leaves a token that was
			// dead when it came, perhaps after others were told that the code is gone.
			// Nothing of the grant will ever be live: either answer is true.
			if s.cut && got.Err == notFound {
				want.Err = notFound
			}
			break
		}
		if s.tokens[at-1].state == dead {
			want.Err = notFound
			break
		}
		if old := s.tokens[at-1]; old.state == spent {
			if next := s.tokens[old.next-1]; in.Grace && next.state == live {
				want.Name, want.Replayed = next.name, true
				break
			}
			want.Err = used
			s.endAll()
			break
		}
		next := s.add(modelToken{name: in.New, refresh: true, family: s.tokens[at-1].family})
		s.tokens[at-1].state, s.tokens[at-1].next = spent, next
		want.Name = in.New
	case "mint":
		if at == 0 || !s.lives(s.tokens[at-1].family) {
			want.Err = conflict
			break
		}
		s.add(modelToken{name: in.New, parent: s.tokens[at-1].family})
		want.Name = in.New
	case "revoke":
		if at != 0 {
			s.end(at)
		}
	case "revoke all":
		s.cut = true
		s.endAll()
	case "access":
		if at == 0 {
			want.Err = notFound
			break
		}
		if next := s.tokens[at-1].next; next != 0 && s.tokens[next-1].state == spent {
			want.Err = notFound // removed when its successor was spent
			break
		}
		want.Name, want.Dead = in.Name, s.tokens[at-1].state != live
	}
	return got == want, s
}

// racyGrants decides by what it read a while ago.
func racyGrants(st storetest.Store) storetest.Store { return grantsInSteps{st} }

type grantsInSteps struct{ storetest.Store }

func (s grantsInSteps) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	old, err := s.TokenByRefresh(ctx, r.Refresh)
	if err != nil || !old.Revoked.IsZero() {
		return s.Store.Rotate(ctx, r)
	}
	gap()
	out, err := s.Store.Rotate(ctx, r)
	if errors.Is(err, store.ErrUsed) || out.Replayed {
		tok, err := s.InsertToken(ctx, r.Token, limits)
		return store.RotateOutcome{Token: tok}, err
	}
	return out, err
}

// A redemption that a revocation of all overtook is explained, whatever is said
// meanwhile of a token that nobody has; without the revocation it is not.
func TestOvertakenRedemption(t *testing.T) {
	notFound := grantAnswer{Err: store.ErrNotFound.Error()}
	op := func(client int, call, end int64, in grantCall, out grantAnswer) porcupine.Operation {
		return porcupine.Operation{ClientId: client, Call: call, Return: end, Input: in, Output: out}
	}
	redeem := op(0, 10, 90, grantCall{Do: "redeem", New: 1}, grantAnswer{Name: 1})
	revokeAll := op(1, 20, 40, grantCall{Do: "revoke all"}, grantAnswer{})
	second := op(2, 30, 50, grantCall{Do: "redeem", New: 2}, notFound)
	unknown := op(2, 60, 70, grantCall{Do: "rotate", Name: 7, New: 3, Grace: true}, notFound)
	alive := op(2, 95, 99, grantCall{Do: "access", Name: 1}, grantAnswer{Name: 1})
	late := unknown
	late.Call, late.Return = 95, 99
	for name, tt := range map[string]struct {
		ops  []porcupine.Operation
		want bool
	}{
		"overtaken":                 {[]porcupine.Operation{redeem, revokeAll, second, unknown}, true},
		"overtaken, and yet alive":  {[]porcupine.Operation{redeem, revokeAll, second, unknown, alive}, false},
		"no revocation":             {[]porcupine.Operation{redeem, late}, false},
		"no revocation, and a code": {[]porcupine.Operation{redeem, second}, false},
	} {
		if got := porcupine.CheckOperations(grantWorkload.model, tt.ops); got != tt.want {
			t.Errorf("%s: explained: %t, want %t", name, got, tt.want)
		}
	}
}
