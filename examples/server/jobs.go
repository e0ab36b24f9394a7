package main

import (
	"context"
	"time"

	"github.com/ostiary/auth"
)

// jobsTable keeps the protected resource. Times are microseconds.
const jobsTable = `
	CREATE TABLE IF NOT EXISTS job_templates (
		id INTEGER PRIMARY KEY,
		name TEXT NOT NULL,
		created_by VARCHAR(600) NOT NULL,
		created BIGINT NOT NULL
	)`

const jobsPath = "/api/v2/job_templates/"

var jobFields = map[string]field{
	"id":         {Type: "integer", Label: "ID", ReadOnly: true},
	"name":       {Type: "string", Label: "Name"},
	"created_by": {Type: "string", Label: "Created by", ReadOnly: true},
	"created":    {Type: "datetime", Label: "Created", ReadOnly: true},
}

// jobs returns a page of the job templates. Every user sees all of them.
func (db *database) jobs(ctx context.Context, _ *auth.Principal, q query) (list []item, total int, err error) {
	from := ` FROM job_templates WHERE id > 0`
	var args []any
	switch {
	case q.either:
		from, args = from+` AND (name = ? OR id = ?)`, append(args, q.name, q.id)
	case q.name != "":
		from, args = from+` AND name = ?`, append(args, q.name)
	}
	if q.id != 0 && !q.either {
		from, args = from+` AND id = ?`, append(args, q.id)
	}
	if err := db.QueryRowContext(ctx, db.bind(`SELECT COUNT(*)`+from), args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	rows, err := db.QueryContext(ctx, db.bind(`SELECT id, name, created_by, created`+from+` ORDER BY id LIMIT ? OFFSET ?`),
		append(args, q.limit, q.offset)...)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var id, created int64
		var name, by string
		if err := rows.Scan(&id, &name, &by, &created); err != nil {
			return nil, 0, err
		}
		list = append(list, newJob(id, name, by, created))
	}
	return list, total, rows.Err()
}

func (db *database) addJob(ctx context.Context, p *auth.Principal, name string) (item, error) {
	now := time.Now().UnixMicro()
	id, err := db.insert(ctx, `INSERT INTO job_templates (name, created_by, created) VALUES (?, ?, ?)`, name, p.Name, now)
	if err != nil {
		return item{}, err
	}
	return newJob(id, name, p.Name, now), nil
}

func newJob(id int64, name, by string, created int64) item {
	at := time.UnixMicro(created).UTC()
	return item{ID: id, Type: "job_template", Name: name, CreatedBy: by, Created: &at}
}
