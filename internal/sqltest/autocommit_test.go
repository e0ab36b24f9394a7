package sqltest

import (
	"strings"
	"testing"

	"github.com/ostiary/auth/store/sqlstore"
)

// A step of one statement, such as a new token of MySQL, is acknowledged when it was
// executed. Where nothing commits it, the connection's next step or its end decides.
func TestAutocommitOff(t *testing.T) {
	for _, d := range databases() {
		if mysqlIsolation(d.name, "read-committed") == "" {
			continue
		}
		p := d.fresh(t)
		p.open(t)
		p.DSN += "?autocommit=0"
		st, err := sqlstore.Open(t.Context(), p.pool(t), p.Dialect, p.options())
		if err == nil {
			st.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "autocommit") {
			t.Errorf("%s is opened: %v", d.name, err)
		}
	}
}
