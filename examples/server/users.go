package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

const (
	adminName     = "admin"
	adminPassword = "OSTIARY_ADMIN_PASSWORD"
	// shortPassword is the length below which the log warns, in characters. It
	// is what the module refuses by default.
	shortPassword = 15
)

// createUsers creates the users of the file that are missing, and on the first
// start admin.
func createUsers(ctx context.Context, db *database, file string) error {
	var list []userEntry
	if file != "" {
		var err error
		if list, err = readUsers(file); err != nil {
			return fmt.Errorf("-users %s: %w", file, err)
		}
	}
	admin, generated, err := firstAdmin(ctx, db.store, &list)
	if err != nil {
		return err
	}
	if admin != nil {
		// First, so that its ID is 1, which the documentation uses.
		list = append([]userEntry{*admin}, list...)
	}
	for _, e := range list {
		created, err := createUser(ctx, db, e)
		if err != nil {
			return fmt.Errorf("create user %q: %w", e.username, err)
		}
		if created && generated && e.username == adminName {
			fmt.Printf("\nCreated the user admin. Its password, which is shown only now:\n\n    %s\n\n", e.password)
		}
	}
	return nil
}

// firstAdmin returns the user admin if this is the first start, or if one before
// did not get as far as the password. It takes admin out of the list.
func firstAdmin(ctx context.Context, st store.Accounts, list *[]userEntry) (admin *userEntry, generated bool, err error) {
	first, err := unfinished(ctx, st)
	if err != nil || !first {
		return nil, false, err
	}
	entry := userEntry{username: adminName, superuser: true, active: true}
	if i := slices.IndexFunc(*list, func(e userEntry) bool { return e.username == adminName }); i >= 0 {
		entry = (*list)[i]
		*list = slices.Delete(*list, i, i+1)
	}
	if password := os.Getenv(adminPassword); password != "" {
		if err := checkPassword(password); err != nil {
			return nil, false, fmt.Errorf("%s: %w", adminPassword, err)
		}
		entry.password = password
	}
	if entry.password == "" {
		entry.password, generated = rand.Text(), true
	}
	return &entry, generated, nil
}

// unfinished reports whether there is no user yet, or only one without a password
// who is called admin.
func unfinished(ctx context.Context, st store.Accounts) (bool, error) {
	u, err := st.UserByName(ctx, adminName)
	if errors.Is(err, store.ErrNotFound) {
		_, total, err := st.ListUsers(ctx, "", store.Page{})
		return total == 0, err
	}
	if err != nil {
		return false, err
	}
	hash, err := st.PasswordHash(ctx, u.ID)
	return hash == "", err
}

// createUser makes a user, or completes one who has no password because a start
// was interrupted. A user with a password stays as it is.
func createUser(ctx context.Context, db *database, e userEntry) (created bool, err error) {
	u, err := db.store.InsertUser(ctx, store.User{
		Name:      e.username,
		Email:     e.email,
		FirstName: e.firstName,
		LastName:  e.lastName,
		Admin:     e.superuser,
		Auditor:   e.auditor,
		Active:    e.active,
		Created:   time.Now(),
	})
	if errors.Is(err, store.ErrExists) {
		if u, err = db.store.UserByName(ctx, e.username); err != nil {
			return false, err
		}
		if hash, err := db.store.PasswordHash(ctx, u.ID); err != nil || hash != "" {
			return false, err
		}
	} else if err != nil {
		return false, err
	}
	if err := db.join(ctx, u.ID, e.organizations, e.adminOf); err != nil {
		return false, err
	}
	// Passwords.Set would refuse what is too short. Here the operator decides.
	if n := utf8.RuneCountInString(e.password); n < shortPassword {
		slog.Warn("a short password is easy to guess", "user", e.username, "characters", n)
	}
	hash, err := auth.Argon2id{}.Hash(e.password)
	if err != nil {
		return false, err
	}
	// The password comes last: with it the user is complete. Of two servers that
	// start at the same time one sets it.
	err = db.store.SwapPasswordHash(ctx, u.ID, "", hash)
	if errors.Is(err, store.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}
