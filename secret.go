package auth

import (
	"fmt"
	"log/slog"
)

// A Secret is a token or a password in clear. It prints as a mask wherever it
// is formatted, logged or encoded; only [Secret.Reveal] and a conversion to
// string return it.
type Secret string

const redacted = "[redacted]"

// Reveal returns the secret in clear, for the one reply that shows it.
func (s Secret) Reveal() string { return string(s) }

// String returns a mask.
func (s Secret) String() string { return redacted }

// Format writes a mask for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText returns a mask.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns a mask.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
