package sqltest

import (
	"cmp"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
	"github.com/ostiary/auth/store/sqlstore"
)

// A listModel has random records in two stores, and says what their lists are: it
// reads all records for each question.
type listModel struct {
	t          *testing.T
	r          *rand.Rand
	db         *sql.DB
	prefix     string
	mysql      bool
	sql        *sqlstore.Store
	mem        *memory.Store
	users      []string
	apps       []store.Application
	tokens     []store.Token
	activities []store.Activity
	organizer  map[int64]int64 // by application
	now        time.Time
}

// Lists are the same on every database: whoever asks, for whatever page.
func TestListsOfRandomRecords(t *testing.T) {
	seeds, questions := 3, 120 // more by OSTIARY_LIST_SEEDS
	if n, err := strconv.Atoi(os.Getenv("OSTIARY_LIST_SEEDS")); err == nil {
		seeds = n
	}
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		for seed := range seeds {
			p := fresh(t)
			db := p.pool(t)
			m := &listModel{
				t: t, r: rand.New(rand.NewPCG(uint64(seed), 2)), db: db, prefix: cmp.Or(p.Prefix, "auth_"), mysql: p.Dialect == sqlstore.MySQL, sql: openIn(t, db, p), mem: memory.New(),
				users:     []string{"1", "10", "2", "a", "A", "a ", "ä", "Ä", "á", "a\tb", "ß", "ss"},
				organizer: map[int64]int64{}, now: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC),
			}
			m.fill([]int{5, 64, 66}[seed%3], []int{3, 64, 70}[seed/3%3])
			for n := 0; n < questions && !t.Failed(); n++ {
				what := fmt.Sprintf("seed %d, question %d", seed, n)
				m.askTokens(what)
				m.askActivities(what)
				m.askApplications(what)
			}
		}
	})
}

// instant is one of few, so that many are equal.
func (m *listModel) instant() time.Time {
	return m.now.Add(time.Duration(m.r.IntN(5)) * time.Microsecond)
}

func (m *listModel) organizations() (list []int64) {
	for range m.r.IntN(4) {
		list = append(list, m.r.Int64N(7))
	}
	if m.r.IntN(10) == 0 {
		for i := range int64(80) {
			list = append(list, 3+i)
		}
	}
	return list
}

func (m *listModel) text() string {
	return []string{"", "laptop", "Laptop", "laptop ", "läptop", "%", "l_ptop", "LÄPTOP"}[m.r.IntN(8)]
}

func (m *listModel) user() string { return m.users[m.r.IntN(len(m.users))] }

func (m *listModel) app() int64 { return m.apps[m.r.IntN(len(m.apps))].ID }

func stored[T any](m *listModel, insert func(modelStore) (T, error)) T {
	m.t.Helper()
	x, err := insert(m.mem)
	if err != nil {
		m.t.Fatal(err)
	}
	y, err := insert(m.sql)
	if err != nil || fmt.Sprintf("%+v", x) != fmt.Sprintf("%+v", y) {
		m.t.Fatalf("%+v, not %+v: %v", y, x, err)
	}
	return x
}

// closeGap has MySQL give the next token the next ID: the statement that inserts one takes
// more of them than it needs.
func (m *listModel) closeGap() {
	if !m.mysql {
		return
	}
	if _, err := m.db.ExecContext(m.t.Context(), "ALTER TABLE "+m.prefix+"tokens AUTO_INCREMENT = 1"); err != nil {
		m.t.Fatal(err)
	}
}

