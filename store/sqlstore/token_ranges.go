package sqlstore

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/ostiary/auth/store"
)

const (
	// mostRanges is how many applications have a range each. Those of more are
	// one range, through which the planner finds a way.
	mostRanges = 64

	// mostParts is how many parts a union has: as many as a page of applications,
	// and fewer than SQLite takes.
	mostParts = 200

	// mostCuts is how many cut-offs are conditions. With more of them the
	// statement looks them up for each token.
	mostCuts = 8
)

// A tokenRange is conditions on t, of which the first is about the beginning of an
// index.
type tokenRange struct {
	filter
	index       string // by ID, "" for any that the planner finds
	application int64  // the only one whose tokens are in it, 0 if nobody needs to know
	overlaps    bool   // tokens in it may be in other ranges, too
}

// rangeOf returns what a condition finds by an index and others leave.
func rangeOf(index string, others filter, condition string, args ...any) tokenRange {
	r := tokenRange{index: index}
	if condition != "" {
		r.and(condition, args...)
	}
	r.add(others)
	return r
}

// where returns the conditions behind others.
func (r tokenRange) where() string {
	if r.parts == nil {
		return ""
	}
	return " AND " + r.text()
}

// union returns what arm returns for each of the ranges, as one query with the
// arguments of all of them. What arm returns twice is in it once if the ranges
// overlap.
func union(ranges []tokenRange, arm func(r tokenRange) string) (query string, args []any) {
	with := "\n\tUNION ALL"
	if slices.ContainsFunc(ranges, func(r tokenRange) bool { return r.overlaps }) {
		with = "\n\tUNION"
	}
	var b strings.Builder
	for i, r := range ranges {
		if len(ranges) == 1 {
			return arm(r), r.args
		}
		if i > 0 {
			b.WriteString(with)
		}
		// Not every database takes a limit in a part of a union.
		b.WriteString("\n\tSELECT * FROM (" + arm(r) + ") r" + strconv.Itoa(i))
		args = append(args, r.args...)
	}
	return b.String(), args
}

// An order is the expressions on t by which tokens are ordered.
type order struct {
	dialect    Dialect
	columns    []string
	descending bool
	ofUser     string // the index that has the tokens of a user in order
	byID       bool
}

func (s *Store) tokenOrder(p store.Page) order {
	o := order{dialect: s.dialect, descending: p.Descending, ofUser: indexListed}
	switch p.Order {
	case store.OrderCreated:
		o.columns, o.ofUser = []string{"t.created_at"}, indexCreated
	case store.OrderModified:
		o.columns, o.ofUser = []string{"t.modified_at"}, indexModified
	case store.OrderExpires:
		o.columns, o.ofUser = []string{"t.expires_at"}, indexExpiring
	case store.OrderLastUsed:
		// Databases disagree where NULL goes.
		o.columns = []string{"CASE WHEN t.last_used_at IS NULL THEN 0 ELSE 1 END", "t.last_used_at"}
	}
	o.byID = o.columns == nil
	o.columns = append(o.columns, "t.id")
	return o
}

// by returns the clause that orders tokens.
func (o order) by() string { return orderBy(o.descending, o.columns...) }

// live returns the rest of a query for tokens of a range, in order.
func (o order) live(r tokenRange) string {
	index := ""
	switch {
	case r.index == indexListed:
		index = o.ofUser
	case o.byID:
		index = r.index
	}
	return o.dialect.tokensBy(index) + whereLive + r.where() + o.dialect.orderLive(o.descending, o.columns...)
}

// ids returns a query for the IDs of a page.
func (o order) ids(ranges []tokenRange, limit, offset int) (query string, args []any) {
	if len(ranges) == 1 {
		r := ranges[0]
		return tokenIDs + o.live(r) + limitTo(limit) + " OFFSET ?", append(slices.Clip(r.args), offset)
	}
	keys := make([]string, len(o.columns))
	columns := ""
	for i, column := range o.columns {
		keys[i] = "u.k" + strconv.Itoa(i)
		columns += ", " + column + " AS k" + strconv.Itoa(i)
	}
	query, args = union(ranges, func(r tokenRange) string {
		return tokenIDs + columns + o.live(r) + limitTo(offset+limit)
	})
	return mergedIDs + query + mergedIDsEnd + orderBy(o.descending, keys...) + limitTo(limit) + " OFFSET ?", append(args, offset)
}

// tokenRanges returns where the tokens are that f names, none if there are none.
func (s *Store) tokenRanges(ctx context.Context, f store.TokenFilter) ([]tokenRange, error) {
	narrow, some, err := s.narrowed(f)
	v := visibleOf(f)
	if !some || v.nothing() || err != nil {
		return nil, errors.Join(err, ctx.Err())
	}
	uncut, err := s.uncut(ctx, v.only(f))
	if err != nil {
		return nil, err
	}
	narrow.add(uncut)
	if v.all {
		return []tokenRange{rangeOf(indexOf(f), narrow, "")}, nil
	}
	var ranges []tokenRange
	if v.user != "" && (f.OwnerID == "" || f.OwnerID == v.user) {
		own := rangeOf(indexOf(store.TokenFilter{ID: f.ID, OwnerID: v.user}), narrow, "t.user_id = ?", v.user)
		own.overlaps = true
		ranges = append(ranges, own)
	}
	if len(v.organizations) == 0 {
		return ranges, nil
	}
	if f.OwnerID == "" && f.ID == 0 {
		var among []int64
		if f.ApplicationID != 0 {
			among = []int64{f.ApplicationID}
		}
		applications, err := s.applicationsIn(ctx, v.organizations, among)
		if err != nil {
			return nil, err
		}
		if len(applications) <= mostRanges {
			for _, id := range applications {
				ranges = append(ranges, rangeOf(indexIssued, narrow, "t.application_id = ?", id))
			}
			return ranges, nil
		}
	}
	return append(ranges, rangeOf("", narrow, inOrganizations+inList(len(v.organizations))+")", numbers(v.organizations)...)), nil
}

