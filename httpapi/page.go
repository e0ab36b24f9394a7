package httpapi

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
)

//go:embed layout.html login.html consent.html device.html message.html style.css
var pageFiles embed.FS

// A page is an HTML page that needs nothing from elsewhere, and that nothing
// from elsewhere gets into.
type page struct {
	template *template.Template
	policy   string
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

func newPage(host fs.FS, name string) (*page, error) {
	files := overlay{host}
	css, err := fs.ReadFile(files, "style.css")
	if err != nil {
		return nil, fmt.Errorf("httpapi: style: %w", err)
	}
	t, err := template.New("layout.html").
		Funcs(template.FuncMap{"style": func() template.CSS { return template.CSS(css) }}).
		ParseFS(files, "layout.html", name)
	if err != nil {
		return nil, fmt.Errorf("httpapi: page %s: %w", name, err)
	}
	sum := sha256.Sum256(css)
	return &page{t, "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"}, nil
}

// write answers with the page.
func (p *page) write(w http.ResponseWriter, r *http.Request, status int, data any) error {
	return p.writeLeadingTo(w, r, status, data, "")
}

// writeLeadingTo is write for a page whose form ends up at another origin:
// browsers hold the policy against redirects, too.
func (p *page) writeLeadingTo(w http.ResponseWriter, r *http.Request, status int, data any, source string) error {
	var body bytes.Buffer
	if err := p.template.Execute(&body, data); err != nil {
		return fmt.Errorf("httpapi: page: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Content-Security-Policy", strings.TrimSpace(p.policy+" "+source))
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body.Bytes()) // the client may be gone
	}
	return nil
}
