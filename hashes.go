package auth

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// A PasswordHasher turns passwords into what is stored of them. It must be safe
// for concurrent use.
type PasswordHasher interface {
	// Hash returns a new hash of password, with its salt and parameters.
	Hash(password string) (string, error)

	// Verify reports whether hash is of password, and if it is, whether it
	// should be replaced because Hash would now make a better one. A hash it
	// cannot read, or that would cost too much to check, is an error.
	Verify(hash, password string) (ok, outdated bool, err error)
}

// Argon2id is the default [PasswordHasher] (RFC 9106). It verifies, and calls
// outdated, the hashes that migrated from elsewhere: Django's pbkdf2_sha256,
// argon2, bcrypt_sha256 and bcrypt, and bare bcrypt.
//
// The zero value has 19 MiB, two passes and one thread, the least that OWASP
// recommends. A hash takes about 25 ms and its Memory.
type Argon2id struct {
	Memory  uint32 // KiB; 0 means 19,456
	Time    uint32 // passes; 0 means 2
	Threads uint8  // 0 means 1
}

// What a stored hash may ask for. Whoever can write one to the database must not
// be able to stop the service with it.
const (
	maxArgonMemory  = 256 << 10 // KiB
	maxArgonTime    = 16
	maxArgonThreads = 16
	maxPBKDF2       = 5_000_000 // iterations
	maxBcryptCost   = 15
	minHashKey      = 16 // bytes
	maxHashPart     = 64 // bytes of salt or key

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

// check refuses parameters that are weaker than OWASP's least, or that Verify
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

// Hash implements [PasswordHasher]. The result is in PHC string form. Weak
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
	scheme, rest, _ := strings.Cut(hash, "$")
	switch scheme {
	case "": // PHC or crypt form
		if strings.HasPrefix(rest, "argon2id$") {
			return a.verifyArgon2id(hash, password)
		}
		return verifyBcrypt(hash, password)
	case "argon2":
		ok, _, err = a.verifyArgon2id("$"+rest, password)
		return ok, ok, err
	case "pbkdf2_sha256":
		return verifyPBKDF2(rest, password)
	case "bcrypt":
		return verifyBcrypt(rest, password)
	case "bcrypt_sha256":
		// Django hashes first, so that bcrypt sees 64 bytes of any password.
		sum := sha256.Sum256([]byte(password))
		return verifyBcrypt(rest, hex.EncodeToString(sum[:]))
	}
	return false, false, errHash
}

func (a Argon2id) verifyArgon2id(hash, password string) (ok, outdated bool, err error) {
	parts := strings.SplitN(hash, "$", 7)
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return false, false, errHash
	}
	var stored Argon2id
	params := strings.Split(parts[3], ",")
	if len(params) != 3 {
		return false, false, errHash
	}
	m, okM := parameter(params[0], "m=", maxArgonMemory)
	t, okT := parameter(params[1], "t=", maxArgonTime)
	p, okP := parameter(params[2], "p=", maxArgonThreads)
	salt, errSalt := rawBase64.DecodeString(parts[4])
	key, errKey := rawBase64.DecodeString(parts[5])
	if !okM || !okT || !okP || errSalt != nil || errKey != nil ||
		len(salt) < 8 || len(salt) > maxHashPart || len(key) < minHashKey || len(key) > maxHashPart {
		return false, false, errHash
	}
	stored = Argon2id{Memory: uint32(m), Time: uint32(t), Threads: uint8(p)}
	got := argon2.IDKey([]byte(password), salt, stored.Time, stored.Memory, stored.Threads, uint32(len(key)))
	if subtle.ConstantTimeCompare(got, key) != 1 {
		return false, false, nil
	}
	return true, stored != a.withDefaults() || len(key) != argonKey, nil
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

func verifyPBKDF2(rest, password string) (ok, outdated bool, err error) {
	parts := strings.SplitN(rest, "$", 4)
	if len(parts) != 3 {
		return false, false, errHash
	}
	iterations, ok := parameter(parts[0], "", maxPBKDF2)
	key, errKey := base64.StdEncoding.Strict().DecodeString(parts[2])
	if !ok || errKey != nil || parts[1] == "" || len(parts[1]) > maxHashPart || len(key) != sha256.Size {
		return false, false, errHash
	}
	got, err := pbkdf2.Key(sha256.New, password, []byte(parts[1]), iterations, len(key))
	if err != nil {
		return false, false, fmt.Errorf("auth: verify a PBKDF2 hash: %w", err)
	}
	ok = subtle.ConstantTimeCompare(got, key) == 1
	return ok, ok, nil
}

// maxBcrypt is how much of a password bcrypt sees, in bytes.
const maxBcrypt = 72

func verifyBcrypt(hash, password string) (ok, outdated bool, err error) {
	known := strings.HasPrefix(hash, "$2a$") || strings.HasPrefix(hash, "$2b$") || strings.HasPrefix(hash, "$2y$")
	cost, err := bcrypt.Cost([]byte(hash))
	if !known || err != nil || cost > maxBcryptCost {
		return false, false, errHash
	}
	// The comparison ignores what is behind byte 72, and takes "abc" and
	// "abc\x00abc" for the same; callers refuse NUL everywhere.
	// They are refused after the same work: the time must not tell who still
	// has such a hash.
	unfit := len(password) > maxBcrypt || strings.ContainsRune(password, 0)
	err = bcrypt.CompareHashAndPassword([]byte(hash), []byte(password[:min(len(password), maxBcrypt)]))
	switch {
	case err == nil:
		return !unfit, !unfit, nil
	case errors.Is(err, bcrypt.ErrMismatchedHashAndPassword):
		return false, false, nil
	}
	return false, false, errHash
}
