package auth_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// slowHasher takes as long as the kind of a hash says, as in "kind$35ms$salt$key".
type slowHasher struct{ jitter func() time.Duration }

func (h slowHasher) Hash(password string) (string, error) {
	return "own$35ms$0$" + password, nil
}

func (h slowHasher) Verify(hash, password string) (ok, outdated bool, err error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 4 {
		return false, false, fmt.Errorf("unreadable hash")
	}
	took, err := time.ParseDuration(parts[1])
	time.Sleep(took + h.jitter())
	return err == nil && parts[3] == password, parts[0] != "own", err
}

// B5, case 15: after an import the time of a refusal does not tell which
// names exist, nor which kind of hash somebody has.
func TestRefusalsTakeEquallyLong(t *testing.T) {
	users := map[string]string{
		"argon": "own$35ms$1$" + goodPassword, "pbkdf": "pbkdf2$300ms$1$" + goodPassword, "pbkdf600": "pbkdf2$600ms$1$" + goodPassword,
		"bcrypt": "bcrypt$700ms$1$" + goodPassword, "unusable": "!x",
	}
	names := []string{"argon", "pbkdf", "pbkdf600", "bcrypt", "unusable", "nobody", "nobody else"}
	run := func(t *testing.T, least time.Duration, rounds int) (took map[string]time.Duration) {
		s := newSystem(t, func(o *settings) {
			unlimited(o)
			o.passwords.Hasher = slowHasher{func() time.Duration { return rand.N(10 * time.Millisecond) }}
			o.passwords.RefusalTime = least
		})
		for name, hash := range users {
			u := s.addUser(store.User{Name: name, Active: true})
			if err := s.db.Store.SetPasswordHash(t.Context(), u.ID, hash); err != nil {
				t.Fatal(err)
			}
		}
		verify := func(name string) time.Duration {
			start := time.Now()
			if got := verdictOf(s.passwords.Verify(at(t, "192.0.2.1"), name, "wrong")); got != badLogin {
				t.Errorf("%s: %s", name, got)
			}
			return time.Since(start)
		}
		for range rounds {
			for _, name := range names {
				verify(name)
			}
		}
		took = make(map[string]time.Duration)
		for _, name := range names {
			took[name] = verify(name)
		}
		return took
	}
	synctest.Test(t, func(t *testing.T) {
		took := slices.Sorted(maps.Values(run(t, 0, 20)))
		if first, last := took[0], took[len(took)-1]; first < 700*time.Millisecond || last > 800*time.Millisecond || last-first > 10*time.Millisecond {
			t.Errorf("refusals take %v", took)
		}
		// With the option nothing has to be learnt.
		for name, got := range run(t, time.Second, 0) {
			if got != time.Second {
				t.Errorf("with RefusalTime %s takes %v", name, got)
			}
		}
	})
}

// While there is one kind of hash nobody waits, and a right password never does.
func TestNobodyWaitsForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, func(o *settings) {
			o.passwords.Hasher = slowHasher{func() time.Duration { return 0 }}
		})
		for _, name := range []string{"alice", "bob"} {
			u, _ := s.db.Store.UserByName(t.Context(), name)
			hash := map[string]string{"alice": "own$35ms$1$", "bob": "pbkdf2$600ms$1$"}[name]
			if err := s.db.Store.SetPasswordHash(t.Context(), u.ID, hash+goodPassword); err != nil {
				t.Fatal(err)
			}
		}
		took := func(name, password string) time.Duration {
			start := time.Now()
			_, _ = s.passwords.Verify(at(t, "192.0.2.1"), name, password)
			return time.Since(start)
		}
		for _, tt := range []struct {
			name, password string
			want           time.Duration
		}{
			{"alice", "wrong", 35 * time.Millisecond},
			{"nobody", "wrong", 35 * time.Millisecond},
			{"bob", goodPassword, 600 * time.Millisecond},
			{"alice", goodPassword, 35 * time.Millisecond},
			{"bob", goodPassword, 35 * time.Millisecond}, // has a new hash
		} {
			if got := took(tt.name, tt.password); got != tt.want {
				t.Errorf("%s with %q took %v, want %v", tt.name, tt.password, got, tt.want)
			}
		}
	})
}

// BenchmarkRefusals measures what the time of a refusal tells, with real hashes
// of an import.
func BenchmarkRefusals(b *testing.B) {
	s := newSystem(b, func(o *settings) {
		unlimited(o)
		o.passwords.Hasher, o.passwords.Logger = auth.Argon2id{}, quiet
	})
	own, err := auth.Argon2id{}.Hash(goodPassword)
	if err != nil {
		b.Fatal(err)
	}
	for name, hash := range map[string]string{ // each is compared once before
		"argon2id": own,
		"pbkdf2":   strings.Replace(pbkdf2Hash, "$1000$", "$600000$", 1),
		"bcrypt":   strings.Replace(bcryptHash, "$04$", "$12$", 1),
	} {
		u := s.addUser(store.User{Name: name, Active: true})
		if err := s.db.Store.SetPasswordHash(b.Context(), u.ID, hash); err != nil {
			b.Fatal(err)
		}
		_, _ = s.passwords.Verify(at(b, "192.0.2.1"), name, "wrong")
	}
	took := make(map[string][]time.Duration)
	for b.Loop() {
		for _, name := range []string{"nobody", "argon2id", "pbkdf2", "bcrypt"} {
			start := time.Now()
			_, _ = s.passwords.Verify(at(b, "192.0.2.1"), name, "wrong")
			took[name] = append(took[name], time.Since(start))
		}
	}
	for name, all := range took {
		slices.Sort(all)
		b.ReportMetric(all[len(all)/2].Seconds()*1000, name+"-ms")
	}
}
