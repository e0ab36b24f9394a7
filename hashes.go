package auth

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
)

// A PasswordHasher makes and verifies password hashes. It must be safe for
// concurrent use.
type PasswordHasher interface {
	// Hash returns a new hash of password, with its salt and parameters.
	Hash(password string) (string, error)

	// Verify reports whether hash belongs to password, and if so, whether it is
	// outdated because Hash makes better ones now. An unreadable or excessively
	// expensive hash is an error.
	Verify(hash, password string) (ok, outdated bool, err error)
}

// Argon2id is the default [PasswordHasher] (RFC 9106). It also verifies
// imported hashes and reports them as outdated: Django's pbkdf2_sha256,
// pbkdf2_sha1, argon2, scrypt, bcrypt_sha256 and bcrypt, and bare bcrypt. With
// bcrypt it compares the first 72 bytes of a password, as bcrypt does everywhere.
//
// The zero value has 19 MiB, two passes and one thread, the minimum that OWASP
// recommends. A hash takes about 25 ms and the Memory.
type Argon2id struct {
	Memory  uint32 // KiB; 0 means 19,456
	Time    uint32 // passes; 0 means 2
	Threads uint8  // 0 means 1
}

// Limits of stored hashes. A hash that somebody planted in the database must
// not stop the service.
const (
	maxArgonMemory  = 256 << 10 // KiB
	maxArgonTime    = 16
	maxArgonThreads = 16
	maxPBKDF2       = 5_000_000 // iterations
	maxBcryptCost   = 15
	bcryptLen       = 60
	maxScryptBlock  = 32
	minHashKey      = 16 // bytes
	maxHashPart     = 64 // bytes of salt or key

	maxScryptCost    = 1 << 20
	maxScryptThreads = 16

	argonKey  = 32
	argonSalt = 16
)

func (a Argon2id) withDefaults() Argon2id {
	if a.Memory == 0 {
		a.Memory = 19_456
	}
	if a.Time == 0 {
		a.Time = 2
	}
	if a.Threads == 0 {
		a.Threads = 1
	}
	return a
}

// check refuses parameters that are weaker than OWASP's minimum, or that Verify
// would refuse to compute.
func (a Argon2id) check() error {
	a = a.withDefaults()
	strong := a.Memory >= 19_456 && a.Time >= 2 || a.Memory >= 47_104
	if !strong {
		return fmt.Errorf("auth: Argon2id with %d KiB and %d passes is too weak: use at least 19456 and 2, or 47104 and 1", a.Memory, a.Time)
	}
	if a.Memory > maxArgonMemory || a.Time > maxArgonTime || a.Threads > maxArgonThreads {
		return fmt.Errorf("auth: Argon2id asks for more than %d KiB, %d passes or %d threads", maxArgonMemory, maxArgonTime, maxArgonThreads)
	}
	return nil
}

// Hash implements [PasswordHasher]. The result has the PHC string format. Weak
// parameters are an error.
func (a Argon2id) Hash(password string) (string, error) {
	if err := a.check(); err != nil {
		return "", err
	}
	a = a.withDefaults()
	var salt [argonSalt]byte
	_, _ = rand.Read(salt[:]) // never fails: it ends the program instead
	key := argon2.IDKey([]byte(password), salt[:], a.Time, a.Memory, a.Threads, argonKey)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, a.Memory, a.Time, a.Threads,
		rawBase64.EncodeToString(salt[:]), rawBase64.EncodeToString(key)), nil
}

var (
	rawBase64 = base64.RawStdEncoding.Strict()
	errHash   = errors.New("auth: unreadable or excessive password hash")
)

// Verify implements [PasswordHasher].
func (a Argon2id) Verify(hash, password string) (ok, outdated bool, err error) {
	compare, err := a.read(hash)
	if err != nil {
		return false, false, err
	}
	return compare(password)
}

// Reads reports whether Verify can compare passwords with the hash. It computes
// nothing. A program that takes hashes from elsewhere must not store others.
func (a Argon2id) Reads(hash string) bool {
	_, err := a.read(hash)
	return err == nil
}

// A hashReader is [PasswordHasher].Verify for one hash.
type hashReader func(password string) (ok, outdated bool, err error)

// read parses a hash.
func (a Argon2id) read(hash string) (hashReader, error) {
	scheme, rest, _ := strings.Cut(hash, "$")
	switch scheme {
	case "": // PHC or crypt form
		if strings.HasPrefix(rest, "argon2id$") {
			return a.readArgon2(hash)
		}
		return readBcrypt(hash)
	case "argon2":
		return a.readArgon2("$" + rest)
	case "pbkdf2_sha256":
		return readPBKDF2(rest, sha256.New, sha256.Size)
	case "pbkdf2_sha1":
		return readPBKDF2(rest, sha1.New, sha1.Size)
	case "scrypt":
		return readScrypt(rest)
	case "bcrypt":
		return readBcrypt(rest)
	case "bcrypt_sha256":
		compare, err := readBcrypt(rest)
		return func(password string) (bool, bool, error) {
			// Django hashes first, so that bcrypt sees 64 bytes of any password.
			sum := sha256.Sum256([]byte(password))
			return compare(hex.EncodeToString(sum[:]))
		}, err
	}
	return nil, errHash
}

