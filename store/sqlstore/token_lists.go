package sqlstore

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

// A page of tokens costs what the page costs, not what is stored: it is read from
// the beginning of a range of an index that holds live tokens in order. Who sees
// the tokens of several applications sees several ranges: from each of them as many
// are read as the page may need, and the page is made of those.

// ListTokens implements [store.Tokens].
func (s *Store) ListTokens(ctx context.Context, f store.TokenFilter, p store.Page) ([]store.Token, int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if n, known, err := s.countOwn(ctx, f, p); known || err != nil {
		return nil, n, err
	}
	ranges, uncut, err := s.tokenRanges(ctx, f)
	if err != nil || len(ranges) == 0 {
		return nil, 0, err
	}
	live := with(ranges, uncut.filter)
	read := func(from start, limit, offset int) ([]tokenRecord, error) {
		p := p
		p.Descending = from.descending(p)
		order := s.tokenOrder(p)
		ids, args := order.ids(live, from, limit, offset)
		return list(ctx, s, "list tokens", tokensByID+ids+tokensByIDEnd+order.by(), args,
			func(scan func(...any) error) (r tokenRecord, err error) {
				return r, scan(r.dest()...)
			})
	}
	found, err := paged(p, walk[tokenRecord]{
		lists: &s.lists, list: func() store.Digest { return s.tokenList(f, p.Order, p.Descending) }, key: s.tokenOrder(p).key(ranges), read: read,
	}, func(limit int) (int, error) { return s.countTokens(ctx, s.tokenList(f, limit), ranges, uncut, limit) })
	if err != nil {
		return nil, 0, err
	}
	all, err := s.settleAll(ctx, found.list)
	// What ended with a token above it, and is not marked yet, is no record.
	return all, max(found.total-(len(found.list)-len(all)), found.next), err
}

// tokenList returns the name of a list, with more that tells it from others. A cut-off of
// somebody does not make it another.
func (s *Store) tokenList(f store.TokenFilter, more ...any) store.Digest {
	narrow, _, _ := s.narrowed(f) // tokenRanges has returned its error
	return listDigest("tokens", visibleOf(f), narrow, more)
}

// countOwn counts all tokens of a user, by one statement as long as no cut-off
// concerns the user. It is not for pages and other filters.
func (s *Store) countOwn(ctx context.Context, f store.TokenFilter, p store.Page) (n int, known bool, err error) {
	if p.Limit > 0 || reach(p) == 0 || f.All || f.UserID == "" || f.OwnerID != f.UserID {
		return 0, false, nil
	}
	narrow, some, err := s.narrowed(f)
	if err != nil || !some || len(narrow.parts) > 1 {
		return 0, false, err
	}
	own := s.rangeOf(indexListed, filter{}, "t.user_id", f.UserID)
	query := countUncut + s.live(tokenIDs, own, reach(p)) + countOfEnd
	_, err = list(ctx, s, "count tokens", query, append([]any{f.UserID}, own.args...), func(scan func(...any) error) (none struct{}, err error) {
		var cuts int
		err = scan(&n, &cuts)
		known = cuts == 0
		return none, err
	})
	return n, known, err
}

// live returns a query for some tokens of a range, 0 for all. The order keeps PostgreSQL
// from making a bitmap of all of them before it begins to count.
func (s *Store) live(columns string, r rowRange, limit int) string {
	query := columns + s.dialect.tokensBy(r.index) + whereLive + r.where()
	if s.dialect == Postgres {
		query += s.dialect.orderLive(r.column, false, "t.id")
	}
	if limit > 0 {
		query += limitTo(limit)
	}
	return query
}

