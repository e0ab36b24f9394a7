package grpcauth_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/grpcauth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/remote"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

const (
	resource = "https://jobs.example/"

	unary  = "/grpc.testing.TestService/UnaryCall"
	duplex = "/grpc.testing.TestService/FullDuplexCall"
	empty  = "/grpc.testing.TestService/EmptyCall"
	output = "/grpc.testing.TestService/StreamingOutputCall"
)

var quiet = slog.New(slog.DiscardHandler)

// rules are those of most tests.
var rules = map[string]grpcauth.Rule{
	unary: grpcauth.Scope("read"), duplex: grpcauth.Scope("read"), empty: grpcauth.Public, output: grpcauth.Authenticated,
}

// A service answers with the name of its caller.
type service struct {
	grpc_testing.UnimplementedTestServiceServer
	duplex func(grpc_testing.TestService_FullDuplexCallServer) error // nil echoes
}

func name(ctx context.Context) string {
	if p, ok := auth.FromContext(ctx); ok {
		return "user " + p.Name
	}
	return "nobody"
}

func (s *service) EmptyCall(ctx context.Context, _ *grpc_testing.Empty) (*grpc_testing.Empty, error) {
	return &grpc_testing.Empty{}, grpc.SetHeader(ctx, metadata.Pairs("caller", name(ctx)))
}

func (s *service) UnaryCall(ctx context.Context, _ *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	return &grpc_testing.SimpleResponse{Username: name(ctx)}, nil
}

func (s *service) FullDuplexCall(ss grpc_testing.TestService_FullDuplexCallServer) error {
	if s.duplex != nil {
		return s.duplex(ss)
	}
	for {
		if _, err := ss.Recv(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := ss.Send(message(name(ss.Context()))); err != nil {
			return err
		}
	}
}

func message(text string) *grpc_testing.StreamingOutputCallResponse {
	return &grpc_testing.StreamingOutputCallResponse{Payload: &grpc_testing.Payload{Body: []byte(text)}}
}

// dial serves s on a listener in memory until the test ends, and returns a client.
func dial(t testing.TB, s *service, opts ...grpc.ServerOption) grpc_testing.TestServiceClient {
	t.Helper()
	l := bufconn.Listen(1 << 16)
	return dialOn(t, l, "passthrough:memory", s, append(opts, grpc.WaitForHandlers(true)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
}

// dialOn is dial for a listener and its address.
func dialOn(t testing.TB, l net.Listener, address string, s *service, opts []grpc.ServerOption, dialing ...grpc.DialOption) grpc_testing.TestServiceClient {
	t.Helper()
	server := grpc.NewServer(opts...)
	grpc_testing.RegisterTestServiceServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	conn, err := grpc.NewClient(address, append(dialing, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return grpc_testing.NewTestServiceClient(conn)
}

// guard returns interceptors that log nothing.
func guard(t testing.TB, v grpcauth.Verifier, change func(*grpcauth.Options)) *grpcauth.Interceptors {
	t.Helper()
	o := grpcauth.Options{Logger: quiet}
	if change != nil {
		change(&o)
	}
	return auth.Must(grpcauth.New(v, rules, &o))
}

// with returns a context with values of the metadata key authorization.
func with(ctx context.Context, values ...string) context.Context {
	for _, v := range values {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", v)
	}
	return ctx
}

// A verifier is a function.
type verifier func(ctx context.Context, token string) (*auth.Principal, error)

func (f verifier) Verify(ctx context.Context, token string) (*auth.Principal, error) {
	return f(ctx, token)
}

// A house has users, tokens and an authorization server.
type house struct {
	db     *memory.Store
	tokens *auth.Tokens
	alice  store.User
}

func newHouse(t testing.TB) *house {
	t.Helper()
	db := memory.New()
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Resource: resource, Scopes: []string{"deploy"}, Logger: quiet}))
	return &house{db, tokens, authtest.AddUser(t, db, store.User{Name: "alice"}, "")}
}

// token issues a token of alice.
func (h *house) token(t testing.TB, req auth.TokenRequest) auth.IssuedToken {
	t.Helper()
	issued, err := h.tokens.Issue(t.Context(), h.by(), req)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

func (h *house) by() *auth.Principal {
	return &auth.Principal{ID: h.alice.ID, Name: h.alice.Name, Scopes: auth.Unrestricted}
}

// end revokes a token.
func (h *house) end(t testing.TB, tok auth.IssuedToken) {
	t.Helper()
	if err := h.tokens.End(context.WithoutCancel(t.Context()), h.by(), tok.ID); err != nil {
		t.Error(err)
	}
}

func (h *house) verifier() grpcauth.Verifier { return auth.NewBearer(h.tokens) }

// served returns a verifier of another service that asks the house by HTTP.
func (h *house) served(t testing.TB) (far *remote.Authenticator, server *oauth.Server, robot oauth.IssuedApplication, srv *httptest.Server) {
	t.Helper()
	var api http.Handler
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { api.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	far, server, robot, api = h.sister(t, srv.URL, transport)
	return far, server, robot, srv
}

// A network calls a handler.
type network struct{ http.Handler }

func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	n.ServeHTTP(w, r)
	return w.Result(), nil
}

// sister returns a verifier of another service of the house, and the authorization
// server with its handler and an application that acts for itself.
func (h *house) sister(t testing.TB, issuer string, transport http.RoundTripper) (*remote.Authenticator, *oauth.Server, oauth.IssuedApplication, http.Handler) {
	t.Helper()
	server := auth.Must(oauth.NewServer(h.tokens, h.db, h.db, &oauth.Options{Issuer: issuer, IntrospectUnbound: true, Logger: quiet}))
	gate := auth.NewGate(auth.NewBearer(h.tokens), &auth.GateOptions{Logger: quiet})
	api := auth.Must(httpapi.New(httpapi.Config{Gate: gate, Users: h.db, Tokens: h.tokens, OAuth: server}))
	application := func(name, resource string) oauth.IssuedApplication {
		app, err := server.CreateApplication(t.Context(), &auth.Principal{ID: "root", Admin: true, Scopes: auth.Unrestricted}, oauth.ApplicationRequest{
			Name: name, OrganizationID: 1, ClientType: oauth.ClientConfidential, GrantType: oauth.GrantClientCredentials, Resource: resource,
		})
		if err != nil {
			t.Fatal(err)
		}
		return app
	}
	jobs := application("jobs", resource)
	far := auth.Must(remote.New(issuer, &remote.Options{
		ClientID: jobs.ClientID, Secret: jobs.ClientSecret, Resource: resource, Unbound: true, Transport: transport,
	}))
	return far, server, application("robot", ""), api
}
