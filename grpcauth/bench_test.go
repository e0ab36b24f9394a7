package grpcauth_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/grpcauth"
)

// BenchmarkUnary and BenchmarkStream are a call, and a message there and back on a
// stream, without interceptors, with some that do nothing, and with these. Compare
// the runs of one process.
func BenchmarkUnary(b *testing.B) {
	compare(b, func(b *testing.B, ctx context.Context, c grpc_testing.TestServiceClient) {
		for b.Loop() {
			if _, err := c.UnaryCall(ctx, &grpc_testing.SimpleRequest{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkStream(b *testing.B) {
	compare(b, func(b *testing.B, ctx context.Context, c grpc_testing.TestServiceClient) {
		s := open(ctx, b, c)
		for b.Loop() {
			if err := s.Send(&grpc_testing.StreamingOutputCallRequest{}); err != nil {
				b.Fatal(err)
			}
			if _, err := s.Recv(); err != nil {
				b.Fatal(err)
			}
		}
		_ = s.CloseSend()
		_, _ = s.Recv()
	})
}

// BenchmarkOpen is a stream with one message.
func BenchmarkOpen(b *testing.B) {
	compare(b, func(b *testing.B, ctx context.Context, c grpc_testing.TestServiceClient) {
		for b.Loop() {
			s := open(ctx, b, c)
			_ = s.CloseSend()
			_, _ = s.Recv()
		}
	})
}

func compare(b *testing.B, run func(*testing.B, context.Context, grpc_testing.TestServiceClient)) {
	h := newHouse(b)
	ctx := with(b.Context(), "Bearer "+h.token(b, auth.TokenRequest{Scopes: "read"}).AccessToken.Reveal())
	for _, bb := range []struct {
		name string
		opts []grpc.ServerOption
	}{
		{"bare", nil},
		{"empty", []grpc.ServerOption{
			grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
				return next(ctx, req)
			}),
			grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
				return next(srv, ss)
			}),
		}},
		{"grpcauth", auth.Must(grpcauth.New(h.verifier(), rules, &grpcauth.Options{Logger: quiet})).ServerOptions()},
	} {
		b.Run(bb.name, func(b *testing.B) {
			c := dial(b, &service{}, bb.opts...)
			if _, err := c.UnaryCall(ctx, &grpc_testing.SimpleRequest{}); err != nil { // connects
				b.Fatal(err)
			}
			b.ReportAllocs()
			run(b, ctx, c)
		})
	}
}