// SummarizeTokens implements [store.Applications].
func (s *Store) SummarizeTokens(ctx context.Context, applications []int64, f store.TokenFilter, most int) ([]store.TokenSummary, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	summaries := make([]store.TokenSummary, len(applications))
	most = max(most, 0)
	asked := slices.Clone(applications)
	slices.Sort(asked)
	asked = slices.DeleteFunc(slices.Compact(asked), func(id int64) bool { return id == 0 })
	ranges, err := s.applicationRanges(ctx, asked, f)
	if err != nil || len(ranges) == 0 {
		return summaries, err
	}
	found, cut, err := s.firstTokens(ctx, ranges, most+1)
	if err == nil && cut { // it is not marked yet, and others may follow that live
		found, err = s.firstUncut(ctx, ranges, f, most+1)
	}
	if err != nil {
		return nil, err
	}
	read := make(map[int64]int)
	for _, r := range found {
		read[r.ApplicationID]++
	}
	live, err := s.settleAll(ctx, found)
	if err != nil {
		return nil, err
	}
	first := make(map[int64][]store.TokenRef)
	for _, t := range live {
		first[t.ApplicationID] = append(first[t.ApplicationID], store.TokenRef{ID: t.ID, Scopes: t.Scopes})
	}
	totals, err := s.countMore(ctx, ranges, f, read, most)
	if err != nil {
		return nil, err
	}
	for i, id := range applications {
		refs := first[id]
		slices.SortFunc(refs, func(a, b store.TokenRef) int { return cmp.Compare(a.ID, b.ID) })
		summaries[i].Total = totals[id] - (read[id] - len(refs))
		summaries[i].First = slices.Clone(refs[:min(len(refs), most)])
	}
	return summaries, nil
}

// firstTokens returns at most so many tokens of each range, the first ones by ID, and
// whether a cut-off ended one of them.
func (s *Store) firstTokens(ctx context.Context, ranges []rowRange, most int) (all []tokenRecord, cut bool, err error) {
	cutAt := cutToken
	if s.dialect == Postgres {
		cutAt = cutTokenAtOnce
	}
	outer := strings.ReplaceAll(outerRefs+cutAt, "t.", "v.") + outerRefsFrom
	for some := range unions(ranges) {
		query, args := union(some, func(r rowRange) string {
			return tokenRefs + s.tokenOrder(store.Page{}).live(r) + limitTo(most)
		})
		found, err := list(ctx, s, "summarize tokens", outer+query+outerRefsEnd, args, func(scan func(...any) error) (r tokenRecord, err error) {
			var at time.Time
			err = scan(&r.ApplicationID, &r.ID, &r.Scopes, &r.ParentID, &r.Independent, &r.ancestors, &r.seq, when(&at))
			cut = cut || !at.IsZero()
			return r, err
		})
		if err != nil {
			return nil, false, err
		}
		all = append(all, found...)
	}
	return all, cut, nil
}

// firstUncut is firstTokens without what a cut-off ended.
func (s *Store) firstUncut(ctx context.Context, ranges []rowRange, f store.TokenFilter, most int) ([]tokenRecord, error) {
	uncut, err := s.uncut(ctx, visibleOf(f).only(f), len(ranges))
	if err != nil {
		return nil, err
	}
	found, _, err := s.firstTokens(ctx, with(ranges, uncut.filter), most)
	return found, err
}

// countMore counts the tokens of those applications of which more than most were
// read, and returns the totals of all.
func (s *Store) countMore(ctx context.Context, ranges []rowRange, f store.TokenFilter, read map[int64]int, most int) (map[int64]int, error) {
	totals := maps.Clone(read)
	var more []rowRange
	for _, r := range ranges {
		if read[r.application] > most {
			more = append(more, r)
		}
	}
	if more == nil {
		return totals, nil
	}
	uncut, err := s.uncut(ctx, visibleOf(f).only(f), len(more))
	if err != nil {
		return nil, err
	}
	for some := range unions(with(more, uncut.filter)) {
		query, args := union(some, func(r rowRange) string {
			id := strconv.FormatInt(r.application, 10)
			return "\n\tSELECT " + id + ", COUNT(*) FROM (" + s.live(tokenIDs, r, store.MaxCount+1) + countOfEnd
		})
		_, err := list(ctx, s, "count tokens of applications", query, args, func(scan func(...any) error) (none struct{}, err error) {
			var id int64
			var n int
			err = scan(&id, &n)
			totals[id] = n
			return none, err
		})
		if err != nil {
			return nil, err
		}
	}
	return totals, nil
}
