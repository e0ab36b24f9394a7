module github.com/ostiary/auth/internal/deploytest

go 1.26.0

replace github.com/ostiary/auth => ../..

require (
	github.com/moby/buildkit v0.31.0
	github.com/ostiary/auth v0.1.0
	go.uber.org/goleak v1.3.0
)

require (
	github.com/containerd/typeurl/v2 v2.3.0 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/planetscale/vtprotobuf v0.6.1-0.20240319094008-0393e58bdf10 // indirect
	google.golang.org/protobuf v1.36.11 // indirect
)
