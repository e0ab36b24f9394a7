package httpapi

import (
	"net/http"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// profileData is what the profile shows.
type profileData struct {
	frame
	FirstName, LastName, Email string
	MayChange                  bool
}

// profilePage shows who the visitor is, and changes names and e-mail address
// where there are Accounts.
func (a *api) profilePage(v *visit) error {
	u, err := a.Users.UserByID(v.r.Context(), v.by.ID)
	if err != nil {
		return err
	}
	data := profileData{FirstName: u.FirstName, LastName: u.LastName, Email: u.Email, MayChange: a.Accounts != nil}
	if !v.sends() {
		data.frame = a.frame(v, accountRoot)
		return a.pages.account.profile.write(v.w, v.r, http.StatusOK, data)
	}
	if a.Accounts == nil {
		return errForbidden
	}
	data.FirstName, data.LastName, data.Email = v.text("first_name"), v.text("last_name"), v.text("email")
	change := auth.AccountChange{UserChange: store.UserChange{FirstName: &data.FirstName, LastName: &data.LastName, Email: &data.Email}}
	if _, err := a.Accounts.Change(v.r.Context(), v.by, u.ID, change); err != nil {
		return a.refuse(v, a.pages.account.profile, err, func(f frame) any { data.frame = f; return data }, accountRoot)
	}
	v.goTo(accountRoot, "profile_changed")
	return nil
}
