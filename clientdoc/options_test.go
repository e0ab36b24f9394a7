package clientdoc_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/auth/clientdoc"
)

func sorted(list []string) string {
	slices.Sort(list)
	return strings.Join(list, " ")
}

func TestOptionsRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		opts  *clientdoc.Options
		field string
	}{
		{"nil", nil, "AllowHosts"},
		{"no host", &clientdoc.Options{BlockHosts: []string{"client.example"}}, "AllowHosts"},
		{"an empty host", &clientdoc.Options{AllowHosts: []string{""}}, "AllowHosts"},
		{"a URL", &clientdoc.Options{AllowHosts: []string{"https://client.example"}}, "AllowHosts"},
		{"upper case", &clientdoc.Options{AllowHosts: []string{"Client.example"}}, "AllowHosts"},
		{"a port", &clientdoc.Options{AllowHosts: []string{"client.example:443"}}, "AllowHosts"},
		{"a wildcard in a name", &clientdoc.Options{AllowHosts: []string{"*.example"}}, "AllowHosts"},
		{"a dot alone", &clientdoc.Options{AllowHosts: []string{"."}}, "AllowHosts"},
		{"an address", &clientdoc.Options{AllowHosts: []string{"10.0.0.1"}}, "AllowHosts"},
		{"localhost", &clientdoc.Options{AllowHosts: []string{"localhost"}}, "AllowHosts"},
		{"a local domain", &clientdoc.Options{AllowHosts: []string{".internal"}}, "AllowHosts"},
		{"every host blocked", &clientdoc.Options{AllowHosts: []string{"*"}, BlockHosts: []string{"*"}}, "BlockHosts"},
		{"an empty blocked host", &clientdoc.Options{AllowHosts: []string{"*"}, BlockHosts: []string{""}}, "BlockHosts"},
	} {
		if _, err := clientdoc.New(tt.opts); err == nil || !strings.Contains(err.Error(), "clientdoc: Options."+tt.field) {
			t.Errorf("%s: %v, want an error about %s", tt.name, err, tt.field)
		}
	}
	for _, opts := range []clientdoc.Options{
		{AllowHosts: []string{"*"}},
		{AllowHosts: []string{"client.example", ".client.example", ".example"}, BlockHosts: []string{"evil.example", ".evil.example"}},
		{AllowHosts: []string{"localhost", "127.0.0.1"}, InsecureLoopback: true},
	} {
		if _, err := clientdoc.New(&opts); err != nil {
			t.Errorf("%+v: %v", opts, err)
		}
	}
}
