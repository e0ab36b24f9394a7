package grpcauth

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func (i *Interceptors) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	c, err := i.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	return handler(c.ctx, req)
}

// A stream has a context of its own.
type stream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *stream) Context() context.Context { return s.ctx }

func (i *Interceptors) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	c, err := i.admit(ss.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	if c.principal == nil {
		return handler(srv, &stream{ss, c.ctx})
	}
	ctx, cancel := context.WithCancelCause(c.ctx)
	defer cancel(nil)
	h := start(cancel, func() error { return handler(srv, &stream{ss, ctx}) })
	defer close(h.left)

	// Only the return of an interceptor ends a stream of gRPC for all who wait
	// in it. So the checks are made here, and the handler runs elsewhere.
	timer := time.NewTimer(i.next(&c))
	defer timer.Stop()
	for {
		select {
		case end := <-h.ended:
			return end.result()
		case <-timer.C:
		}
		err := i.again(ctx, &c)
		if ctx.Err() != nil { // the stream has ended meanwhile, so the answer means nothing
			return (<-h.ended).result()
		}
		if err != nil {
			err = i.refuse(&c, err)
			cancel(err)
			return err
		}
		timer.Reset(i.next(&c))
	}
}

// next returns the time until the next check of a stream.
func (i *Interceptors) next(c *call) time.Duration {
	if c.principal.Expires.IsZero() {
		return i.recheck
	}
	return min(i.recheck, time.Until(c.principal.Expires))
}

// maxCheck is the longest time that a check of a stream may take. What takes
// longer is an outage.
const maxCheck = 10 * time.Second

// again checks a stream once more.
func (i *Interceptors) again(ctx context.Context, c *call) error {
	ctx, cancel := context.WithTimeout(ctx, maxCheck)
	defer cancel()
	return i.verify(ctx, c)
}

// A handling is the handler of a stream, in a goroutine of its own.
type handling struct {
	ended chan end
	left  chan struct{} // closed when nobody waits for ended
}

// An end is what a handler ended with.
type end struct {
	err      error
	panicked any
}

// start calls serve. It calls cancel when serve has ended.
func start(cancel context.CancelCauseFunc, serve func() error) handling {
	h := handling{ended: make(chan end), left: make(chan struct{})}
	go func() {
		e := end{err: status.Error(codes.Internal, "The handler ended without an answer.")} // by runtime.Goexit
		defer func() {
			if e.panicked = recover(); e.panicked != nil {
				e.panicked = fmt.Sprintf("%v\n\n%s", e.panicked, debug.Stack())
			}
			cancel(nil) // a check that is being made
			select {
			case h.ended <- e:
			case <-h.left:
				if e.panicked != nil {
					panic(e.panicked)
				}
			}
		}()
		e.err = serve()
	}()
	return h
}

// result returns the answer of the handler, or panics as it did.
func (e end) result() error {
	if e.panicked != nil {
		panic(e.panicked)
	}
	return e.err
}
