// Package importer brings users, applications and tokens from a database of AWX or
// Django into a store.
//
// [Run] reads the source by one snapshot and never writes to it. What it does with
// a record depends on the record, the options, the start of the first run and what
// the target has, and on nothing else. A run that was killed is therefore repeated:
// it reads the source from the beginning, finds what it stored, stores the rest, and
// writes the same report as a run that was never killed.
//
// A mark in the target tells how far each kind of record was brought. What stands
// behind the mark and is missing in the target has ended there since, and a later run
// does not bring it back.
//
// A lease in the target keeps a second import out, from whichever machine.
package importer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ostiary/auth/cmd/ostiary/internal/database"
)

// The steps of an import, in their order.
const (
	stepUsers        = "users"
	stepMemberships  = "memberships"
	stepApplications = "applications"
	stepTokens       = "tokens"
	stepIndexes      = "indexes"
)

// A run is one import.
type run struct {
	Options
	src    *source
	dst    *target
	report *Report
	origin string    // which database the source is
	start  time.Time // of the first run

	applications map[int64]destination // by the ID in the source
	planned      map[appName]bool      // names of applications that a dry run would store
	twins        struct{ users, clients twins }
	newSecrets   *secretsFile
	known        knownUsers
}

// Run imports from one database into another. The report is complete if the error is
// nil, and tells how far Run came otherwise. Both databases stay open.
func Run(ctx context.Context, from, to *database.DB, o Options) (report *Report, err error) {
	r := &run{Options: o, report: newReport(), applications: map[int64]destination{}, planned: map[appName]bool{}}
	if err := r.complete(); err != nil {
		return r.report, UsageError{err}
	}
	if r.src, err = openSource(ctx, from, r.Options); err != nil {
		return r.report, err
	}
	defer r.src.close()
	if r.origin, err = r.src.origin(ctx); err != nil {
		return r.report, err
	}
	if r.dst, err = openTarget(ctx, to, r.origin, r.DryRun); err != nil {
		return r.report, err
	}
	if !r.DryRun {
		var l *lease
		if ctx, l, err = r.dst.take(ctx, r.Patience, r.Tell); err != nil {
			return r.report, err
		}
		defer func() {
			if lost := l.release(ctx); lost != nil {
				err = lost // of which all else is a consequence
			}
		}()
	}
	if r.start, err = r.dst.begin(ctx, r.now(), r.Again); err != nil {
		return r.report, err
	}
	r.report.head(r.Options, r.origin, r.start)
	return r.report, r.steps(ctx)
}

// steps runs the steps. Each needs what the ones before it brought.
func (r *run) steps(ctx context.Context) error {
	if err := r.readSettings(ctx); err != nil {
		return fmt.Errorf("read the settings of the source: %w", err)
	}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{stepUsers, r.importUsers},
		{stepMemberships, r.listMemberships},
		{stepApplications, r.importApplications},
		{stepTokens, r.importTokens},
		{stepIndexes, r.dst.makeIndexes},
	} {
		if err := step.do(ctx); err != nil {
			if context.Cause(ctx) == errLost {
				return errLost // and leave the indexes to the other import
			}
			// The store does its work without its indexes, but slowly.
			return errors.Join(fmt.Errorf("%s: %w", step.name, err), r.dst.makeIndexes(context.WithoutCancel(ctx)))
		}
	}
	if err := r.countLeftovers(ctx); err != nil {
		return err
	}
	if r.newSecrets != nil {
		return r.newSecrets.close()
	}
	return nil
}
