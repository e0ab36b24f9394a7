package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/activity"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// FuzzUserText holds that users are written as encoding/json writes them.
func FuzzUserText(f *testing.F) {
	f.Add("1", "alice", "Al\"ice", "<&>\\", "a@example.com", int64(1), uint16(0))
	f.Add("", "\u2028ü\x7f", "\x00\n\t", "\xff\xc0", "", int64(0), uint16(0x1ff))
	f.Add("9007199254740993", "~ !", "", "", "", int64(1785484800123456), uint16(0x15))
	f.Add("a/b%é", "", "", "", "", int64(-62135596800000000), uint16(0x2a))
	f.Fuzz(func(t *testing.T, id, name, first, last, email string, created int64, bits uint16) {
		bit := func(n int) bool { return bits>>n&1 != 0 }
		a := &api{}
		if bit(0) {
			a.Session = new(auth.Session)
		}
		if bit(1) {
			a.Tokens = new(auth.Tokens)
		}
		if bit(2) {
			a.OAuth = new(oauth.Server)
		}
		if bit(3) {
			a.Activity = new(activity.Stream)
		}
		if bit(4) {
			a.Accounts = new(auth.Accounts)
		}
		p := &auth.Principal{ID: "1", Admin: bit(5)}
		u := store.User{ID: id, Name: name, FirstName: first, LastName: last, Email: email, Admin: bit(6), Auditor: bit(7), Active: !bit(6), Service: bit(8)}
		if created != 0 {
			u.Created = time.UnixMicro(created % (1 << 57)) // within the years that JSON has
		}
		shown := a.showUser(p, u)
		for _, tt := range []struct {
			want any
			got  []byte
		}{
			{shown, a.appendUser(nil, p, u)},
			{me{envelope[user]{Count: 1, Results: []user{shown}}, shown}, a.appendMe(nil, p, u)},
		} {
			want, err := json.Marshal(tt.want)
			if err != nil {
				return // a year with five digits
			}
			if diff := cmp.Diff(string(want), string(tt.got)); diff != "" {
				t.Errorf("(-encoding/json +appended):\n%s", diff)
			}
		}
	})
}

// A request in a log, by its context, has no credential.
func TestRoutedContextIsNotPrinted(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/api/v2/me/", nil)
	r.Header.Set("Authorization", "Bearer secret")
	ctx := newRouted(r, nil).Context()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(verb, ctx); strings.Contains(s, "secret") {
			t.Errorf("%s: %s", verb, s)
		}
	}
}
