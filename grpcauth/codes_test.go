package grpcauth_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/grpcauth"
	"github.com/ostiary/auth/oauth"
)

// answer returns the code and the text that a call of a method ends with.
func answer(ctx context.Context, c grpc_testing.TestServiceClient, method string) string {
	var got string
	var err error
	switch method {
	case unary:
		var r *grpc_testing.SimpleResponse
		r, err = c.UnaryCall(ctx, &grpc_testing.SimpleRequest{})
		got = r.GetUsername()
	case empty:
		var header metadata.MD
		_, err = c.EmptyCall(ctx, &grpc_testing.Empty{}, grpc.Header(&header))
		got = strings.Join(header["caller"], ",")
	case duplex:
		var s grpc_testing.TestService_FullDuplexCallClient
		if s, err = c.FullDuplexCall(ctx); err == nil {
			_ = s.Send(&grpc_testing.StreamingOutputCallRequest{})
			var r *grpc_testing.StreamingOutputCallResponse
			if r, err = s.Recv(); err == nil {
				got = string(r.GetPayload().GetBody())
				_ = s.CloseSend()
				if _, err := s.Recv(); err != io.EOF {
					got += fmt.Sprint(" and ", err)
				}
			}
		}
	default:
		var s grpc_testing.TestService_HalfDuplexCallClient
		if s, err = c.HalfDuplexCall(ctx); err == nil {
			_, err = s.Recv()
		}
	}
	if err != nil {
		return text(err)
	}
	return got
}

// text returns the code of an error, its text and when to try again.
func text(err error) string {
	s := status.Convert(err)
	got := s.Code().String() + ": " + s.Message()
	for _, d := range s.Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok {
			got += " (" + r.GetRetryDelay().AsDuration().String() + ")"
		}
	}
	return got
}

// TestCodes has each way of being let in and of being refused, with tokens of the
// service itself and with those of another service.
func TestCodes(t *testing.T) {
	h := newHouse(t)
	far, server, robot, _ := h.served(t)
	issue := func(scopes auth.Scopes) auth.IssuedToken { return h.token(t, auth.TokenRequest{Scopes: scopes}) }
	read := issue("read").AccessToken.Reveal()
	write := issue("write").AccessToken.Reveal()
	gone := issue("read")
	h.end(t, gone)
	revoked := gone.AccessToken.Reveal()
	machine := auth.Must(server.ExchangeClient(t.Context(), robot.Application, oauth.ClientExchange{Scope: "read"})).AccessToken.Reveal()
	const (
		missing   = "Unauthenticated: Authentication credentials were not provided."
		invalid   = "Unauthenticated: The access token is invalid or revoked."
		malformed = "Unauthenticated: The access token is malformed."
		doubled   = "Unauthenticated: The call carries more than one credential."
		scheme    = "Unauthenticated: The scheme of the authorization is not supported."
	)
	for name, v := range map[string]grpcauth.Verifier{"tokens": h.verifier(), "remote": far} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, &service{}, guard(t, v, nil).ServerOptions()...)
			for _, tt := range []struct {
				name   string
				values []string
				want   string // of a method with the scope read
				public string // of a public method, "" for the same
			}{
				{"no token", nil, missing, "nobody"},
				{"the scope", []string{"Bearer " + read}, "user alice", ""},
				{"a scope that implies it", []string{"Bearer " + write}, "user alice", ""},
				{"schemes have no case, RFC 9110 section 11.1", []string{"bEARER  " + read}, "user alice", ""},
				{"a revoked token", []string{"Bearer " + revoked}, invalid, ""},
				{"a token that nobody issued", []string{"Bearer " + strings.Repeat("x", 40)}, invalid, ""},
				{"the same token twice", []string{"Bearer " + read, "Bearer " + read}, doubled, ""},
				{"a good and a bad token", []string{"Bearer " + read, "Bearer " + revoked}, doubled, ""},
				{"two tokens in one value", []string{"Bearer " + read + ", Bearer " + read}, malformed, ""},
				{"an empty value", []string{""}, malformed, ""},
				{"no scheme", []string{read}, scheme, ""},
				{"the scheme alone", []string{"Bearer"}, malformed, ""},
				{"Basic", []string{"Basic YTpi"}, scheme, ""},
				{"spaces inside", []string{"Bearer a b"}, malformed, ""},
				{"a quoted token", []string{`Bearer "` + read + `"`}, malformed, ""},
				{"a long value", []string{"Bearer " + strings.Repeat("x", 9000)}, malformed, ""},
				{"an application alone", []string{"Bearer " + machine}, "PermissionDenied: The method is for users.", ""},
			} {
				ctx := with(t.Context(), tt.values...)
				for method, want := range map[string]string{unary: tt.want, duplex: tt.want, empty: cmp.Or(tt.public, tt.want)} {
					if got := answer(ctx, c, method); got != want {
						t.Errorf("%s: %s: %q, want %q", tt.name, method, got, want)
					}
				}
			}
			if got, want := answer(with(t.Context(), "Bearer "+write), c, "HalfDuplexCall"), "PermissionDenied: Nobody may call this method."; got != want {
				t.Errorf("a method without a rule: %q, want %q", got, want)
			}

			c = dial(t, &service{}, auth.Must(grpcauth.New(v, map[string]grpcauth.Rule{unary: grpcauth.Scope("write"), duplex: grpcauth.Scope("deploy"), empty: grpcauth.Authenticated},
				&grpcauth.Options{ApplicationTokens: true, Logger: quiet})).ServerOptions()...)
			for method, want := range map[string]string{
				unary:  `PermissionDenied: The access token lacks the scope "write".`,
				duplex: `PermissionDenied: The access token lacks the scope "deploy".`,
				empty:  "user alice",
			} {
				if got := answer(with(t.Context(), "Bearer "+read), c, method); got != want {
					t.Errorf("%s: %q, want %q", method, got, want)
				}
			}
			if got := answer(with(t.Context(), "Bearer "+machine), c, empty); got != "user " {
				t.Errorf("an application alone, where that is allowed: %q", got)
			}
			if got := answer(t.Context(), c, empty); got != missing {
				t.Errorf("nobody, at a method for everybody with a token: %q, want %q", got, missing)
			}
		})
	}
}

