// Package withgin guards the routes of gin, beside the API for logins and tokens.
package withgin

import (
	"net/http"

	"github.com/gin-gonic/gin"

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

	e := gin.New()
	e.Any("/api/*path", gin.WrapH(api))
	jobs := e.Group("/jobs", middleware(gate.Require))
	jobs.GET("/:id", job)
	jobs.POST("/:id", job)
	return session.Handler(e) // outside gin, so that it sees each answer
}

// middleware makes middleware of net/http that of gin. A request that it does not
// let through goes no further.
func middleware(m func(http.Handler) http.Handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		passed := false
		m(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			passed = true
			c.Request = r // with the principal
			c.Next()
		})).ServeHTTP(c.Writer, c.Request)
		if !passed {
			c.Abort()
		}
	}
}

func job(c *gin.Context) {
	p, _ := auth.FromContext(c.Request.Context())
	c.String(http.StatusOK, "job %s of %s", c.Param("id"), p.Name)
}
