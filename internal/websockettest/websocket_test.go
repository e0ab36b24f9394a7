package websockettest_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
	"golang.org/x/net/websocket"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// Each library echoes one message as a server. The origin is the gate's business.
var servers = map[string]http.Handler{
	"gorilla": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		up := gorilla.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
		conn, err := up.Upgrade(w, r, http.Header{"X-Own": {"1"}})
		if err != nil {
			return // Upgrade has answered
		}
		defer conn.Close()
		kind, message, err := conn.ReadMessage()
		if err == nil {
			_ = conn.WriteMessage(kind, message)
		}
	}),
	"coder": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := coder.Accept(w, r, &coder.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		kind, message, err := conn.Read(r.Context())
		if err == nil {
			_ = conn.Write(r.Context(), kind, message)
			_ = conn.Close(coder.StatusNormalClosure, "")
		}
	}),
	"x/net": websocket.Server{
		Handshake: func(*websocket.Config, *http.Request) error { return nil },
		Handler: func(conn *websocket.Conn) {
			var message string
			if websocket.Message.Receive(conn, &message) == nil {
				_ = websocket.Message.Send(conn, message)
			}
		},
	},
}

// service is a server with a login, and a client that is logged in.
type service struct {
	*httptest.Server
	session *auth.Session
	jar     *cookiejar.Jar
}

// serve starts h behind a gate. Before h, each request runs within.
func serve(t *testing.T, h http.Handler, within func(s *auth.Session, u store.User, r *http.Request)) service {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	db := memory.New()
	alice, err := db.InsertUser(t.Context(), store.User{Name: "alice", Active: true})
	if err != nil {
		t.Fatal(err)
	}
	session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{InsecureCookie: true, Logger: quiet}))
	gate := auth.NewGate(session, &auth.GateOptions{Logger: quiet})
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		if err := session.Login(r, alice); err != nil {
			t.Error(err)
		}
	})
	mux.Handle("/", gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		within(session, alice, r)
		h.ServeHTTP(w, r)
	})))
	s := service{httptest.NewServer(session.Handler(mux)), session, nil}
	t.Cleanup(s.Close)
	s.jar, _ = cookiejar.New(nil)
	client := http.Client{Jar: s.jar, Transport: s.Client().Transport}
	resp, err := client.Get(s.URL + "/login")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if len(s.cookies(t)) != 1 {
		t.Fatal("the login set no cookie")
	}
	return s
}

func (s service) cookies(t *testing.T) []*http.Cookie {
	t.Helper()
	r, err := http.NewRequest("GET", s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s.jar.Cookies(r.URL)
}

func (s service) ws() string { return "ws" + strings.TrimPrefix(s.URL, "http") }

// C4: with a good cookie and from the own page the client talks, otherwise it is
// refused before the upgrade.
func TestWebSockets(t *testing.T) {
	for name, h := range servers {
		t.Run(name, func(t *testing.T) {
			s := serve(t, h, func(*auth.Session, store.User, *http.Request) {})
			for _, tt := range []struct {
				name         string
				jar          http.CookieJar
				origin, site string
				want         int
			}{
				{"own page", s.jar, s.URL, "", 101},
				{"own page, new browser", s.jar, s.URL, "same-origin", 101},
				{"no browser", s.jar, "", "", 101},
				{"another site", s.jar, "https://evil.example", "", 403},
				{"another site, new browser", s.jar, "https://evil.example", "cross-site", 403},
				{"a sandboxed page", s.jar, "null", "", 403},
				{"no cookie", nil, s.URL, "", 401},
				{"no cookie, another site", nil, "https://evil.example", "", 401},
			} {
				header := http.Header{}
				if tt.origin != "" {
					header.Set("Origin", tt.origin)
				}
				if tt.site != "" {
					header.Set("Sec-Fetch-Site", tt.site)
				}
				conn, resp, err := (&gorilla.Dialer{Jar: tt.jar}).DialContext(t.Context(), s.ws(), header)
				if resp == nil || resp.StatusCode != tt.want {
					t.Fatalf("%s: %v, %v; want status %d", tt.name, resp, err, tt.want)
				}
				if err == nil {
					echo(t, conn)
				}
			}
		})
	}
}

func echo(t *testing.T, conn *gorilla.Conn) {
	t.Helper()
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Minute))
	if err := conn.WriteMessage(gorilla.TextMessage, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, message, err := conn.ReadMessage(); err != nil || string(message) != "hello" {
		t.Fatalf("echo: %q, %v", message, err)
	}
}

