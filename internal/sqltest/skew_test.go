package sqltest

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// A server whose clock is behind notices it by each kind of record that the other
// one wrote, and says by how much.
func TestSkewIsNoticed(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		p := fresh(t)
		ahead, db := p.openDB(t)
		ctx, then := context.Background(), time.Now().Add(10*time.Minute)
		tok := tokenNamed("x", then)
		tok.Created = time.Now().Add(-hour)
		tok, err := ahead.InsertToken(ctx, tok, limits)
		if err == nil {
			err = ahead.Touch(ctx, []store.Sighting{{TokenID: tok.ID, At: then}})
		}
		if err == nil {
			err = ahead.InsertCode(ctx, store.Code{Digest: store.Digest{1}, ApplicationID: 1, UserID: "1", Created: then, Expires: then.Add(hour)}, 10)
		}
		if err == nil {
			err = ahead.InsertDevice(ctx, store.Device{Digest: store.Digest{2}, UserCode: store.Digest{3}, ApplicationID: 1, Created: then, Expires: then.Add(hour)})
		}
		if err == nil {
			_, _, err = ahead.InsertSession(ctx, store.Session{Digest: store.Digest{4}, UserID: "1", Created: then, Seen: then, Expires: then.Add(hour)}, store.Digest{}, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		for record, read := range map[string]func(*sqlstore.Store) error{
			"access":  func(st *sqlstore.Store) error { _, err := st.AccessByDigest(ctx, tok.Digest); return err },
			"token":   func(st *sqlstore.Store) error { _, err := st.TokenByRefresh(ctx, tok.Refresh.Digest); return err },
			"code":    func(st *sqlstore.Store) error { _, err := st.CodeByDigest(ctx, store.Digest{1}); return err },
			"device":  func(st *sqlstore.Store) error { _, err := st.DeviceByUserCode(ctx, store.Digest{3}); return err },
			"session": func(st *sqlstore.Store) error { _, _, err := st.SessionByDigest(ctx, store.Digest{4}); return err },
		} {
			var log strings.Builder
			opts := p.options()
			opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
			st, err := sqlstore.Open(ctx, db, p.Dialect, opts)
			if err != nil {
				t.Fatal(err)
			}
			if err := read(st); err != nil {
				t.Errorf("%s: %v", record, err)
			}
			if text := log.String(); !strings.Contains(text, "clocks") || !strings.Contains(text, "ahead=9m") {
				t.Errorf("%s: log %q", record, text)
			}
			st.Close()
		}
	})
}
