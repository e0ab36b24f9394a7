package sqltest

import (
	"cmp"
	"database/sql"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// Every value of a token comes to the column that is its own, whatever the statement is
// made of, in MySQL under all settings of a host, and if the token before had others or none.
func TestInsertStoresEveryField(t *testing.T) {
	for _, d := range databases() {
		for _, setting := range append([]string{""}, insertSettings[d.name]...) {
			t.Run(d.name+" "+setting, func(t *testing.T) {
				t.Parallel()
				p := d.fresh(t)
				p.open(t)
				for n, part := range strings.FieldsFunc(setting, func(r rune) bool { return r == '&' }) {
					name, value, _ := strings.Cut(part, "=")
					p.DSN += []string{"?", "&"}[min(n, 1)] + name + "=" + url.QueryEscape(value)
				}
				st, db := p.openDB(t)
				db.SetMaxOpenConns(1) // with statements that remember what they had
				storesEveryField(t, p, st, db)
			})
		}
	}
}

// insertSettings are mixedSettings with some that concern inserts.
var insertSettings = map[string][]string{
	"MySQL":   append(mixedSettings["MySQL"], "sql_select_limit=1", "clientFoundRows=true&transaction_isolation='READ-COMMITTED'", "interpolateParams=true&transaction_isolation='READ-COMMITTED'"),
	"MariaDB": append(mixedSettings["MariaDB"], "sql_select_limit=1", "clientFoundRows=true&tx_isolation='READ-COMMITTED'", "interpolateParams=true&tx_isolation='READ-COMMITTED'"),
}

func storesEveryField(t *testing.T, p place, st *sqlstore.Store, db *sql.DB) {
	ctx, now := t.Context(), time.UnixMicro(1_700_000_000_000_001).UTC()
	for range 3 { // the number of a token is that of the newest cut-off
		if _, err := st.RevokeTokens(ctx, store.Selection{UserID: "nobody"}, now); err != nil {
			t.Fatal(err)
		}
	}
	few := limits
	few.Owned = 10_000
	var parents []store.Token
	for n := range 3 {
		tok := tokenNamed(fmt.Sprint("parent", n), now)
		tok.Expires, tok.Refresh = now.Add(1000*hour), store.Refresh{}
		tok.ApplicationID = int64(n & 1) // a root with one, and one without
		if n == 2 {
			tok.ParentID = parents[0].Family
		}
		tok, err := st.InsertToken(ctx, tok, limits)
		if err != nil {
			t.Fatal(err)
		}
		parents = append(parents, tok)
	}
	under := []store.Token{{}, parents[0], parents[1], parents[2]}
	for n, size := range []int{0, 1, 6_000, 1, 1} { // 6,000 times each text is more than the 65,535 bytes of a BLOB
		fresh := n == 4 // as all new tokens are
		for shape := range 32 {
			parent := under[shape>>3]
			name := fmt.Sprintf("%d-%d", n, shape)
			at := func(i int) time.Time { // each field has an instant of its own
				if size == 0 {
					return time.Time{}
				}
				return now.Add(time.Duration(n*100_000+shape*100+i) * time.Microsecond)
			}
			text := func(what string) string { return strings.Repeat(what+name+"é ", size) }
			tok := store.Token{
				Digest: accessOf(name), UserID: "user" + name, ApplicationID: int64(shape & 1), ParentID: parent.Family, Independent: size > 0 && parent.Family != 0,
				Scopes: text("scopes"), Audience: text("audience"), Epoch: int64(size) * int64(shape+1), Description: text("description"),
				Created: now.Add(time.Duration(shape) * time.Microsecond), Modified: at(1), Expires: now.Add(hour + time.Duration(shape)*time.Microsecond),
				LastUsed: at(2), Revoked: at(3),
			}
			if size > 0 {
				tok.Addresses = []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.%d.%d.0/24", n, shape)), netip.MustParsePrefix("2001:db8::/32")}
			}
			if n == 3 {
				tok.Revoked = time.Time{}
			}
			if fresh {
				tok.Modified, tok.LastUsed, tok.Revoked = tok.Created, time.Time{}, time.Time{}
			}
			if tok.Modified.IsZero() {
				tok.Modified = tok.Created
			}
			ends, over := tok.Expires, tok.Expires
			if shape&2 != 0 {
				tok.Refresh = store.Refresh{
					Digest: refreshOf(name), Scopes: text("refresh"), Expires: now.Add(2*hour + time.Duration(shape)*time.Microsecond),
					GrantExpires: now.Add(3*hour + time.Duration(shape)*time.Microsecond), Spent: at(5),
				}
				ends = tok.Refresh.Expires
				if size > 0 {
					tok.Refresh.Nonce, tok.Refresh.Grant = store.DigestOf("nonce"+name), store.DigestOf("grant"+name)
				}
				if fresh {
					tok.Refresh.Nonce, tok.Refresh.Spent = store.Digest{}, time.Time{}
				}
				over = ends
			}
			if !tok.Revoked.IsZero() {
				ends, over = tok.Revoked, tok.Revoked
			}
			if !tok.Refresh.Spent.IsZero() {
				over = tok.Refresh.GrantExpires
			}
			use := limits
			if shape&4 != 0 {
				use = few
			}
			use.ParentDigest, use.ParentScopes = parent.Digest, parent.Scopes

			stored, err := st.InsertToken(ctx, tok, use)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want := tok
			want.ID, want.Family, want.Revision = stored.ID, stored.ID, 1
			want.ViaApplicationID = cmp.Or(tok.ApplicationID, parent.ViaApplicationID)
			ancestors := ""
			if parent.Family != 0 {
				want.RootID, want.Depth = cmp.Or(parent.RootID, parent.Family), parent.Depth+1
				ancestors = strings.TrimSpace(strings.TrimPrefix(fmt.Sprint(parent.ParentID), "0") + " " + fmt.Sprint(parent.Family))
			}
			if shape&2 != 0 {
				want.Refresh.GrantCreated = tok.Created
			}
			read, err := st.TokenByDigest(ctx, tok.Digest)
			if err != nil || !reflect.DeepEqual(stored, want) || !reflect.DeepEqual(read, want) {
				t.Fatalf("%s: %v\nreturned %+v\nread     %+v\nwant     %+v", name, err, stored, read, want)
			}
			type hidden struct {
				Ends, Over, Seq, Successor, Revision int64
				Ancestors                            string
				Minted                               bool
			}
			var got hidden
			err = db.QueryRowContext(ctx, p.sql(fmt.Sprintf("SELECT ends_at, purge_at, seq, successor_id, revision, ancestors, minted FROM auth_tokens WHERE id = %d", stored.ID))).
				Scan(&got.Ends, &got.Over, &got.Seq, &got.Successor, &got.Revision, &got.Ancestors, &got.Minted)
			if want := (hidden{ends.UnixMicro(), over.UnixMicro(), 3, 0, 1, ancestors, false}); err != nil || got != want {
				t.Fatalf("%s: %v, stored %+v, want %+v", name, err, got, want)
			}
		}
	}
}
