package activity_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/activity"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/logtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// entries returns what the store has after the events that emit logs.
func entries(t *testing.T, emit func(*slog.Logger)) []store.Activity {
	t.Helper()
	db := memory.New()
	s := auth.Must(activity.NewStream(db, nil))
	emit(slog.New(s.Handler(slog.DiscardHandler)))
	drain(t, s)
	list, _, err := db.ListActivities(t.Context(), store.ActivityFilter{All: true}, store.Page{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// drain stores what waits.
func drain(t *testing.T, s *activity.Stream) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Run(ctx)
}

// lazy is text that is a value only when a handler asks.
type lazy string

func (l lazy) LogValue() slog.Value { return slog.StringValue(string(l)) }

func TestEntries(t *testing.T) {
	by := []any{audit.KeyActor, "root", audit.KeyActorID, "1", audit.KeyActorTokenID, int64(9)}
	for _, tt := range []struct {
		name  string
		event string
		attrs []any
		want  store.Activity
	}{
		{
			"a token", audit.TokenIssued, append([]any{audit.KeyTokenID, int64(3), audit.KeyUserID, "2", audit.KeyScope, "read", audit.KeyApplicationID, int64(0)}, by...),
			store.Activity{
				Operation: store.OperationCreate, Object: store.ObjectToken, ActorID: "1", Actor: "root", ActorTokenID: 9, UserID: "2", TokenID: 3,
				Changes: `[{"field":"scope","new":"read"}]`,
			},
		}, {
			"a change", audit.TokenChanged, append([]any{
				audit.KeyTokenID, int64(3), audit.KeyUserID, "2", audit.KeyScope, "read", audit.KeyExpires, time.Unix(0, 0),
				slog.Group(audit.KeyBefore, audit.KeyScope, "read write", audit.KeyExpires, time.Unix(0, 0)),
			}, by...),
			store.Activity{
				Operation: store.OperationUpdate, Object: store.ObjectToken, ActorID: "1", Actor: "root", ActorTokenID: 9, UserID: "2", TokenID: 3,
				Changes: `[{"field":"scope","old":"read write","new":"read"}]`,
			},
		}, {
			"groups without a name, which count as what is in them", audit.TokenChanged, []any{
				slog.Attr{}, slog.Group("", audit.KeyTokenID, int64(3), slog.Group("", audit.KeyUserID, "2", audit.KeyScope, lazy("read"))), slog.Group("empty"),
				slog.Group(audit.KeyBefore, slog.Group("", audit.KeyScope, lazy("read write")), slog.Group("")),
			},
			store.Activity{
				Operation: store.OperationUpdate, Object: store.ObjectToken, UserID: "2", TokenID: 3,
				Changes: `[{"field":"scope","old":"read write","new":"read"}]`,
			},
		}, {
			"a new secret", audit.TokenRotated, append([]any{audit.KeyTokenID, int64(3), audit.KeyUserID, "2", audit.KeyScope, "read"}, by...),
			store.Activity{
				Operation: store.OperationUpdate, Object: store.ObjectToken, ActorID: "1", Actor: "root", ActorTokenID: 9, UserID: "2", TokenID: 3,
				Changes: `[{"field":"token"}]`,
			},
		}, {
			"the end of all tokens of a user", audit.TokenRevoked, []any{audit.KeyTokenID, int64(0), audit.KeyUserID, "2"},
			store.Activity{Operation: store.OperationDisassociate, Object: store.ObjectUser, Associated: store.ObjectToken, UserID: "2", Changes: "null"},
		}, {
			"the end of all tokens of an application", audit.TokenRevoked, append([]any{audit.KeyTokenID, int64(0), audit.KeyUserID, "", audit.KeyApplicationID, int64(4), audit.KeyScope, ""}, by...),
			store.Activity{
				Operation: store.OperationDisassociate, Object: store.ObjectApplication, Associated: store.ObjectToken, ActorID: "1", Actor: "root", ActorTokenID: 9,
				ApplicationID: 4, Changes: "null",
			},
		}, {
			"the end of all tokens", audit.TokenRevoked, append([]any{audit.KeyTokenID, int64(0), audit.KeyUserID, "", audit.KeyApplicationID, int64(0), audit.KeyScope, ""}, by...),
			store.Activity{Operation: store.OperationDelete, Object: store.ObjectToken, ActorID: "1", Actor: "root", ActorTokenID: 9, Changes: "null"},
		}, {
			"a consent", audit.Consented, []any{audit.KeyUserID, "2", audit.KeyApplicationID, int64(4), audit.KeyApplication, "app", audit.KeyScope, "read"},
			store.Activity{
				Operation: store.OperationAssociate, Object: store.ObjectUser, Associated: store.ObjectApplication, ActorID: "2", UserID: "2", ApplicationID: 4,
				Application: "app", Changes: `[{"field":"scope","new":"read"}]`,
			},
		}, {
			"its end", audit.ConsentWithdrawn, append([]any{audit.KeyApplicationID, int64(4)}, by...),
			store.Activity{
				Operation: store.OperationDisassociate, Object: store.ObjectUser, Associated: store.ObjectApplication, ActorID: "1", Actor: "root", ActorTokenID: 9,
				UserID: "1", ApplicationID: 4, Changes: "null",
			},
		}, {
			"its end by another", audit.ConsentWithdrawn, append([]any{audit.KeyApplicationID, int64(4), audit.KeyUserID, "2"}, by...),
			store.Activity{
				Operation: store.OperationDisassociate, Object: store.ObjectUser, Associated: store.ObjectApplication, ActorID: "1", Actor: "root", ActorTokenID: 9,
				UserID: "2", ApplicationID: 4, Changes: "null",
			},
		}, {
			"a password", audit.PasswordChanged, []any{audit.KeyUserID, "2"},
			store.Activity{Operation: store.OperationUpdate, Object: store.ObjectUser, UserID: "2", Changes: `[{"field":"password"}]`},
		}, {
			"text that is long and odd", audit.ApplicationDeleted, []any{
				audit.KeyApplicationID, int64(4), audit.KeyApplication, "a\x00\xff<>" + strings.Repeat("x", 5000), audit.KeyRedirectURIs, []string{"https://a/", "https://b/"},
			},
			store.Activity{
				Operation: store.OperationDelete, Object: store.ObjectApplication, ApplicationID: 4, Application: "a\uFFFD\uFFFD<>" + strings.Repeat("x", 251) + "…",
				Changes: `[{"field":"application","new":"a` + "\uFFFD\uFFFD<>" + strings.Repeat("x", 251) + `…"},{"field":"redirect_uris","new":"https://a/ https://b/"}]`,
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := entries(t, func(log *slog.Logger) { log.With("service", "x").WithGroup("g").Info(tt.event, tt.attrs...) })
			if diff := cmp.Diff([]store.Activity{tt.want}, got, cmpopts.IgnoreFields(store.Activity{}, "ID", "At")); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
		})
	}
}

// Who changes an application cannot hide it behind text that is cut off.
func TestLongChangesAreSeen(t *testing.T) {
	long := "https://app.example/" + strings.Repeat("x", 300)
	many := make([]string, 49)
	for i := range many {
		many[i] = "https://app.example/" + strconv.Itoa(i)
	}
	cut := long[:256] + "…"
	for _, tt := range []struct {
		name        string
		before, now []string
		old, new    any
	}{
		{"behind a long one", []string{long}, []string{long, "https://evil.example/"}, "", "https://evil.example/"},
		{"behind many", many, append(slices.Clone(many), "https://evil.example/"), "", "https://evil.example/"},
		{"in place of one of many", many, append(slices.Clone(many[:48]), "https://evil.example/"), "https://app.example/48", "https://evil.example/"},
		{"in the part that is cut off", []string{long + "a"}, []string{long + "b"}, cut, cut},
		{"the order of many", many, append(slices.Clone(many[1:]), many[0]), "", ""},
	} {
		got := entries(t, func(log *slog.Logger) {
			log.Info(audit.ApplicationChanged, audit.KeyApplicationID, int64(4), audit.KeyRedirectURIs, tt.now, audit.KeySkipConsent, false,
				slog.Group(audit.KeyBefore, audit.KeyRedirectURIs, tt.before, audit.KeySkipConsent, false))
		})
		want := []activity.Change{{Field: audit.KeyRedirectURIs, Old: tt.old, New: tt.new}}
		if len(got) != 1 {
			t.Fatalf("%s: %d entries", tt.name, len(got))
		}
		if diff := cmp.Diff(want, activity.Changes(got[0])); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// An event of the host may have attributes of every type, also of those that Go cannot
// compare.
func TestAttributesOfAllTypes(t *testing.T) {
	type deep struct{ Any any }
	for name, pair := range map[string][2]any{
		"maps":              {map[string]int{"a": 1}, map[string]int{"a": 2}},
		"slices":            {[]int{1}, []int{2}},
		"a list of texts":   {[]string{"a"}, []int{2}},
		"structs of maps":   {deep{map[string]int{"a": 1}}, deep{map[string]int{"a": 2}}},
		"arrays of slices":  {[1]any{[]int{1}}, [1]any{[]int{2}}},
		"groups of slices":  {slog.GroupValue(slog.Any("a", []int{1})), slog.GroupValue(slog.Any("a", []int{2}))},
		"groups of valuers": {slog.GroupValue(slog.Any("a", lazies{"b"})), slog.GroupValue(slog.Any("a", lazies{"c"}))},
		"functions":         {(func())(nil), func() {}},
		"nothing":           {nil, []int{1}},
		"other kinds":       {1, map[string]int{"a": 1}},
		"one text":          {[]any{"1"}, []any{1}},
		"one text, inside":  {slog.GroupValue(slog.Any("a", []any{"1"})), slog.GroupValue(slog.Any("a", []any{1}))},
		"texts in a group":  {slog.GroupValue(slog.Any("a", []string{"b c"})), slog.GroupValue(slog.Any("a", []string{"b", "c"}))},
		"secrets":           {hidden("a"), hidden("b")},
		"secrets in groups": {slog.GroupValue(slog.Any("a", hidden("a"))), slog.GroupValue(slog.Any("a", hidden("b")))},
		"lists of secrets":  {[]hidden{"a"}, []hidden{"b"}},
	} {
		t.Run(name, func(t *testing.T) {
			for changed, was := range map[bool]any{true: pair[0], false: pair[1]} {
				got := entries(t, func(log *slog.Logger) {
					log.Info(audit.UserChanged, audit.KeyUserID, "2", "host", pair[1], slog.Group(audit.KeyBefore, "host", was))
				})
				if len(got) != 1 {
					t.Fatalf("%d entries", len(got))
				}
				if list := activity.Changes(got[0]); changed != (len(list) == 1 && list[0].Field == "host") {
					t.Errorf("from %v to %v: %v", was, pair[1], list)
				}
			}
		})
	}
}

// loop is a value that contains itself.
func loop(name string) map[string]any {
	m := map[string]any{"name": name}
	m["self"] = m
	return m
}

// A value that contains itself does not end the process. It may have changed.
func TestValuesWithoutEnd(t *testing.T) {
	list := []any{nil}
	list[0] = list
	group := make([]slog.Attr, 2)
	for i := range group {
		group[i] = slog.Attr{Key: "a", Value: slog.GroupValue(group...)}
	}
	inline := make([]slog.Attr, 1)
	inline[0] = slog.Attr{Value: slog.GroupValue(inline...)}
	wide := any("end")
	for range maxDoubled {
		wide = []any{wide, wide}
	}
	var named struct {
		Name string
		Any  any
	}
	named.Any = []any{&named, list} // package fmt shows the address of the first
	for name, v := range map[string]any{
		"map": loop("a"), "list": list, "pointer to a list": &list, "pointer to a struct": &named, "list in a list": []any{list},
		"map in a group": slog.GroupValue(slog.Any("a", loop("a"))), "group": slog.GroupValue(group...),
		"group without a name": slog.GroupValue(inline...), "doubled again and again": wide,
	} {
		got := entries(t, func(log *slog.Logger) {
			log.Info(audit.UserChanged, audit.KeyUserID, "2", "host", v, slog.Any("", v), slog.Group(audit.KeyBefore, "host", v, "other", 1), "other", 2)
			log.Info(audit.UserCreated, audit.KeyUserID, v, audit.KeyUser, v)
		})
		if len(got) != 2 {
			t.Errorf("%s: %d entries", name, len(got))
			continue
		}
		var fields []string
		for _, c := range activity.Changes(got[0]) {
			fields = append(fields, c.Field)
		}
		if diff := cmp.Diff([]string{"host", "other"}, fields); diff != "" {
			t.Errorf("%s: changes (-want +got):\n%s", name, diff)
		}
	}
}

// Attributes of events of the host have any type.
func TestAttributesOfOtherTypes(t *testing.T) {
	got := entries(t, func(log *slog.Logger) {
		log.Info(audit.TokenIssued, audit.KeyTokenID, "7", audit.KeyUserID, 3, audit.KeyApplicationID, 1.5)
	})
	if len(got) != 1 || got[0].TokenID != 0 || got[0].UserID != "" || got[0].ApplicationID != 0 {
		t.Errorf("got %+v", got)
	}
}

const maxDoubled = 15 // less deep than what is not shown

// hidden is a value whose text does not show it.
type hidden string

func (hidden) String() string { return "[redacted]" }

// lazies are a value that cannot be compared, when a handler asks.
type lazies []string

func (l lazies) LogValue() slog.Value { return slog.AnyValue([]string(l)) }

// What is no act of management makes no entry, whatever it is called like.
func TestNoEntries(t *testing.T) {
	got := entries(t, func(log *slog.Logger) {
		for _, event := range []string{
			audit.Login, audit.Logout, audit.SessionEnded, audit.RequestAllowed, audit.RequestRefused, audit.PasswordRefused, audit.PasswordRehashed,
			audit.StoreFailed, audit.GrantRefused, audit.GrantReused, "", "x " + audit.TokenIssued,
		} {
			log.Info(event, audit.KeyUserID, "1", audit.KeyTokenID, int64(1))
		}
		log.With(audit.KeyUserID, "1").Info("hello", "msg", audit.TokenIssued)
	})
	if got != nil {
		t.Errorf("got %v", got)
	}
}

// The level of the log decides what is logged, not what is recorded.
func TestLevels(t *testing.T) {
	var logs logtest.Buffer
	db := memory.New()
	s := auth.Must(activity.NewStream(db, nil))
	log := slog.New(s.Handler(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelError})))
	log.Info(audit.TokenIssued, audit.KeyUserID, "1")
	log.Debug("hidden")
	log.Error("visible")
	drain(t, s)
	if _, n, err := db.ListActivities(t.Context(), store.ActivityFilter{All: true}, store.Page{}); n != 1 || err != nil {
		t.Errorf("%d entries, %v", n, err)
	}
	if got := logs.String(); strings.Contains(got, audit.TokenIssued) || !strings.Contains(got, "visible") {
		t.Errorf("logged: %s", got)
	}
}

// down is a store that is down.
type down struct{ store.Activities }

func (down) InsertActivity(context.Context, store.Activity, int) (store.Activity, error) {
	return store.Activity{}, errors.New("out of order")
}

// hangs is a store that never answers.
type hangs struct{ store.Activities }

func (hangs) InsertActivity(ctx context.Context, _ store.Activity, _ int) (store.Activity, error) {
	<-ctx.Done()
	return store.Activity{}, ctx.Err()
}

// An entry that cannot be stored is logged, and whoever acts does not wait.
func TestLost(t *testing.T) {
	for name, st := range map[string]store.Activities{"down": down{}, "hangs": hangs{}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var logs logtest.Buffer
				s := auth.Must(activity.NewStream(st, &activity.Options{Logger: slog.New(slog.NewTextHandler(&logs, nil))}))
				log := slog.New(s.Handler(slog.DiscardHandler))
				begun := time.Now()
				for range 1030 {
					log.Info(audit.TokenIssued, audit.KeyUserID, "1", audit.KeyTokenID, int64(7))
				}
				if waited := time.Since(begun); waited != 0 {
					t.Errorf("the events waited %v", waited)
				}
				if n := strings.Count(logs.String(), "too many entries"); n != 6 {
					t.Errorf("%d entries beyond the queue were logged, want 6", n)
				}
				drain(t, s)
				if waited := time.Since(begun); waited > 5*time.Second {
					t.Errorf("Run ended after %v", waited)
				}
				if n := strings.Count(logs.String(), audit.StoreFailed); n != 1030 {
					t.Errorf("%d of 1030 lost entries were logged", n)
				}
			})
		})
	}
}

