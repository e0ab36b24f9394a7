package observe_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store/memory"
)

// A function that prints what the modules promauth and otelauth count.
func ExampleFunc() {
	show := func(_ context.Context, e observe.Event) {
		fmt.Println(e.Name, e.Kind, e.Outcome(), e.Reason)
	}
	db := memory.New()
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Observe: show}))
	gate := auth.NewGate(auth.NewBearer(tokens), &auth.GateOptions{Observe: show})
	h := gate.Require(http.NotFoundHandler())

	r := httptest.NewRequest("GET", "/", nil)
	h.ServeHTTP(httptest.NewRecorder(), r)
	r.Header.Set("Authorization", "Bearer stolen")
	h.ServeHTTP(httptest.NewRecorder(), r)
	// Output:
	// request.refused none refused no_credentials
	// request.refused bearer refused invalid_token
}
