package stores

import (
	"context"

	"github.com/ostiary/auth/store"
)

type applicationKey struct{}

// WithApplication returns a context in which the application that a step reads goes
// to app, for showing it: nobody needs to look it up once more.
func WithApplication(ctx context.Context, app *store.Application) context.Context {
	return context.WithValue(ctx, applicationKey{}, app)
}

// SeeApplication notes an application that has just been read in ctx.
func SeeApplication(ctx context.Context, app store.Application) {
	if to, ok := ctx.Value(applicationKey{}).(*store.Application); ok {
		*to = app
	}
}