// Run stores while it runs, and what waits when it ends.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memory.New()
		s := auth.Must(activity.NewStream(db, &activity.Options{Keep: 3}))
		log := slog.New(s.Handler(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.Run(ctx); close(done) }()
		count := func() int {
			_, n, _ := db.ListActivities(context.Background(), store.ActivityFilter{All: true}, store.Page{})
			return n
		}
		log.Info(audit.TokenIssued, audit.KeyUserID, "1")
		synctest.Wait()
		if n := count(); n != 1 {
			t.Errorf("%d entries, want 1", n)
		}
		cancel()
		for range 5 {
			log.Info(audit.TokenIssued, audit.KeyUserID, "1")
		}
		<-done
		drain(t, s)
		if n := count(); n != 3 {
			t.Errorf("%d entries, want the 3 that are kept", n)
		}
		if n, err := s.Purge(context.Background(), time.Now().Add(time.Second)); n != 3 || err != nil || count() != 0 {
			t.Errorf("purged %d, %v, %d stay", n, err, count())
		}
	})
}

func TestSettings(t *testing.T) {
	if _, err := activity.NewStream(memory.New(), &activity.Options{Keep: -1}); err == nil {
		t.Error("a negative Keep constructs")
	}
	if _, err := activity.NewStream(memory.New(), &activity.Options{Applications: (*memory.Store)(nil)}); err == nil {
		t.Error("nil Applications construct")
	}
	defer func() {
		if recover() == nil {
			t.Error("a nil store does not panic")
		}
	}()
	_, _ = activity.NewStream(nil, nil)
}

