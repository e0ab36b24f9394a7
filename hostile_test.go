package auth_test

import (
	"bufio"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/gateway"
	"github.com/ostiary/auth/store"
)

// A hostileInput is a row of testdata/hostile-inputs.json.
type hostileInput struct {
	Parser, Name, Input, Expect, Why string
	Base64                           bool
	Method, Path                     string
	Headers                          map[string]string
	Repeat                           int
	SuffixUnit                       string `json:"suffix_unit"`
	Suffix                           string
	NotInResponse                    string `json:"assert_not_in_response"`
}

func hostileInputs(t testing.TB, parser string) (rows []hostileInput) {
	t.Helper()
	text, err := os.ReadFile("testdata/hostile-inputs.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []hostileInput
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, row := range all {
		if row.Parser == parser {
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("no rows for the parser %q", parser)
	}
	return rows
}

// text is the input, without the values that a test puts into it.
func (in hostileInput) text() string {
	s := in.Input
	if in.Base64 {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			panic(err)
		}
		s = string(b)
	}
	return s + strings.Repeat(in.SuffixUnit, in.Repeat) + in.Suffix
}

func (in hostileInput) want(status int) bool {
	return slices.Contains(strings.Split(in.Expect, "|"), strconv.Itoa(status))
}

// legacy checks hashes of the kinds that Argon2id reads, and makes cheap ones.
type legacy struct{ cheap }

func (l *legacy) Verify(hash, password string) (ok, outdated bool, err error) {
	if strings.HasPrefix(hash, "cheap:") {
		return l.cheap.Verify(hash, password)
	}
	return auth.Argon2id{}.Verify(hash, password)
}

// hostileSystem is a system with everything that the rows name.
type hostileSystem struct {
	*system
	fill   *strings.Replacer
	server *httptest.Server
}

var b64Template = regexp.MustCompile(`(?s)\{B64:(.*)\}`)

func (s *hostileSystem) expand(text string) string {
	text = s.fill.Replace(text)
	return b64Template.ReplaceAllStringFunc(text, func(m string) string {
		return base64.StdEncoding.EncodeToString([]byte(b64Template.FindStringSubmatch(m)[1]))
	})
}

func newHostileSystem(t testing.TB) *hostileSystem {
	s := newSystem(t, func(o *settings) { o.passwords.Hasher = &legacy{} })
	ctx := t.Context()
	now := time.Now()
	withHash := func(name, hash string) string {
		u := s.addUser(store.User{Name: name, Active: true})
		if err := s.db.Store.SetPasswordHash(ctx, u.ID, hash); err != nil {
			t.Fatal(err)
		}
		return name
	}
	bcryptOf := func(password string) string {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		return string(hash)
	}
	pass72 := strings.Repeat("p", 72)
	token := s.issue(s.alice, "write").AccessToken.Reveal()
	revoked := s.issue(s.alice, "write")
	if err := s.tokens.End(ctx, by(s.alice), revoked.ID); err != nil {
		t.Fatal(err)
	}
	gone := s.addUser(store.User{Name: "gone", Active: true})
	goneToken := s.issue(gone, "write")
	if err := s.db.DeleteUser(ctx, gone.ID, now); err != nil {
		t.Fatal(err)
	}
	const refreshToken, clientSecret = "ostr_23456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghi4JxgNk", "0123456789abcdefghijABCDEFGHIJ"
	app, err := s.db.InsertApplication(ctx, store.Application{ClientID: "theClientId", Secret: store.DigestOf(clientSecret), Name: "app", Confidential: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Store.InsertToken(ctx, store.Token{UserID: s.alice.ID, ApplicationID: app.ID, Scopes: "write", Created: now, Expires: now.Add(time.Hour), Digest: store.DigestOf("x"),
		Refresh: store.Refresh{Digest: store.DigestOf(refreshToken), Scopes: "write", Expires: now.Add(time.Hour)}}, store.InsertLimits{}); err != nil {
		t.Fatal(err)
	}
	id := func(line string) string { _, v, _ := strings.Cut(line, "="); return v }
	session := id(s.login(s.alice))
	loggedOut := s.login(s.alice)
	if w := s.send("POST", "/logout", loggedOut); w.Code != 200 {
		t.Fatal(w.Code)
	}
	idle := strings.Repeat("i", 43)
	if _, _, err := s.db.Store.InsertSession(ctx, store.Session{UserID: s.alice.ID, Epoch: s.alice.Epoch, Digest: store.DigestOf(idle), Created: now.Add(-time.Hour), Expires: now.Add(-time.Second)}, store.Digest{}, 0); err != nil {
		t.Fatal(err)
	}
	fay := s.addUser(store.User{Name: "fay", Active: true})
	disabled := id(s.login(fay))
	s.disable(fay)
	tokenSum, sessionSum := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(session))

	h := &hostileSystem{system: s}
	h.fill = strings.NewReplacer(
		"{TOKEN}", token, "{TOKEN2}", s.issue(s.bob, "write").AccessToken.Reveal(), "{READ_TOKEN}", s.issue(s.bob, "read").AccessToken.Reveal(),
		"{TOKEN:half}", token[:len(token)/2], "{TOKEN:cyrillic}", token[:20]+"а"+token[21:],
		"{TOKEN_SHA256_HEX}", fmt.Sprintf("%x", tokenSum), "{REVOKED}", revoked.AccessToken.Reveal(),
		"{DELETED_USER_TOKEN}", goneToken.AccessToken.Reveal(), "{REFRESH}", refreshToken,
		"{CLIENT_ID}", app.ClientID, "{CLIENT_SECRET}", clientSecret,
		"{USER}", "alice", "{PASS}", goodPassword, "{BASIC64}", base64.StdEncoding.EncodeToString([]byte("alice:"+goodPassword)),
		"{COLON_USER}", withHash("colon", cheapHash(1, "pa:ss:word")),
		"{EMPTYPW_USER}", withHash("empty", bcryptOf("")),
		"{UMLAUT_USER}", withHash("jürgen", cheapHash(1, "pässwörd € ok")), "{UMLAUT_PASS}", "pässwörd € ok",
		"{HUGE_USER_10000}", strings.Repeat("u", 10_000),
		"{BCRYPT72_USER}", withHash("bcrypt72", bcryptOf(pass72)), "{PASS72}", pass72,
		"{NOPASS_USER}", withHash("nopass", ""),
		"{COOKIE_NAME}", s.session.CookieName(), "{COOKIE_NAME:noprefix}", "session",
		"{SESSION_COOKIE}", s.session.CookieName()+"="+session, "{SESSION}", session, "{LOGGED_OUT_SESSION}", id(loggedOut),
		"{SESSION_SHA256_B64}", base64.RawURLEncoding.EncodeToString(sessionSum[:]),
		"{IDLE_EXPIRED_SESSION}", idle, "{DISABLED_USER_SESSION}", disabled,
	)
	probe := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.entered.Add(1)
		p, _ := auth.FromContext(r.Context())
		fmt.Fprintln(w, p.Name)
	})
	mux := http.NewServeMux()
	mux.Handle("GET /probe/me", probe)
	mux.Handle("POST /probe/write", probe)
	mux.Handle("/probe/any", probe)
	s.handler = s.session.Handler(s.gate.Require(mux))
	h.server = httptest.NewServer(s.handler)
	t.Cleanup(h.server.Close)
	return h
}

