package auth_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\nX-Own: 1\r\n\r\n"

// take answers as libraries for WebSockets do, by the connection or by its
// buffer, in one piece or in two.
var takes = map[string]func(w http.ResponseWriter) error{
	"http.Hijacker, connection": func(w http.ResponseWriter) error {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return err
		}
		defer conn.Close()
		n, err := io.WriteString(conn, switching)
		if err == nil && n != len(switching) {
			err = errors.New("Write returned another length")
		}
		if err == nil {
			_, err = io.WriteString(conn, "after")
		}
		return err
	},
	"http.Hijacker, buffer": func(w http.ResponseWriter) error {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return err
		}
		defer conn.Close()
		for line := range strings.Lines(switching + "after") {
			_, _ = rw.WriteString(line)
		}
		return rw.Flush()
	},
	"ResponseController": func(w http.ResponseWriter) error {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = io.WriteString(conn, switching+"after")
		return err
	},
	"WriteHeader first": func(w http.ResponseWriter) error {
		w.Header().Set("Upgrade", "x")
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("X-Own", "1")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = io.WriteString(conn, "after")
		return err
	},
}

// C4: a handler can take the connection, and the session is stored and its cookie
// sent before it does.
func TestHijack(t *testing.T) {
	for name, take := range takes {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t, nil)
			done := make(chan bool, 1)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s.handler.ServeHTTP(w, r)
				done <- true
			}))
			defer srv.Close()
			s.do = func(w http.ResponseWriter, r *http.Request) {
				if err := s.session.Login(r, s.alice); err != nil {
					t.Error(err)
				}
				s.session.Manager().Put(r.Context(), "color", "red")
				if err := take(w); err != nil {
					t.Error(err)
				}
				s.session.Manager().Put(r.Context(), "size", "late")
			}
			resp, rest := upgrade(t, srv, "")
			if resp.StatusCode != 101 || rest != "after" || resp.Header.Get("X-Own") != "1" || len(resp.Cookies()) != 1 {
				t.Fatalf("%s, header %v, then %q", resp.Status, resp.Header, rest)
			}
			cookie := "Cookie: " + resp.Cookies()[0].Name + "=" + resp.Cookies()[0].Value
			<-done
			if got := s.me(cookie); got != "alice by session" || s.value(cookie, "color") != "red" || s.value(cookie, "size") != "late" {
				t.Errorf("%s; color %q, size %q", got, s.value(cookie, "color"), s.value(cookie, "size"))
			}
			// Nothing to send: the connection is the server's own.
			s.do = func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				if _, ok := conn.(*net.TCPConn); !ok {
					t.Errorf("the connection is a %T", conn)
				}
				_, _ = io.WriteString(conn, switching)
			}
			if resp, _ := upgrade(t, srv, cookie); len(resp.Header["Set-Cookie"]) > 0 {
				t.Errorf("header %v", resp.Header)
			}
		})
	}
}