// fill stores records and makes cut-offs, between which tokens are stored.
func (m *listModel) fill(apps, cutoffs int) {
	ctx := m.t.Context()
	for i := range apps {
		a := store.Application{
			ClientID: fmt.Sprint("c", i), Name: m.text() + fmt.Sprint(i), OrganizationID: m.r.Int64N(6),
			Description: m.text(), Confidential: m.r.IntN(2) == 0, Created: m.instant(), Modified: m.instant(),
		}
		a = stored(m, func(s modelStore) (store.Application, error) { return s.InsertApplication(ctx, a) })
		m.apps = append(m.apps, a)
		m.organizer[a.ID] = a.OrganizationID
	}
	dead := map[int64]bool{}
	for i := range 200 {
		tok := store.Token{
			Digest: store.DigestOf(fmt.Sprint(i)), UserID: m.user(), Scopes: []string{"read", "write", "Read", "read "}[m.r.IntN(4)],
			Description: m.text(), Created: m.instant(), Modified: m.instant(), Expires: m.now.Add(time.Hour + time.Duration(m.r.IntN(3))),
		}
		if m.r.IntN(3) > 0 {
			tok.ApplicationID = m.app()
		}
		m.closeGap()
		tok = stored(m, func(s modelStore) (store.Token, error) { return s.InsertToken(ctx, tok, limits) })
		if m.r.IntN(2) == 0 {
			tok.LastUsed = m.instant()
			stored(m, func(s modelStore) (int, error) {
				return 0, s.Touch(ctx, []store.Sighting{{TokenID: tok.ID, At: tok.LastUsed}})
			})
		}
		m.tokens = append(m.tokens, tok)
		if m.r.IntN(20) == 0 {
			stored(m, func(s modelStore) (int, error) {
				_, err := s.RevokeTokens(ctx, store.Selection{TokenID: tok.ID}, m.instant())
				return 0, err
			})
			dead[tok.ID] = true
		}
		for n := cutoffs * (i + 1) / 200; n > cutoffs*i/200; n-- {
			m.cutOff(dead)
		}
	}
	m.tokens = slices.DeleteFunc(m.tokens, func(t store.Token) bool { return dead[t.ID] })
	for range 150 {
		a := store.Activity{
			At: m.instant(), Operation: store.OperationCreate, Object: store.ObjectToken, ActorID: m.user(), UserID: m.user(),
			TokenID: m.r.Int64N(5), ApplicationID: m.r.Int64N(5), OrganizationID: m.r.Int64N(6),
		}
		if m.r.IntN(5) == 0 {
			a.UserID = ""
		}
		m.activities = append(m.activities, stored(m, func(s modelStore) (store.Activity, error) {
			return s.(store.Activities).InsertActivity(ctx, a, 1000)
		}))
	}
}

// cutOff ends many tokens. All of them are marked afterwards, or none, as those are which
// were stored at that moment.
func (m *listModel) cutOff(dead map[int64]bool) {
	marked := m.r.IntN(2) == 0
	sel := store.Selection{UserID: m.user(), ApplicationID: m.app()}
	switch m.r.IntN(12) {
	case 0:
		sel.ApplicationID = 0
	case 1:
		sel.UserID = ""
	}
	if m.r.IntN(200) == 0 {
		sel = store.Selection{All: true}
	}
	for _, t := range m.tokens {
		if !dead[t.ID] && (sel.All || (sel.UserID == "" || sel.UserID == t.UserID) && (sel.ApplicationID == 0 || sel.ApplicationID == t.ApplicationID)) {
			dead[t.ID] = true
			if !marked {
				defer func() {
					query := fmt.Sprintf("UPDATE %stokens SET revoked_at = NULL WHERE id = %d", m.prefix, t.ID)
					if _, err := m.db.ExecContext(m.t.Context(), query); err != nil {
						m.t.Fatal(err)
					}
				}()
			}
		}
	}
	stored(m, func(s modelStore) (int, error) {
		_, err := s.RevokeTokens(m.t.Context(), sel, m.now)
		return 0, err
	})
}

func (m *listModel) page() store.Page {
	p := store.Page{Order: store.OrderBy(m.r.IntN(5)), Descending: m.r.IntN(2) == 0, Offset: m.r.IntN(12), Limit: 1 + m.r.IntN(12)}
	switch m.r.IntN(12) {
	case 0:
		p.Limit = 0
	case 1:
		p.Limit = 500
	case 2:
		p.Offset = 1_000
	}
	p.CountTo = []int{0, -1, 3, 1_000}[m.r.IntN(4)]
	return p
}

// where is of random conditions on these columns.
func (m *listModel) where(columns map[store.Column]func() any) (w store.Where) {
	if m.r.IntN(3) > 0 {
		return nil
	}
	names := make([]store.Column, 0, len(columns))
	for c := range columns {
		names = append(names, c)
	}
	slices.Sort(names)
	for range 1 + m.r.IntN(2) {
		var group []store.Condition
		for range 1 + m.r.IntN(2) {
			c := store.Condition{Column: names[m.r.IntN(len(names))], Is: store.Comparison(m.r.IntN(int(store.Unset) + 1)), Not: m.r.IntN(3) == 0}
			value := columns[c.Column]
			if _, text := value().(string); !text && c.Is >= store.Contains && c.Is != store.Unset {
				c.Is = store.Equal
			}
			if c.Is != store.Unset {
				c.Values = append(c.Values, value())
			}
			for c.Is == store.Equal && m.r.IntN(3) == 0 {
				c.Values = append(c.Values, value())
			}
			group = append(group, c)
		}
		w = append(w, group)
	}
	return w
}

