package sqlstore

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ostiary/auth/store"
)

func TestRewrite(t *testing.T) {
	const query = `
	INSERT INTO auth_tokens (a) SELECT ? FROM auth_users WHERE INSTR(x, ?) > 0
	RETURNING id`
	for _, tt := range []struct {
		d           Dialect
		query, want string
	}{
		{SQLite, query, "\n\tINSERT INTO p_tokens (a) SELECT ? FROM p_users WHERE INSTR(x, ?) > 0"},
		{MySQL, query, "\n\tINSERT INTO p_tokens (a) SELECT ? FROM p_users WHERE INSTR(x, ?) > 0"},
		{Postgres, query, "\n\tINSERT INTO p_tokens (a) SELECT $1 FROM p_users WHERE STRPOS(x, $2) > 0\n\tRETURNING id"},
		{SQLite, "SELECT 1 FROM auth_locks FOR UPDATE", "SELECT 1 FROM p_locks"},
		{MySQL, "SELECT 1 FROM auth_locks FOR UPDATE", "SELECT 1 FROM p_locks FOR UPDATE"},
	} {
		if diff := cmp.Diff(tt.want, tt.d.rewrite(tt.query, "p_")); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.d, diff)
		}
	}
}

// Statements must be such that rewriting is safe: a "?" is a placeholder, and
// auth_ begins a table.
func TestStatementsCanBeRewritten(t *testing.T) {
	seen := map[string]bool{}
	for _, query := range preparedQueries(Postgres) {
		if seen[query] {
			t.Errorf("prepared twice: %s", query)
		}
		seen[query] = true
		for i, part := range strings.Split(query, "'") {
			if i%2 == 1 && strings.ContainsAny(part, "?") || strings.Contains(part, `"`) {
				t.Errorf("quoted placeholder or quoted name: %s", query)
			}
		}
	}
}

func TestEveryDialectHasTheSameSteps(t *testing.T) {
	var want []string
	for d := SQLite; d <= MySQL; d++ {
		steps, err := migrations(d, defaultPrefix)
		if err != nil || len(steps) == 0 {
			t.Fatalf("%v: %d steps, %v", d, len(steps), err)
		}
		var tables []string
		for _, m := range steps {
			for _, statement := range m.statements() {
				statement = strings.Replace(statement, "IF NOT EXISTS ", "", 1)
				if _, rest, found := strings.Cut(statement, "CREATE TABLE "); found {
					name, body, _ := strings.Cut(rest, " (")
					for line := range strings.Lines(body) {
						column, _, _ := strings.Cut(strings.TrimSpace(line), " ")
						if strings.ToLower(column) == column && strings.HasPrefix(line, "\t") {
							tables = append(tables, name+"."+column)
						}
					}
				}
			}
		}
		if want == nil {
			want = tables
		}
		if diff := cmp.Diff(want, tables); diff != "" {
			t.Errorf("%v has other columns than SQLite (-want +got):\n%s", d, diff)
		}
	}
}

func TestTimesComeBack(t *testing.T) {
	for _, at := range []time.Time{
		{},
		time.Unix(0, 0),
		time.Date(1969, 12, 31, 23, 59, 59, 999999999, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.FixedZone("", 3600)),
	} {
		want := at.UTC().Truncate(time.Microsecond)
		for name, value := range map[string]any{"always": micros(at), "or never": orNever(at), "as text": []byte("0")} {
			if name == "as text" {
				if at.Unix() != 0 {
					continue
				}
			}
			var got time.Time
			if err := when(&got).Scan(value); err != nil || got != want {
				t.Errorf("%v, %s: %v, %v", at, name, got, err)
			}
		}
		if got := stored(at); got != want {
			t.Errorf("stored(%v) = %v", at, got)
		}
	}
}

func TestListsComeBack(t *testing.T) {
	prefixes := []netip.Prefix{
		netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("::ffff:192.0.2.0/120"),
	}
	text, err := prefixesText(prefixes)
	if err != nil {
		t.Fatal(err)
	}
	var got prefixesVar
	if err := got.Scan([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(prefixes, []netip.Prefix(got), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("prefixes (-want +got):\n%s", diff)
	}
	if _, err := prefixesText([]netip.Prefix{{}}); err == nil {
		t.Error("an invalid prefix is stored")
	}

	uris := []string{"https://a.example/?a=b&c=<d>", "", "b\nc", `"`}
	text, err = listText(uris)
	if err != nil {
		t.Fatal(err)
	}
	var list listVar
	if err := list.Scan(text); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(uris, []string(list)); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
}

// What cannot be read is an error, never an empty value: no addresses would mean
// any address.
func TestDamagedValuesAreErrors(t *testing.T) {
	for name, scan := range map[string]func() error{
		"short digest":    func() error { return new(digestVar).Scan([]byte{1}) },
		"digest as text":  func() error { return new(digestVar).Scan(strings.Repeat("x", 32)) },
		"prefix":          func() error { return new(prefixesVar).Scan("192.0.2.0/24 x") },
		"prefix is NULL":  func() error { return new(prefixesVar).Scan(nil) },
		"list":            func() error { return new(listVar).Scan(`["a"`) },
		"list of numbers": func() error { return new(listVar).Scan(`[1]`) },
		"time":            func() error { return new(whenVar).Scan([]byte("x")) },
		"time as text":    func() error { return new(whenVar).Scan("1") },
	} {
		if scan() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestNothingSelectedIsNothing(t *testing.T) {
	if where, _ := condition(store.Selection{}); where != "" {
		t.Errorf("condition = %q", where)
	}
	if where, _ := sessionCondition(store.SessionSelection{Except: store.DigestOf("x")}); where != "" {
		t.Errorf("sessionCondition = %q", where)
	}
	// All widens nothing that is narrowed.
	if where, _ := condition(store.Selection{All: true, UserID: "1"}); where != "t.user_id = ?" {
		t.Errorf("condition = %q", where)
	}
}
