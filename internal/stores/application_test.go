package stores_test

import (
	"context"
	"testing"

	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

// An application that was read goes to who asked for it.
func TestSeeApplication(t *testing.T) {
	var app store.Application
	ctx := stores.WithApplication(t.Context(), &app)
	stores.SeeApplication(context.WithoutCancel(ctx), store.Application{ID: 1, Name: "seen"})
	stores.SeeApplication(t.Context(), store.Application{ID: 2}) // nobody asked
	if app.ID != 1 || app.Name != "seen" {
		t.Errorf("%+v", app)
	}
}