// readArgon2 reads argon2id, and argon2i, which Django made before version 3.2.
func (a Argon2id) readArgon2(hash string) (hashReader, error) {
	parts := strings.SplitN(hash, "$", 7)
	if len(parts) != 6 || parts[1] != "argon2id" && parts[1] != "argon2i" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return nil, errHash
	}
	var stored Argon2id
	params := strings.Split(parts[3], ",")
	if len(params) != 3 {
		return nil, errHash
	}
	m, okM := parameter(params[0], "m=", maxArgonMemory)
	t, okT := parameter(params[1], "t=", maxArgonTime)
	p, okP := parameter(params[2], "p=", maxArgonThreads)
	salt, errSalt := rawBase64.DecodeString(parts[4])
	key, errKey := rawBase64.DecodeString(parts[5])
	if !okM || !okT || !okP || errSalt != nil || errKey != nil ||
		len(salt) < 8 || len(salt) > maxHashPart || len(key) < minHashKey || len(key) > maxHashPart {
		return nil, errHash
	}
	stored = Argon2id{Memory: uint32(m), Time: uint32(t), Threads: uint8(p)}
	derive, current := argon2.IDKey, stored == a.withDefaults() && len(key) == argonKey
	if parts[1] == "argon2i" {
		derive, current = argon2.Key, false
	}
	return func(password string) (ok, outdated bool, err error) {
		got := derive([]byte(password), salt, stored.Time, stored.Memory, stored.Threads, uint32(len(key)))
		ok = subtle.ConstantTimeCompare(got, key) == 1
		return ok, ok && !current, nil
	}, nil
}

// parameter reads a decimal number from 1 to most behind a name.
func parameter(s, name string, most int) (int, bool) {
	digits, ok := strings.CutPrefix(s, name)
	if !ok || digits == "" || digits[0] < '1' || digits[0] > '9' {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil && n <= most
}

func readPBKDF2(rest string, digest func() hash.Hash, size int) (hashReader, error) {
	parts := strings.SplitN(rest, "$", 4)
	if len(parts) != 3 {
		return nil, errHash
	}
	iterations, ok := parameter(parts[0], "", maxPBKDF2)
	key, errKey := base64.StdEncoding.Strict().DecodeString(parts[2])
	if !ok || errKey != nil || parts[1] == "" || len(parts[1]) > maxHashPart || len(key) != size {
		return nil, errHash
	}
	return func(password string) (ok, outdated bool, err error) {
		got, err := pbkdf2.Key(digest, password, []byte(parts[1]), iterations, size)
		if err != nil {
			return false, false, fmt.Errorf("auth: verify a PBKDF2 hash: %w", err)
		}
		ok = subtle.ConstantTimeCompare(got, key) == 1
		return ok, ok, nil
	}, nil
}

// readScrypt reads cost, salt, block size, parallelism and key, as Django writes
// them.
func readScrypt(rest string) (hashReader, error) {
	parts := strings.SplitN(rest, "$", 6)
	if len(parts) != 5 {
		return nil, errHash
	}
	n, okN := parameter(parts[0], "", maxScryptCost)
	r, okR := parameter(parts[2], "", maxScryptBlock)
	p, okP := parameter(parts[3], "", maxScryptThreads)
	key, errKey := base64.StdEncoding.Strict().DecodeString(parts[4])
	if !okN || !okR || !okP || n < 2 || n&(n-1) != 0 || 128*n*r > maxArgonMemory<<10 || errKey != nil ||
		parts[1] == "" || len(parts[1]) > maxHashPart || len(key) < minHashKey || len(key) > maxHashPart {
		return nil, errHash
	}
	return func(password string) (ok, outdated bool, err error) {
		got, err := scrypt.Key([]byte(password), []byte(parts[1]), n, r, p, len(key))
		if err != nil {
			return false, false, fmt.Errorf("auth: verify a scrypt hash: %w", err)
		}
		ok = subtle.ConstantTimeCompare(got, key) == 1
		return ok, ok, nil
	}, nil
}

// maxBcrypt is the part of a password that bcrypt reads, in bytes.
const maxBcrypt = 72

func readBcrypt(hash string) (hashReader, error) {
	known := strings.HasPrefix(hash, "$2a$") || strings.HasPrefix(hash, "$2b$") || strings.HasPrefix(hash, "$2y$")
	cost, err := bcrypt.Cost([]byte(hash))
	if !known || err != nil || cost > maxBcryptCost || len(hash) != bcryptLen {
		return nil, errHash
	}
	return func(password string) (ok, outdated bool, err error) {
		// The old system read 72 bytes, too. The hash is outdated, and the next one
		// covers the whole password. Bcrypt takes "abc" and "abc\x00abc" for the
		// same; callers refuse NUL everywhere. An over-long password is refused
		// after the same work, because the time must not tell which users have such
		// a hash.
		unfit := strings.ContainsRune(password, 0)
		err = bcrypt.CompareHashAndPassword([]byte(hash), []byte(password[:min(len(password), maxBcrypt)]))
		switch {
		case err == nil:
			return !unfit, !unfit, nil
		case errors.Is(err, bcrypt.ErrMismatchedHashAndPassword):
			return false, false, nil
		}
		return false, false, errHash
	}, nil
}
