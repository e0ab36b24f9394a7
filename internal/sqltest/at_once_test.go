package sqltest

import (
	"database/sql"
	"syscall"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// A step is one that PostgreSQL does as one statement.
type step struct {
	name string
	do   func(t *testing.T, st *sqlstore.Store, now time.Time) error
}

func stepsAtOnce() []step {
	return []step{
		{"charge", func(t *testing.T, st *sqlstore.Store, now time.Time) error {
			_, err := st.Charge(t.Context(), []store.Charge{{Key: "k", Limit: store.Limit{Max: 100, Window: hour}}}, now)
			return err
		}},
		{"settle", func(t *testing.T, st *sqlstore.Store, now time.Time) error {
			return st.Settle(t.Context(), store.Settlement{Forget: []string{"k"}, Remember: store.Memory{Key: "m", Group: "g", Most: 1, Until: now.Add(hour)}})
		}},
		{"session", func(t *testing.T, st *sqlstore.Store, now time.Time) error {
			_, _, err := st.InsertSession(t.Context(), sessionNamed(now.String(), "u", now), store.Digest{}, 1)
			return err
		}},
	}
}

// With a strict isolation by default a single statement may lose each time, and be
// told so after its rows. Then the transaction does the step, which asks for READ
// COMMITTED.
func TestStatementThatAlwaysLoses(t *testing.T) {
	for _, when := range []string{"TRIGGER lose BEFORE UPDATE", "CONSTRAINT TRIGGER lose AFTER INSERT OR UPDATE"} {
		t.Run(when, func(t *testing.T) {
			p := freshOn(sharedPostgres)(t)
			p.DSN += " default_transaction_isolation=serializable"
			st, db := p.openDB(t)
			now := time.Now()
			for _, s := range stepsAtOnce() {
				if err := s.do(t, st, now); err != nil {
					t.Fatal(err)
				}
			}
			query := "CREATE FUNCTION " + p.Prefix + `lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				IF current_setting('transaction_isolation') <> 'read committed' THEN
					RAISE EXCEPTION 'lost' USING ERRCODE = '40001';
				END IF;
				RETURN NEW;
			END $$`
			deferred := ""
			if when[0] == 'C' {
				deferred = " DEFERRABLE INITIALLY DEFERRED"
			}
			for _, table := range []string{"throttle", "memories", "sessions", "locks"} {
				query += "; CREATE " + when + " ON " + p.Prefix + table + deferred + " FOR EACH ROW EXECUTE FUNCTION " + p.Prefix + "lose()"
			}
			if _, err := db.Exec(query); err != nil {
				t.Fatal(err)
			}
			now = now.Add(time.Second)
			for _, s := range stepsAtOnce() {
				if err := s.do(t, st, now); err != nil {
					t.Errorf("%s: %v", s.name, err)
				}
			}
			if _, _, err := st.SessionByDigest(t.Context(), sessionOf(now.String())); err != nil {
				t.Errorf("a session that was acknowledged: %v", err)
			}
		})
	}
}

// Connections that ended while nobody used them cost no step: the driver says that
// it has sent nothing.
func TestEndedIdleConnections(t *testing.T) {
	p := freshOn(sharedPostgres)(t)
	calm := p.pool(t)
	p.DSN += " application_name=" + p.Prefix
	st, db := p.openDB(t)
	for n, s := range stepsAtOnce() {
		// The driver asks a connection whether it lives that is used again for the
		// first time, or after a second.
		for range 2 {
			var conns []*sql.Conn
			for range 6 {
				conn, err := db.Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				conns = append(conns, conn)
			}
			for _, conn := range conns {
				conn.Close()
			}
		}
		for _, pid := range ended(t, calm, p.Prefix) {
			for syscall.Kill(pid, 0) == nil { // it has not closed its socket
			}
		}
		if err := s.do(t, st, time.Now().Add(time.Duration(n)*time.Second)); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	}
}

// ended ends the connections of an application and returns their processes.
func ended(t *testing.T, db *sql.DB, application string) (pids []int) {
	t.Helper()
	rows, err := db.Query("SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", application)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var pid int
		if err := rows.Scan(&pid, new(bool)); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if rows.Err() != nil || len(pids) == 0 {
		t.Fatal(len(pids), rows.Err())
	}
	return pids
}
