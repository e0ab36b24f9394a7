package auth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// weak and contradictory options do not construct.
func TestOAuthOptionsRefused(t *testing.T) {
	seconds := func(n int64) time.Duration { return time.Duration(n) * time.Second }
	for _, tt := range []struct {
		name  string
		opts  auth.TokensOptions
		field string
	}{
		{"negative access lifetime", auth.TokensOptions{AccessLifetime: -1}, "AccessLifetime"},
		{"access lifetime below a second", auth.TokensOptions{AccessLifetime: time.Millisecond}, "AccessLifetime"},
		{"the 31,536,000,000 seconds of AWX overflow", auth.TokensOptions{AccessLifetime: seconds(31_536_000_000)}, "AccessLifetime"},
		{"the longest duration", auth.TokensOptions{AccessLifetime: 1<<63 - 1}, "AccessLifetime"},
		{"the longest duration for personal tokens", auth.TokensOptions{MaxPersonalLifetime: 1<<63 - 1}, "MaxPersonalLifetime"},
		{"negative refresh lifetime", auth.TokensOptions{RefreshLifetime: -time.Hour}, "RefreshLifetime"},
		{"refresh tokens that outlive their grant", auth.TokensOptions{RefreshLifetime: 2 * time.Hour, GrantLifetime: time.Hour}, "RefreshLifetime"},
		{"endless grants", auth.TokensOptions{GrantLifetime: seconds(9_000_000_000)}, "GrantLifetime"},
		{"codes of eleven minutes", auth.TokensOptions{CodeLifetime: 11 * time.Minute}, "CodeLifetime"},
		{"negative code lifetime", auth.TokensOptions{CodeLifetime: -1}, "CodeLifetime"},
		{"a negative number of codes", auth.TokensOptions{MaxCodes: -1}, "MaxCodes"},
		{"grace above a minute", auth.TokensOptions{RefreshGrace: 61 * time.Second}, "RefreshGrace"},
		{"negative grace", auth.TokensOptions{RefreshGrace: -1}, "RefreshGrace"},
		{"issuer with http", auth.TokensOptions{Issuer: "http://api.example"}, "Issuer"},
		{"issuer with a last slash", auth.TokensOptions{Issuer: "https://api.example/"}, "Issuer"},
		{"issuer with a query", auth.TokensOptions{Issuer: "https://api.example?x"}, "Issuer"},
		{"issuer with a fragment", auth.TokensOptions{Issuer: "https://api.example#"}, "Issuer"},
		{"issuer without a host", auth.TokensOptions{Issuer: "https:"}, "Issuer"},
		{"relative resource", auth.TokensOptions{Resource: "/jobs"}, "Resource"},
		{"resource with a fragment", auth.TokensOptions{Resource: "https://api.example#x"}, "Resource"},
		{"resource with a blank", auth.TokensOptions{Resources: []string{"https://api.example/a b"}}, "Resources"},
		{"empty resource", auth.TokensOptions{Resources: []string{""}}, "Resources"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := memory.New()
			_, err := auth.NewTokens(db, db, &tt.opts)
			if err == nil || !strings.Contains(err.Error(), "TokensOptions."+tt.field) {
				t.Errorf("error is %v, want one about %s", err, tt.field)
			}
		})
	}
	for _, tt := range []struct {
		name string
		opts auth.TokensOptions
	}{
		{"nothing", auth.TokensOptions{}},
		{"issuer on this machine", auth.TokensOptions{Issuer: "http://127.0.0.1:8080"}},
		{"issuer with a path", auth.TokensOptions{Issuer: "https://api.example/tenant"}},
		{"a year and a month, as in a fixture of AWX", auth.TokensOptions{AccessLifetime: seconds(31_536_000), RefreshLifetime: seconds(2_628_000), CodeLifetime: seconds(600)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := memory.New()
			if _, err := auth.NewTokens(db, db, &tt.opts); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDeviceOptionsRefused(t *testing.T) {
	db := memory.New()
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	for _, opts := range []auth.DevicesOptions{
		{Lifetime: time.Second}, {Lifetime: 2 * time.Hour}, {Interval: -1}, {Interval: time.Hour},
		{PerApplication: store.Limit{Max: -1, Window: time.Hour}}, {PerApplication: store.Limit{Max: 1}},
	} {
		if _, err := auth.NewDevices(tokens, db, &opts); err == nil {
			t.Errorf("%+v constructs", opts)
		}
	}
}
