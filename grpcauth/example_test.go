package grpcauth_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/grpcauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// A server with two methods: one for everybody, and one for tokens with the scope
// read. The others have no rule, so nobody may call them, and Audit says so.
func ExampleNew() {
	db := memory.New()
	ctx := context.Background()
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	calls := auth.Must(grpcauth.New(auth.NewBearer(tokens), map[string]grpcauth.Rule{
		"/grpc.health.v1.Health/Check": grpcauth.Public,
		"/grpc.health.v1.Health/Watch": grpcauth.Scope(auth.ScopeRead),
	}, &grpcauth.Options{Logger: slog.New(slog.DiscardHandler)}))
	server := grpc.NewServer(calls.ServerOptions()...)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	fmt.Println(calls.Audit(server))

	l := auth.Must(net.Listen("tcp", "127.0.0.1:0"))
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	conn := auth.Must(grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials())))
	client := grpc_health_v1.NewHealthClient(conn)
	watch := func(ctx context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream := auth.Must(client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{}))
		answer, err := stream.Recv()
		fmt.Println(answer.GetStatus(), status.Convert(err).Code())
	}

	answer := auth.Must(client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}))
	fmt.Println(answer.GetStatus())
	watch(ctx)
	alice := auth.Must(db.InsertUser(ctx, store.User{Name: "alice", Active: true}))
	by := &auth.Principal{ID: alice.ID, Name: alice.Name, Scopes: auth.Unrestricted}
	issued := auth.Must(tokens.Issue(ctx, by, auth.TokenRequest{Scopes: auth.ScopeRead}))
	watch(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+issued.AccessToken.Reveal()))

	_ = conn.Close()
	server.Stop()
	fmt.Println(<-served)
	// Output:
	// grpcauth: /grpc.health.v1.Health/List has no rule
	// SERVING
	// UNKNOWN Unauthenticated
	// SERVING OK
	// <nil>
}
