package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ostiary/auth"
)

// A visit is a request for a page of the account by somebody who is logged in.
type visit struct {
	w    http.ResponseWriter
	r    *http.Request
	by   *auth.Principal
	form url.Values // nil unless the request sends one
}

// account returns the handler of a page of the account, which answers GET by
// showing it and POST by doing what its form asks for. Both have the same path, so
// that a person whose session ended meanwhile finds the page again after a login.
func account(serve func(*api, *visit) error, repeatable ...string) handler {
	return func(a *api, w http.ResponseWriter, r *http.Request) error {
		v, err := a.visit(w, r, repeatable)
		if err == nil && v != nil {
			err = serve(a, v)
		}
		return a.showError(w, r, err)
	}
}

// visit returns nil if it has answered.
func (a *api) visit(w http.ResponseWriter, r *http.Request, repeatable []string) (*visit, error) {
	v := &visit{w: w, r: r}
	next := r.URL.EscapedPath()
	var err error
	if r.Method == http.MethodPost {
		// Authenticate would refuse it, too, but only where somebody is logged in.
		if err := a.Session.CheckOrigin(r); err != nil {
			return nil, err
		}
		if mediaType(r) != "application/x-www-form-urlencoded" {
			return nil, errMediaType
		}
		if v.form, err = readForm(w, r, repeatable...); err != nil {
			return nil, err
		}
		for _, values := range v.form {
			if slices.ContainsFunc(values, func(s string) bool { return !storable(s) }) {
				return nil, badRequest("Null characters and invalid UTF-8 are not allowed.")
			}
		}
	} else if !acceptsHTML(r) {
		return nil, errNotAcceptable
	} else if r.URL.RawQuery != "" {
		next += "?" + r.URL.RawQuery
	}
	if v.by, err = a.visitor(w, r, next); err != nil || v.by == nil {
		return nil, err
	}
	if v.form.Has(shownField) && v.form.Get(shownField) != shownTo(v.by) {
		v.goTo(r.URL.EscapedPath(), "stale")
		return nil, nil
	}
	return v, nil
}

// shownTo stands for the user that a form was shown to; see shownField.
func shownTo(p *auth.Principal) string {
	sum := sha256.Sum256([]byte(p.ID))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// sends reports whether the request is a form and not the question for a page.
func (v *visit) sends() bool { return v.form != nil }

// text returns a field of the form without the blanks around it.
func (v *visit) text(name string) string {
	return strings.TrimSpace(strings.ReplaceAll(v.form.Get(name), "\r\n", "\n"))
}

// goTo sends the browser to a page of the account, which then says what was done:
// a browser that loads that page again does nothing again.
func (v *visit) goTo(path, notice string) {
	if notice != "" {
		path += "?done=" + notice
	}
	v.w.Header().Set("Location", path)
	v.w.WriteHeader(http.StatusSeeOther)
}

// A section is a part of the account, for the navigation.
type section struct {
	Title, Path string
	Current     bool
}

// A frame is what all pages of the account have in common.
type frame struct {
	User     string // the name
	Shown    string // for the hidden field "shown" of each form
	Sections []section
	Notice   string // what was done before
	Error    string // what is wrong, in general
	problems problems
}

// problems say what is wrong with the fields of a form, by their names.
type problems map[string]string

// Problem returns what is wrong with a field of the form, "" for nothing.
func (f frame) Problem(field string) (string, error) {
	if !slices.Contains(formFields, field) {
		return "", errors.New("there is no field " + field)
	}
	return f.problems[field], nil
}

// Describe returns the attributes that tie a control to its hint and to what is
// wrong with it. The first field that is wrong has the focus.
func (f frame) Describe(field string) (template.HTMLAttr, error) {
	problem, err := f.Problem(field)
	if err != nil || problem == "" {
		return template.HTMLAttr(`aria-describedby="` + field + `-hint"`), err
	}
	attributes := `aria-describedby="` + field + `-problem ` + field + `-hint" aria-invalid="true"`
	for _, name := range formFields {
		if f.problems[name] != "" {
			if name == field {
				attributes += " autofocus"
			}
			break
		}
	}
	return template.HTMLAttr(attributes), nil
}

// formFields are the fields of all forms of the account, in their order.
var formFields = []string{
	"first_name", "last_name", "email", "current_password", "password", "password_again",
	"name", "description", "organization", "client_type", "authorization_grant_type", "redirect_uris", "skip_authorization", "resource",
	"scope", "expires", "addresses", "overlap",
}

// frame returns the frame of a page in a section.
func (a *api) frame(v *visit, at string) frame {
	f := frame{User: v.by.Name, Shown: shownTo(v.by)}
	for _, s := range accountSections {
		if s.when(&a.Config) {
			f.Sections = append(f.Sections, section{a.PageOptions.say(s.title), s.path, s.path == at})
		}
	}
	// A link of another site must not make this one say anything.
	if done := v.r.URL.Query()["done"]; len(done) == 1 && !v.sends() && a.Session.CheckOrigin(v.r) == nil {
		if text, ok := notices[done[0]]; ok {
			f.Notice = a.PageOptions.say(text)
		}
	}
	return f
}

// accountSections are the parts of the account.
var accountSections = []struct {
	title, path string
	when        func(*Config) bool
}{
	{"Profile", accountRoot, func(*Config) bool { return true }},
	{"Password", passwordPage, func(c *Config) bool { return c.Accounts != nil }},
	{"Sessions", sessionsPage, func(*Config) bool { return true }},
	{"Access tokens", tokensPage, func(c *Config) bool { return c.Tokens != nil }},
	{"Connected applications", connectionsPage, func(c *Config) bool { return c.OAuth != nil }},
	{"Your applications", applicationsPage, func(c *Config) bool { return c.OAuth != nil }},
}

// refuse shows a page again with what is wrong with its form. What is not about
// the form is shown by showError.
func (a *api) refuse(v *visit, p *page, err error, data func(frame) any, at string) error {
	e, ok := errors.AsType[*auth.Error](err)
	if !ok || e.Status != http.StatusBadRequest && e.Status != http.StatusConflict && e.Status != http.StatusForbidden && e.Status != http.StatusTooManyRequests {
		return err
	}
	f := a.frame(v, at)
	f.problems = a.problemsOf(err)
	f.Error = f.problems[allFields]
	if f.Error == "" {
		f.Error = a.PageOptions.say("Nothing was saved: please look at what is marked below.")
	}
	a.Gate.DenyWith(v.w, v.r, err, func(w http.ResponseWriter, r *http.Request, e *auth.Error) {
		// If the page cannot be written the client has gone.
		_ = p.write(w, r, e.Status, data(f))
	})
	return nil
}

// problemsOf returns what err, which may be joined, says about each field.
func (a *api) problemsOf(err error) problems {
	found := make(problems)
	var walk func(error)
	walk = func(err error) {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, err := range joined.Unwrap() {
				walk(err)
			}
			return
		}
		e, ok := errors.AsType[*auth.Error](err)
		if !ok {
			return
		}
		name := e.Field
		if wire, ok := wireNames[name]; ok && name != "RedirectURIs" {
			name = wire
		}
		if name == "RedirectURIs" {
			name = "redirect_uris"
		}
		if e.Code == "unique" {
			name = "name"
		}
		if !slices.Contains(formFields, name) {
			name = allFields
		}
		found[name] = strings.TrimSpace(found[name] + " " + a.PageOptions.sayRefusal(e.Detail))
	}
	walk(err)
	return found
}
