package httpapi

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/ostiary/auth"
)

// passwordData is what the page for a new password shows.
type passwordData struct {
	frame
	Least  string // the length of the shortest password, in characters
	Tokens bool   // whether there can be tokens to end
}

// passwordPage changes the password of the visitor.
func (a *api) passwordPage(v *visit) error {
	data := passwordData{Least: strconv.Itoa(a.Accounts.MinPasswordLength()), Tokens: a.Tokens != nil}
	if !v.sends() {
		data.frame = a.frame(v, passwordPage)
		return a.pages.account.password.write(v.w, v.r, http.StatusOK, data)
	}
	if err := a.changePassword(v); err != nil {
		return a.refuse(v, a.pages.account.password, err, func(f frame) any { data.frame = f; return data }, passwordPage)
	}
	if v.form.Has("tokens") && a.Tokens != nil {
		if err := a.Tokens.EndAll(v.r.Context(), v.by, v.by.ID); err != nil {
			return err
		}
		v.goTo(accountRoot, "all_changed")
		return nil
	}
	v.goTo(accountRoot, "password_changed")
	return nil
}

// changePassword takes the form. All sessions of the user end, and this one begins
// anew.
func (a *api) changePassword(v *visit) error {
	say := a.PageOptions.say
	next := v.form.Get("password")
	var errs []error
	if v.form.Get("current_password") == "" {
		errs = append(errs, badField("current_password", say("Type in your password as it is now.")))
	}
	if next != v.form.Get("password_again") {
		errs = append(errs, badField("password_again", say("The two passwords differ.")))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	// The form asks for the current password even after a fresh login: it must not
	// pass for right what is wrong.
	by := *v.by
	by.Proved = time.Time{}
	u, err := a.Accounts.Change(v.r.Context(), &by, v.by.ID, auth.AccountChange{Password: &next, CurrentPassword: v.form.Get("current_password")})
	if err != nil {
		return err
	}
	return a.Session.Login(v.r, u)
}
