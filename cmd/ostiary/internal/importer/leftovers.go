package importer

import (
	"context"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/ostiary/auth/cmd/ostiary/internal/private"
)

// equivalents are settings of AWX that concern authentication, with what stands for
// them here. None has a secret.
var equivalents = map[string]string{
	"OAUTH2_PROVIDER":                   "TokensOptions.PersonalLifetime, oauth.Options.AccessLifetime, RefreshLifetime and CodeLifetime",
	"ALLOW_OAUTH2_FOR_EXTERNAL_USERS":   "TokensOptions.MayIssue",
	"AUTH_BASIC_ENABLED":                "BasicOptions.Enabled, which is off without it",
	"DISABLE_LOCAL_AUTH":                "PasswordsOptions.Enabled",
	"SESSION_COOKIE_AGE":                "SessionOptions.IdleTimeout",
	"SESSIONS_PER_USER":                 "SessionOptions.PerUser",
	"LOGIN_REDIRECT_OVERRIDE":           "the host's own login page",
	"CSRF_TRUSTED_ORIGINS":              "SessionOptions.TrustedOrigins",
	"REMOTE_HOST_HEADERS":               "ProxyOptions.AddressFields",
	"PROXY_IP_ALLOWED_LIST":             "ProxyOptions.Peers",
	"LOCAL_PASSWORD_MIN_LENGTH":         "PasswordsOptions.MinLength",
	"LOCAL_PASSWORD_MIN_DIGITS":         "nothing: PasswordsOptions.MinLength alone; kinds of characters are not asked for",
	"LOCAL_PASSWORD_MIN_UPPER":          "nothing: PasswordsOptions.MinLength alone; kinds of characters are not asked for",
	"LOCAL_PASSWORD_MIN_SPECIAL":        "nothing: PasswordsOptions.MinLength alone; kinds of characters are not asked for",
	"ORG_ADMINS_CAN_SEE_ALL_USERS":      "nothing: users see superusers and themselves",
	"MANAGE_ORGANIZATION_AUTH":          "nothing: superusers manage users",
	"ALLOW_METRICS_FOR_ANONYMOUS_USERS": "the host's own routes",
}

// readSettings reports the settings that AWX keeps in its database, and takes the
// lifetime of refresh tokens from them.
func (r *run) readSettings(ctx context.Context) error {
	if err := r.readEquivalents(ctx); err != nil {
		return err
	}
	switch {
	case r.SourceRefreshLifetime != 0:
	case r.Kind == AWX:
		r.SourceRefreshLifetime = awxRefresh
	default:
		r.SourceRefreshLifetime = -1 // Django has it in a file, and no limit without it
	}
	return nil
}

func (r *run) readEquivalents(ctx context.Context) error {
	if ok, err := r.src.has(ctx, "conf_setting"); err != nil || !ok {
		return err
	}
	rows, err := r.src.tx.QueryContext(ctx, "SELECT "+r.src.clipped("c.key", 100)+", "+r.src.clipped("CAST(c.value AS TEXT)", 10_000)+" FROM conf_setting c WHERE c.user_id IS NULL ORDER BY c.key, c.id")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name, value words
		if err := rows.Scan(&name, &value); err != nil {
			return err
		}
		here := equivalents[string(name)]
		if here == "" {
			continue
		}
		r.report.Settings = append(r.report.Settings, Setting{string(name), shown(value), here})
		var lifetimes struct {
			Refresh int64 `json:"REFRESH_TOKEN_EXPIRE_SECONDS"`
		}
		if name == "OAUTH2_PROVIDER" && json.Unmarshal([]byte(value), &lifetimes) == nil &&
			lifetimes.Refresh > 0 && r.SourceRefreshLifetime == 0 {
			r.SourceRefreshLifetime = seconds(lifetimes.Refresh)
		}
	}
	return rows.Err()
}