// What a handler keeps in the session before the upgrade is stored, and a new
// cookie arrives with the response of the library.
func TestCookieOfAnUpgrade(t *testing.T) {
	for name, h := range servers {
		t.Run(name, func(t *testing.T) {
			s := serve(t, h, func(s *auth.Session, alice store.User, r *http.Request) {
				if err := s.Login(r, alice); err != nil { // a new identifier
					t.Error(err)
				}
				s.Manager().Put(r.Context(), "color", "red")
			})
			before := s.cookies(t)[0].Value
			conn, resp, err := (&gorilla.Dialer{Jar: s.jar}).DialContext(t.Context(), s.ws(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if name == "gorilla" && resp.Header.Get("X-Own") != "1" {
				t.Errorf("header %v", resp.Header)
			}
			echo(t, conn)
			after := s.cookies(t)
			if len(resp.Cookies()) != 1 || len(after) != 1 || after[0].Value == before {
				t.Fatalf("before %q, after %v; header %v", before, after, resp.Header)
			}
			conn, _, err = (&gorilla.Dialer{Jar: s.jar}).DialContext(t.Context(), s.ws(), nil)
			if err != nil {
				t.Fatalf("with the new cookie: %v", err)
			}
			echo(t, conn)
		})
	}
}

// Clients of the other libraries, which read the response in their own ways.
func TestOtherClients(t *testing.T) {
	for name, h := range servers {
		s := serve(t, h, func(s *auth.Session, _ store.User, r *http.Request) {
			s.Manager().Put(r.Context(), "n", time.Now().UnixNano())
		})
		header := http.Header{"Cookie": {s.cookies(t)[0].String()}, "Origin": {s.URL}}

		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		conn, _, err := coder.Dial(ctx, s.ws(), &coder.DialOptions{HTTPHeader: header})
		if err != nil {
			t.Fatalf("%s: coder: %v", name, err)
		}
		_ = conn.Write(ctx, coder.MessageText, []byte("hello"))
		if _, message, err := conn.Read(ctx); string(message) != "hello" {
			t.Errorf("%s: coder: %q, %v", name, message, err)
		}
		_ = conn.CloseNow()
		cancel()

		config, err := websocket.NewConfig(s.ws(), s.URL)
		if err != nil {
			t.Fatal(err)
		}
		config.Header = http.Header{"Cookie": header["Cookie"]}
		ws, err := websocket.DialConfig(config)
		if err != nil {
			t.Fatalf("%s: x/net: %v", name, err)
		}
		var message string
		_ = websocket.Message.Send(ws, "hello")
		if err := websocket.Message.Receive(ws, &message); message != "hello" {
			t.Errorf("%s: x/net: %q, %v", name, message, err)
		}
		ws.Close()
	}
}

// Server-sent events arrive one by one, the first with the cookie.
func TestServerSentEvents(t *testing.T) {
	next := make(chan bool)
	defer close(next)
	for name, flush := range map[string]func(http.ResponseWriter){
		"http.Flusher":            func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
		"http.ResponseController": func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				flush(w)
				for i := range 3 {
					if !<-next {
						return
					}
					_, _ = io.WriteString(w, "data: "+string(rune('a'+i))+"\n\n")
					flush(w)
				}
			}), func(s *auth.Session, alice store.User, r *http.Request) {
				if err := s.Login(r, alice); err != nil {
					t.Error(err)
				}
			})
			client := http.Client{Jar: s.jar, Transport: s.Client().Transport, Timeout: 5 * time.Minute}
			resp, err := client.Get(s.URL + "/events")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != 200 || len(resp.Cookies()) != 1 {
				t.Fatalf("%s, header %v", resp.Status, resp.Header)
			}
			lines := bufio.NewReader(resp.Body)
			for _, want := range []string{"data: a\n", "data: b\n", "data: c\n"} {
				next <- true
				line, err := lines.ReadString('\n')
				if line != want {
					t.Fatalf("line %q, %v", line, err)
				}
				_, _ = lines.ReadString('\n')
			}
		})
	}
}