// indexOf returns the index of what f names if all may be listed.
func indexOf(f store.TokenFilter) string {
	switch {
	case f.ID != 0, f.OwnerID != "" && f.ApplicationID != 0:
		return ""
	case f.OwnerID != "":
		return indexListed
	case f.ApplicationID != 0:
		return indexIssued
	}
	return indexEvery
}

// applicationRanges returns the ranges of the tokens that f names and that belong to
// one of the applications, one for each that may have some. What a cut-off ended is
// in them.
func (s *Store) applicationRanges(ctx context.Context, applications []int64, f store.TokenFilter) ([]tokenRange, error) {
	narrow, some, err := s.narrowed(f)
	v := visibleOf(f)
	if !some || v.nothing() || len(applications) == 0 || err != nil {
		return nil, errors.Join(err, ctx.Err())
	}
	var administered []int64
	if len(v.organizations) > 0 {
		if administered, err = s.applicationsIn(ctx, v.organizations, applications); err != nil {
			return nil, err
		}
	}
	var ranges []tokenRange
	for _, id := range applications {
		var r tokenRange
		switch {
		case v.all, slices.Contains(administered, id):
			r = rangeOf(indexOf(store.TokenFilter{ID: f.ID, ApplicationID: id}), narrow, "t.application_id = ?", id)
		case v.user != "":
			r = rangeOf("", narrow, "t.user_id = ? AND t.application_id = ?", v.user, id)
		default:
			continue
		}
		r.application = id
		ranges = append(ranges, r)
	}
	return ranges, nil
}

// applicationsIn returns the applications of organizations that are among others,
// nil for any. Of those it returns more than mostRanges if there are more.
func (s *Store) applicationsIn(ctx context.Context, organizations, among []int64) ([]int64, error) {
	query, args := applicationsOf+inList(len(organizations)), numbers(organizations)
	if among != nil {
		query, args = query+amongThem+inList(len(among)), append(args, numbers(among)...)
	}
	return list(ctx, s, "list applications of organizations", query+limitTo(max(mostRanges+1, len(among))), args,
		func(scan func(...any) error) (id int64, err error) {
			return id, scan(&id)
		})
}

// visible says whose tokens may be listed.
type visible struct {
	all           bool
	user          string
	organizations []int64
}

// visibleOf returns who may be listed, without those whom f leaves out anyway.
func visibleOf(f store.TokenFilter) visible {
	v := visible{f.All, f.UserID, f.Organizations}
	if checkText([]any{v.user}) != nil {
		v.user = "" // no token's
	}
	if f.All {
		return visible{all: true}
	}
	if f.Kind == store.PersonalToken || f.OwnerID != "" && f.OwnerID == v.user {
		v.organizations = nil
	}
	return v
}

func (v visible) nothing() bool { return !v.all && v.user == "" && len(v.organizations) == 0 }

// only returns the one user whose tokens can be listed, "" for several.
func (v visible) only(f store.TokenFilter) string {
	if f.OwnerID == "" && len(v.organizations) == 0 {
		return v.user
	}
	return f.OwnerID
}

// uncut returns the conditions that leave out what a cut-off ended. Those that
// concern one user are read before, so that they can be told from an index.
func (s *Store) uncut(ctx context.Context, user string) (f filter, err error) {
	if user != "" {
		known, err := s.uncutOf(ctx, user, &f)
		if err != nil || known {
			return f, err
		}
	}
	newest, err := list(ctx, s, "look up the newest cut-off", newestCutoffs, nil, func(scan func(...any) error) (seq int64, err error) {
		return seq, scan(&seq)
	})
	if err == nil && len(newest) > 0 {
		alive := cutToken + " IS NULL"
		if s.dialect == Postgres {
			alive = notCut
		}
		f.and("(t.seq >= ? OR "+alive+")", newest[0])
	}
	return f, err
}

// with returns ranges with further conditions.
func with(ranges []tokenRange, more filter) []tokenRange {
	ranges = slices.Clone(ranges)
	for i := range ranges {
		r := &ranges[i]
		r.filter = filter{slices.Clip(r.parts), slices.Clip(r.args)}
		r.add(more)
	}
	return ranges
}

// uncutOf adds the conditions for the tokens of a user, unless they are too many.
func (s *Store) uncutOf(ctx context.Context, user string, f *filter) (known bool, err error) {
	cuts, err := list(ctx, s, "look up cut-offs of a user", cutoffsOfUser+limitTo(mostCuts+1), []any{user},
		func(scan func(...any) error) (c cutoff, err error) {
			return c, scan(&c.applicationID, &c.seq)
		})
	if err != nil || len(cuts) > mostCuts {
		return false, err
	}
	var each filter
	newest := int64(0)
	for _, c := range cuts {
		newest = max(newest, c.seq)
		if c.applicationID == 0 {
			each.and("t.seq >= ?", c.seq)
		} else {
			each.and("("+viaToken+" <> ? OR t.seq >= ?)", c.applicationID, c.seq)
		}
	}
	if each.parts != nil {
		f.and("(t.seq >= ? OR "+each.text()+")", append([]any{newest}, each.args...)...)
	}
	return true, nil
}
