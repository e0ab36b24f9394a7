module github.com/ostiary/auth/internal/chitest

go 1.26.0

replace github.com/ostiary/auth => ../..

require (
	github.com/go-chi/chi/v5 v5.5.0
	github.com/ostiary/auth v0.1.0
	go.uber.org/goleak v1.3.0
)

require (
	github.com/alexedwards/scs/v2 v2.9.0 // indirect
	golang.org/x/crypto v0.59.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
)
