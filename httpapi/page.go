package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A page is an HTML page without external resources.
type page struct {
	template *template.Template
	policy   string
}

// pages are the pages of the API.
type pages struct {
	login, consent, device, message *page
	schema                          *page
	account                         accountPages
}

// accountPages are the pages for people who are logged in, in the frame of
// account.html.
type accountPages struct {
	profile, password, sessions           *page
	tokens, newToken, token               *page
	connections                           *page
	applications, newApplication, applied *page
	secret, confirm                       *page
}

// files returns the file of each page.
func (p *accountPages) files() map[string]**page {
	return map[string]**page{
		"profile.html": &p.profile, "password.html": &p.password, "sessions.html": &p.sessions,
		"tokens.html": &p.tokens, "token_new.html": &p.newToken, "token.html": &p.token,
		"connections.html":  &p.connections,
		"applications.html": &p.applications, "application_new.html": &p.newApplication, "application.html": &p.applied,
		"secret.html": &p.secret, "confirm.html": &p.confirm,
	}
}

// newPages reads each file of the pages from host, or else from this package.
// Without account it reads no pages of the account.
func newPages(host fs.FS, look PageOptions, account bool) (p pages, err error) {
	if err := knownFiles(host); err != nil {
		return pages{}, err
	}
	for name, to := range map[string]**page{"login.html": &p.login, "consent.html": &p.consent, "device.html": &p.device, "message.html": &p.message, "schema.html": &p.schema} {
		if *to, err = newPage(host, look, name); err != nil {
			return pages{}, err
		}
	}
	if !account {
		return p, nil
	}
	for name, to := range p.account.files() {
		if *to, err = newPage(host, look, "account.html", "application_form.html", name); err != nil {
			return pages{}, err
		}
	}
	return p, nil
}

// knownFiles refuses files that replace none, because their names are misspelt.
func knownFiles(host fs.FS) error {
	if host == nil {
		return nil
	}
	files, err := fs.ReadDir(host, ".")
	if err != nil {
		return fmt.Errorf("httpapi: Config.Pages: %w", err)
	}
	var known []string
	ours, err := fs.ReadDir(pageFiles, ".")
	if err != nil {
		return fmt.Errorf("httpapi: pages: %w", err)
	}
	for _, f := range ours {
		known = append(known, f.Name())
	}
	for _, f := range files {
		if name := f.Name(); !slices.Contains(known, name) && !strings.HasPrefix(name, ".") {
			return fmt.Errorf("httpapi: Config.Pages has %q; the files of pages are %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// overlay opens the files of the host before the ones of this package.
type overlay struct{ host fs.FS }

// Open implements [fs.FS].
func (o overlay) Open(name string) (fs.File, error) {
	if o.host != nil {
		if f, err := o.host.Open(name); !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return pageFiles.Open(name)
}

// newPage puts layout.html and the named files together. A later file replaces
// the parts of earlier ones.
func newPage(host fs.FS, look PageOptions, names ...string) (*page, error) {
	files := overlay{host}
	css, err := fs.ReadFile(files, "style.css")
	if err != nil {
		return nil, fmt.Errorf("httpapi: style: %w", err)
	}
	t, err := template.New("layout.html").Funcs(look.functions(string(css))).
		ParseFS(files, append([]string{"layout.html"}, names...)...)
	if err != nil {
		return nil, fmt.Errorf("httpapi: page %s: %w", names[len(names)-1], err)
	}
	// There is no form-action, because Chromium applies it to every redirect
	// after a form, and a login or a consent redirects to the client's origin
	// in the end.
	sum := sha256.Sum256(css)
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; "
	if look.Logo != "" {
		policy += "img-src 'self'; "
	}
	return &page{t, policy + "frame-ancestors 'none'; base-uri 'none'"}, nil
}

func (p *page) render(data any) ([]byte, error) {
	var body bytes.Buffer
	if err := p.template.Execute(&body, data); err != nil {
		return nil, fmt.Errorf("httpapi: page: %w", err)
	}
	return body.Bytes(), nil
}

// write writes the page as the answer.
func (p *page) write(w http.ResponseWriter, r *http.Request, status int, data any) error {
	body, err := p.render(data)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Content-Security-Policy", p.policy)
	h.Set("X-Frame-Options", "DENY")
	// With no-referrer a browser would send "Origin: null" with the page's own
	// form, as for a form of another site.
	h.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client may be gone
	}
	return nil
}

// messageData is the data of the message page. Link may be empty.
type messageData struct {
	Title, Text string
	Error       bool
	Link, Label string
}
