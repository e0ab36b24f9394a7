package cli

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostiary/auth/audit"
)

// minAge is the least age of what is purged: a refresh token that is used twice must be
// recognised for a day, and clocks differ.
const minAge = time.Hour

// purgeStep is how many records one step removes.
const purgeStep = 500

// A purged says how many records are gone.
type purged struct {
	Tokens     int `json:"tokens"`
	Sessions   int `json:"sessions"`
	Attempts   int `json:"attempts"`
	Activities int `json:"activities"`
}

func (a *app) purge() *cobra.Command {
	var age, activityAge string
	c := &cobra.Command{
		Use: "purge", Short: "Remove what ended: tokens, codes, sessions, counters, old activities", Args: exactly(),
		Long:    "Removes the records of tokens, codes, devices and sessions that ended, of counters that\nare over, and old entries of the activity stream. It works in small steps beside the\nservice, and an interrupted one can be repeated. A service may do the same by itself.",
		Example: examples("ostiary purge", "ostiary purge --older-than 7d --activity-older-than 365d"),
		RunE:    func(c *cobra.Command, _ []string) error { return a.runPurge(c, age, activityAge) },
	}
	c.Flags().StringVar(&age, "older-than", "24h", "`time` since the end; below a day a replayed refresh token may go unnoticed")
	c.Flags().StringVar(&activityAge, "activity-older-than", "90d", "`age` of the entries of the activity stream that are removed")
	return c
}

func (a *app) runPurge(c *cobra.Command, age, activityAge string) error {
	ended, err := duration("--older-than", age)
	if err == nil && ended < minAge {
		err = usagef("--older-than: must be at least %s", minAge)
	}
	if err != nil {
		return err
	}
	old, err := duration("--activity-older-than", activityAge)
	if err != nil {
		return err
	}
	return a.with(c, settings{}, func(ctx context.Context, s *service) error {
		now := time.Now()
		var n purged
		defer func() { // what was removed before an error, too
			s.log.LogAttrs(ctx, slog.LevelInfo, "ostiary: purged", slog.String(audit.KeyActor, s.by.Name), slog.Int("tokens", n.Tokens),
				slog.Int("sessions", n.Sessions), slog.Int("attempts", n.Attempts), slog.Int("activities", n.Activities))
		}()
		for _, kind := range []struct {
			name   string
			n      *int
			before time.Time
			step   func(context.Context, time.Time, int) (int, error)
		}{
			{"tokens and codes", &n.Tokens, now.Add(-ended), s.Purge},
			{"sessions", &n.Sessions, now.Add(-ended), s.PurgeSessions},
			{"counters", &n.Attempts, now.Add(-ended), s.PurgeAttempts},
			{"activities", &n.Activities, now.Add(-old), s.PurgeActivities},
		} {
			progress := a.counter("removed " + kind.name)
			for more := true; more; {
				removed, err := kind.step(ctx, kind.before, purgeStep)
				*kind.n += removed
				progress.show(*kind.n)
				if err != nil {
					progress.clear()
					return unfinished(fmt.Errorf("purge %s: %w", kind.name, err), "removed before that: %d tokens and codes, %d sessions, %d counters, %d activities",
						n.Tokens, n.Sessions, n.Attempts, n.Activities)
				}
				more = removed >= purgeStep
			}
			progress.clear()
		}
		return a.card(n, []field{
			{"Tokens and codes", strconv.Itoa(n.Tokens)}, {"Sessions", strconv.Itoa(n.Sessions)},
			{"Counters", strconv.Itoa(n.Attempts)}, {"Activities", strconv.Itoa(n.Activities)},
		})
	})
}
