package sqltest

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// mixedSettings are what a host or its database may have set, for a DSN.
var mixedSettings = map[string][]string{
	"MySQL": {
		"transaction_isolation='READ-UNCOMMITTED'", "transaction_isolation='READ-COMMITTED'", "transaction_isolation='SERIALIZABLE'",
		"clientFoundRows=true", "sql_safe_updates=1", "interpolateParams=true",
		"sql_mode='TRADITIONAL,ANSI,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,NO_UNSIGNED_SUBTRACTION,IGNORE_SPACE,HIGH_NOT_PRECEDENCE'",
	},
	"MariaDB": {
		"tx_isolation='READ-UNCOMMITTED'", "tx_isolation='READ-COMMITTED'", "tx_isolation='SERIALIZABLE'",
		"clientFoundRows=true", "sql_safe_updates=1", "interpolateParams=true",
		"sql_mode='TRADITIONAL,ANSI,NO_BACKSLASH_ESCAPES,SIMULTANEOUS_ASSIGNMENT,HIGH_NOT_PRECEDENCE'",
		"sql_mode='ORACLE,STRICT_ALL_TABLES'",
	},
}

// Attempts are neither lost nor doubled, whatever the defaults of the server are, and
// whether callers change counters by one statement or lock them first, as the
// versions before did it.
func TestAttemptsUnderSettings(t *testing.T) {
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			p := d.fresh(t)
			p.open(t) // migrations need not run under each setting
			for n, setting := range append([]string{""}, mixedSettings[d.name]...) {
				t.Run(setting, func(t *testing.T) {
					p := p
					if name, value, ok := strings.Cut(setting, "="); ok {
						p.DSN += "?" + name + "=" + url.QueryEscape(value)
					}
					stores := []*sqlstore.Store{p.open(t), p.open(t)}
					for round := range 4 {
						mixedRound(t, stores, 10*n+round)
					}
				})
			}
		})
	}
}

// mixedRound charges two keys by many callers at once, who return some of what they
// reserved, and counts.
func mixedRound(t *testing.T, stores []*sqlstore.Store, round int) {
	const most = 12
	now := time.UnixMicro(1_700_000_000_000_000).Add(time.Duration(round) * 24 * time.Hour)
	limit := store.Limit{Max: most, Window: time.Hour}
	key := func(name string) string { return fmt.Sprintf("mixed %s %d", name, round) }
	charges := func(old bool, turned bool) []store.Charge {
		list := []store.Charge{{Key: key("account"), Limit: limit}, {Key: key("address"), Limit: store.Limit{Max: 1000, Window: time.Hour}}}
		if turned {
			list[0], list[1] = list[1], list[0]
		}
		if old { // the statements are for four keys
			for i := range 3 {
				list = append(list, store.Charge{Key: key(fmt.Sprint("further", i)), Limit: store.Limit{Max: 1000, Window: time.Hour}})
			}
		}
		return list
	}
	known := store.Memory{Key: key("known"), Group: key("group"), Until: now.Add(time.Hour), Most: 3}
	if round%2 == 0 {
		if err := stores[0].Settle(t.Context(), store.Settlement{Remember: known}); err != nil {
			t.Fatal(err)
		}
	}
	var allowed, returned atomic.Int64
	var calls []func()
	for i := range 24 {
		calls = append(calls, func() {
			st := stores[i%len(stores)]
			for n := range 4 {
				v, err := st.Charge(t.Context(), charges(i%3 == 0, rand.IntN(2) == 0), now)
				if err != nil {
					t.Errorf("charge: %v", err)
					return
				}
				if !v.Allowed {
					continue
				}
				allowed.Add(1)
				if rand.IntN(2) == 0 {
					continue
				}
				s := store.Settlement{Return: v.Reserved}
				if n%2 == 0 || i%3 != 0 {
					s.Remember = known
					s.Remember.Until = now.Add(time.Hour + time.Duration(rand.IntN(3))*time.Second)
				}
				if err := st.Settle(t.Context(), s); err != nil {
					t.Errorf("settle: %v", err)
					return
				}
				returned.Add(1)
				if n == 3 {
					if _, err := st.PurgeAttempts(t.Context(), now, 100); err != nil {
						t.Errorf("purge: %v", err)
					}
				}
			}
		})
	}
	together(calls...)
	left := int64(0)
	for {
		v, err := stores[0].Charge(t.Context(), charges(false, false)[:1], now)
		if err != nil {
			t.Fatal(err)
		}
		if !v.Allowed || left > 2*most {
			break
		}
		left++
	}
	if out := allowed.Load() - returned.Load(); out+left != most {
		t.Errorf("round %d: %d allowed, %d returned, %d left of %d", round, allowed.Load(), returned.Load(), left, most)
	}
	address := charges(false, false)[1:]
	address[0].Limit.Max = int(allowed.Load()-returned.Load()) + 1
	for n, want := range []bool{true, false} {
		if v, err := stores[1].Charge(t.Context(), address, now); err != nil || v.Allowed != want {
			t.Errorf("round %d: the other counter at %d: %+v, %v, want %t", round, n, v, err, want)
		}
	}
}
