// Package withgrpc guards the methods of a gRPC server. Its service is the one for
// health checks, in place of yours.
package withgrpc

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/grpcauth"
)

// New returns the server. A verifier of package remote, for tokens of another
// service, takes the place of the Bearer as it is.
func New(tokens *auth.Tokens) (*grpc.Server, error) {
	calls, err := grpcauth.New(auth.NewBearer(tokens), map[string]grpcauth.Rule{
		grpc_health_v1.Health_Check_FullMethodName: grpcauth.Public,
		grpc_health_v1.Health_List_FullMethodName:  grpcauth.Scope(auth.ScopeWrite),
		grpc_health_v1.Health_Watch_FullMethodName: grpcauth.Scope(auth.ScopeRead), // ends with its token
	}, nil)
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer(calls.ServerOptions()...)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	return server, calls.Audit(server) // a method without a rule is refused, and named here
}
