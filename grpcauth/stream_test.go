package grpcauth_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/grpcauth"
	"github.com/ostiary/auth/store"
)

// open opens a stream and waits until its handler has answered one message.
func open(ctx context.Context, t testing.TB, c grpc_testing.TestServiceClient) grpc_testing.TestService_FullDuplexCallClient {
	t.Helper()
	s, err := c.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(&grpc_testing.StreamingOutputCallRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	return s
}

// A credential that dies ends its streams within the time between two checks, or
// at the expiry, whatever their handlers wait for.
func TestStreamsEnd(t *testing.T) {
	const (
		revoked     = "Unauthenticated: The access token is invalid or revoked."
		unavailable = "Unavailable: The service is temporarily unavailable. (1s)"
	)
	// Each handler answers the first message and then does something else.
	waits := map[string]func(grpc_testing.TestService_FullDuplexCallServer){
		"for a message": func(ss grpc_testing.TestService_FullDuplexCallServer) { _, _ = ss.Recv() },
		"for a client that does not read": func(ss grpc_testing.TestService_FullDuplexCallServer) {
			for ss.Send(message(strings.Repeat("x", 1<<16))) == nil {
			}
		},
		"for something of its own": func(ss grpc_testing.TestService_FullDuplexCallServer) { <-ss.Context().Done() },
	}
	for name, tt := range map[string]struct {
		kill func(*testing.T, *house, auth.IssuedToken, *atomic.Bool)
		want string
		took time.Duration
	}{
		"revoked": {func(t *testing.T, h *house, tok auth.IssuedToken, _ *atomic.Bool) { h.end(t, tok) }, revoked, 30 * time.Second},
		"narrowed": {func(t *testing.T, h *house, tok auth.IssuedToken, _ *atomic.Bool) {
			if _, err := h.tokens.Change(t.Context(), h.by(), tok.ID, auth.TokenChange{Scopes: new(auth.Scopes("deploy"))}); err != nil {
				t.Error(err)
			}
		}, `PermissionDenied: The access token lacks the scope "read".`, 30 * time.Second},
		"user disabled": {func(t *testing.T, h *house, _ auth.IssuedToken, _ *atomic.Bool) {
			if _, err := h.db.ChangeUser(t.Context(), h.alice.ID, store.UserChange{Active: new(bool)}); err != nil {
				t.Error(err)
			}
		}, revoked, 30 * time.Second},
		"expired":    {func(*testing.T, *house, auth.IssuedToken, *atomic.Bool) {}, "Unauthenticated: The access token has expired.", 100 * time.Second},
		"store down": {func(_ *testing.T, _ *house, _ auth.IssuedToken, down *atomic.Bool) { down.Store(true) }, unavailable, 30 * time.Second},
	} {
		for what, wait := range waits {
			t.Run(name+", waits "+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHouse(t)
					var down atomic.Bool
					v := verifier(func(ctx context.Context, token string) (*auth.Principal, error) {
						if down.Load() {
							return nil, errors.New("down")
						}
						return h.verifier().Verify(ctx, token)
					})
					ended := make(chan error, 1)
					c := dial(t, &service{duplex: func(ss grpc_testing.TestService_FullDuplexCallServer) error {
						if _, err := ss.Recv(); err != nil {
							return err
						}
						if err := ss.Send(message("hello")); err != nil {
							return err
						}
						wait(ss)
						<-ss.Context().Done() // it ends in any case
						ended <- context.Cause(ss.Context())
						return nil // whatever the handler says
					}}, guard(t, v, nil).ServerOptions()...)
					tok := h.token(t, auth.TokenRequest{Scopes: "read deploy", Expires: time.Now().Add(100 * time.Second)})
					s := open(with(t.Context(), "Bearer "+tok.AccessToken.Reveal()), t, c)
					began := time.Now()
					tt.kill(t, h, tok, &down)
					if cause := <-ended; text(cause) != tt.want {
						t.Errorf("the context of the handler ended with %q, want %q", text(cause), tt.want)
					}
					took := time.Since(began)
					var err error
					for err == nil {
						_, err = s.Recv()
					}
					if text(err) != tt.want || took != tt.took {
						t.Errorf("%q after %v, want %q after %v", text(err), took, tt.want, tt.took)
					}
				})
			})
		}
	}
}

// A stream whose token lives goes on, and with tokens of another service, too, for
// Recheck and the age of an answer at most.
func TestRemoteStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		n := &network{}
		far, _, _, api := h.sister(t, "https://auth.example", n)
		n.Handler = api
		c := dial(t, &service{}, guard(t, far, func(o *grpcauth.Options) { o.Recheck = 7 * time.Second }).ServerOptions()...)
		tok := h.token(t, auth.TokenRequest{Scopes: "read"})
		s := open(with(t.Context(), "Bearer "+tok.AccessToken.Reveal()), t, c)
		time.Sleep(5 * time.Minute)
		if err := s.Send(&grpc_testing.StreamingOutputCallRequest{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recv(); err != nil {
			t.Fatalf("five minutes later: %v", err)
		}
		began := time.Now()
		h.end(t, tok)
		_, err := s.Recv()
		if got, want := text(err), "Unauthenticated: The access token is invalid or revoked."; got != want || time.Since(began) > 17*time.Second {
			t.Errorf("%q after %v, want %q", got, time.Since(began), want)
		}
	})
}