// A connection that cannot be taken leaves the session as it is: the handler
// answers in another way.
func TestHijackRefused(t *testing.T) {
	s := newSystem(t, nil)
	s.do = func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := w.(http.Hijacker).Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Hijack of a recorder returned %v", err)
		}
		if err := s.session.Login(r, s.alice); err != nil {
			t.Error(err)
		}
	}
	if got := s.me(s.cookie(s.send("GET", "/do"))); got != "alice by session" {
		t.Errorf("logged in after a refused Hijack: %s", got)
	}

	// A server that means to, and cannot: the response is an ordinary one.
	s.do = func(w http.ResponseWriter, r *http.Request) {
		_ = s.session.Login(r, s.bob)
		if _, _, err := w.(http.Hijacker).Hijack(); !errors.Is(err, errDown) {
			t.Errorf("Hijack returned %v", err)
		}
		http.Error(w, "no", http.StatusInternalServerError)
	}
	rec := httptest.NewRecorder()
	s.handler.ServeHTTP(brokenHijacker{rec}, httptest.NewRequest("GET", "/do", nil))
	if got := s.me(s.cookie(rec)); rec.Code != 500 || got != "bob by session" {
		t.Errorf("status %d, %s", rec.Code, got)
	}

	// So it is behind an informational response, after which a proxy clears the header.
	s.do = func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		clear(w.Header())
		_, _, _ = w.(http.Hijacker).Hijack()
		http.Error(w, "no", http.StatusInternalServerError)
	}
	rec = httptest.NewRecorder()
	s.handler.ServeHTTP(unhinted{brokenHijacker{rec}}, httptest.NewRequest("GET", "/do", nil))
	if got := rec.Result().Header["Vary"]; rec.Code != 500 || len(got) != 1 || got[0] != "Authorization, Cookie" {
		t.Errorf("status %d, Vary %q", rec.Code, got)
	}

	// A session that cannot be stored: nothing is taken, and the answer is 503.
	s.do = func(w http.ResponseWriter, r *http.Request) {
		s.session.Manager().Put(r.Context(), "k", "v")
		s.db.on(func(string) error { return errDown })
		defer s.db.on(nil)
		if _, _, err := w.(http.Hijacker).Hijack(); err == nil {
			t.Error("the connection was taken")
		}
		http.Error(w, "secret", http.StatusInternalServerError)
	}
	rec = httptest.NewRecorder()
	s.handler.ServeHTTP(brokenHijacker{rec}, httptest.NewRequest("GET", "/do", nil))
	if rec.Code != 503 || rec.Body.String() != body503 {
		t.Errorf("status %d, body %s", rec.Code, rec.Body)
	}
}

type brokenHijacker struct{ *httptest.ResponseRecorder }

func (brokenHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, errDown }

// unhinted does not take an informational status for the last.
type unhinted struct{ brokenHijacker }

func (u unhinted) WriteHeader(status int) {
	if status >= 200 {
		u.brokenHijacker.WriteHeader(status)
	}
}

// A response to an upgrade that is no HTTP cannot carry the cookie; it is sent as
// it is, and the loss is logged.
func TestHijackWithoutHTTP(t *testing.T) {
	for _, first := range []string{"hello\r\n", "HTTP/1.1 101 no end", "\r\nHTTP/1.1 101 x\r\n", "x"} {
		s := newSystem(t, nil)
		srv := httptest.NewServer(s.handler)
		lost := make(chan int, 1)
		s.do = func(w http.ResponseWriter, r *http.Request) {
			s.session.Manager().Put(r.Context(), "k", "v")
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			lost <- len(s.events(func() {
				_, _ = conn.Write(nil)
				_, _ = io.WriteString(conn, first)
			}))
		}
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "GET /do HTTP/1.1\r\nHost: x\r\n\r\n")
		got, _ := io.ReadAll(conn)
		if string(got) != first || <-lost != 1 {
			t.Errorf("sent %q, got %q", first, got)
		}
		conn.Close()
		srv.Close()
	}
}

// io.Copy finds the way by which net/http sends files.
func TestReadFrom(t *testing.T) {
	s := newSystem(t, nil)
	s.do = func(w http.ResponseWriter, r *http.Request) {
		s.session.Manager().Put(r.Context(), "k", "v")
		n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("file"))
		if n != 4 || err != nil {
			t.Errorf("ReadFrom returned %d, %v", n, err)
		}
	}
	if w := s.send("GET", "/do"); w.Body.String() != "file" || s.cookie(w) == "" {
		t.Errorf("body %q, header %v", w.Body, w.Header())
	}
}

// upgrade sends an upgrade request and returns what comes back.
func upgrade(t *testing.T, srv *httptest.Server, cookie string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if cookie != "" {
		cookie += "\r\n"
	}
	_, _ = io.WriteString(conn, "GET /do HTTP/1.1\r\nHost: x\r\nUpgrade: x\r\nConnection: Upgrade\r\n"+cookie+"\r\n")
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(br)
	return resp, string(rest)
}
