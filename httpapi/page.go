package httpapi

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
)

//go:embed layout.html login.html style.css
var pageFiles embed.FS

// A page is an HTML page that needs nothing from elsewhere, and that nothing
// from elsewhere gets into.
type page struct {
	template *template.Template
	policy   string
}

func newPage(name string) (*page, error) {
	css, err := pageFiles.ReadFile("style.css")
	if err != nil {
		return nil, fmt.Errorf("httpapi: style: %w", err)
	}
	t, err := template.New("layout.html").
		Funcs(template.FuncMap{"style": func() template.CSS { return template.CSS(css) }}).
		ParseFS(pageFiles, "layout.html", name)
	if err != nil {
		return nil, fmt.Errorf("httpapi: page %s: %w", name, err)
	}
	sum := sha256.Sum256(css)
	return &page{t, "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"}, nil
}

// write answers with the page.
func (p *page) write(w http.ResponseWriter, r *http.Request, status int, data any) error {
	var body bytes.Buffer
	if err := p.template.Execute(&body, data); err != nil {
		return fmt.Errorf("httpapi: page: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Content-Security-Policy", p.policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body.Bytes()) // the client may be gone
	}
	return nil
}