// raw sends a request as it is and returns the status and all of the reply.
func (s *hostileSystem) raw(in hostileInput, lines []string) (int, string) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	head := in.Method + " " + s.expand(in.Path) + " HTTP/1.1\r\n"
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "Host:") }) {
		head += "Host: app.example\r\n"
	}
	go func() {
		_, _ = io.WriteString(conn, head+strings.Join(append(lines, "Connection: close"), "\r\n")+"\r\n\r\n")
	}()
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: in.Method})
	if err != nil {
		s.t.Fatalf("%s: %v", in.Name, err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res.StatusCode, fmt.Sprint(res.Header) + string(body)
}

// direct calls the handler without net/http in front, which would refuse some of
// the inputs itself.
func (s *hostileSystem) direct(in hostileInput, lines []string) (int, string) {
	r := httptest.NewRequest(http.MethodGet, s.expand(in.Path), nil)
	r.Method = in.Method
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header[http.CanonicalHeaderKey(name)] = append(r.Header[http.CanonicalHeaderKey(name)], value)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Code, fmt.Sprint(w.Header()) + w.Body.String()
}

// the rows that concern a request's credentials,
// over a connection and without one.
func TestHostileRequests(t *testing.T) {
	s := newHostileSystem(t)
	for _, parser := range []string{"authorization", "cookie", "headers"} {
		for _, in := range hostileInputs(t, parser) {
			t.Run(parser+"/"+in.Name, func(t *testing.T) {
				if in.Method == "" {
					in.Method = "GET"
				}
				if in.Path == "" {
					in.Path = "/probe/me"
				}
				text := s.expand(in.text())
				var lines []string
				switch parser {
				case "authorization":
					lines = []string{"Authorization: " + text}
				case "cookie":
					lines = []string{"Cookie: " + text}
				default:
					if text != "" {
						lines = strings.Split(text, "\n")
					}
				}
				for name, value := range in.Headers {
					lines = append(lines, name+": "+value)
				}
				for how, send := range map[string]func(hostileInput, []string) (int, string){"connection": s.raw, "direct": s.direct} {
					want := in.want
					if how == "direct" && in.Expect == "400" {
						want = func(status int) bool { return status == 401 }
					}
					before := s.entered.Load()
					status, reply := send(in, lines)
					if !want(status) {
						t.Errorf("%s: status %d, want %s: %s\n%.300s", how, status, in.Expect, in.Why, reply)
					}
					if entered := s.entered.Load() > before; entered != (status == 200) {
						t.Errorf("%s: status %d, handler entered: %v", how, status, entered)
					}
					if in.NotInResponse != "" && strings.Contains(reply, in.NotInResponse) {
						t.Errorf("%s: the reply has %q", how, in.NotInResponse)
					}
				}
			})
		}
	}
}

// what counts as a page of this origin, for a session.
func TestHostileOrigins(t *testing.T) {
	s := newHostileSystem(t)
	for _, in := range hostileInputs(t, "origin") {
		t.Run(in.Name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "https://app.example/probe/write", nil)
			r.Header.Set("Cookie", s.expand("{SESSION_COOKIE}"))
			if in.Input != "" {
				r.Header.Set("Origin", in.text())
			}
			for name, value := range in.Headers {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			before := s.entered.Load()
			s.handler.ServeHTTP(w, r)
			if !in.want(w.Code) || (s.entered.Load() > before) != (w.Code == 200) {
				t.Errorf("status %d, want %s: %s", w.Code, in.Expect, in.Why)
			}
			if w.Code == 403 && !strings.Contains(w.Body.String(), `{"detail":"CSRF Failed: `) {
				t.Errorf("body %s", w.Body)
			}
		})
	}
}

