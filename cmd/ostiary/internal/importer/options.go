package importer

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/ostiary/auth/internal/text"
	"github.com/ostiary/auth/oauth"
)

// A Kind is a kind of source.
type Kind string

// The kinds of sources.
const (
	AWX    Kind = "awx"    // AWX up to 24.6.1, Ascender: tokens in clear, client secrets encrypted
	Django Kind = "django" // Django's auth_user, with or without django-oauth-toolkit: tokens in clear
	DAB    Kind = "dab"    // django-ansible-base: digests of tokens
)

var kinds = []Kind{AWX, Django, DAB}

// Tables are the tables of the source. An empty name means the one that the kind
// has, and for the users the one that the tokens refer to.
type Tables struct{ Users, Applications, AccessTokens, RefreshTokens string }

// Options are the options of [Run].
type Options struct {
	Kind   Kind
	Name   string // of the source; "" means what its own database says
	Tables Tables
	DryRun bool
	// Again forgets how far earlier runs came: what has ended in the target since
	// then comes back.
	Again bool

	// SecretKey is SECRET_KEY of AWX, which client secrets are encrypted with.
	SecretKey string
	// ClientSecrets has secrets that the operator knows, by client identifier.
	ClientSecrets map[string]string
	// NewSecrets is the file for the secrets that clients get in place of those
	// that cannot be taken. Each line has a client identifier, a tab and a secret.
	NewSecrets string
	// Memberships is the file for the members of organizations, "" for none.
	Memberships string

	// The latest ends of personal tokens, access tokens and refresh tokens of
	// applications, and grants, counted from the start of the first run. Zero means
	// 365, 30, 30 and 365 days.
	PersonalLifetime, AccessLifetime, RefreshLifetime, GrantLifetime time.Duration
	// SourceRefreshLifetime is how long an unused refresh token lives in the
	// source. Zero means what the settings of the source say, otherwise the default
	// of the kind. Negative means for ever.
	SourceRefreshLifetime time.Duration

	Scopes       []string          // that the target knows besides read and write
	RenameScopes map[string]string // scopes of the source by their names here

	// Organization gets all applications; 0 keeps the organizations.
	Organization int64
	// Link lets a user or application of the target that has the same name or
	// client identifier stand for the one of the source. Nothing of it changes.
	Link bool
	// NewIDs gives the users new numbers.
	NewIDs bool
	// Redirects has the rules for redirect URIs.
	Redirects oauth.Options `json:"-"`

	// RebuildIndexes drops the indexes of tokens in PostgreSQL meanwhile, and makes
	// them again. The service must not run, or it is slow.
	RebuildIndexes bool

	Workers int // writers at a time; 0 means 8
	Batch   int // records of a step; 0 means 1,000, which is the maximum

	// Patience is how long an import that has the target and gives no sign is waited
	// for; then it counts as killed. Zero means 20 seconds.
	Patience time.Duration
	// Tell is called with a sentence before such a wait. Nil means no calls.
	Tell func(text string) `json:"-"`

	// Progress is called after each batch, by one goroutine. Nil means no calls.
	Progress func(step string, done, total int64) `json:"-"`
	// Now is the start; zero means the present.
	Now time.Time
}

const (
	day          = 24 * time.Hour
	maxLifetime  = 100 * 365 * day
	maxBatch     = 1000
	maxWorkers   = 32
	patience     = 20 * time.Second
	awxRefresh   = 2_628_000 * time.Second // AWX's REFRESH_TOKEN_EXPIRE_SECONDS
	maxTableName = 128
	// maxSourceName is how many characters the table of marks has for it.
	maxSourceName = 190
)

var goodTable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// complete sets the defaults and refuses what makes no sense.
func (o *Options) complete() error {
	if !slices.Contains(kinds, o.Kind) {
		return fmt.Errorf("%q is no kind of source: give awx, django or dab", o.Kind)
	}
	if why := text.Name(o.Name, maxSourceName); o.Name != "" && why != "" {
		return fmt.Errorf("the name of the source %s", why)
	}
	if o.SecretKey != "" && o.Kind != AWX {
		return errors.New("a SECRET_KEY is for AWX: Django hashes client secrets or keeps them in clear")
	}
	o.PersonalLifetime = cmp.Or(o.PersonalLifetime, 365*day)
	o.AccessLifetime = cmp.Or(o.AccessLifetime, 30*day)
	o.RefreshLifetime = cmp.Or(o.RefreshLifetime, 30*day)
	o.GrantLifetime = cmp.Or(o.GrantLifetime, 365*day)
	for name, l := range map[string]time.Duration{
		"personal tokens": o.PersonalLifetime, "access tokens": o.AccessLifetime, "refresh tokens": o.RefreshLifetime, "grants": o.GrantLifetime,
	} {
		if l < time.Second || l > maxLifetime {
			return fmt.Errorf("the lifetime of %s, %v, is not between a second and %v", name, l, maxLifetime)
		}
	}
	if o.RefreshLifetime > o.GrantLifetime || o.AccessLifetime > o.GrantLifetime {
		return errors.New("a token cannot outlive its grant: the lifetime of grants must be the longest")
	}
	for _, table := range []string{o.Tables.Users, o.Tables.Applications, o.Tables.AccessTokens, o.Tables.RefreshTokens} {
		if table != "" && (!goodTable.MatchString(table) || len(table) > maxTableName) {
			return fmt.Errorf("%q is no name of a table", table)
		}
	}
	o.Workers = cmp.Or(o.Workers, 8)
	o.Batch = cmp.Or(o.Batch, maxBatch)
	if o.Workers < 1 || o.Workers > maxWorkers || o.Batch < 1 || o.Batch > maxBatch {
		return fmt.Errorf("give 1 to %d workers and batches of 1 to %d records", maxWorkers, maxBatch)
	}
	if o.Organization < 0 {
		return errors.New("the number of the organization is negative")
	}
	o.Patience = cmp.Or(o.Patience, patience)
	if o.Tell == nil {
		o.Tell = func(string) {}
	}
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	return nil
}

// now is the start of a first run.
func (o *Options) now() time.Time {
	if o.Now.IsZero() {
		return time.Now()
	}
	return o.Now
}