// check compares a page with the records that it must be of.
func check[T any](m *listModel, what string, id func(T) int64, want, got []T, total int, p store.Page, err error) {
	m.t.Helper()
	all := len(want)
	ids := func(list []T) (ids []int64) {
		for _, x := range list {
			ids = append(ids, id(x))
		}
		return ids
	}
	if p.Limit == 0 {
		want = nil
	} else {
		want = want[min(p.Offset, all):min(p.Offset+p.Limit, all)]
	}
	if err != nil || !slices.Equal(ids(got), ids(want)) {
		m.t.Errorf("%s: %v, want %v: %v", what, ids(got), ids(want), err)
	}
	countTo := cmp.Or(p.CountTo, store.MaxCount)
	if p.Limit > 0 && (total > p.Offset+p.Limit) != (all > p.Offset+p.Limit) || countTo >= 0 && (all <= countTo && total != all || all > countTo && total <= countTo) {
		m.t.Errorf("%s: the total is %d of %d", what, total, all)
	}
}

func (m *listModel) askTokens(what string) {
	f := store.TokenFilter{All: m.r.IntN(4) == 0, Kind: store.TokenKind(m.r.IntN(5) % 3), Organizations: m.organizations()}
	if m.r.IntN(3) > 0 {
		f.UserID = m.user()
	}
	if m.r.IntN(4) == 0 {
		f.OwnerID = m.user()
	}
	if m.r.IntN(8) == 0 {
		f.OwnerID = f.UserID
	}
	if m.r.IntN(4) == 0 {
		f.ApplicationID = m.app()
	}
	if m.r.IntN(8) == 0 {
		f.ID = 1 + m.r.Int64N(200)
	}
	if m.r.IntN(8) == 0 {
		f.Scopes = "read"
	}
	if m.r.IntN(8) == 0 {
		f.Search = "apto"
	}
	if m.r.IntN(8) == 0 {
		d := m.text()
		f.Description = &d
	}
	f.Where = m.where(map[store.Column]func() any{
		store.ColumnID: func() any { return m.r.Int64N(200) }, store.ColumnCreated: func() any { return m.instant() },
		store.ColumnDescription: func() any { return m.text() }, store.ColumnUser: func() any { return m.user() },
		store.ColumnApplication: func() any { return m.app() }, store.ColumnScopes: func() any { return "read" },
		store.ColumnExpires: func() any { return m.instant().Add(time.Hour) }, store.ColumnLastUsed: func() any { return m.instant() },
	})
	meet := map[int64]bool{}
	list, _, err := m.mem.ListTokens(m.t.Context(), store.TokenFilter{All: true, Where: f.Where}, store.Page{Limit: 1_000})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, t := range list {
		meet[t.ID] = true
	}
	p := m.page()
	var want []store.Token
	for _, t := range m.tokens {
		visible := f.All || f.UserID != "" && t.UserID == f.UserID || t.ApplicationID != 0 && slices.Contains(f.Organizations, m.organizer[t.ApplicationID])
		if visible && meet[t.ID] && (f.Kind == 0 || (f.Kind == store.PersonalToken) == (t.ApplicationID == 0)) &&
			(f.OwnerID == "" || f.OwnerID == t.UserID) && (f.ApplicationID == 0 || f.ApplicationID == t.ApplicationID) && (f.ID == 0 || f.ID == t.ID) &&
			(f.Scopes == "" || f.Scopes == t.Scopes) && (f.Description == nil || *f.Description == t.Description) && strings.Contains(t.Description, f.Search) {
			want = append(want, t)
		}
	}
	summed := slices.Clone(want)
	key := func(t store.Token) time.Time {
		switch p.Order {
		case store.OrderCreated:
			return t.Created
		case store.OrderModified:
			return t.Modified
		case store.OrderExpires:
			return t.Expires
		case store.OrderLastUsed:
			return t.LastUsed
		}
		return time.Time{}
	}
	slices.SortFunc(want, func(a, b store.Token) int {
		if p.Descending {
			a, b = b, a
		}
		return cmp.Or(key(a).Compare(key(b)), cmp.Compare(a.ID, b.ID))
	})
	for range 2 { // what was long is counted in another way
		got, total, err := m.sql.ListTokens(m.t.Context(), f, p)
		check(m, fmt.Sprintf("%s: tokens %+v %+v", what, f, p), func(t store.Token) int64 { return t.ID }, want, got, total, p, err)
	}

	asked := []int64{m.app(), m.app(), 0, 9_999}
	if m.r.IntN(3) == 0 {
		for _, a := range m.apps {
			asked = append(asked, a.ID)
		}
	}
	most := m.r.IntN(3)
	sums, err := m.sql.SummarizeTokens(m.t.Context(), asked, f, most)
	for i, id := range asked {
		if err != nil {
			m.t.Errorf("%s: summaries %+v: %v", what, f, err)
			break
		}
		var sum store.TokenSummary
		for _, t := range summed {
			if id != 0 && t.ApplicationID == id {
				if sum.Total++; len(sum.First) < most {
					sum.First = append(sum.First, store.TokenRef{ID: t.ID, Scopes: t.Scopes})
				}
			}
		}
		if sums[i].Total != sum.Total || !slices.Equal(sums[i].First, sum.First) {
			m.t.Errorf("%s: summary of %d by %+v: %+v, want %+v", what, id, f, sums[i], sum)
		}
	}
}

