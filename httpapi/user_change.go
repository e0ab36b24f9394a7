package httpapi

import (
	"errors"
	"net/http"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// userMask stands for the password wherever AWX shows a user.
const userMask = "$encrypted$"

var (
	userWritable = []string{
		"username", "first_name", "last_name", "email", "is_superuser", "is_system_auditor", "is_active", "is_service_account", "password", "current_password",
	}
	// What a representation has and callers cannot set; AWX ignores it, too.
	userIgnored = []string{
		"id", "type", "url", "related", "summary_fields", "created", "modified", "last_login", "ldap_dn", "external_account", "auth",
	}
)

// readUser reads the fields that a body sets.
func readUser(o object) (c auth.AccountChange, err error) {
	var errs [10]error
	c.Name, errs[0] = o.text("username")
	c.FirstName, errs[1] = o.textOrNull("first_name")
	c.LastName, errs[2] = o.textOrNull("last_name")
	c.Email, errs[3] = o.textOrNull("email")
	c.Admin, errs[4] = o.boolean("is_superuser")
	c.Auditor, errs[5] = o.boolean("is_system_auditor")
	c.Active, errs[6] = o.boolean("is_active")
	c.Service, errs[9] = o.boolean("is_service_account")
	for name, err := range map[string]*error{"is_active": &errs[6], "is_service_account": &errs[9]} {
		if o.null(name) { // which must not lock anybody out, or in
			*err = badField(name, "This field may not be null.")
		}
	}
	c.Password, errs[7] = o.textOrNull("password")
	if c.Password != nil && (*c.Password == "" || isMask(*c.Password)) {
		c.Password = nil // as it is
	}
	current, err := o.textOrNull("current_password")
	errs[8] = err
	set(&c.CurrentPassword, current)
	return c, errors.Join(errs[:]...)
}

// isMask reports whether s is what AWX shows instead of a secret. A client that
// sends it back has read it, and means the secret that there is.
func isMask(s string) bool { return s == userMask || s == mask }

func (a *api) createUser(w http.ResponseWriter, r *http.Request) error {
	o, err := readObject(w, r, userWritable, userIgnored)
	if err != nil {
		return err
	}
	c, err := readUser(o)
	service := c.Service != nil && *c.Service
	for name, value := range map[string]*string{"username": c.Name, "password": c.Password} {
		if value == nil && !(service && name == "password") && fieldsOf(err, nil)[name] == nil {
			err = errors.Join(err, badField(name, "This field is required."))
		}
	}
	if err != nil {
		return err
	}
	u, password := store.User{Name: *c.Name, Active: true, Service: service}, ""
	set(&password, c.Password)
	set(&u.FirstName, c.FirstName)
	set(&u.LastName, c.LastName)
	set(&u.Email, c.Email)
	set(&u.Admin, c.Admin)
	set(&u.Auditor, c.Auditor)
	set(&u.Active, c.Active)
	p := principal(r)
	if u, err = a.Accounts.Create(r.Context(), p, u, password); err != nil {
		return a.inAWXWords(err, o)
	}
	w.Header().Set("Location", userPath(u.ID))
	return a.writeUser(w, r, http.StatusCreated, p, u)
}

// changeUser changes the fields that the body has. As in AWX, PUT differs from
// PATCH in nothing that clients rely on.
func (a *api) changeUser(w http.ResponseWriter, r *http.Request) error {
	u, err := a.pathUser(r)
	if err != nil {
		return err
	}
	o, err := readObject(w, r, userWritable, userIgnored)
	if err != nil {
		return err
	}
	c, err := readUser(o)
	if err != nil {
		return err
	}
	p := principal(r)
	if u, err = a.Accounts.Change(r.Context(), p, u.ID, c); err != nil {
		return a.inAWXWords(err, o)
	}
	if c.Password != nil && p.ID == u.ID && p.Credential == auth.CredentialSession {
		// All sessions of the user have ended. Who sits at this one goes on.
		if err := a.Session.Login(r, u); err != nil {
			return err
		}
	}
	return a.writeUser(w, r, http.StatusOK, p, u)
}

func (a *api) deleteUser(w http.ResponseWriter, r *http.Request) error {
	u, err := a.pathUser(r)
	if err == nil {
		err = a.Accounts.Delete(r.Context(), principal(r), u.ID)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
