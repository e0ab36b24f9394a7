module github.com/ostiary/auth

go 1.26.0