func (m *listModel) askActivities(what string) {
	f := store.ActivityFilter{All: m.r.IntN(4) == 0, Organizations: m.organizations()}
	if m.r.IntN(3) > 0 {
		f.UserID = m.user()
	}
	if m.r.IntN(4) == 0 {
		f.ConcernedID = m.user()
	}
	if m.r.IntN(4) == 0 {
		f.TokenID = m.r.Int64N(5)
	}
	if m.r.IntN(4) == 0 {
		f.ApplicationID = m.r.Int64N(5)
	}
	if m.r.IntN(8) == 0 {
		f.ID = 1 + m.r.Int64N(150)
	}
	f.Where = m.where(map[store.Column]func() any{
		store.ColumnID: func() any { return m.r.Int64N(150) }, store.ColumnCreated: func() any { return m.instant() },
		store.ColumnActor: func() any { return m.user() }, store.ColumnUser: func() any { return m.user() }, store.ColumnToken: func() any { return m.r.Int64N(5) },
	})
	meet := map[int64]bool{}
	list, _, err := m.mem.ListActivities(m.t.Context(), store.ActivityFilter{All: true, Where: f.Where}, store.Page{Limit: 1_000})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, a := range list {
		meet[a.ID] = true
	}
	p := m.page()
	var want []store.Activity
	for _, a := range m.activities {
		if (f.All || f.UserID != "" && a.UserID == f.UserID || slices.Contains(f.Organizations, a.OrganizationID)) && meet[a.ID] &&
			(f.ConcernedID == "" || f.ConcernedID == a.UserID) && (f.TokenID == 0 || f.TokenID == a.TokenID) &&
			(f.ApplicationID == 0 || f.ApplicationID == a.ApplicationID) && (f.ID == 0 || f.ID == a.ID) {
			want = append(want, a)
		}
	}
	slices.SortFunc(want, func(a, b store.Activity) int {
		if p.Descending {
			a, b = b, a
		}
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID))
	})
	got, total, err := m.sql.ListActivities(m.t.Context(), f, p)
	check(m, fmt.Sprintf("%s: activities %+v %+v", what, f, p), func(a store.Activity) int64 { return a.ID }, want, got, total, p, err)
}

func (m *listModel) askApplications(what string) {
	f := store.ApplicationFilter{All: m.r.IntN(3) == 0, Organizations: m.organizations()}
	if m.r.IntN(4) == 0 {
		f.IDs = []int64{m.app(), m.app(), m.app()}
	}
	if m.r.IntN(4) == 0 {
		f.Search = "apto"
	}
	p := m.page()
	p.Order = []store.OrderBy{store.OrderID, store.OrderCreated, store.OrderModified, store.OrderName, store.OrderOrganization}[m.r.IntN(5)]
	var want []store.Application
	for _, a := range m.apps {
		if (f.All || slices.Contains(f.Organizations, a.OrganizationID)) && (f.IDs == nil || slices.Contains(f.IDs, a.ID)) &&
			(strings.Contains(a.Name, f.Search) || strings.Contains(a.Description, f.Search)) {
			want = append(want, a)
		}
	}
	slices.SortFunc(want, func(a, b store.Application) int {
		if p.Descending {
			a, b = b, a
		}
		switch p.Order {
		case store.OrderCreated:
			return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
		case store.OrderModified:
			return cmp.Or(a.Modified.Compare(b.Modified), cmp.Compare(a.ID, b.ID))
		case store.OrderName:
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
		case store.OrderOrganization:
			return cmp.Or(cmp.Compare(a.OrganizationID, b.OrganizationID), cmp.Compare(a.Name, b.Name))
		}
		return cmp.Compare(a.ID, b.ID)
	})
	got, total, err := m.sql.ListApplications(m.t.Context(), f, p)
	check(m, fmt.Sprintf("%s: applications %+v %+v", what, f, p), func(a store.Application) int64 { return a.ID }, want, got, total, p, err)
}
