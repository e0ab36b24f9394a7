package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"time"
)

// purgesTable has one row, which says when the next removal of what ended is due, and
// which server does it at the moment. Times are microseconds.
const purgesTable = `
	CREATE TABLE IF NOT EXISTS server_purges (
		name VARCHAR(32) NOT NULL PRIMARY KEY,
		holder VARCHAR(64) NOT NULL,
		held_until BIGINT NOT NULL,
		due BIGINT NOT NULL
	)`

// maxLease is the longest time that a lease lasts unless it is renewed. Of a server
// that dies while it removes, another one takes over within twice of it.
const maxLease = time.Minute

// purges take turns with those of other servers on the same database. A turn is a
// lease in a table and no lock of the database, because a lock of a connection is
// lost behind a pooler and unknown to the other nodes of a cluster.
type purges struct {
	db              *database
	holder          string
	interval, lease time.Duration
}

func newPurges(c config, db *database) *purges {
	host, _ := os.Hostname() // for people who look at the table
	host = host[:min(len(host), 24)]
	return &purges{db: db, holder: fmt.Sprintf("%s/%d/%.8s", host, os.Getpid(), rand.Text()), interval: c.purgeInterval, lease: min(c.purgeInterval, maxLease)}
}

// run calls work whenever it is due and this server's turn, until ctx ends. Servers
// ask at times of their own, between a quarter and three quarters of a lease apart.
func (p *purges) run(ctx context.Context, work func(context.Context) error) {
	wait := mathrand.N(p.lease / 4) // servers that start at once ask one after the other
	for {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		if err := p.turn(ctx, work); err != nil && ctx.Err() == nil {
			slog.Error("purge", "error", err)
		}
		wait = p.lease/4 + mathrand.N(p.lease/2)
	}
}

// turn works if it is this server's turn. Work that failed is due again after a
// lease, work that was canceled at once.
func (p *purges) turn(ctx context.Context, work func(context.Context) error) error {
	if mine, err := p.claim(ctx); err != nil || !mine {
		return err
	}
	working, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- p.keep(working, cancel) }()
	err := work(working)
	lost := working.Err() != nil && ctx.Err() == nil
	cancel()
	if keepErr := <-ended; lost {
		return fmt.Errorf("another server took over: %w", errors.Join(keepErr, err))
	}
	next := time.Now().Add(p.interval)
	switch {
	case ctx.Err() != nil:
		next = time.Now()
	case err != nil:
		next = time.Now().Add(p.lease)
	}
	ending, stop := context.WithTimeout(context.WithoutCancel(ctx), p.lease)
	defer stop()
	_, errRelease := p.change(ending, `UPDATE server_purges SET held_until = 0, due = ? WHERE name = 'purge' AND holder = ?`,
		next.UnixMicro(), p.holder)
	return errors.Join(err, errRelease)
}

// claim takes the lease if the work is due and nobody has it.
func (p *purges) claim(ctx context.Context) (bool, error) {
	now := time.Now()
	until := now.Add(p.lease).UnixMicro()
	n, err := p.change(ctx, `UPDATE server_purges SET holder = ?, held_until = ? WHERE name = 'purge' AND due <= ? AND held_until <= ?`,
		p.holder, until, now.UnixMicro(), now.UnixMicro())
	if err != nil || n > 0 {
		return n > 0, err
	}
	if there, err := p.exists(ctx); err != nil || there {
		return false, err
	}
	_, errInsert := p.change(ctx, `INSERT INTO server_purges (name, holder, held_until, due) VALUES ('purge', ?, ?, 0)`, p.holder, until)
	if errInsert == nil {
		return true, nil
	}
	// Another server may have been faster.
	there, err := p.exists(ctx)
	if there {
		return false, nil
	}
	return false, errors.Join(errInsert, err)
}

func (p *purges) exists(ctx context.Context) (bool, error) {
	var n int
	err := p.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM server_purges WHERE name = 'purge'`).Scan(&n)
	return n > 0, err
}

// keep renews the lease until ctx ends, and cancels the work when the lease is lost:
// another server has it, or the database was away for as long as it lasts.
func (p *purges) keep(ctx context.Context, cancel context.CancelFunc) error {
	held := time.Now()
	var err error
	for time.Since(held) < p.lease {
		select {
		case <-time.After(p.lease / 4):
		case <-ctx.Done():
			return nil
		}
		var n int64
		now := time.Now()
		trying, stop := context.WithTimeout(ctx, p.lease/4)
		n, err = p.change(trying, `UPDATE server_purges SET held_until = ? WHERE name = 'purge' AND holder = ?`,
			now.Add(p.lease).UnixMicro(), p.holder)
		stop()
		if err == nil && n == 0 {
			break
		}
		if err == nil {
			held = now
		}
	}
	cancel()
	return err
}

func (p *purges) change(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := p.db.ExecContext(ctx, p.db.bind(query), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// purge removes what ended long enough ago.
func (s *service) purge(ctx context.Context) error {
	start := time.Now()
	before := start.Add(-s.keep)
	tokens, errTokens := s.tokens.Purge(ctx, before)
	sessions, errSessions := s.session.Purge(ctx, before)
	counters, errCounters := s.passwords.Purge(ctx, before)
	var entries int
	var errEntries error
	if s.stream != nil {
		entries, errEntries = s.stream.Purge(ctx, start.Add(-s.keepActivity))
	}
	err := errors.Join(errTokens, errSessions, errCounters, errEntries)
	if err == nil {
		slog.Info("purged", "tokens", tokens, "sessions", sessions, "counters", counters, "entries", entries, "took", time.Since(start).Round(time.Millisecond))
	}
	return err
}
