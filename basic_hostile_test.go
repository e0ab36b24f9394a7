package auth_test

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
)

// credentials that only resemble remembered ones are as wrong as before.
func TestAlmostRememberedCredentials(t *testing.T) {
	s := newSystem(t, func(o *settings) {
		many := store.Limit{Max: 1e5, Window: time.Hour}
		o.passwords.PerClient, o.passwords.PerAccount, o.passwords.PerNetwork = many, many, many
	})
	const name, password = "jürgen", "Pässwörd of 15!"
	user := s.addUser(store.User{Name: name, Active: true})
	if err := s.db.Store.SetPasswordHash(t.Context(), user.ID, cheapHash(1, password)); err != nil {
		t.Fatal(err)
	}
	right := basicLine(name, password)
	_, text, _ := strings.Cut(right, "Basic ")
	remembered := func() {
		t.Helper()
		before := s.hasher.verifies.Load()
		if got := s.me(right); got != "jürgen by basic" || s.hasher.verifies.Load() != before {
			t.Fatalf("reply %s, not from memory", got)
		}
	}
	s.me(right)
	remembered()

	// Other forms of the field with the same text are the same credentials.
	for _, line := range []string{"Authorization: bAsIc " + text, "Authorization: Basic   " + text} {
		if got := s.me(line); got != "jürgen by basic" {
			t.Errorf("%q: %s", line, got)
		}
	}

	pair := []byte(name + ":" + password)
	wrong := map[string]string{
		"nothing":                  "",
		"doubled":                  text + text,
		"doubled by a comma":       text + "," + text,
		"doubled by a blank":       text + " " + text,
		"blank behind":             text + " ",
		"tab before":               "\t" + text,
		"tab behind":               text + "\t",
		"line break behind":        text + "\n",
		"line break inside":        text[:4] + "\r\n" + text[4:],
		"NUL behind":               text + "\x00",
		"one byte more":            text + "A",
		"padding behind":           text + "=",
		"four paddings behind":     text + "====",
		"text in quotes":           `"` + text + `"`,
		"percent-encoded":          strings.ReplaceAll(text, "=", "%3D"),
		"without its padding":      strings.TrimRight(text, "="),
		"upper case":               strings.ToUpper(text),
		"lower case":               strings.ToLower(text),
		"in hex":                   fmt.Sprintf("%x", pair),
		"in clear":                 string(pair),
		"encoded twice":            base64.StdEncoding.EncodeToString([]byte(text)),
		"overlong":                 text + strings.Repeat("A", 4096),
		"endless":                  text + strings.Repeat("A", 1<<16),
		"UTF-8 taken for Latin-1":  encoded("jÃ¼rgen:PÃ¤sswÃ¶rd of 15!"),
		"half of it Latin-1":       encoded("j\xfcrgen:" + password),
		"decomposed":               encoded("ju\u0308rgen:" + password),
		"another case of the name": encoded("Jürgen:" + password),
		"another case of both":     encoded(strings.ToUpper(string(pair))),
		"blank behind the name":    encoded(name + " :" + password),
		"blank before the name":    encoded(" " + name + ":" + password),
		"blank behind, inside":     encoded(name + ":" + password + " "),
		"NUL behind, inside":       encoded(name + ":" + password + "\x00"),
		"NUL before, inside":       encoded("\x00" + name + ":" + password),
		"byte order mark":          encoded("\ufeff" + name + ":" + password),
		"a further colon":          encoded(name + "::" + password),
		"no colon":                 encoded(name + password),
		"of another user":          encoded("alice:" + password),
		"of nobody":                encoded(":" + password),
		"no password":              encoded(name + ":"),
		"exchanged":                encoded(password + ":" + name),
	}
	if strings.TrimRight(text, "=") == text {
		t.Fatal("choose a password whose text is padded")
	}
	for i := range pair {
		wrong[fmt.Sprintf("the first %d bytes", i)] = encoded(string(pair[:i]))
		wrong[fmt.Sprintf("without the first %d bytes", i+1)] = encoded(string(pair[i+1:]))
		flipped := append([]byte(nil), pair...)
		flipped[i] ^= 1
		wrong[fmt.Sprintf("another byte %d", i)] = encoded(string(flipped))
	}
	for i := range text { // each bit that canonical base64 leaves unused included
		wrong[fmt.Sprintf("the first %d bytes of the text", i)] = text[:i]
		for _, c := range []byte{text[i] ^ 1, text[i] ^ 0x20, text[i] + 1} {
			wrong[fmt.Sprintf("byte %d of the text is %q", i, c)] = text[:i] + string([]byte{c}) + text[i+1:]
		}
	}
	for what, line := range wrong {
		if got := s.me("Authorization: Basic " + line); got != "401" {
			t.Errorf("%s: %s", what, got)
		}
	}
	remembered()
}

