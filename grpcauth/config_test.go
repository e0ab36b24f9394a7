package grpcauth_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/grpcauth"
)

// Weak settings do not construct.
func TestSettings(t *testing.T) {
	h := newHouse(t)
	bearer := h.verifier()
	for name, tt := range map[string]struct {
		v     grpcauth.Verifier
		rules map[string]grpcauth.Rule
		opts  *grpcauth.Options
		want  string
	}{
		"tokens without addresses":  {h.tokens, nil, nil, "does not check the addresses"},
		"negative":                  {bearer, nil, &grpcauth.Options{Recheck: -1}, "Recheck"},
		"too short":                 {bearer, nil, &grpcauth.Options{Recheck: time.Microsecond}, "Recheck"},
		"too long":                  {bearer, nil, &grpcauth.Options{Recheck: time.Hour + 1}, "Recheck"},
		"no rule":                   {bearer, map[string]grpcauth.Rule{unary: ""}, nil, "is unknown"},
		"an unknown rule":           {bearer, map[string]grpcauth.Rule{unary: "everybody"}, nil, "is unknown"},
		"no scope":                  {bearer, map[string]grpcauth.Rule{unary: grpcauth.Scope("")}, nil, "is unknown"},
		"two scopes":                {bearer, map[string]grpcauth.Rule{unary: grpcauth.Scope("read write")}, nil, "is unknown"},
		"the scope of sessions":     {bearer, map[string]grpcauth.Rule{unary: grpcauth.Scope("*")}, nil, "is unknown"},
		"a name without a slash":    {bearer, map[string]grpcauth.Rule{unary[1:]: grpcauth.Public}, nil, "no full name"},
		"a name without a service":  {bearer, map[string]grpcauth.Rule{"//UnaryCall": grpcauth.Public}, nil, "no full name"},
		"a name without a method":   {bearer, map[string]grpcauth.Rule{"/grpc.testing.TestService/": grpcauth.Public}, nil, "no full name"},
		"a name with three parts":   {bearer, map[string]grpcauth.Rule{unary + "/x": grpcauth.Public}, nil, "no full name"},
		"an empty name":             {bearer, map[string]grpcauth.Rule{"": grpcauth.Public}, nil, "no full name"},
		"the defaults are no fault": {bearer, rules, nil, ""},
	} {
		_, err := grpcauth.New(tt.v, tt.rules, tt.opts)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, tt.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a nil Verifier constructs")
		}
	}()
	_, _ = grpcauth.New((*auth.Bearer)(nil), nil, nil)
}

// The rules are copied, so that a change of the map opens nothing.
func TestSettingsAreCopied(t *testing.T) {
	mine := maps.Clone(rules)
	i := auth.Must(grpcauth.New(newHouse(t).verifier(), mine, &grpcauth.Options{Logger: quiet}))
	mine[unary] = grpcauth.Public
	if got, want := answer(t.Context(), dial(t, &service{}, i.ServerOptions()...), unary), "Unauthenticated: Authentication credentials were not provided."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAudit(t *testing.T) {
	server := grpc.NewServer()
	grpc_testing.RegisterTestServiceServer(server, &service{})
	list := map[string]grpcauth.Rule{
		"/grpc.testing.TestService/CacheableUnaryCall": grpcauth.Public,
		"/grpc.testing.TestService/StreamingInputCall": grpcauth.Public,
		"/grpc.testing.TestService/UnimplementedCall":  grpcauth.Public,
		"/grpc.testing.TestService/HalfDuplexCall":     grpcauth.Public,
		unary: grpcauth.Scope("read"), empty: grpcauth.Public, output: grpcauth.Authenticated, duplex: grpcauth.Scope("read"),
	}
	v := newHouse(t).verifier()
	if err := auth.Must(grpcauth.New(v, list, nil)).Audit(server); err != nil {
		t.Error(err)
	}
	delete(list, unary)
	list["/grpc.testing.TestService/unaryCall"] = grpcauth.Public
	const want = "grpcauth: " + unary + " has no rule\n" +
		"grpcauth: there is a rule for /grpc.testing.TestService/unaryCall, which the server has not"
	if err := auth.Must(grpcauth.New(v, list, nil)).Audit(server); err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}
