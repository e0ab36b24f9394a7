package sqlstore

import (
	"context"
	"errors"
	"iter"
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

	// mostValues is how many arguments a union has, below the 32766 that SQLite takes.
	mostValues = 20_000

	// mostCuts is how many cut-offs are conditions. With more of them the
	// statement looks them up for each token, see mostNaming.
	mostCuts = 64

	// mostNaming is among how many cut-offs it first asks whether any names the user or the
	// application. For that it reads them all, and where there are more, that would take
	// longer than a page.
	mostNaming = 2_000

	// mostSpared is how many conditions on cut-offs a union has. Each part has its own,
	// and the planner takes the longer the more there are.
	mostSpared = 640
)

// A rowRange is conditions on rows, of which the first is about the beginning of an
// index. Those of tokens are called t, those of the activity stream e.
type rowRange struct {
	filter
	index       string // by ID, "" for any that the planner finds
	column      string // with which the index begins, "" for no one
	value       any    // the only one that the column has, nil for any
	application int64  // the only one whose tokens are in it, 0 if nobody needs to know
	overlaps    bool   // rows in it may be in later ranges, too
	apart       filter // leaves out those that another range has, by the columns of tokenOwners
}

// rangeOf returns the tokens with a value of the column with which an index begins,
// as far as others leave them.
func (s *Store) rangeOf(index string, others filter, column string, value any) rowRange {
	r := rowRange{index: index, column: column, value: value}
	r.only(s.dialect, column, value)
	r.add(others)
	return r
}

// where returns the conditions behind others.
func (r rowRange) where() string {
	if r.parts == nil {
		return ""
	}
	return " AND " + r.text()
}

