package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

// A device cookie proves an earlier login from a browser, so that the throttle
// counts the browser apart from others in its network. It authenticates nobody.
// The idea is OWASP's "device cookies".
//
// The cookie has an entry for each of the last accounts: the time, a random
// number, and a MAC of both and the account. The key of the MAC is the stored
// hash of the password, which only the processes of the service know. There is
// no key to configure and nothing to store, and a new password makes the
// entries of the old one worthless.
const (
	deviceCookieName = "ostiary_device"

	entryTime   = 8
	entryRandom = 16
	entryMAC    = 16
	entryLen    = entryTime + entryRandom + entryMAC

	maxEntries = 4 // accounts of one browser

	// entryEarly is the most that the time of an entry may be in the future,
	// because the clock of another process may be ahead.
	entryEarly = time.Hour
)

func (p *Passwords) deviceCookieName() string {
	if p.opts.InsecureCookie {
		return deviceCookieName
	}
	return "__Host-" + deviceCookieName
}

// deviceCookie returns the entries of a request, "" for none.
func (p *Passwords) deviceCookie(r *http.Request) string {
	c, err := r.Cookie(p.deviceCookieName())
	if err != nil || len(c.Value) > maxEntries*(base64.RawURLEncoding.EncodedLen(entryLen)+1) {
		return ""
	}
	return c.Value
}

// RememberBrowser sets the cookie by which [Passwords.VerifyRequest] knows the
// browser of r for 30 days. Call it after a right password of u, before
// [Session.Login] and before the body of the reply. The browser then has
// attempts of its own at the account of u, which others in its network cannot
// use up. The cookie is HttpOnly and SameSite=Strict, and a new password of u
// makes it worthless.
func (p *Passwords) RememberBrowser(w http.ResponseWriter, r *http.Request, u store.User) error {
	// A cookie by the hash that was just compared is worthless if that is gone.
	hash, err := stores.PasswordHash(r.Context(), p, p.users, u.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && hash == "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("auth: remember a browser: %w", err)
	}
	now := time.Now()
	entries := []string{newEntry(u.ID, hash, now)}
	for entry := range strings.SplitSeq(p.deviceCookie(r), ".") {
		raw, ok := parseEntry(entry, now)
		if ok && len(entries) < maxEntries && !raw.of(u.ID, hash) {
			entries = append(entries, entry)
		}
	}
	http.SetCookie(w, &http.Cookie{
		Name:     p.deviceCookieName(),
		Value:    strings.Join(entries, "."),
		Path:     "/",
		MaxAge:   int(knownFor / time.Second),
		Secure:   !p.opts.InsecureCookie,
		HttpOnly: true,
		SameSite: http.SameSiteStrictMode,
	})
	return nil
}

// browserOf returns the name under which the throttle counts the browser with
// these entries, or "" if none of them belongs to the account.
func browserOf(entries string, a attempt, now time.Time) string {
	for entry := range strings.SplitSeq(entries, ".") {
		if raw, ok := parseEntry(entry, now); ok && raw.of(a.user.ID, a.hash) && a.user.ID != "" {
			return base64.RawURLEncoding.EncodeToString(raw[entryTime : entryTime+entryRandom])
		}
	}
	return ""
}

type deviceEntry [entryLen]byte

func newEntry(userID, hash string, now time.Time) string {
	var e deviceEntry
	binary.BigEndian.PutUint64(e[:], uint64(now.Unix()))
	_, _ = rand.Read(e[entryTime : entryTime+entryRandom]) // never fails: it ends the program instead
	copy(e[entryTime+entryRandom:], e.mac(userID, hash))
	return base64.RawURLEncoding.EncodeToString(e[:])
}

// parseEntry decodes an entry that is not too old. It does not check the MAC.
func parseEntry(s string, now time.Time) (e deviceEntry, ok bool) {
	if len(s) != base64.RawURLEncoding.EncodedLen(entryLen) {
		return e, false
	}
	if n, err := base64.RawURLEncoding.Strict().Decode(e[:], []byte(s)); err != nil || n != entryLen {
		return e, false
	}
	made := int64(binary.BigEndian.Uint64(e[:]))
	oldest, newest := now.Add(-knownFor).Unix(), now.Add(entryEarly).Unix()
	return e, made > oldest && made <= newest
}

// of reports whether the MAC of the entry fits that user and hash.
func (e *deviceEntry) of(userID, hash string) bool {
	return subtle.ConstantTimeCompare(e.mac(userID, hash), e[entryTime+entryRandom:]) == 1
}

func (e *deviceEntry) mac(userID, hash string) []byte {
	key := sha256.Sum256([]byte("ostiary device cookie\x00" + hash))
	m := hmac.New(sha256.New, key[:])
	m.Write(e[:entryTime+entryRandom])
	m.Write([]byte(userID))
	return m.Sum(nil)[:entryMAC]
}