func TestHostileScopes(t *testing.T) {
	for _, in := range hostileInputs(t, "scope") {
		_, err := auth.ParseScopes(in.text())
		if verdict := map[bool]string{true: "accept", false: "reject"}[err == nil]; !slices.Contains(strings.Split(in.Expect, "|"), verdict) {
			t.Errorf("%s: %s, want %s: %s", in.Name, verdict, in.Expect, in.Why)
		}
	}
}

// hashes that somebody planted. None matches, and none takes long.
func TestHostileHashes(t *testing.T) {
	s := newSystem(t, func(o *settings) { o.passwords.Hasher = &legacy{} })
	for _, in := range hostileInputs(t, "stored_hash") {
		t.Run(in.Name, func(t *testing.T) {
			passwords := []string{"", "password", goodPassword, in.text()}
			if strings.HasPrefix(in.text(), "pbkdf2_sha256$870000$") {
				passwords = passwords[1:2] // it is computed, for half a second
			}
			for _, password := range passwords {
				ok, outdated, err := auth.Argon2id{}.Verify(in.text(), password)
				if ok || outdated || err == nil && !strings.Contains(in.Expect, "nomatch") {
					t.Errorf("Verify(%q) = %v, %v, %v, want %s: %s", password, ok, outdated, err, in.Expect, in.Why)
				}
			}
			if len(passwords) == 1 {
				return
			}
			u := s.addUser(store.User{Name: "user of " + in.Name, Active: true})
			if err := s.db.Store.SetPasswordHash(t.Context(), u.ID, in.text()); err != nil {
				t.Fatal(err)
			}
			if got := s.me(basicLine(u.Name, "password")); got != "401" {
				t.Errorf("a login is answered %s", got)
			}
		})
	}
}

