module github.com/ostiary/auth/bench

go 1.26.0

replace github.com/ostiary/auth => ..

require (
	github.com/alexedwards/scs/v2 v2.9.0
	github.com/ostiary/auth v0.1.0
)

require (
	golang.org/x/crypto v0.59.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
)
