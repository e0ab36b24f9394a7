package grpcauth_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/grpcauth"
	"github.com/ostiary/auth/observe"
)

// Each call is one audit event and one of package observe, like a request of a
// gate. Neither has a token.
func TestEvents(t *testing.T) {
	var log bytes.Buffer
	var mu sync.Mutex
	var seen []string
	h := newHouse(t)
	i := guard(t, h.verifier(), func(o *grpcauth.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Observe = func(_ context.Context, e observe.Event) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, fmt.Sprint(e.Name, " ", e.Kind, " ", e.Reason))
		}
	})
	c := dial(t, &service{}, i.ServerOptions()...)
	good := h.token(t, auth.TokenRequest{Scopes: "read"})
	other := h.token(t, auth.TokenRequest{Scopes: "deploy"})
	who := fmt.Sprintf(" user=alice user_id=%s credential=bearer token_id=", h.alice.ID)
	for _, tt := range []struct {
		name           string
		method, value  string
		event, attrs   string
		level, counted string
	}{
		{"nobody at a public method", empty, "", "", "", "", ""},
		{"nobody", unary, "", "request refused", "status=401 code=\"\" reason=\"Authentication credentials were not provided.\"", "INFO", "request.refused none no_credentials"},
		{"a good token", unary, "Bearer " + good.AccessToken.Reveal(), "request", "", "DEBUG", "request.allowed bearer none"},
		{"a bad token", unary, "Bearer " + strings.Repeat("x", 40), "request refused", "status=401 code=invalid_token reason=\"The access token is invalid or revoked.\"", "WARN", "request.refused bearer invalid_token"},
		{"a malformed token", unary, "Bearer a b", "request refused", "status=401 code=invalid_token reason=\"The access token is malformed.\"", "WARN", "request.refused bearer malformed"},
		{"another scheme", unary, "Basic YTpi", "request refused", "status=401 code=\"\" reason=\"The scheme of the authorization is not supported.\"", "WARN", "request.refused other malformed"},
		{"a missing scope", unary, "Bearer " + other.AccessToken.Reveal(), "request refused", "status=403 code=insufficient_scope reason=\"The access token lacks the scope \\\"read\\\".\"", "WARN", "request.refused bearer insufficient_scope"},
		{"no rule", "HalfDuplexCall", "", "request refused", "status=403 code=\"\" reason=\"Nobody may call this method.\" error=\"the method has no rule; see Interceptors.Audit\"", "WARN", "request.refused none forbidden"},
	} {
		log.Reset()
		seen = nil
		ctx := t.Context()
		if tt.value != "" {
			ctx = with(ctx, tt.value)
		}
		answer(ctx, c, tt.method)
		mu.Lock()
		if got := strings.Join(seen, ", "); got != tt.counted {
			t.Errorf("%s: counted %q, want %q", tt.name, got, tt.counted)
		}
		mu.Unlock()
		want := ""
		if tt.event != "" {
			path := tt.method
			if path[0] != '/' {
				path = "/grpc.testing.TestService/" + path
			}
			outcome := "failure " + tt.attrs
			if tt.attrs == "" {
				outcome = "success"
			}
			want = "level=" + tt.level + " msg=\"auth: " + tt.event + "\" outcome=" + outcome + " method=POST path=" + path + " client=\"\""
			switch tt.value {
			case "Bearer " + good.AccessToken.Reveal():
				want += who + fmt.Sprint(good.ID, " application_id=0")
			case "Bearer " + other.AccessToken.Reveal():
				want += who + fmt.Sprint(other.ID, " application_id=0")
			}
			want += "\n"
		}
		if got := regexp.MustCompile(`time=\S+ `).ReplaceAllString(log.String(), ""); got != want {
			t.Errorf("%s: logged\n%swant\n%s", tt.name, got, want)
		}
	}
}