func encoded(pair string) string { return base64.StdEncoding.EncodeToString([]byte(pair)) }

// what changed after a right password counts at its next use.
func TestRememberedAndChanged(t *testing.T) { readings(t, testRememberedAndChanged) }

func testRememberedAndChanged(t *testing.T, how func(*settings)) {
	ctx := context.Background()
	for _, tt := range []struct {
		name   string
		change func(s *system) error
		want   string
	}{
		{"nothing", func(s *system) error { return nil }, "alice by basic"},
		{"a service account now", func(s *system) error {
			u := s.alice
			u.Service = true
			return s.db.UpdateUser(ctx, u)
		}, "401"},
		{"renamed", func(s *system) error {
			u := s.alice
			u.Name = "alicia"
			return s.db.UpdateUser(ctx, u)
		}, "401"},
		{"exchanged names", func(s *system) error {
			a, b := s.alice, s.bob
			b.Name = "nobody"
			err := s.db.UpdateUser(ctx, b)
			a.Name, b.Name = "bob", "alice"
			return cmp.Or(err, s.db.UpdateUser(ctx, a), s.db.UpdateUser(ctx, b), s.db.Store.SetPasswordHash(ctx, b.ID, cheapHash(1, "of bob alone")))
		}, "401"},
		{"another user with the same hash", func(s *system) error {
			u := s.alice
			u.Name = "alicia"
			err := s.db.UpdateUser(ctx, u)
			heir, errHeir := s.db.InsertUser(ctx, store.User{ID: "33", Name: "alice", Active: true})
			hash, errHash := s.db.Store.PasswordHash(ctx, u.ID)
			return cmp.Or(err, errHeir, errHash, s.db.Store.SetPasswordHash(ctx, heir.ID, hash))
		}, "alice by basic, hashed"},
		{"no password any more", func(s *system) error { return s.db.Store.SetPasswordHash(ctx, s.alice.ID, "") }, "401"},
		{"a password that cannot be used", func(s *system) error { return s.db.Store.SetPasswordHash(ctx, s.alice.ID, "!") }, "401"},
		{"an administrator now", func(s *system) error {
			u := s.alice
			u.Admin = true
			return s.db.UpdateUser(ctx, u)
		}, "alice by basic"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSystem(t, how)
			line := basicLine("alice", goodPassword)
			if got := s.me(line); got != "alice by basic" {
				t.Fatal(got)
			}
			if err := tt.change(s); err != nil {
				t.Fatal(err)
			}
			before := s.hasher.verifies.Load()
			got := s.me(line)
			if got != "401" && s.hasher.verifies.Load() != before {
				got += ", hashed"
			}
			if got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// A login by Basic warns, once, that the throttle takes all clients of a proxy for one.
func TestBasicBehindAnUnknownProxy(t *testing.T) {
	s := newSystem(t, nil)
	logged := func(line string, further ...string) (n int) {
		for _, e := range s.events(func() { s.me(append(further, line)...) }) {
			if strings.Contains(fmt.Sprint(e["msg"]), "has not passed Proxy.Handler") {
				n++
			}
		}
		return n
	}
	const field = "X-Forwarded-For: 203.0.113.7"
	if n := logged(basicLine("alice", goodPassword)); n != 0 {
		t.Errorf("%d warnings without a proxy", n)
	}
	if n := logged(basicLine("bob", "wrong"), field); n != 1 {
		t.Errorf("%d warnings behind a proxy", n)
	}
	if n := logged(basicLine("bob", goodPassword), field); n != 0 {
		t.Errorf("%d further warnings", n)
	}
}