// TestOutages has the errors that are no refusal.
func TestOutages(t *testing.T) {
	throttled := &auth.Error{Status: 429, Detail: "Too many.", RetryAfter: time.Minute}
	for name, tt := range map[string]struct {
		verify verifier
		want   string
	}{
		"store down": {func(context.Context, string) (*auth.Principal, error) { return nil, errors.New("down") }, "Unavailable: The service is temporarily unavailable. (1s)"},
		"neither":    {func(context.Context, string) (*auth.Principal, error) { return nil, nil }, "Unavailable: The service is temporarily unavailable. (1s)"},
		"throttled":  {func(context.Context, string) (*auth.Principal, error) { return nil, throttled }, "ResourceExhausted: Too many. (1m0s)"},
		"a success":  {func(context.Context, string) (*auth.Principal, error) { return nil, &auth.Error{Status: 200} }, "Unavailable: The service is temporarily unavailable. (1s)"},
		"another refusal": {func(context.Context, string) (*auth.Principal, error) {
			return nil, &auth.Error{Status: 404, Detail: "No."}
		}, "PermissionDenied: No."},
		"not its token": {func(context.Context, string) (*auth.Principal, error) { return nil, auth.ErrNoCredentials }, "Unauthenticated: Authentication credentials were not provided."},
		"an expired token": {func(context.Context, string) (*auth.Principal, error) {
			return &auth.Principal{ID: "1", Scopes: "read", Expires: time.Now()}, nil
		}, "Unauthenticated: The access token has expired."},
		"scopes of nothing": {func(context.Context, string) (*auth.Principal, error) { return &auth.Principal{ID: "1"}, nil }, `PermissionDenied: The access token lacks the scope "read".`},
	} {
		c := dial(t, &service{}, guard(t, tt.verify, nil).ServerOptions()...)
		for _, method := range []string{unary, duplex} {
			if got := answer(with(t.Context(), "Bearer x"), c, method); got != tt.want {
				t.Errorf("%s: %s: %q, want %q", name, method, got, tt.want)
			}
		}
	}
	far, _, _, srv := newHouse(t).served(t)
	srv.Close()
	c := dial(t, &service{}, guard(t, far, nil).ServerOptions()...)
	if got, want := answer(with(t.Context(), "Bearer x"), c, unary), "Unavailable: The service is temporarily unavailable. (1s)"; got != want {
		t.Errorf("the authorization server is stopped: %q, want %q", got, want)
	}
}

// A call that is over before the verifier answers has the code of gRPC, and not
// that of an outage.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := verifier(func(ctx context.Context, _ string) (*auth.Principal, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		seen := make(chan error, 1)
		front := grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			r, err := next(ctx, req)
			seen <- err
			return r, err
		})
		c := dial(t, &service{}, append([]grpc.ServerOption{front}, guard(t, slow, nil).ServerOptions()...)...)
		ctx, cancel := context.WithTimeout(with(t.Context(), "Bearer x"), time.Second)
		defer cancel()
		answer(ctx, c, unary)
		// The client may be the first to notice, and then it has canceled.
		if got := status.Code(<-seen); got != codes.DeadlineExceeded && got != codes.Canceled {
			t.Errorf("at the deadline: %v, want DeadlineExceeded or Canceled", got)
		}
		ctx, cancel = context.WithCancel(with(t.Context(), "Bearer x"))
		time.AfterFunc(time.Second, cancel)
		answer(ctx, c, unary)
		if got, want := text(<-seen), "Canceled: context canceled"; got != want {
			t.Errorf("a client that gave up: %q, want %q", got, want)
		}
	})
}

// The address of the client is the peer, unless an interceptor in front knows
// better. An address that is not known is none of a token's.
func TestAddresses(t *testing.T) {
	h := newHouse(t)
	bound := func(prefix string) string {
		return "Bearer " + h.token(t, auth.TokenRequest{Scopes: "read", Addresses: []netip.Prefix{netip.MustParsePrefix(prefix)}}).AccessToken.Reveal()
	}
	here, elsewhere := bound("127.0.0.0/8"), bound("192.0.2.0/24")
	options := guard(t, h.verifier(), nil).ServerOptions()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proven := grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		return next(auth.WithClientAddr(ctx, netip.MustParseAddr("192.0.2.7")), req)
	})
	const refused = "Unauthenticated: The access token is not valid from this address."
	for name, tt := range map[string]struct {
		client          grpc_testing.TestServiceClient
		here, elsewhere string
	}{
		"loopback":       {dialOn(t, l, l.Addr().String(), &service{}, options), "user alice", refused},
		"no address":     {dial(t, &service{}, options...), refused, refused},
		"proven address": {dial(t, &service{}, append([]grpc.ServerOption{proven}, options...)...), refused, "user alice"},
	} {
		// Headers of proxies prove nothing.
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", "192.0.2.7", "forwarded", "for=192.0.2.7")
		if got := answer(with(ctx, here), tt.client, unary); got != tt.here {
			t.Errorf("%s: bound to loopback: %q, want %q", name, got, tt.here)
		}
		if got := answer(with(ctx, elsewhere), tt.client, unary); got != tt.elsewhere {
			t.Errorf("%s: bound to another network: %q, want %q", name, got, tt.elsewhere)
		}
	}
}
