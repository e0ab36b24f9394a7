package cli_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
)

// breakable is a bench whose database refuses what a trigger says.
func breakable(t *testing.T) (b *bench, refuse func(on, when string)) {
	b = newBench(t)
	b.user("erika")
	b.user("max")
	db := open(t, b)
	return b, func(on, when string) {
		t.Helper()
		for _, query := range []string{"DROP TRIGGER IF EXISTS refuse", "CREATE TRIGGER refuse BEFORE " + on + " WHEN " + when + " BEGIN SELECT RAISE(ABORT, 'out of order'); END"} {
			if _, err := db.Pool.ExecContext(t.Context(), query); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// failed runs a command that fails after a part of its work.
func (b *bench) failed(says string, args ...string) reply {
	b.t.Helper()
	r := b.run("", args...)
	if r.code != 1 || !strings.Contains(r.err, "out of order") || !strings.Contains(r.err, says) {
		b.t.Errorf("%s: status %d, it says %q, want %q", strings.Join(args, " "), r.code, r.err, says)
	}
	return r
}

const step = 500 // of the ends and purges that come here

// sessions stores so many sessions of a user.
func (b *bench) sessions(n int, userID string) {
	b.t.Helper()
	st, now := open(b.t, b).Store, time.Now()
	for i := range n {
		v := store.Session{Digest: store.DigestOf(fmt.Sprint(userID, i)), UserID: userID, Epoch: 1, Created: now, Seen: now, Expires: now.Add(time.Hour)}
		if _, _, err := st.InsertSession(b.t.Context(), v, store.Digest{}, 0); err != nil {
			b.t.Fatal(err)
		}
	}
}

// A command that fails on its way says how far it came, and what to do.
func TestUnfinishedEnds(t *testing.T) {
	b, refuse := breakable(t)
	b.sessions(3, "1")
	b.sessions(step+1, "2")
	refuse("UPDATE ON auth_sessions", fmt.Sprint("OLD.id > ", 3+step))
	b.failed("ended 503 sessions of 2 users before that; run the same command again to go on", "session", "end", "--all", "--yes")
	b.failed("ended 0 sessions of max before that; run the same command again to go on", "session", "end", "--user", "max")
	if list := b.json("session", "list").([]any); len(list) != 1 {
		t.Errorf("%d sessions are left", len(list))
	}
	refuse("UPDATE ON auth_sessions", "FALSE")
	want(t, "again", object{"ended": 1.0, "users": 2.0}, b.json("session", "end", "--all", "--yes"))
}

func TestUnfinishedPurge(t *testing.T) {
	b, refuse := breakable(t)
	log := t.TempDir() + "/audit"
	b.env["OSTIARY_AUDIT_LOG"] = log
	st, old := open(t, b).Store, time.Now().Add(-48*time.Hour)
	for i := range 2 {
		tok := store.Token{Digest: store.DigestOf(fmt.Sprint(i)), UserID: "1", Created: old.Add(-time.Hour), Expires: old}
		if _, err := st.InsertToken(t.Context(), tok, store.InsertLimits{}); err != nil {
			t.Fatal(err)
		}
	}
	v := store.Session{Digest: store.DigestOf("old"), UserID: "1", Created: old.Add(-time.Hour), Seen: old, Expires: old}
	if _, _, err := st.InsertSession(t.Context(), v, store.Digest{}, 0); err != nil {
		t.Fatal(err)
	}
	refuse("DELETE ON auth_sessions", "TRUE")
	b.failed("removed before that: 2 tokens and codes, 0 sessions, 0 counters, 0 activities; run the same command again to go on", "purge")
	if text, err := os.ReadFile(log); err != nil || !strings.Contains(string(text), `"tokens":2,"sessions":0`) {
		t.Errorf("the audit log: %v %s", err, text)
	}
	refuse("DELETE ON auth_sessions", "FALSE")
	want(t, "again", object{"tokens": 0.0, "sessions": 1.0, "attempts": 0.0, "activities": 0.0}, b.json("purge"))
}

// The user is disabled before very many sessions end.
func TestUnfinishedDeletion(t *testing.T) {
	b, refuse := breakable(t)
	b.sessions(step+1, "2")
	refuse("UPDATE ON auth_sessions", fmt.Sprint("OLD.id > ", step))
	b.failed("max may be disabled by now, and some sessions and tokens ended; run the same command again to go on", "user", "delete", "max", "--yes")
	if active := b.json("user", "show", "max").(map[string]any)["active"]; active != false {
		t.Errorf("max is active: %v", active)
	}
	refuse("UPDATE ON auth_sessions", "FALSE")
	b.ok("user", "delete", "max", "--yes")
}

// A password that was made is shown though the tokens could not be ended.
func TestUnfinishedPassword(t *testing.T) {
	b, refuse := breakable(t)
	b.ok("token", "create", "--user", "max")
	refuse("INSERT ON auth_cutoffs", "TRUE")
	r := b.failed("the password is changed, but the tokens may go on; to end them: ostiary token revoke --user max", "user", "password", "max", "--generate", "--end-tokens")
	password := regexp.MustCompile(`[A-Z2-7]{26}`).FindString(r.out)
	if password == "" || serve(t, b).login("max", password) == nil {
		t.Errorf("the new password is not shown: %q", r.out)
	}
}
