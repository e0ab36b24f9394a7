package sqlstore

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

// A lineage is the families above a token, from the root down.
type lineage struct {
	above []int64
	bound int // the last so many of them must live
}

// lineageOf reads the column ancestors. Before the families that are independent
// of those above stands an exclamation mark. Tokens that an older version stored
// know their parent alone.
func lineageOf(ancestors string, parent int64, independent bool) lineage {
	var l lineage
	for word := range strings.FieldsSeq(ancestors) {
		digits, free := strings.CutPrefix(word, "!")
		if free {
			l.bound = 0
		}
		id, _ := strconv.ParseInt(digits, 10, 64) // 0 is no family: nothing of it lives
		l.above = append(l.above, id)
		l.bound++
	}
	if l.above == nil && parent != 0 {
		l = lineage{[]int64{parent}, 1}
	}
	if independent {
		l.bound = 0
	}
	return l
}

// below returns the column ancestors of a token's children.
func (r *tokenRecord) below() string {
	var words []string
	above := r.lineage().above
	if r.ancestors != "" {
		words = strings.Fields(r.ancestors)
	} else if len(above) > 0 {
		words = []string{strconv.FormatInt(above[0], 10)}
	}
	mark := ""
	if r.Independent {
		mark = "!"
	}
	return strings.Join(append(words, mark+strconv.FormatInt(r.Family, 10)), " ")
}

// mustLive are the families that end a token if nothing of them lives.
func (l lineage) mustLive() []int64 { return l.above[len(l.above)-l.bound:] }

// ended returns the instant at which a token ended because of its lineage, or
// the zero time. It returns issued if the instant is not known.
func (l lineage) ended(live int, cut, issued time.Time) time.Time {
	switch {
	case !cut.IsZero():
		return cut
	case live >= l.bound:
		return time.Time{}
	case issued.IsZero():
		return time.UnixMicro(0).UTC()
	}
	return issued
}

// args are those of lineageState.
func (l lineage) args(seq int64) []any {
	const none int64 = math.MinInt64 // no family has it; imported ones have numbers down to -2⁶²
	args := make([]any, 0, 2*store.MaxDepth+1)
	for _, list := range [][]int64{l.mustLive(), l.above} {
		for i := range store.MaxDepth {
			if i < len(list) {
				args = append(args, list[len(list)-1-i])
			} else {
				args = append(args, none)
			}
		}
	}
	return append(args, seq)
}

// deep reports whether there are more families above than are read. An older
// version stored such tokens.
func (l lineage) deep() bool { return len(l.above) > store.MaxDepth }

// endedAbove returns the instant at which tokens of the lineage ended because
// of it. get runs lineageState.
func (l lineage) endedAbove(seq int64, issued time.Time, get func(args []any, dest ...any) error) (time.Time, error) {
	if len(l.above) == 0 {
		return time.Time{}, nil
	}
	var live int
	var cut time.Time
	if err := get(l.args(seq), &live, when(&cut)); err != nil {
		return time.Time{}, err
	}
	if l.deep() {
		live = -1
	}
	return l.ended(live, cut, issued), nil
}

// settle completes a token that was read alone. get runs lineageState.
func (r *tokenRecord) settle(get func(args []any, dest ...any) error) error {
	r.complete()
	if !r.Revoked.IsZero() {
		return nil
	}
	var err error
	r.Revoked, err = r.lineage().endedAbove(r.seq, r.Created, get)
	return err
}

func (s *Store) settle(ctx context.Context, r *tokenRecord) error {
	return r.settle(func(args []any, dest ...any) error {
		return s.get(ctx, "look up the ancestors of a token", lineageState, args, dest...)
	})
}

func (t *tx) settle(r *tokenRecord) error {
	return r.settle(func(args []any, dest ...any) error { return t.get(lineageState, args, dest...) })
}

// settleAll completes the tokens of a page, by two statements at most. It drops
// those that have ended.
func (s *Store) settleAll(ctx context.Context, page []tokenRecord) ([]store.Token, error) {
	var families []int64
	for i := range page {
		page[i].complete()
		families = append(families, page[i].lineage().above...)
	}
	slices.Sort(families)
	families = slices.Compact(families)
	live, cuts := map[int64]bool{}, map[int64]familyCut{}
	err := inBatches(families, func(in string, args []any) error {
		_, err := list(ctx, s, "list the ancestors of tokens", liveFamilies+in, args, func(scan func(...any) error) (none struct{}, err error) {
			var id int64
			err = scan(&id)
			live[id] = true
			return none, err
		})
		if err != nil {
			return err
		}
		_, err = list(ctx, s, "list cut-offs", familyCutoffs+in, args, func(scan func(...any) error) (none struct{}, err error) {
			var id int64
			var c familyCut
			err = scan(&id, &c.seq, when(&c.at))
			cuts[id] = c
			return none, err
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	var all []store.Token
	for _, r := range page {
		l := r.lineage()
		dead := l.deep() || slices.ContainsFunc(l.mustLive(), func(id int64) bool { return !live[id] }) ||
			slices.ContainsFunc(l.above, func(id int64) bool { return r.seq < cuts[id].seq })
		if !dead {
			all = append(all, r.Token)
		}
	}
	return all, nil
}

type familyCut struct {
	seq int64
	at  time.Time
}
