package forwarded_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/internal/forwarded"
)

func TestFacts(t *testing.T) {
	r := &http.Request{Host: "inner.example"}
	if forwarded.Of(r.Context()) != nil || forwarded.OverTLS(r) || forwarded.Host(r) != "inner.example" {
		t.Error("facts of nobody")
	}
	type key struct{}
	c := &forwarded.Context{
		Context: context.WithValue(context.Background(), key{}, "kept"),
		Facts:   forwarded.Facts{By: t, Client: netip.MustParseAddr("203.0.113.7"), Scheme: "https", Host: "public.example"},
	}
	r = r.WithContext(c)
	if forwarded.Of(r.Context()) != &c.Facts || !forwarded.OverTLS(r) || forwarded.Host(r) != "public.example" {
		t.Errorf("facts %+v", forwarded.Of(r.Context()))
	}
	if got, _ := client.From(r.Context()); got != c.Client || r.Context().Value(key{}) != "kept" {
		t.Errorf("client %v", got)
	}
	// What the proxy says about the scheme counts, and otherwise the connection.
	r.TLS = &tls.ConnectionState{}
	if c.Scheme = "http"; forwarded.OverTLS(r) {
		t.Error("the proxy said http")
	}
	c.Scheme, c.Host = "", ""
	if !forwarded.OverTLS(r) || forwarded.Host(r) != "inner.example" {
		t.Error("the proxy said nothing")
	}
	// Without a proxy there is an address alone, and what is further out stays.
	alone := &forwarded.Context{Context: c, Facts: forwarded.Facts{Client: netip.MustParseAddr("203.0.113.8")}}
	if got, _ := client.From(alone); forwarded.Of(alone) != &c.Facts || got != alone.Client {
		t.Errorf("an address alone: facts %+v, client %v", forwarded.Of(alone), got)
	}
}

func TestFieldsPassFromWhomTheyMay(t *testing.T) {
	f := forwarded.NewFields()
	f.Allow("X-Forwarded-For", forwarded.Trusted)
	f.Allow("X-Remote-User", forwarded.Proven)
	names := []string{"Accept", "X-Forwarded-For", "x-forwarded-for", "X_Forwarded_For", "HTTP_X_FORWARDED_FOR", "X-Remote-User", "X-Real-Ip", "X-Forwarded-Else", ""}
	for credit, want := range map[forwarded.Pass][]string{
		forwarded.Nobody:  {"", "Accept"},
		forwarded.Trusted: {"", "Accept", "X-Forwarded-For"},
		forwarded.Proven:  {"", "Accept", "X-Forwarded-For", "X-Remote-User"},
	} {
		h := http.Header{}
		for _, name := range names {
			h[name] = []string{"x"}
		}
		if !f.AnyForged(h, credit) {
			t.Errorf("%d: nothing is forged", credit)
		}
		f.RemoveForged(h, credit)
		var got []string
		for name := range h {
			got = append(got, name)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" || f.AnyForged(h, credit) {
			t.Errorf("%d (-want +got):\n%s", credit, diff)
		}
	}
	// What a proof covers depends on neither order nor spelling of the settings.
	want := []string{"Authorization", "Content-Digest", "Content-Encoding", "Content-Type", "Cookie", "Forwarded", "X-Dab-Jw-Token",
		"X-Envoy-External-Address", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Remote-User"}
	if diff := cmp.Diff(want, f.Covered()); diff != "" {
		t.Errorf("covered (-want +got):\n%s", diff)
	}
}

func FuzzFieldName(f *testing.F) {
	for _, s := range []string{"X-Real-IP", "HTTP_X_REAL_IP", "X_Real_IP", "HTTP_X__Y", "HTTP_", "", "Cookie", "x y", "HTTP_X-Y", strings.Repeat("a", 65)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := forwarded.ParseFieldName(s)
		if err != nil {
			return
		}
		if name != http.CanonicalHeaderKey(name) || strings.Contains(name, "_") {
			t.Fatalf("%q became %q", s, name)
		}
		if again, err := forwarded.ParseFieldName(name); err != nil || again != name {
			t.Fatalf("%q became %q and then %q, %v", s, name, again, err)
		}
		fields := forwarded.NewFields()
		fields.Allow(name, forwarded.Trusted)
		h := http.Header{name: {"x"}, "HTTP_" + strings.ReplaceAll(strings.ToUpper(name), "-", "_"): {"forged"}}
		fields.RemoveForged(h, forwarded.Trusted)
		if len(h) != 1 || h[name] == nil {
			t.Fatalf("%q: %v is left", s, h)
		}
	})
}

func TestUserName(t *testing.T) {
	for name, want := range map[string]bool{
		"alice": true, "Zoë": true, "a b": true, "": false, " alice": false, "alice\t": false, "a,b": false, "a\x00": false, "a\u200b": false, "a\xff": false,
		strings.Repeat("a", 600): true, strings.Repeat("a", 601): false,
	} {
		if got := forwarded.UserName(name); got != want {
			t.Errorf("UserName(%.20q) = %v", name, got)
		}
	}
}
