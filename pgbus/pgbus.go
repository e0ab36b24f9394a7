// Package pgbus carries the messages of package cached by LISTEN and NOTIFY of
// PostgreSQL.
//
//	bus, err := pgbus.New(db, dsn, nil)
//	st, err := cached.New(sqlStore, &cached.Options{Bus: bus})
//	go st.Run(ctx)
//
// Messages reach all programs that are connected to the same database and use the same
// channel. A program that is not allowed to change users or tokens must not be able to
// connect to that database: whoever sends messages can make others ask the database
// more often. No message can make anybody believe an older answer.
package pgbus

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/auth/store/cached"
)

// Options are the options of [New].
type Options struct {
	// Channel is the name of the channel: letters a to z, digits and underscores, at
	// most 63, of which the first is no digit. The default is "ostiary".
	Channel string

	// Check is the time after which Listen asks the server whether the connection
	// is good, if no message has come. Zero means ten seconds. The minimum is a
	// millisecond, the maximum a minute.
	Check time.Duration
}

// A Bus is a [cached.Bus] on one channel of a PostgreSQL database. It is safe for
// concurrent use.
type Bus struct {
	db      *sql.DB
	config  *pgx.ConnConfig
	channel string
	check   time.Duration
}

var _ cached.Bus = (*Bus)(nil)

var channels = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// New returns a bus that publishes through db and listens on a connection of its own,
// by the data source name dsn. That connection must reach PostgreSQL itself, or a
// pooler in session mode, and the primary server: PgBouncer in transaction mode and
// standbys do not listen. New connects to nobody. Its errors do not have the data
// source name.
func New(db *sql.DB, dsn string, opts *Options) (*Bus, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	o.Channel = cmp.Or(o.Channel, "ostiary")
	o.Check = cmp.Or(o.Check, 10*time.Second)
	config, err := pgx.ParseConfig(dsn)
	switch {
	case db == nil:
		return nil, errors.New("pgbus: the pool is nil")
	case dsn == "" || err != nil: // the error has the password in some cases
		return nil, errors.New("pgbus: the data source name is none of PostgreSQL")
	case !channels.MatchString(o.Channel):
		return nil, fmt.Errorf("pgbus: Options.Channel %q is not a name of letters a to z, digits and underscores", o.Channel)
	case o.Check < time.Millisecond || o.Check > time.Minute:
		return nil, fmt.Errorf("pgbus: Options.Check %v is not between a millisecond and a minute", o.Check)
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "listens to " + o.Channel // for pg_stat_activity
	}
	return &Bus{db, config, o.Channel, o.Check}, nil
}

// Publish implements [cached.Bus].
func (b *Bus) Publish(ctx context.Context, message string) error {
	if _, err := b.db.ExecContext(ctx, "SELECT pg_notify($1, $2)", b.channel, message); err != nil {
		return fmt.Errorf("pgbus: notify: %w", err)
	}
	return nil
}

// Listen implements [cached.Bus].
func (b *Bus) Listen(ctx context.Context, receive func(message string), lost func()) error {
	conn, err := b.connect(ctx)
	if err != nil {
		return fmt.Errorf("pgbus: listen: %w", err)
	}
	defer b.within(ctx, conn.Close)
	lost()
	for {
		wait, cancel := context.WithTimeout(ctx, b.check)
		n, err := conn.WaitForNotification(wait)
		cancel()
		switch {
		case err == nil:
			receive(n.Payload)
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, context.DeadlineExceeded):
			return fmt.Errorf("pgbus: listen: %w", err)
		default: // a connection whose other end is gone says nothing either
			if err := b.within(ctx, conn.Ping); err != nil {
				return fmt.Errorf("pgbus: listen: %w", err)
			}
		}
	}
}

// connect returns a connection that listens.
func (b *Bus) connect(ctx context.Context) (conn *pgx.Conn, err error) {
	err = b.within(ctx, func(ctx context.Context) error {
		if conn, err = pgx.ConnectConfig(ctx, b.config.Copy()); err != nil {
			return err
		}
		if _, err = conn.Exec(ctx, "LISTEN "+b.channel); err != nil {
			_ = conn.Close(ctx)
		}
		return err
	})
	return conn, err
}

// within runs a step that a server which does not answer must not hold up.
func (b *Bus) within(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, b.check)
	defer cancel()
	return step(ctx)
}
