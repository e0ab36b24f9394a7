package main

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// membersTable has the members of organizations. An organization exists if it
// has a member; number 1, "Default", always exists.
const membersTable = `
	CREATE TABLE IF NOT EXISTS organization_members (
		user_id VARCHAR(190) NOT NULL,
		organization_id BIGINT NOT NULL,
		administers INT NOT NULL,
		PRIMARY KEY (user_id, organization_id)
	)`

const organizationsPath = "/api/v2/organizations/"

var organizationFields = map[string]field{
	"id":   {Type: "integer", Label: "ID", ReadOnly: true},
	"name": {Type: "string", Label: "Name", ReadOnly: true},
}

const defaultOrganization = 1

func newOrganization(id int64) auth.Organization {
	if id == defaultOrganization {
		return auth.Organization{ID: id, Name: "Default"}
	}
	return auth.Organization{ID: id, Name: "Organization " + strconv.FormatInt(id, 10)}
}

// organization is for [auth.Organizations].
func (db *database) organization(ctx context.Context, id int64) (auth.Organization, error) {
	all, err := db.organizationIDs(ctx)
	if err != nil {
		return auth.Organization{}, err
	}
	if !slices.Contains(all, id) {
		return auth.Organization{}, store.ErrNotFound
	}
	return newOrganization(id), nil
}

// memberships is for [auth.Organizations].
func (db *database) memberships(ctx context.Context, userID string) (auth.Memberships, error) {
	var m auth.Memberships
	rows, err := db.QueryContext(ctx, db.bind(`SELECT organization_id, administers FROM organization_members WHERE user_id = ?`), userID)
	if err != nil {
		return m, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var administers int
		if err := rows.Scan(&id, &administers); err != nil {
			return auth.Memberships{}, err
		}
		if administers == 1 {
			m.Admin = append(m.Admin, id)
		} else {
			m.Member = append(m.Member, id)
		}
	}
	return m, rows.Err()
}

// joinTimes is how often join tries.
const joinTimes = 5

// join makes a user a member of some organizations and an administrator of
// others, and of no more. Repeating it is harmless. Of several servers that do
// it at once the database lets one through, and the others find its work.
func (db *database) join(ctx context.Context, userID string, member, admin []int64) error {
	administers := make(map[int64]int)
	for _, id := range member {
		administers[id] = 0
	}
	for _, id := range admin {
		administers[id] = 1
	}
	var err error
	for range joinTimes {
		var is auth.Memberships
		if is, err = db.memberships(ctx, userID); err != nil {
			return err
		}
		found := make(map[int64]int)
		for _, id := range is.Member {
			found[id] = 0
		}
		for _, id := range is.Admin {
			found[id] = 1
		}
		if maps.Equal(administers, found) {
			return nil
		}
		if err = db.replaceMemberships(ctx, userID, administers); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func (db *database) replaceMemberships(ctx context.Context, userID string, administers map[int64]int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after the commit
	if _, err := tx.ExecContext(ctx, db.bind(`DELETE FROM organization_members WHERE user_id = ?`), userID); err != nil {
		return err
	}
	for id, admin := range administers {
		_, err := tx.ExecContext(ctx, db.bind(`INSERT INTO organization_members (user_id, organization_id, administers) VALUES (?, ?, ?)`), userID, id, admin)
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (db *database) organizationIDs(ctx context.Context) ([]int64, error) {
	ids := []int64{defaultOrganization}
	rows, err := db.QueryContext(ctx, `SELECT DISTINCT organization_id FROM organization_members`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), rows.Err()
}

// organizations returns a page of the organizations that p may see: superusers
// and auditors see all, others their own.
func (db *database) organizations(ctx context.Context, p *auth.Principal, q query) (list []item, total int, err error) {
	ids, err := db.organizationIDs(ctx)
	if err != nil {
		return nil, 0, err
	}
	m, err := db.memberships(ctx, p.ID)
	if err != nil {
		return nil, 0, err
	}
	for _, id := range ids {
		o := newOrganization(id)
		seen := p.Admin || p.Auditor || slices.Contains(m.Member, id) || slices.Contains(m.Admin, id)
		named, numbered := q.name == "" || q.name == o.Name, q.id == 0 || q.id == id
		if !seen || !named && !numbered || !q.either && !(named && numbered) {
			continue
		}
		total++
		if total > q.offset && len(list) < q.limit {
			list = append(list, item{ID: id, Type: "organization", Name: o.Name})
		}
	}
	return list, total, nil
}
