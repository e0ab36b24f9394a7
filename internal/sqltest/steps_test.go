package sqltest

import (
	"cmp"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/auth/store/sqlstore"
)

// Steps that ended in the middle are repeated on MySQL, which has no transaction around them, and
// leave what they leave without that.
func TestStepsAreRepeated(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		var whole []string
		for lacking := range 12 {
			p := fresh(t)
			if p.Dialect != sqlstore.MySQL {
				return // each step is one transaction
			}
			db := p.pool(t)
			plan, err := sqlstore.Plan(t.Context(), db, p.Dialect, p.options())
			if err != nil {
				t.Fatal(err)
			}
			statements := strings.Split(strings.TrimSuffix(strings.TrimSpace(plan), ";"), ";\n")
			for _, statement := range statements[:len(statements)-lacking] {
				if _, err := db.Exec(statement); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
			openIn(t, db, p) // which calls Migrate
			if got := p.indexes(t, db); lacking == 0 {
				whole = got
			} else if !slices.Equal(got, whole) {
				t.Errorf("without the last %d statements:\n%q, not\n%q", lacking, got, whole)
			}
		}
		if len(whole) < 20 {
			t.Errorf("indexes: %q", whole)
		}
	})
}

// indexes returns all indexes of MySQL with their columns.
func (p place) indexes(t *testing.T, db *sql.DB) (list []string) {
	t.Helper()
	prefix := cmp.Or(p.Prefix, "auth_")
	rows, err := db.Query("SELECT CONCAT(table_name, '.', index_name), GROUP_CONCAT(column_name ORDER BY seq_in_index) FROM information_schema.statistics "+
		"WHERE table_schema = DATABASE() AND LEFT(table_name, "+fmt.Sprint(len(prefix))+") = ? GROUP BY table_name, index_name", prefix)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name, columns string
		if err := rows.Scan(&name, &columns); err != nil {
			t.Fatal(err)
		}
		list = append(list, strings.ReplaceAll(name+" "+columns, prefix, "auth_"))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}
