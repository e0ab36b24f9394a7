package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/ostiary/auth"
)

const jobsSchema = `
	CREATE TABLE IF NOT EXISTS job_templates (
		id INTEGER PRIMARY KEY,
		name TEXT NOT NULL,
		created_by TEXT NOT NULL,
		created INTEGER NOT NULL
	)`

// jobTemplates is the resource of the host: GET lists, POST adds. The gate in
// front of it has checked who asks, and the scope for the method.
type jobTemplates struct{ db *sql.DB }

type jobTemplate struct {
	ID        int64     `json:"id"`
	Type      string    `json:"type"`
	URL       string    `json:"url"`
	Name      string    `json:"name"`
	CreatedBy string    `json:"created_by"`
	Created   time.Time `json:"created"`
}

func newJobTemplate(id int64, name, by string, created int64) jobTemplate {
	return jobTemplate{id, "job_template", "/api/v2/job_templates/" + strconv.FormatInt(id, 10) + "/", name, by, time.UnixMicro(created).UTC()}
}

func (j jobTemplates) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var status int
	var body any
	var err error
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		status = http.StatusOK
		body, err = j.list(r.Context())
	case http.MethodPost:
		status, body, err = j.add(w, r)
	default:
		w.Header().Set("Allow", "GET, POST, HEAD")
		status, body = http.StatusMethodNotAllowed, detail(fmt.Sprintf("Method %q not allowed.", r.Method))
	}
	if err != nil {
		slog.ErrorContext(r.Context(), "job templates", "error", err)
		status, body = http.StatusServiceUnavailable, detail("The service is temporarily unavailable.")
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}

func detail(s string) map[string]string { return map[string]string{"detail": s} }

// maxListed is how many templates a list shows.
const maxListed = 200

func (j jobTemplates) list(ctx context.Context) (any, error) {
	rows, err := j.db.QueryContext(ctx, `SELECT id, name, created_by, created FROM job_templates ORDER BY id LIMIT ?`, maxListed)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []jobTemplate{}
	for rows.Next() {
		var id, created int64
		var name, by string
		if err := rows.Scan(&id, &name, &by, &created); err != nil {
			return nil, err
		}
		list = append(list, newJobTemplate(id, name, by, created))
	}
	return map[string]any{"count": len(list), "next": nil, "previous": nil, "results": list}, rows.Err()
}

func (j jobTemplates) add(w http.ResponseWriter, r *http.Request) (int, any, error) {
	var in struct {
		Name string `json:"name"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return http.StatusRequestEntityTooLarge, detail("The request body is larger than 65536 bytes."), nil
		}
		return http.StatusBadRequest, detail("Send a JSON object of the form {\"name\": \"…\"}."), nil
	}
	if in.Name == "" || len(in.Name) > 512 {
		return http.StatusBadRequest, map[string][]string{"name": {"Must have 1 to 512 bytes."}}, nil
	}
	p, ok := auth.FromContext(r.Context())
	if !ok {
		return 0, nil, errors.New("the gate let a request without a principal pass")
	}
	now := time.Now().UnixMicro()
	res, err := j.db.ExecContext(r.Context(), `INSERT INTO job_templates (name, created_by, created) VALUES (?, ?, ?)`, in.Name, p.Name, now)
	if err != nil {
		return 0, nil, err
	}
	id, err := res.LastInsertId()
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, newJobTemplate(id, in.Name, p.Name, now), nil
}
