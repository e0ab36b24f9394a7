package sqltest

import (
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
	"github.com/ostiary/auth/store/storetest"
)

// Every database keeps the whole contract.
func TestContract(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		storetest.Run(t, func(t *testing.T, users store.Users) storetest.Store { return fresh(t).openFor(t, users) })
	})
}

func TestActivitiesContract(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		storetest.RunActivities(t, func(t *testing.T) store.Activities { return fresh(t).openFor(t, nil) })
	})
}

// The contract holds whatever isolation the server has by default: transactions
// ask for theirs, single statements take what they find. Only calls that meet can
// notice.
func TestContractUnderSerializable(t *testing.T) {
	settings := map[string]string{ // of the DSN
		"PostgreSQL": " default_transaction_isolation=serializable",
		"MariaDB":    mysqlIsolation("MariaDB", "serializable"),
		"MySQL":      mysqlIsolation("MySQL", "serializable"),
	}
	for _, d := range databases() {
		if d.server == nil { // SQLite knows nothing else
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			contractUnder(t, d, settings[d.name], "serializable")
		})
	}
}

// In MySQL an insert of a token takes another way in READ COMMITTED.
func TestContractUnderReadCommitted(t *testing.T) {
	for _, d := range databases() {
		if setting := mysqlIsolation(d.name, "read-committed"); setting != "" {
			t.Run(d.name, func(t *testing.T) {
				t.Parallel()
				contractUnder(t, d, setting, "read-committed")
			})
		}
	}
}

// mysqlIsolation returns the end of a DSN, "" for what is not a kind of MySQL.
func mysqlIsolation(database, level string) string {
	switch database {
	case "MariaDB":
		return "?tx_isolation='" + level + "'"
	case "MySQL":
		return "?transaction_isolation='" + level + "'"
	}
	return ""
}

func contractUnder(t *testing.T, d database, setting, level string) {
	open := func(t *testing.T, users store.Users) storetest.Store {
		p := d.fresh(t)
		p.DSN += setting
		db, err := p.connect()
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if got := p.isolation(t, db); got != level {
			t.Fatalf("the isolation is %s", got)
		}
		return p.openFor(t, users)
	}
	storetest.RunRaces(t, open)
	for _, w := range workloads() {
		h := newHistory(t, open(t, nil))
		h.run(w, 300*time.Millisecond, 2000)
		if key := h.check(w); key != "" {
			t.Errorf("no order explains what clients saw of %s:\n%s", key, h.print(key))
		}
	}
}

// isolation returns the isolation of the sessions in a pool.
func (p place) isolation(t *testing.T, db *sql.DB) (level string) {
	t.Helper()
	query := "SHOW transaction_isolation"
	dest := []any{&level}
	if p.Dialect == sqlstore.MySQL {
		query, dest = "SHOW VARIABLES WHERE variable_name IN ('tx_isolation', 'transaction_isolation')", []any{new(string), &level}
	}
	if err := db.QueryRowContext(t.Context(), query).Scan(dest...); err != nil {
		t.Fatal(err)
	}
	return strings.ToLower(level)
}