// weak or contradictory settings do not construct. The rows name settings
// of several systems; those that cannot even be written here are named as such.
func TestHostileConfig(t *testing.T) {
	s := newSystem(t, nil)
	proxy := func(o auth.ProxyOptions) error { _, err := auth.NewProxy(&o); return err }
	session := func(o auth.SessionOptions) error { _, err := auth.NewSession(s.db, s.db, &o); return err }
	constructs := map[string]func() error{
		"proxies-any-v4":     func() error { _, err := auth.ParsePeers([]string{"0.0.0.0/0"}); return err },
		"proxies-star":       func() error { _, err := auth.ParsePeers([]string{"*"}); return err },
		"proxies-bad-cidr":   func() error { _, err := auth.ParsePeers([]string{"10.0.0.0/33"}); return err },
		"proxies-mapped":     func() error { _, err := auth.ParsePeers([]string{"::ffff:10.0.0.0/104"}); return err },
		"headers-underscore": func() error { return proxy(auth.ProxyOptions{AddressFields: []string{"HTTP_X__FORWARDED_FOR"}}) },
		"headers-authorization": func() error {
			return proxy(auth.ProxyOptions{AddressFields: []string{"HTTP_AUTHORIZATION"}})
		},
		"idle-longer-than-absolute": func() error {
			return session(auth.SessionOptions{IdleTimeout: 48 * time.Hour, Lifetime: 24 * time.Hour})
		},
		"samesite-none-insecure": func() error {
			return session(auth.SessionOptions{SameSite: http.SameSiteNoneMode, InsecureCookie: true})
		},
		"negative-lifetime": func() error {
			_, err := auth.NewTokens(s.db, s.db, &auth.TokensOptions{PersonalLifetime: -time.Second})
			return err
		},
		"rsa-private": func() error {
			key := x509.MarshalPKCS1PrivateKey(gatewayKey())
			_, err := gateway.ParseKey(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: key}))
			return err
		},
		"nil-store": func() (err error) {
			defer func() { err = fmt.Errorf("panic: %v", recover()) }()
			_, _ = auth.NewTokens(nil, s.db, nil)
			return nil
		},
		"argon-weak": func() error {
			_, err := auth.NewPasswords(s.db, s.db, &auth.PasswordsOptions{Hasher: auth.Argon2id{Time: 1, Memory: 64, Threads: 1}})
			return err
		},
	}
	cannotBeWritten := map[string]string{
		"cookie-host-domain": "there is no Domain",
		"short-key":          "there is no key to set",
		"bcrypt-cost-4":      "bcrypt only verifies",
	}
	for _, in := range hostileInputs(t, "config") {
		construct := constructs[in.Name]
		if construct == nil {
			if cannotBeWritten[in.Name] == "" {
				t.Errorf("nothing is known about the row %s", in.Name)
			}
			continue
		}
		err := construct()
		if verdict := map[bool]string{true: "accept", false: "error"}[err == nil]; !slices.Contains(strings.Split(in.Expect, "|"), verdict) {
			t.Errorf("%s: %s (%v), want %s: %s", in.Name, verdict, err, in.Expect, in.Why)
		}
	}
}
