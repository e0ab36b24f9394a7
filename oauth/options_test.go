package oauth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// weak and contradictory options do not construct.
func TestOAuthOptionsRefused(t *testing.T) {
	seconds := func(n int64) time.Duration { return time.Duration(n) * time.Second }
	for _, tt := range []struct {
		name  string
		opts  oauth.Options
		field string
	}{
		{"negative access lifetime", oauth.Options{AccessLifetime: -1}, "AccessLifetime"},
		{"access lifetime below a second", oauth.Options{AccessLifetime: time.Millisecond}, "AccessLifetime"},
		{"the 31,536,000,000 seconds of AWX overflow", oauth.Options{AccessLifetime: seconds(31_536_000_000)}, "AccessLifetime"},
		{"the longest duration", oauth.Options{AccessLifetime: 1<<63 - 1}, "AccessLifetime"},
		{"negative refresh lifetime", oauth.Options{RefreshLifetime: -time.Hour}, "RefreshLifetime"},
		{"refresh tokens that outlive their grant", oauth.Options{RefreshLifetime: 2 * time.Hour, GrantLifetime: time.Hour}, "RefreshLifetime"},
		{"endless grants", oauth.Options{GrantLifetime: seconds(9_000_000_000)}, "GrantLifetime"},
		{"codes of eleven minutes", oauth.Options{CodeLifetime: 11 * time.Minute}, "CodeLifetime"},
		{"negative code lifetime", oauth.Options{CodeLifetime: -1}, "CodeLifetime"},
		{"a negative number of codes", oauth.Options{MaxCodes: -1}, "MaxCodes"},
		{"grace above a minute", oauth.Options{RefreshGrace: 61 * time.Second}, "RefreshGrace"},
		{"negative grace", oauth.Options{RefreshGrace: -1}, "RefreshGrace"},
		{"issuer with http", oauth.Options{Issuer: "http://api.example"}, "Issuer"},
		{"issuer with a last slash", oauth.Options{Issuer: "https://api.example/"}, "Issuer"},
		{"issuer with a query", oauth.Options{Issuer: "https://api.example?x"}, "Issuer"},
		{"issuer with a fragment", oauth.Options{Issuer: "https://api.example#"}, "Issuer"},
		{"issuer without a host", oauth.Options{Issuer: "https:"}, "Issuer"},
		{"relative resource", oauth.Options{Resources: []string{"/jobs"}}, "Resources"},
		{"resource with a fragment", oauth.Options{Resources: []string{"https://api.example#x"}}, "Resources"},
		{"scheme of the browser", oauth.Options{PrivateSchemes: []string{"javascript"}}, "PrivateSchemes"},
		{"http as a private scheme", oauth.Options{PrivateSchemes: []string{"myapp", "http"}}, "PrivateSchemes"},
		{"scheme in upper case", oauth.Options{PrivateSchemes: []string{"MyApp"}}, "PrivateSchemes"},
		{"empty scheme", oauth.Options{PrivateSchemes: []string{""}}, "PrivateSchemes"},
		{"scheme with a dot, which needs no naming", oauth.Options{PrivateSchemes: []string{"com.example"}}, "PrivateSchemes"},
		{"devices without an issuer", oauth.Options{Devices: &oauth.DeviceOptions{}}, "Devices"},
		{"resource with a blank", oauth.Options{Resources: []string{"https://api.example/a b"}}, "Resources"},
		{"empty resource", oauth.Options{Resources: []string{""}}, "Resources"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := memory.New()
			_, err := oauth.NewServer(auth.Must(auth.NewTokens(db, db, nil)), db, db, &tt.opts)
			if err == nil || !strings.Contains(err.Error(), "oauth: Options."+tt.field) {
				t.Errorf("error is %v, want one about %s", err, tt.field)
			}
		})
	}
	for _, tt := range []struct {
		name string
		opts oauth.Options
	}{
		{"nothing", oauth.Options{}},
		{"issuer on this machine", oauth.Options{Issuer: "http://127.0.0.1:8080"}},
		{"a private scheme", oauth.Options{PrivateSchemes: []string{"myapp"}}},
		{"issuer with a path", oauth.Options{Issuer: "https://api.example/tenant"}},
		{"a year and a month, as in a fixture of AWX", oauth.Options{AccessLifetime: seconds(31_536_000), RefreshLifetime: seconds(2_628_000), CodeLifetime: seconds(600)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := memory.New()
			if _, err := oauth.NewServer(auth.Must(auth.NewTokens(db, db, nil)), db, db, &tt.opts); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDeviceOptionsRefused(t *testing.T) {
	db := memory.New()
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	for _, opts := range []oauth.DeviceOptions{
		{Lifetime: time.Second}, {Lifetime: 2 * time.Hour}, {Interval: -1}, {Interval: time.Hour},
		{PerApplication: store.Limit{Max: -1, Window: time.Hour}}, {PerApplication: store.Limit{Max: 1}},
	} {
		if _, err := oauth.NewServer(tokens, db, db, &oauth.Options{Issuer: "https://api.example", Devices: &opts}); err == nil {
			t.Errorf("%+v constructs", opts)
		}
	}
}
