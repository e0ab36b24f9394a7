package importer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/cmd/ostiary/internal/private"
	"github.com/ostiary/auth/internal/secret"
	"github.com/ostiary/auth/store"
)

// newSecretLen is the length of a new client secret, as package oauth makes them.
const newSecretLen = 64

// A secretsFile has new client secrets, in clear, for the operator to hand out. A
// secret is on the disk before its digest is in the store. A run that was killed
// finds it there.
type secretsFile struct {
	file  *os.File
	known map[string]string
}

// openSecrets opens or creates the file, which its owner alone may read.
func openSecrets(name string) (*secretsFile, error) {
	if name == "" {
		return nil, errors.New("some applications need a new client secret: name a file for them with --new-secrets")
	}
	f, err := private.Open(name)
	if err != nil {
		return nil, err
	}
	s := &secretsFile{f, map[string]string{}}
	if err := s.read(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
	}
	return s, nil
}

// read reads what an earlier run left. A last line without an end was never used.
func (s *secretsFile) read() error {
	in := bufio.NewReader(s.file)
	whole := int64(0)
	for {
		line, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			_, errSeek := s.file.Seek(whole, io.SeekStart)
			return errors.Join(s.file.Truncate(whole), errSeek)
		}
		if err != nil {
			return err
		}
		whole += int64(len(line))
		id, text, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok || text == "" {
			return errors.New("the file for new secrets has a line that is no client identifier, tab and secret")
		}
		s.known[id] = text
	}
}

// of returns the secret of a client, a new one if there is none yet.
func (s *secretsFile) of(clientID string) (string, error) {
	if known, ok := s.known[clientID]; ok {
		return known, nil
	}
	text := secret.Random(newSecretLen)
	if _, err := s.file.WriteString(clientID + "\t" + text + "\n"); err != nil {
		return "", err
	}
	s.known[clientID] = text
	return text, s.file.Sync()
}

func (s *secretsFile) close() error { return s.file.Close() }

// ReadSecrets reads secrets that the operator knows: lines of a client identifier, a
// tab or blanks, and a secret. Empty lines and those that begin with # are skipped.
func ReadSecrets(in io.Reader) (map[string]string, error) {
	known := map[string]string{}
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 2 || known[fields[0]] != "" {
			return nil, fmt.Errorf("line %d is no client identifier and secret, or repeats a client", n)
		}
		known[fields[0]] = fields[1]
	}
	return known, lines.Err()
}

// clientSecret returns the digest of the secret of a confidential client. It is the
// old one if that can be known, and otherwise a new one, of which remark is told.
func (r *run) clientSecret(clientID, stored string, remark func(act Act, what, more string)) (store.Digest, error) {
	given, isGiven := r.ClientSecrets[clientID]
	why := ""
	switch {
	case stored == "":
		why = "the client had no secret in the source"
	case r.Kind == AWX && strings.HasPrefix(stored, encryptedMark) && r.SecretKey == "" && !isGiven:
		why = "the secret is encrypted, and AWX's SECRET_KEY was not given"
	case r.Kind == AWX && strings.HasPrefix(stored, encryptedMark) && r.SecretKey != "":
		clear, err := decrypted(stored, r.SecretKey)
		if err != nil {
			return store.Digest{}, fmt.Errorf("the secret of the application %q: %w", clientID, err)
		}
		return store.DigestOf(clear), nil
	case r.Kind == AWX && strings.HasPrefix(stored, encryptedMark):
		return store.DigestOf(given), nil // which nothing can verify
	case r.Kind == AWX || !hashed(stored):
		return store.DigestOf(stored), nil
	case !isGiven:
		why = "the secret is hashed in the source, as passwords are, and was not given"
	default:
		ok, _, err := auth.Argon2id{}.Verify(stored, given)
		if ok && err == nil {
			return store.DigestOf(given), nil
		}
		why = "the secret is hashed in the source, and the given one is another"
	}
	remark(Changed, "the client has a new secret, which stands in the file for new secrets: "+why, "")
	if r.DryRun {
		return store.Digest{1}, nil
	}
	if r.newSecrets == nil {
		var err error
		if r.newSecrets, err = openSecrets(r.NewSecrets); err != nil {
			return store.Digest{}, err
		}
	}
	text, err := r.newSecrets.of(clientID)
	return store.DigestOf(text), err
}

// hashed reports whether a client secret has the form of Django's hashes: a kind in
// lower case, and at least two more parts.
func hashed(stored string) bool {
	kind, rest, _ := strings.Cut(stored, "$")
	return goodTable.MatchString(kind) && strings.Contains(rest, "$")
}
