package main

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	"github.com/go-oauth2/oauth2/v4/server"
	"github.com/go-oauth2/oauth2/v4/store"
	"github.com/golang-jwt/jwt/v5"
	"github.com/golang-jwt/jwt/v5/request"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/token/cache"
	"k8s.io/apiserver/pkg/authentication/token/tokenfile"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/filters"
	k8s "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/ostiary/auth/bench"
)

const secret = "some-cool-secret-that-is-32bytes"

// bearer returns the contestants of other libraries. Each has as many tokens as
// ours, in the store in memory that it brings, set up as its documentation says.
func bearer() []bench.Contestant {
	least, filter, tokens := kubernetes()
	fields := bench.Fields("Authorization", prefixed(tokens))
	return []bench.Contestant{
		bench.Serving("k8s.io/apiserver, cached", again(least), bench.Passed, fields),
		bench.Serving("k8s.io/apiserver, cached, its filter", again(filter), bench.Passed, fields),
		fositeBearer(), goOAuth2(), golangJWT(),
	}
}

// alice answers requests of alice.
func alice(w http.ResponseWriter, name string) {
	if name == "alice" {
		w.WriteHeader(bench.Passed)
	}
}

func texts(n int) (list []string) {
	for i := range n {
		list = append(list, strings.Repeat("t", 40)+strconv.Itoa(1_000_000+i))
	}
	return list
}

// kubernetes is the token cache of the API server with its times for webhooks, over
// its table of tokens: with the least that serves it, and in its own filter.
func kubernetes() (least, filter http.Handler, tokens []string) {
	table := make(map[string]*user.DefaultInfo)
	tokens = texts(bench.Stored)
	for _, t := range tokens {
		table[t] = &user.DefaultInfo{Name: "alice", UID: "1"}
	}
	cached := bearertoken.New(cache.New(tokenfile.New(table), false, 10*time.Second, 10*time.Second))
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, ok := k8s.UserFrom(r.Context()); ok {
			alice(w, u.GetName())
		}
	})
	least = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp, ok, err := cached.AuthenticateRequest(r)
		if err != nil || !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(k8s.WithUser(r.Context(), resp.User)))
	})
	failed := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	return least, filters.WithAuthentication(next, authenticator.Request(cached), failed, nil, nil), tokens
}

// loopbackRivals is Kubernetes' filter over loopback.
func loopbackRivals() []bench.Server {
	_, filter, tokens := kubernetes()
	return []bench.Server{{
		Name: "k8s.io/apiserver, cached, its filter", Base: "bare", Handler: filter, Path: "/",
		Fields: http.Header{"Authorization": {"Bearer " + tokens[0]}}, Status: bench.Passed,
	}}
}

// again puts the Authorization field back that h removes, because the next request
// is the same.
func again(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fields := r.Header["Authorization"]
		h.ServeHTTP(w, r)
		r.Header["Authorization"] = fields
	})
}

func prefixed(tokens []string) (list []string) {
	for _, t := range tokens[:bench.Presented] {
		list = append(list, "Bearer "+t)
	}
	return list
}

// fositeBearer is IntrospectToken with opaque tokens.
func fositeBearer() bench.Contestant {
	config := &fosite.Config{GlobalSecret: []byte(secret), AccessTokenLifespan: time.Hour}
	db := storage.NewMemoryStore()
	strategy := compose.NewOAuth2HMACStrategy(config)
	provider := compose.Compose(config, db, strategy, compose.OAuth2TokenIntrospectionFactory)
	ctx := context.Background()
	var tokens []string
	for range bench.Stored {
		session := &fosite.DefaultSession{Subject: "alice", ExpiresAt: map[fosite.TokenType]time.Time{fosite.AccessToken: time.Now().Add(time.Hour)}}
		r := fosite.NewAccessRequest(session)
		r.Client = &fosite.DefaultClient{ID: "app"}
		token, signature, err := strategy.GenerateAccessToken(ctx, r)
		if err != nil {
			panic(err)
		}
		if err := db.CreateAccessTokenSession(ctx, signature, r); err != nil {
			panic(err)
		}
		tokens = append(tokens, token)
	}
	return bench.Serving("fosite", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, ar, err := provider.IntrospectToken(r.Context(), fosite.AccessTokenFromRequest(r), fosite.AccessToken, &fosite.DefaultSession{})
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next(w, r, ar.GetSession().GetSubject())
	}), bench.Passed, bench.Fields("Authorization", prefixed(tokens)))
}

type subjectKey struct{}

// next hands the subject over in the context, as a middleware does.
func next(w http.ResponseWriter, r *http.Request, subject string) {
	r = r.WithContext(context.WithValue(r.Context(), subjectKey{}, subject))
	name, _ := r.Context().Value(subjectKey{}).(string)
	alice(w, name)
}

// goOAuth2 is ValidationBearerToken with the store in memory.
func goOAuth2() bench.Contestant {
	manager := manage.NewDefaultManager()
	db, err := store.NewMemoryTokenStore()
	if err != nil {
		panic(err)
	}
	manager.MapTokenStorage(db)
	srv := server.NewDefaultServer(manager)
	tokens := texts(bench.Stored)
	for _, t := range tokens {
		info := models.NewToken()
		info.SetClientID("app")
		info.SetUserID("alice")
		info.SetScope("read")
		info.SetAccess(t)
		info.SetAccessCreateAt(time.Now())
		info.SetAccessExpiresIn(time.Hour)
		if err := db.Create(context.Background(), info); err != nil {
			panic(err)
		}
	}
	return bench.Serving("go-oauth2", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, err := srv.ValidationBearerToken(r)
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next(w, r, info.GetUserID())
	}), bench.Passed, bench.Fields("Authorization", prefixed(tokens)))
}

// golangJWT checks HS256. It looks nothing up, so that no token can be revoked.
func golangJWT() bench.Contestant {
	key := func(*jwt.Token) (any, error) { return []byte(secret), nil }
	var tokens []string
	for i := range bench.Presented {
		t, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
			Subject: "alice", ID: strconv.Itoa(i), ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
		}).SignedString([]byte(secret))
		if err != nil {
			panic(err)
		}
		tokens = append(tokens, t)
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
	return bench.Serving("golang-jwt, HS256", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var claims jwt.RegisteredClaims
		if _, err := request.ParseFromRequest(r, request.AuthorizationHeaderExtractor, key, request.WithClaims(&claims), request.WithParser(parser)); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next(w, r, claims.Subject)
	}), bench.Passed, bench.Fields("Authorization", prefixed(tokens)))
}
