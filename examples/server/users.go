package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

const (
	adminName = "admin"
	// shortPassword is the length below which the log warns, in characters. It
	// is what the module refuses by default.
	shortPassword = 15
)

// wanted returns the users of the file, and checks the password of admin.
func wanted(c config) (list []userEntry, err error) {
	if c.adminPassword != "" {
		if err := checkPassword(c.adminPassword); err != nil {
			return nil, fmt.Errorf("%s: %w", c.settings.at("admin-password"), err)
		}
	}
	if c.users == "" {
		return nil, nil
	}
	if list, err = readUsers(c.users); err != nil {
		return nil, fmt.Errorf("%s %s: %w", c.settings.at("users"), c.users, err)
	}
	return list, nil
}

// createUsers creates those users of a list that are missing, and on the first
// start admin.
func createUsers(ctx context.Context, c config, db *database, list []userEntry) error {
	admin, generated, err := firstAdmin(ctx, c, db.store, &list)
	if err != nil {
		return err
	}
	if admin != nil {
		// First, so that its ID is 1, which the documentation uses.
		list = append([]userEntry{*admin}, list...)
	}
	if err := noteAdmin(ctx, c, db.store, admin == nil); err != nil {
		return err
	}
	there := 0
	for _, e := range list {
		created, err := createUser(ctx, db, e)
		if err != nil {
			return fmt.Errorf("create user %q: %w", e.username, err)
		}
		if !created {
			there++
		}
		if created && generated && e.username == adminName {
			fmt.Printf("\nCreated the user admin. Its password, which is shown only now:\n\n    %s\n\n", e.password)
		}
	}
	if there > 0 {
		slog.Info("users of the list that are there already stay as they are, with the password and the rights they have", "users", there)
	}
	return nil
}

// noteAdmin warns if the password of the settings is not the one that admin has and
// keeps.
func noteAdmin(ctx context.Context, c config, st store.Accounts, there bool) error {
	if c.adminPassword == "" || !there {
		return nil
	}
	u, err := st.UserByName(ctx, adminName)
	if errors.Is(err, store.ErrNotFound) {
		slog.Warn(c.settings.at("admin-password") + " counts on the first start only: there are users, and none of them is admin")
		return nil
	}
	if err != nil {
		return err
	}
	hash, err := st.PasswordHash(ctx, u.ID)
	if err != nil {
		return err
	}
	if ok, _, err := (auth.Argon2id{}).Verify(hash, c.adminPassword); err != nil || !ok {
		slog.Warn(c.settings.at("admin-password") + " counts on the first start only: admin keeps another password")
	}
	return nil
}

// firstAdmin returns the user admin if this is the first start, or if one before
// did not get as far as the password. It takes admin out of the list.
func firstAdmin(ctx context.Context, c config, st store.Accounts, list *[]userEntry) (admin *userEntry, generated bool, err error) {
	first, err := unfinished(ctx, st)
	if err != nil || !first {
		return nil, false, err
	}
	entry := userEntry{username: adminName, superuser: true, active: true}
	if i := slices.IndexFunc(*list, func(e userEntry) bool { return e.username == adminName }); i >= 0 {
		entry = (*list)[i]
		*list = slices.Delete(*list, i, i+1)
	}
	if c.adminPassword != "" {
		entry.password = c.adminPassword
	}
	if entry.password == "" {
		entry.password, generated = rand.Text(), true
	}
	return &entry, generated, nil
}

// unfinished reports whether there is no user yet, or only admin without a
// password.
func unfinished(ctx context.Context, st store.Accounts) (bool, error) {
	u, err := st.UserByName(ctx, adminName)
	if errors.Is(err, store.ErrNotFound) {
		_, total, err := st.ListUsers(ctx, store.UserFilter{}, store.Page{})
		return total == 0, err
	}
	if err != nil {
		return false, err
	}
	hash, err := st.PasswordHash(ctx, u.ID)
	return hash == "", err
}

// createUser makes a user, or sets the password of one without, which an
// interrupted start has left. A user with a password stays as it is.
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
	// Passwords.Set would refuse a short password. Here the operator decides.
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
