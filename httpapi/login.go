package httpapi

import (
	"errors"
	"net/http"
	"strings"

	"github.com/ostiary/auth"
)

// loginData is the data of the login page.
type loginData struct {
	Next     string
	Username string
	Error    string
}

func (a *api) getLogin(w http.ResponseWriter, r *http.Request) error {
	if a.atPlatform(r) {
		loginAtPlatform(w, r)
		return nil
	}
	if !acceptsHTML(r) {
		return errNotAcceptable
	}
	a.setCSRFToken(w)
	next := a.landing(r)
	if r.URL.Query().Has("next") {
		next = queryNext(r)
	}
	return a.login.write(w, r, http.StatusOK, loginData{Next: next})
}

// credentials are the name, the password and the way back of a login.
type credentials struct {
	username, password string
	next               string // sanitized; "" if not given
	json               bool   // the body was JSON
}

func (a *api) postLogin(w http.ResponseWriter, r *http.Request) error {
	// A page of another origin must not log its visitor in as another user.
	if err := a.Session.CheckOrigin(r); err != nil {
		return err
	}
	if a.atPlatform(r) {
		a.refuseLogin(w, r)
		return nil
	}
	c, err := readCredentials(w, r)
	if err != nil {
		return err
	}
	u, err := a.Passwords.VerifyRequest(r, c.username, c.password)
	if err == nil {
		err = a.Passwords.RememberBrowser(w, r, u)
	}
	if err == nil {
		err = a.Session.Login(r, u)
	}
	if err != nil {
		return a.loginFailed(w, r, c, err)
	}
	w.Header().Set("X-API-Session-Cookie-Name", a.Session.CookieName())
	a.setLoggedIn(w, "true")
	a.setCSRFToken(w)
	if c.json && !wants(r, "text/html") || c.next == "" && wants(r, "application/json") {
		return a.writeUser(w, r, http.StatusOK, &auth.Principal{ID: u.ID, Admin: u.Admin}, u)
	}
	if c.next == "" {
		c.next = a.landing(r)
	}
	http.Redirect(w, r, c.next, http.StatusFound)
	return nil
}

// loginFailed shows the login page again to a browser, and answers other
// clients as fail does.
func (a *api) loginFailed(w http.ResponseWriter, r *http.Request, c credentials, err error) error {
	e, ok := errors.AsType[*auth.Error](err)
	if !ok || e.Status >= http.StatusInternalServerError || !wants(r, "text/html") {
		return err
	}
	a.Gate.DenyWith(w, r, err, func(w http.ResponseWriter, r *http.Request, _ *auth.Error) {
		// If the page cannot be written the client has gone.
		_ = a.login.write(w, r, e.Status, loginData{Next: c.next, Username: c.username, Error: a.PageOptions.sayRefusal(e.Detail)})
	})
	return nil
}

// readCredentials reads a form or a JSON object. Credentials in the URL are
// refused even if they are right, because logs have them already.
func readCredentials(w http.ResponseWriter, r *http.Request) (credentials, error) {
	if q := r.URL.Query(); q.Has("username") || q.Has("password") {
		return credentials{}, badRequest("Credentials belong in the body of the request, not in the URL.")
	}
	switch mediaType(r) {
	case "application/x-www-form-urlencoded":
		form, err := readForm(w, r)
		if err != nil {
			return credentials{}, err
		}
		// Keyboards of phones add a blank behind a word.
		c := credentials{username: strings.Trim(form.Get("username"), " \u00a0"), password: form.Get("password")}
		if next := form.Get("next"); next != "" {
			c.next = localPath(next)
		}
		return c, nil
	case "application/json":
		return readJSONCredentials(w, r)
	}
	return credentials{}, &auth.Error{
		Status: http.StatusUnsupportedMediaType,
		Detail: "The Content-Type of a login must be application/x-www-form-urlencoded or application/json.",
	}
}

func readJSONCredentials(w http.ResponseWriter, r *http.Request) (credentials, error) {
	o, err := readObject(w, r, loginWritable, nil)
	if err != nil {
		return credentials{}, err
	}
	c := credentials{json: true}
	for name, to := range map[string]*string{"username": &c.username, "password": &c.password} {
		s, fieldErr := o.text(name)
		switch {
		case fieldErr != nil:
			err = errors.Join(err, fieldErr)
		case s == nil:
			err = errors.Join(err, badField(name, "This field is required."))
		default:
			*to = *s
		}
	}
	next, fieldErr := o.text("next")
	if err = errors.Join(err, fieldErr); err != nil {
		return credentials{}, err
	}
	if next != nil {
		c.next = localPath(*next)
	}
	return c, nil
}