// Everybody sees what concerns them and no more.
func TestWhoSeesWhat(t *testing.T) {
	db := memory.New()
	s := auth.Must(activity.NewStream(db, &activity.Options{Organizations: auth.Organizations{
		Of: func(_ context.Context, userID string) (auth.Memberships, error) {
			if userID == "broken" {
				return auth.Memberships{}, errors.New("down")
			}
			return map[string]auth.Memberships{"orgadmin": {Admin: []int64{1}}, "member": {Member: []int64{1}}}[userID], nil
		},
	}}))
	for _, a := range []store.Activity{
		{UserID: "alice", User: "own"},
		{UserID: "alice", ApplicationID: 5, OrganizationID: 1, User: "granted"},
		{UserID: "bob", User: "bob's"},
		{UserID: "bob", ActorID: "alice", ApplicationID: 6, OrganizationID: 2, User: "other app"},
		{ApplicationID: 5, OrganizationID: 1, ActorID: "alice", User: "app"},
	} {
		if _, err := db.InsertActivity(t.Context(), a, 100); err != nil {
			t.Fatal(err)
		}
	}
	all := []string{"own", "granted", "bob's", "other app", "app"}
	for _, tt := range []struct {
		name string
		by   *auth.Principal
		want []string // nil is refused
	}{
		{"nobody", nil, nil},
		{"an application", &auth.Principal{ApplicationID: 5, TokenID: 1}, nil},
		{"organizations are down", &auth.Principal{ID: "broken"}, nil},
		{"a superuser", &auth.Principal{ID: "root", Admin: true}, all},
		{"an auditor", &auth.Principal{ID: "auditor", Auditor: true}, all},
		{"a user", &auth.Principal{ID: "alice"}, all[:2]},
		{"a user without entries", &auth.Principal{ID: "carol"}, []string{}},
		{"an administrator of the organization", &auth.Principal{ID: "orgadmin"}, []string{"granted", "app"}},
		{"a member", &auth.Principal{ID: "member"}, []string{}},
		{"a token of an application", &auth.Principal{ID: "alice", ApplicationID: 5}, []string{"granted"}},
		{"a token of another", &auth.Principal{ID: "alice", ApplicationID: 6}, []string{}},
		{"a superuser's token of an application", &auth.Principal{ID: "root", Admin: true, ApplicationID: 5}, []string{}},
		{"an auditor's token by way of an application", &auth.Principal{ID: "bob", Auditor: true, ViaApplicationID: 6}, []string{"other app"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list, n, err := s.List(t.Context(), tt.by, store.ActivityFilter{UserID: "bob", All: true}, store.Page{Limit: 100})
			if tt.want == nil {
				if err == nil {
					t.Errorf("not refused, but %v", list)
				}
				return
			}
			got := []string{}
			for _, a := range list {
				got = append(got, a.User)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil || n != len(tt.want) {
				t.Errorf("%v, %d entries (-want +got):\n%s", err, n, diff)
			}
			for id := range int64(7) {
				a, err := s.Entry(t.Context(), tt.by, id)
				visible := id >= 1 && id <= 5 && slices.Contains(tt.want, all[id-1])
				if visible != (err == nil) || err == nil && a.ID != id {
					t.Errorf("entry %d: %v, %v", id, a, err)
				}
			}
		})
	}
	alice := &auth.Principal{ID: "alice", ApplicationID: 5}
	if list, _, err := s.List(t.Context(), alice, store.ActivityFilter{ApplicationID: 6}, store.Page{Limit: 1}); err != nil || list != nil {
		t.Errorf("a token of one application lists another: %v, %v", list, err)
	}
}

// The organization of an application is looked up where the event does not name it.
func TestOrganizationIsLookedUp(t *testing.T) {
	db := memory.New()
	app, err := db.InsertApplication(t.Context(), store.Application{Name: "app", OrganizationID: 3})
	if err != nil {
		t.Fatal(err)
	}
	s := auth.Must(activity.NewStream(db, &activity.Options{Applications: db}))
	log := slog.New(s.Handler(slog.DiscardHandler))
	log.Info(audit.TokenIssued, audit.KeyUserID, "1", audit.KeyApplicationID, app.ID)
	log.Info(audit.TokenRevoked, audit.KeyUserID, "1", audit.KeyTokenID, int64(1), audit.KeyApplicationID, app.ID+1) // deleted
	drain(t, s)
	list, _, err := db.ListActivities(t.Context(), store.ActivityFilter{All: true}, store.Page{Limit: 10})
	if err != nil || len(list) != 2 || list[0].OrganizationID != 3 || list[0].Application != "app" || list[1].OrganizationID != 0 {
		t.Errorf("%v, %+v", err, list)
	}
}
