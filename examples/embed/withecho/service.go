// Package withecho guards the routes of echo, beside the API for logins and tokens.
package withecho

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v5"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store/memory"
)

// New returns the service. A store of package sqlstore does as well.
func New(db *memory.Store) http.Handler {
	passwords := auth.Must(auth.NewPasswords(db, db, nil))
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	session := auth.Must(auth.NewSession(db, db, nil))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session), nil)
	api := auth.Must(httpapi.New(httpapi.Config{
		Gate: gate, Users: db, Passwords: passwords, Session: session, Tokens: tokens,
	}))

	e := echo.New()
	e.Any("/api/*", echo.WrapHandler(api))
	jobs := e.Group("/jobs", echo.WrapMiddleware(gate.Require))
	jobs.GET("/:id", job)
	jobs.POST("/:id", job)
	return session.Handler(e)
}

func job(c *echo.Context) error {
	p, _ := auth.FromContext(c.Request().Context())
	return c.String(http.StatusOK, fmt.Sprintf("job %s of %s", c.Param("id"), p.Name))
}
