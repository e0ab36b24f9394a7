package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostiary/auth/store"
)

// statistics count what the database has. Numbers are exact up to [store.MaxCount].
type statistics struct {
	Users             int `json:"users"`
	ActiveUsers       int `json:"active_users"`
	Superusers        int `json:"active_superusers"`
	PersonalTokens    int `json:"personal_tokens"`
	ApplicationTokens int `json:"application_tokens"`
	UnusedTokens      int `json:"tokens_never_used"`
	ExpiringTokens    int `json:"tokens_expiring_within_a_week"`
	ExpiredTokens     int `json:"expired_tokens"`
	Sessions          int `json:"sessions"`
	Applications      int `json:"applications"`
	Activities        int `json:"activities"`
}

func (a *app) stats() *cobra.Command {
	return &cobra.Command{
		Use: "stats", Short: "Count users, tokens, sessions, applications and activities", Args: exactly(),
		Long:    "Counts users, tokens, sessions, applications and activities. Numbers are exact up to\n10,000. Revoked tokens and sessions that ended do not count. Sessions that a new\npassword or the disabling of their user has killed count until they expire.",
		Example: examples("ostiary stats", "ostiary stats -o json"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c, settings{}, func(ctx context.Context, s *service) error {
				n, err := s.count(ctx, time.Now())
				if err != nil {
					return err
				}
				return a.card(n, []field{
					{"Users", count(n.Users)}, {"  active", count(n.ActiveUsers)}, {"  active superusers", count(n.Superusers)},
					{"Live tokens", ""}, {"  personal", count(n.PersonalTokens)}, {"  of applications", count(n.ApplicationTokens)},
					{"  never used", count(n.UnusedTokens)}, {"  expiring within a week", count(n.ExpiringTokens)},
					{"Expired tokens", count(n.ExpiredTokens)}, {"Sessions", count(n.Sessions)},
					{"Applications", count(n.Applications)}, {"Activities", count(n.Activities)},
				})
			})
		},
	}
}

func (s *service) count(ctx context.Context, now time.Time) (n statistics, err error) {
	users := func(conditions ...store.Condition) int {
		if err != nil {
			return 0
		}
		var total int
		_, total, err = s.ListUsers(ctx, store.UserFilter{Where: allOf(conditions)}, store.Page{})
		return total
	}
	tokens := func(kind store.TokenKind, conditions ...store.Condition) int {
		if err != nil {
			return 0
		}
		var total int
		_, total, err = s.ListTokens(ctx, store.TokenFilter{All: true, Kind: kind, Where: allOf(conditions)}, store.Page{})
		return total
	}
	active := store.Condition{Column: store.ColumnActive, Values: []any{true}}
	live := store.Condition{Column: store.ColumnExpires, Is: store.Greater, Values: []any{now}}
	n = statistics{
		Users: users(), ActiveUsers: users(active), Superusers: users(active, store.Condition{Column: store.ColumnAdmin, Values: []any{true}}),
		PersonalTokens: tokens(store.PersonalToken, live), ApplicationTokens: tokens(store.ApplicationToken, live),
		UnusedTokens:   tokens(store.AnyToken, live, store.Condition{Column: store.ColumnLastUsed, Is: store.Unset}),
		ExpiringTokens: tokens(store.AnyToken, live, store.Condition{Column: store.ColumnExpires, Is: store.Less, Values: []any{now.AddDate(0, 0, 7)}}),
		ExpiredTokens:  tokens(store.AnyToken, store.Condition{Column: store.ColumnExpires, Is: store.AtMost, Values: []any{now}}),
	}
	if err != nil {
		return n, err
	}
	if _, n.Sessions, err = s.ListSessions(ctx, store.SessionFilter{All: true}, now, store.Page{}); err != nil {
		return n, err
	}
	if _, n.Applications, err = s.ListApplications(ctx, store.ApplicationFilter{All: true}, store.Page{}); err != nil {
		return n, err
	}
	_, n.Activities, err = s.ListActivities(ctx, store.ActivityFilter{All: true}, store.Page{})
	return n, err
}

// allOf returns a filter that is met where all conditions are.
func allOf(conditions []store.Condition) (w store.Where) {
	for _, c := range conditions {
		w = append(w, []store.Condition{c})
	}
	return w
}