// A stream that ends while a slow check is under way ends at once, as its handler
// says. A check that takes too long is an outage.
func TestSlowCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checks := make(chan struct{}, 1)
		first := true
		v := verifier(func(ctx context.Context, _ string) (*auth.Principal, error) {
			if first {
				first = false
				return &auth.Principal{ID: "1", Scopes: "read"}, nil
			}
			checks <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		})
		c := dial(t, &service{}, guard(t, v, nil).ServerOptions()...)
		s := open(with(t.Context(), "Bearer x"), t, c)
		<-checks
		began := time.Now()
		_ = s.CloseSend()
		if _, err := s.Recv(); err != io.EOF || time.Since(began) != 0 {
			t.Errorf("%v after %v, want the end at once", err, time.Since(began))
		}

		first = true
		began = time.Now()
		_, err := open(with(t.Context(), "Bearer x"), t, c).Recv()
		<-checks
		if status.Code(err) != codes.Unavailable || time.Since(began) != 40*time.Second {
			t.Errorf("%v after %v, want Unavailable after 40 seconds", err, time.Since(began))
		}
	})
}

// A stream without a token on a public method is checked once.
func TestPublicStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := verifier(func(context.Context, string) (*auth.Principal, error) {
			t.Error("the verifier was asked about nothing")
			return nil, errors.New("asked")
		})
		i := auth.Must(grpcauth.New(v, map[string]grpcauth.Rule{duplex: grpcauth.Public}, &grpcauth.Options{Logger: quiet}))
		s := open(t.Context(), t, dial(t, &service{}, i.ServerOptions()...))
		time.Sleep(time.Hour)
		_ = s.CloseSend()
		if _, err := s.Recv(); err != io.EOF {
			t.Error(err)
		}
	})
}

// A panic of a handler reaches the interceptors in front, and runtime.Goexit is no
// success.
func TestHandlersThatDoNotReturn(t *testing.T) {
	h := newHouse(t)
	for name, tt := range map[string]struct {
		handle func()
		want   string
	}{
		"panic":  {func() { panic("broken") }, "Internal: recovered broken"},
		"Goexit": {runtime.Goexit, "Internal: The handler ended without an answer."},
	} {
		recovers := grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
			defer func() {
				if v := recover(); v != nil {
					first, stack, _ := strings.Cut(v.(string), "\n")
					if !strings.Contains(stack, "stream_test.go") {
						t.Errorf("the panic has no stack of the handler: %s", stack)
					}
					err = status.Error(codes.Internal, "recovered "+first)
				}
			}()
			return next(srv, ss)
		})
		c := dial(t, &service{duplex: func(grpc_testing.TestService_FullDuplexCallServer) error { tt.handle(); return nil }},
			append([]grpc.ServerOption{recovers}, guard(t, h.verifier(), nil).ServerOptions()...)...)
		tok := h.token(t, auth.TokenRequest{Scopes: "read"})
		if got := answer(with(t.Context(), "Bearer "+tok.AccessToken.Reveal()), c, duplex); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// TestRaces ends streams by their clients, by their handlers and by revocations
// while they are checked all the time. Each ends once, with a code of one of
// these, and TestMain finds whatever is left behind.
func TestRaces(t *testing.T) {
	h := newHouse(t)
	c := dial(t, &service{}, guard(t, h.verifier(), func(o *grpcauth.Options) { o.Recheck = time.Millisecond }).ServerOptions()...)
	var wg sync.WaitGroup
	for n := range 60 {
		tok := h.token(t, auth.TokenRequest{Scopes: "read"})
		wg.Go(func() {
			ctx, cancel := context.WithCancel(with(t.Context(), "Bearer "+tok.AccessToken.Reveal()))
			defer cancel()
			s, err := c.FullDuplexCall(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			for range 5 {
				_ = s.Send(&grpc_testing.StreamingOutputCallRequest{})
				if _, err = s.Recv(); err != nil {
					break
				}
			}
			switch n % 4 {
			case 0:
				h.end(t, tok)
			case 1:
				cancel()
			case 2:
				go h.end(t, tok)
				_ = s.CloseSend()
			default:
				_ = s.CloseSend()
			}
			for err == nil {
				_, err = s.Recv()
			}
			want := map[int][]codes.Code{0: {codes.Unauthenticated}, 1: {codes.Canceled}, 2: {codes.Unauthenticated, codes.OK}, 3: {codes.OK}}[n%4]
			got := status.Code(err)
			if err == io.EOF {
				got = codes.OK
			}
			if got != want[0] && got != want[len(want)-1] {
				t.Errorf("stream %d ended with %v, want one of %v", n, err, want)
			}
		})
	}
	wg.Wait()
}
