package auth_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/ostiary/auth"
)

// a secret prints as a mask, however it is printed.
func TestSecretPrintsAsMask(t *testing.T) {
	s := newSystem(t, nil)
	issued := s.issue(s.alice, "read")
	secret := issued.AccessToken
	type holder struct {
		S auth.Secret
		P *auth.Secret
		M map[string]auth.Secret
		L []auth.Secret
	}
	h := holder{secret, &secret, map[string]auth.Secret{"k": secret}, []auth.Secret{secret}}
	outputs := make(map[string]string)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10.3s", "%U"} {
		outputs["fmt "+verb] = fmt.Sprintf(verb, secret) + fmt.Sprintf(verb, h) + fmt.Sprintf(verb, &h) + fmt.Sprintf(verb, issued)
	}
	outputs["fmt.Sprint"] = fmt.Sprint(secret, h, issued)
	outputs["String"] = secret.String()
	outputs["error"] = errors.Join(fmt.Errorf("a: %v", secret), fmt.Errorf("b: %w", errors.New(fmt.Sprint(h)))).Error()
	asJSON, err := json.Marshal([]any{secret, h, issued})
	if err != nil {
		t.Fatal(err)
	}
	outputs["json"] = string(asJSON)
	type element struct {
		A auth.Secret `xml:",attr"`
		B auth.Secret
	}
	asXML, err := xml.Marshal(element{secret, secret})
	if err != nil {
		t.Fatal(err)
	}
	outputs["xml"] = string(asXML)
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).With("with", secret).WithGroup("g").Info("x", "v", secret, "holder", h, "pointer", &h, "issued", issued, slog.Group("in", "v", secret))
	}
	outputs["slog"] = log.String()
	hex := fmt.Sprintf("%x", secret.Reveal())
	for how, out := range outputs {
		if strings.Contains(out, secret.Reveal()) || strings.Contains(strings.ToLower(out), hex) {
			t.Errorf("%s reveals the secret: %s", how, out)
		}
		if !strings.Contains(out, "[redacted]") {
			t.Errorf("%s has no mask: %s", how, out)
		}
	}
}

// tokens are found by a scanner and survive a double click, a shell and a
// URL.
func TestSecretFormat(t *testing.T) {
	s := newSystem(t, func(o *settings) { o.tokens.Prefix = "Acm3" })
	scanner := regexp.MustCompile(`^Acm3a_[0-9A-Za-z]{43}[0-9A-Za-z]{6}$`)
	token := s.issue(s.alice, "read").AccessToken.Reveal()
	if !scanner.MatchString(token) || len(token) > 55 {
		t.Errorf("token %q of %d characters", token, len(token))
	}
}
