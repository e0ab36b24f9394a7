// Ostiary is the command of the operator: users, tokens, sessions, applications and
// consents in the database of a service, without the service:
//
//	export OSTIARY_DSN_FILE=/etc/ostiary/dsn
//	ostiary user list
//
// The page doc/command.md of the repository has every command.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/ostiary/auth/cmd/ostiary/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop)   // the second signal does not wait
	signal.Ignore(syscall.SIGPIPE) // a reader that has gone must not end what is half done
	os.Exit(cli.Main(ctx, cli.System(), os.Args[1:]))
}
