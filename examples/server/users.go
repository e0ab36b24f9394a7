package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// A userEntry is a user in the file that -users names.
type userEntry struct {
	Username        string  `json:"username"`
	Password        string  `json:"password"`
	Email           string  `json:"email"`
	FirstName       string  `json:"first_name"`
	LastName        string  `json:"last_name"`
	IsSuperuser     bool    `json:"is_superuser"`
	IsSystemAuditor bool    `json:"is_system_auditor"`
	IsActive        *bool   `json:"is_active"`
	Organizations   []int64 `json:"organizations"`
	AdminOf         []int64 `json:"admin_of"`
}

func readUsers(file string) ([]userEntry, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("-users: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var list []userEntry
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("-users %s: %w; it must be a JSON list of objects with username and password", file, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("-users %s: there is something behind the list", file)
	}
	for i, e := range list {
		switch {
		case e.Username == "":
			return nil, fmt.Errorf("-users %s: entry %d has no username", file, i+1)
		case e.Password == "":
			return nil, fmt.Errorf("-users %s: entry %d, %q, has no password", file, i+1, e.Username)
		}
	}
	return list, nil
}

// createUsers creates the users of the file that are missing, and admin if there
// is still nobody.
func createUsers(ctx context.Context, st store.Accounts, file string) error {
	var list []userEntry
	if file != "" {
		var err error
		if list, err = readUsers(file); err != nil {
			return err
		}
	}
	admin, err := firstAdmin(ctx, st, list)
	if err != nil {
		return err
	}
	// First, so that it gets the ID 1, which the documentation uses.
	for _, e := range append(admin, list...) {
		if err := createUser(ctx, st, e); err != nil {
			return fmt.Errorf("create user %q: %w", e.Username, err)
		}
	}
	return nil
}

// firstAdmin returns the user admin if it must be made, or was made by a start
// that did not get as far as the password.
func firstAdmin(ctx context.Context, st store.Accounts, list []userEntry) ([]userEntry, error) {
	for _, e := range list {
		if e.Username == "admin" {
			return nil, nil
		}
	}
	u, err := st.UserByName(ctx, "admin")
	if err == nil {
		hash, err := st.PasswordHash(ctx, u.ID)
		if err != nil || hash != "" {
			return nil, err
		}
	} else if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	password := os.Getenv("OSTIARY_ADMIN_PASSWORD")
	if password == "" {
		password = rand.Text()
		fmt.Printf("Created user admin with password %s (shown only now; set OSTIARY_ADMIN_PASSWORD to choose it)\n", password)
	}
	return []userEntry{{Username: "admin", Password: password, IsSuperuser: true}}, nil
}

// createUser makes a user, or gives one without a password the one it was to
// have. A user with a password stays as it is.
func createUser(ctx context.Context, st store.Accounts, e userEntry) error {
	u, err := st.InsertUser(ctx, store.User{
		Name:      e.Username,
		Email:     e.Email,
		FirstName: e.FirstName,
		LastName:  e.LastName,
		Admin:     e.IsSuperuser,
		Auditor:   e.IsSystemAuditor,
		Active:    e.IsActive == nil || *e.IsActive,
		Created:   time.Now(),
	})
	if errors.Is(err, store.ErrExists) {
		if u, err = st.UserByName(ctx, e.Username); err != nil {
			return err
		}
		hash, err := st.PasswordHash(ctx, u.ID)
		if err != nil || hash != "" {
			return err
		}
	} else if err != nil {
		return err
	}
	// Passwords.Set would refuse what is too short. Here the operator decides.
	if n := len(e.Password); n < 15 {
		slog.Warn("a short password is easy to guess", "user", e.Username, "characters", n)
	}
	hash, err := auth.Argon2id{}.Hash(e.Password)
	if err != nil {
		return err
	}
	return st.SetPasswordHash(ctx, u.ID, hash)
}
