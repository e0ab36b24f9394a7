package importer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"
)

// leaseTable has one row: who imports, "" for nobody, and a number that the import
// raises as long as it lives.
const leaseTable = `import_lease`

// ErrHeld is wrapped by the error of a [Run] into a target that another one has.
var ErrHeld = errors.New("another import into this target runs")

// errLost ends an import that stood still for so long that another one took it for dead.
var errLost = errors.New("this import stood still, and another one has taken the target over since: see what that one reports")

// A lease keeps other imports out of a target. An import that is killed, with its machine
// or without, raises its number no more, which others see without a clock that they share.
type lease struct {
	t      *target
	holder string
	stop   context.CancelFunc
	ended  chan struct{}
}

// take takes the lease, or returns [ErrHeld]. It waits for patience where the holder gives
// no sign, and tells that. The context that it returns ends when the lease is lost, by
// errLost.
func (t *target) take(ctx context.Context, patience time.Duration, tell func(string)) (context.Context, *lease, error) {
	if err := t.makeLease(ctx); err != nil {
		return ctx, nil, fmt.Errorf("create the table of the lease in the target: %w", err)
	}
	l := &lease{t: t, holder: thisProcess(), ended: make(chan struct{})}
	tick := time.NewTicker(patience / 20)
	defer tick.Stop()
	first, since := "", time.Now()
	beat := int64(0)
	for {
		holder, now, err := t.leaseHolder(ctx)
		switch {
		case err != nil:
			return ctx, nil, fmt.Errorf("read the lease in the target: %w", err)
		case holder == "" || holder == first && now == beat && time.Since(since) > patience:
			if taken, err := t.passLease(ctx, holder, now, l.holder); err != nil {
				return ctx, nil, fmt.Errorf("take the lease in the target: %w", err)
			} else if taken {
				return l.keep(ctx, patience/5), l, nil
			}
		case first == "":
			first, beat, since = holder, now, time.Now()
			tell(fmt.Sprintf("an import has this target: %s; waiting up to %v to see whether it still runs", holder, patience))
		case holder != first || now != beat:
			return ctx, nil, fmt.Errorf("%w: %s; let it end, or stop it", ErrHeld, holder)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx, nil, context.Cause(ctx)
		}
	}
}

// keep raises the number until the lease is released.
func (l *lease) keep(ctx context.Context, every time.Duration) context.Context {
	held, lost := context.WithCancelCause(ctx)
	ctx, l.stop = context.WithCancel(ctx)
	go func() {
		defer close(l.ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				lost(context.Canceled) // by nobody who reads it: the run is over
				return
			}
			// An outage ends the import by itself, if it lasts.
			if done, err := l.change(ctx, `beat = beat + 1`); err == nil && !done {
				lost(errLost)
			}
		}
	}()
	return held
}

// release lets others in, and returns errLost if they were let in before. Where it cannot
// ask, others wait for a while.
func (l *lease) release(ctx context.Context) error {
	l.stop()
	<-l.ended
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if done, err := l.change(ctx, `holder = ''`); err == nil && !done {
		return errLost
	}
	return nil
}

// change changes the row, and reports whether it is still that of the holder.
func (l *lease) change(ctx context.Context, set string) (done bool, err error) {
	result, err := l.t.db.Pool.ExecContext(ctx, l.t.bind(`UPDATE `+l.t.leases()+` SET `+set+` WHERE holder = ?`), l.holder)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

func (t *target) leases() string { return t.prefix() + leaseTable }

func (t *target) makeLease(ctx context.Context) error {
	if err := t.createTable(ctx, t.leases(), `slot BIGINT NOT NULL PRIMARY KEY, holder VARCHAR(255) NOT NULL, beat BIGINT NOT NULL`); err != nil {
		return err
	}
	_, _, err := t.leaseHolder(ctx)
	if err == nil {
		return nil
	}
	err = t.exec(ctx, `INSERT INTO `+t.leases()+` (slot, holder, beat) VALUES (1, '', 0)`)
	if _, _, errRead := t.leaseHolder(ctx); errRead == nil {
		return nil // another import was faster
	}
	return err
}

func (t *target) leaseHolder(ctx context.Context) (holder string, beat int64, err error) {
	err = t.db.Pool.QueryRowContext(ctx, `SELECT holder, beat FROM `+t.leases()+` WHERE slot = 1`).Scan(&holder, &beat)
	return holder, beat, err
}

// passLease gives the lease to another holder, unless it has changed since it was read.
func (t *target) passLease(ctx context.Context, from string, beat int64, to string) (done bool, err error) {
	result, err := t.db.Pool.ExecContext(ctx, t.bind(`UPDATE `+t.leases()+` SET holder = ?, beat = beat + 1 WHERE slot = 1 AND holder = ? AND beat = ?`), to, from, beat)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// thisProcess says who this is, for people, and in no two ways the same.
func thisProcess() string {
	name, host := "somebody", "a host without a name"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return fmt.Sprintf("%.60s on %.100s, process %d, since %s", name, host, os.Getpid(), time.Now().UTC().Format("2006-01-02 15:04:05.000000 MST"))
}
