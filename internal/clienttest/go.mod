module github.com/ostiary/auth/internal/clienttest

go 1.26.0

replace github.com/ostiary/auth => ../..

require (
	github.com/ostiary/auth v0.1.0
	go.uber.org/goleak v1.3.0
	golang.org/x/oauth2 v0.36.0
)

require (
	github.com/alexedwards/scs/v2 v2.9.0 // indirect
	golang.org/x/crypto v0.59.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
)
