package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/ostiary/auth"
)

// home is where logins and logouts lead unless they say otherwise.
const home = "/api/"

// loginData is what the login page shows.
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
	if !accepts(r, "text/html", "text/*", "*/*") {
		return errNotAcceptable
	}
	return a.login.write(w, r, http.StatusOK, loginData{Next: queryNext(r)})
}

// credentials are what a login brings.
type credentials struct {
	username, password string
	next               string // sanitized; "" if not given
	json               bool   // the body was JSON
}

func (a *api) postLogin(w http.ResponseWriter, r *http.Request) error {
	// A page of another origin must not log its visitor in as somebody else.
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
	u, err := a.Passwords.Verify(r.Context(), c.username, c.password)
	if err == nil {
		err = a.Session.Login(r, u)
	}
	if err != nil {
		return a.loginFailed(w, r, c, err)
	}
	w.Header().Set("X-API-Session-Cookie-Name", a.Session.CookieName())
	a.setLoggedIn(w, "true")
	if c.json && !wants(r, "text/html") || c.next == "" && wants(r, "application/json") {
		return writeJSON(w, r, http.StatusOK, a.showUser(u))
	}
	if c.next == "" {
		c.next = home
	}
	http.Redirect(w, r, c.next, http.StatusFound)
	return nil
}

// loginFailed shows the page again to a browser; other clients get the refusal.
func (a *api) loginFailed(w http.ResponseWriter, r *http.Request, c credentials, err error) error {
	e, ok := errors.AsType[*auth.Error](err)
	if !ok || e.Status >= http.StatusInternalServerError || !wants(r, "text/html") {
		return err
	}
	a.Gate.DenyWith(w, r, err, func(w http.ResponseWriter, r *http.Request, _ *auth.Error) {
		// The status of the page is what tells; if it cannot be written
		// the client is gone.
		_ = a.login.write(w, r, e.Status, loginData{Next: c.next, Username: c.username, Error: e.Detail})
	})
	return nil
}

// setLoggedIn keeps the cookie from which AWX's pages read whether somebody is
// logged in. It proves nothing.
func (a *api) setLoggedIn(w http.ResponseWriter, value string) {
	http.SetCookie(w, &http.Cookie{
		Name:     "userLoggedIn",
		Value:    value,
		Path:     "/",
		Secure:   a.Session.Secure(),
		SameSite: http.SameSiteLaxMode,
	})
}

// readCredentials reads a form or a JSON object. Credentials in the URL are
// refused even if they are right: they are in the logs already.
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
		c := credentials{username: form.Get("username"), password: form.Get("password")}
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
	o, err := readObject(w, r, []string{"username", "password", "next"}, nil)
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

// maxParameters is how many parameters a form may have.
const maxParameters = 64

// readForm reads a form from the body alone. No parameter may repeat, but for
// those that are named.
func readForm(w http.ResponseWriter, r *http.Request, repeatable ...string) (url.Values, error) {
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	if strings.Count(string(body), "&") >= maxParameters {
		return nil, badRequest("The form has too many parameters.")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, badRequest("The form is malformed.")
	}
	for name, values := range form {
		if len(values) > 1 && !contains(repeatable, name) {
			return nil, badRequest("The parameter " + clip(name) + " of the form is given more than once.")
		}
	}
	return form, nil
}

// logout ends the session of the request. A page of another origin cannot do
// that to its visitors, also not by GET.
func (a *api) logout(w http.ResponseWriter, r *http.Request) error {
	if err := a.Session.CheckOrigin(r); err != nil {
		return err
	}
	// AWX documents GET; programs that look at links ask with HEAD.
	if r.Method != http.MethodHead {
		if err := a.Session.Logout(r); err != nil {
			return err
		}
		a.setLoggedIn(w, "false")
	}
	if a.atPlatform(r) {
		http.Redirect(w, r, platformLogout, http.StatusFound)
		return nil
	}
	if wants(r, "application/json") {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	http.Redirect(w, r, queryNext(r), http.StatusFound)
	return nil
}

// queryNext returns where the query says to go next, if that may be.
func queryNext(r *http.Request) string {
	next := r.URL.Query()["next"]
	if len(next) != 1 {
		return home
	}
	return localPath(next[0])
}

// maxNext is the longest path that a login leads to, in bytes: authorization
// requests carry the state of their client along.
const maxNext = 8192

// logsOut reports whether a path, once browsers and redirects have tidied it, is
// the logout: a login must not lead there.
func logsOut(p string) bool { return strings.HasPrefix(path.Clean(p)+"/", "/api/logout/") }

// localPath returns next if it is a path on this host, and home otherwise.
// Browsers take a backslash for a slash, drop tabs and line breaks, and read two
// leading slashes as a host; nothing of that gets through.
func localPath(next string) string {
	if len(next) > maxNext || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.Contains(next, `\`) {
		return home
	}
	for _, c := range next {
		if c < ' ' || c == 0x7f || c == '\uFFFD' {
			return home
		}
	}
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || logsOut(u.Path) {
		return home
	}
	return next
}