// union returns what arm returns for each of the ranges, as one query with the
// arguments of all of them. What arm returns twice is in it once if the ranges
// overlap.
func union(ranges []rowRange, arm func(r rowRange) string) (query string, args []any) {
	with := "\n\tUNION ALL"
	if slices.ContainsFunc(ranges, func(r rowRange) bool { return r.overlaps }) {
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

// sum returns a query for the sum of the numbers that arm asks for, with the arguments
// of all ranges.
func sum(ranges []rowRange, arm func(r rowRange) string) (query string, args []any) {
	var arms []string
	for _, r := range ranges {
		arms = append(arms, "("+arm(r)+")")
		args = append(args, r.args...)
	}
	return "\n\tSELECT " + strings.Join(arms, " + "), args
}

// unions cuts ranges into those of one union each.
func unions(ranges []rowRange) iter.Seq[[]rowRange] {
	return func(yield func([]rowRange) bool) {
		from, values := 0, 0
		for i, r := range ranges {
			if i-from == mostParts || i > from && values+len(r.args) > mostValues {
				if !yield(ranges[from:i]) {
					return
				}
				from, values = i, 0
			}
			values += len(r.args)
		}
		if from < len(ranges) {
			yield(ranges[from:])
		}
	}
}

// fit reports whether so many ranges can be one union, and another one with them, if
// each of them is narrowed by f.
func (f filter) fit(ranges int) bool {
	const own = 4 // values that a range has besides those of f
	return ranges <= mostRanges && (ranges+1)*(len(f.args)+own) <= mostValues
}

// tokenRanges returns where the tokens are that f names, none if there are none. What a
// cut-off ended is in them.
func (s *Store) tokenRanges(ctx context.Context, f store.TokenFilter) (ranges []rowRange, uncut sparing, err error) {
	narrow, some, err := s.narrowed(f)
	v := visibleOf(f)
	if !some || v.nothing() || err != nil {
		return nil, uncut, errors.Join(err, ctx.Err())
	}
	uncut, err = s.uncut(ctx, v.only(f), 1)
	if err != nil {
		return nil, uncut, err
	}
	if v.all {
		return []rowRange{{index: indexOf(f), column: columnOf(f), filter: narrow}}, uncut, nil
	}
	owns := v.user != "" && (f.OwnerID == "" || f.OwnerID == v.user)
	if owns {
		own := s.rangeOf(indexOf(store.TokenFilter{ID: f.ID, OwnerID: v.user}), narrow, "t.user_id", v.user)
		own.overlaps = true
		ranges = append(ranges, own)
	}
	if len(v.organizations) == 0 {
		return ranges, uncut, nil
	}
	if f.OwnerID == "" && f.ID == 0 {
		var among []int64
		if f.ApplicationID != 0 {
			among = []int64{f.ApplicationID}
		}
		applications, err := s.applicationsIn(ctx, v.organizations, among)
		if err != nil {
			return nil, uncut, err
		}
		if narrow.with(uncut.filter).fit(len(applications)) {
			if owns && len(applications) > 0 {
				ranges[0].apart.and("v.application_id NOT"+inList(len(applications)), numbers(applications)...)
			}
			for _, id := range applications {
				ranges = append(ranges, s.rangeOf(indexIssued, narrow, "t.application_id", id))
			}
			return ranges, uncut, nil
		}
	}
	rest := rowRange{column: columnOf(f)}
	rest.and(inOrganizations+inList(len(v.organizations))+")", numbers(v.organizations)...)
	rest.add(narrow)
	if owns {
		rest.apart.and("v.user_id <> ?", v.user)
	}
	return append(ranges, rest), uncut, nil
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

// columnOf returns the column with which the index begins that has the fewest of the
// tokens that f names.
func columnOf(f store.TokenFilter) string {
	switch {
	case f.OwnerID != "":
		return "t.user_id"
	case f.ApplicationID != 0:
		return "t.application_id"
	}
	return ""
}

// applicationRanges returns the ranges of the tokens that f names and that belong to
// one of the applications, one for each that may have some. What a cut-off ended is
// in them.
func (s *Store) applicationRanges(ctx context.Context, applications []int64, f store.TokenFilter) ([]rowRange, error) {
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
	var ranges []rowRange
	for _, id := range applications {
		var r rowRange
		switch {
		case v.all, slices.Contains(administered, id):
			r = s.rangeOf(indexOf(store.TokenFilter{ID: f.ID, ApplicationID: id}), narrow, "t.application_id", id)
		case v.user != "":
			r = s.rangeOf("", narrow, "t.user_id", v.user)
			r.only(s.dialect, "t.application_id", id)
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
	var others filter
	most := mostRanges + 1
	if among != nil {
		others.and("a.id"+inList(len(among)), numbers(among)...)
		most = max(most, len(among))
	}
	var ranges []rowRange
	for _, id := range slices.Compact(slices.Sorted(slices.Values(organizations))) {
		ranges = append(ranges, s.rangeOf("", others, "a.organization_id", id))
	}
	var all []int64
	for some := range unions(ranges) {
		query, args := union(some, func(r rowRange) string {
			return applicationsOf + r.filter.where() + orderBy(false, "a.organization_id", "a.name") + limitTo(most)
		})
		if len(some) > 1 {
			query += limitTo(most)
		}
		found, err := list(ctx, s, "list applications of organizations", query, args, func(scan func(...any) error) (id int64, err error) {
			return id, scan(&id)
		})
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
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

// A sparing is the conditions that leave out what cut-offs ended.
type sparing struct {
	filter
	users, applications []any // whose tokens may be left out
	anyone              bool  // those of others may be left out, too
}

// uncut returns the conditions that leave out of so many ranges what a cut-off ended.
// They are those that concern one user, the newest of all, or a look-up for each token
// if both are too many.
func (s *Store) uncut(ctx context.Context, user string, ranges int) (f sparing, err error) {
	few := func(cuts []cutoff) bool { return len(cuts) <= mostCuts && len(cuts)*ranges <= mostSpared }
	if user != "" {
		cuts, err := s.cutoffs(ctx, "look up cut-offs of a user", cutoffsOfUser, user)
		if err != nil || few(cuts) {
			return spared(cuts), err
		}
	}
	cuts, err := s.cutoffs(ctx, "look up the newest cut-offs", newestCutoffs+limitTo(mostCuts+1)+newestCutoffsEnd)
	if err != nil || few(cuts) {
		return spared(cuts), err
	}
	alive := cutToken + " IS NULL"
	if s.dialect == Postgres {
		alive = notCut
	}
	n, err := s.count(ctx, "count cut-offs", listDigest(someCutoffs), someCutoffs, nil, mostNaming+1)
	if err != nil {
		return f, err
	}
	if n <= mostNaming {
		alive = unnamed + " OR " + alive
	}
	f.anyone = true
	f.and("(t.seq >= ? OR "+alive+")", cuts[0].seq)
	return f, nil
}

// cutoffs returns what a query finds, one more than mostCuts at most.
func (s *Store) cutoffs(ctx context.Context, what, query string, args ...any) ([]cutoff, error) {
	return list(ctx, s, what, query+limitTo(mostCuts+1), args, func(scan func(...any) error) (c cutoff, err error) {
		return c, scan(&c.userID, &c.applicationID, &c.family, &c.seq)
	})
}

// spared returns the conditions that cut-offs do not concern a token. A count looks
// at many tokens: first it asks whether any of them names the user or application.
func spared(cuts []cutoff) (f sparing) {
	var others, each filter
	newest := int64(0)
	for _, c := range cuts {
		switch {
		case c.family != 0: // see settleAll
			continue
		case c.userID == "" && c.applicationID == 0:
			f.anyone = true
			f.and("t.seq >= ?", c.seq)
			continue
		case c.userID == "":
			f.applications = append(f.applications, c.applicationID)
			each.and("("+viaToken+" <> ? OR t.seq >= ?)", c.applicationID, c.seq)
		case c.applicationID == 0:
			f.users = append(f.users, c.userID)
			each.and("(t.user_id <> ? OR t.seq >= ?)", c.userID, c.seq)
		default:
			f.users = append(f.users, c.userID)
			each.and("(t.user_id <> ? OR "+viaToken+" <> ? OR t.seq >= ?)", c.userID, c.applicationID, c.seq)
		}
		newest = max(newest, c.seq)
	}
	if len(each.parts) < 2 {
		f.add(each)
		return f
	}
	if f.users != nil {
		others.and("t.user_id NOT"+inList(len(f.users)), f.users...)
	}
	if f.applications != nil {
		others.and(viaToken+" NOT"+inList(len(f.applications)), f.applications...)
	}
	f.and("(t.seq >= ? OR "+others.text()+" OR "+each.text()+")", slices.Concat([]any{newest}, others.args, each.args)...)
	return f
}

// with returns ranges with further conditions.
func with(ranges []rowRange, more filter) []rowRange {
	ranges = slices.Clone(ranges)
	for i := range ranges {
		ranges[i].filter = ranges[i].filter.with(more)
	}
	return ranges
}
