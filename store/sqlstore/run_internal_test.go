package sqlstore

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Numbers, and nothing else, become part of the text of a statement of MySQL that is not
// prepared.
func TestNumberedArguments(t *testing.T) {
	const query = "SELECT 1 WHERE a = ? AND b > ?"
	for _, tt := range []struct {
		name string
		d    Dialect
		args []any
		want string
		left []any
	}{
		{"numbers", MySQL, []any{7, int64(math.MinInt64)}, "SELECT 1 WHERE a = 7 AND b > -9223372036854775808", nil},
		{"text is an argument, and so is the number beside it", MySQL, []any{7, "1 OR 1 = 1"}, query, []any{7, "1 OR 1 = 1"}},
		{"the same first", MySQL, []any{"?", 7}, query, []any{"?", 7}},
		{"too many", MySQL, []any{7, 8, 9}, query, []any{7, 8, 9}},
		{"too few", MySQL, []any{7}, query, []any{7}},
		{"none", MySQL, nil, query, nil},
		{"nothing, and a digest", MySQL, []any{nil, []byte{1}}, query, []any{nil, []byte{1}}},
		{"PostgreSQL has a plan by the text", Postgres, []any{7, 8}, "SELECT 1 WHERE a = $1 AND b > $2", []any{7, 8}},
		{"SQLite", SQLite, []any{7, 8}, query, []any{7, 8}},
	} {
		s := &Store{dialect: tt.d, prefix: defaultPrefix}
		text, left := s.plain(nil, query).numbered(tt.args)
		if text != tt.want || !cmp.Equal(tt.left, left) {
			t.Errorf("%s: %q with %v, want %q with %v", tt.name, text, left, tt.want, tt.left)
		}
	}
}