// countLeftovers counts what is never taken.
func (r *run) countLeftovers(ctx context.Context) error {
	refresh := r.src.tables.RefreshTokens
	for _, left := range []struct {
		step, table, column, where, what string
	}{
		{stepTokens, refresh, "access_token_id", refresh + " f WHERE f.access_token_id IS NULL", "refresh tokens whose access token is gone: they were used up or revoked, or the source could not use them either"},
		{stepTokens, "oauth2_provider_grant", "", "oauth2_provider_grant", "authorization codes: they live for minutes"},
		{stepTokens, "dab_oauth2_provider_oauth2idtoken", "", "dab_oauth2_provider_oauth2idtoken", "ID tokens: there is no OpenID Connect here"},
		{stepTokens, "oauth2_provider_idtoken", "", "oauth2_provider_idtoken", "ID tokens: there is no OpenID Connect here"},
		{stepUsers, "django_session", "", "django_session", "sessions of browsers: people log in again with their passwords"},
	} {
		ok, err := r.src.has(ctx, left.table)
		if err != nil {
			return err
		}
		if !ok || left.column != "" && !r.src.columns[left.table][left.column] {
			continue
		}
		n, err := r.src.count(ctx, left.where)
		if err != nil {
			return err
		}
		r.report.note(left.step, LeftOut, n, left.what)
	}
	return nil
}

// The members of organizations, by the number of the row.
const (
	awxMembers = `SELECT m.id, m.user_id, %s, o.id, %s, m.role_id = o.admin_role_id
		FROM main_rbac_roles_members m JOIN main_organization o ON m.role_id IN (o.admin_role_id, o.member_role_id)
		JOIN %s u ON u.id = m.user_id
		WHERE m.id > CAST($1 AS BIGINT) ORDER BY m.id`
	dabMembers = `SELECT m.id, m.user_id, %s, CAST(m.object_id AS BIGINT), %s, d.name = 'Organization Admin'
		FROM dab_rbac_roleuserassignment m JOIN dab_rbac_roledefinition d ON d.id = m.role_definition_id
		JOIN %s u ON u.id = m.user_id
		WHERE d.name IN ('Organization Admin', 'Organization Member') AND m.id > CAST($1 AS BIGINT) ORDER BY m.id`
)

// listMemberships writes the members of organizations into a file. The store has no
// place for them: organizations belong to the host.
func (r *run) listMemberships(ctx context.Context) error {
	query := ""
	for _, version := range []struct {
		query  string
		name   string // of the organization
		tables []string
	}{
		{awxMembers, "o.name", []string{"main_rbac_roles_members", "main_organization"}},
		{dabMembers, "''", []string{"dab_rbac_roleuserassignment", "dab_rbac_roledefinition"}},
	} {
		ok, err := r.src.hasAll(ctx, version.tables...)
		if err != nil {
			return err
		}
		if ok && query == "" {
			query = fmt.Sprintf(version.query, r.src.clipped("u.username", maxName), r.src.clipped(version.name, maxName), r.src.tables.Users)
		}
	}
	if query == "" {
		return nil
	}
	out, err := openMembers(r.Memberships, r.DryRun)
	if err != nil {
		return err
	}
	members := int64(0)
	err = pages(ctx, r.src, query, r.Batch, func(rows *sql.Rows) (int64, error) {
		var id, user, organization number
		var name, organizationName words
		var administers flag
		err := rows.Scan(&id, &user, &name, &organization, &organizationName, &administers)
		if err == nil {
			members++
			err = out.Write([]string{strconv.FormatInt(int64(user), 10), shown(name), strconv.FormatInt(int64(organization), 10), shown(organizationName), strconv.FormatBool(bool(administers))})
		}
		return int64(id), err
	}, func() error { return nil })
	what := "members of organizations: they belong to the host, whose Organizations.Of must return them"
	if r.Memberships != "" {
		what += "; the file of memberships has them"
	} else {
		what += "; --memberships writes them to a file"
	}
	r.report.note(stepMemberships, LeftOut, members, what)
	return errors.Join(err, out.close())
}

// A membersFile is a list of members, in CSV.
type membersFile struct {
	*csv.Writer
	file *os.File
}

// openMembers begins the list again. Without a name it goes nowhere.
func openMembers(name string, dry bool) (*membersFile, error) {
	if name == "" || dry {
		name = os.DevNull
	}
	f, err := private.Open(name)
	if err != nil {
		return nil, err
	}
	_ = f.Truncate(0) // a device has no length
	m := &membersFile{csv.NewWriter(f), f}
	return m, m.Write([]string{"user_id", "user", "organization_id", "organization", "administers"})
}

func (m *membersFile) close() error {
	m.Flush()
	return errors.Join(m.Error(), m.file.Close())
}
