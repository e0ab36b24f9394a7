package sqltest

import (
	"cmp"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
)

// A session that a program stored which knows of no address and no browser is
// read, listed, and seen somewhere.
func TestSessionsOfOlderPrograms(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		p := fresh(t)
		st, db := p.openDB(t)
		now := time.Now().UTC().Truncate(time.Microsecond)
		s := store.Session{Digest: store.DigestOf("old"), UserID: "u", Epoch: 1, Created: now, Seen: now, Expires: now.Add(time.Hour)}
		s, _, err := st.InsertSession(t.Context(), s, store.Digest{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		clear := "UPDATE " + cmp.Or(p.Prefix, "auth_") + "sessions SET address = NULL, agent = NULL"
		if _, err := db.Exec(clear); err != nil {
			t.Fatal(err)
		}
		check := func(what string, address netip.Addr) {
			t.Helper()
			got, _, err := st.SessionByDigest(t.Context(), s.Digest)
			if err != nil || got.Address != address || got.Agent != "" {
				t.Errorf("%s: read %v, %q, %v; want %v", what, got.Address, got.Agent, err, address)
			}
			list, total, err := st.ListSessions(t.Context(), store.SessionFilter{UserID: "u"}, now, store.Page{Limit: 2})
			if err != nil || total != 1 || len(list) != 1 || list[0].Address != address || list[0].Agent != "" {
				t.Errorf("%s: listed %+v, %v; want %v", what, list, err, address)
			}
		}
		check("as it was stored", netip.Addr{})
		seen := netip.MustParseAddr("2001:db8::1")
		for i, from := range []netip.Addr{{}, seen} {
			if err := st.TouchSession(t.Context(), s.Digest, s.Expires.Add(time.Duration(i+1)*time.Minute), now, from); err != nil {
				t.Fatal(err)
			}
			check("seen at "+strings.TrimPrefix(from.String(), "invalid "), from)
		}
		if n, err := st.EndSessions(t.Context(), store.SessionSelection{UserID: "u", ID: s.ID}, store.EndedAdmin, now); n != 1 || err != nil {
			t.Errorf("ended %d, %v", n, err)
		}
	})
}
