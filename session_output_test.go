package auth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
)

type brokenSCS struct{ scs.Store }

func (brokenSCS) Commit(string, []byte, time.Time) error { return errors.New("secret cause") }

// T3, R-118, R-025: if the session cannot be stored, nothing of what the handler
// writes is sent: it may be the token that should have been kept.
func TestCommitFailure(t *testing.T) {
	handler := func(put func(ctx context.Context, key string, value any)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			put(r.Context(), "k", "v")
			w.Header().Set("X-Secret", "token")
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Length", "12")
			_, _ = io.WriteString(w, "the token is")
		}
	}
	m := plainSCS(func(m *scs.SessionManager) { m.Store = brokenSCS{m.Store} })
	if w, _ := plainDo(m, "", handler(m.Put)); !strings.Contains(w.Body.String(), "the token is") {
		t.Error("plain scs no longer sends the body of the handler behind its error")
	}

	ways := map[string]http.HandlerFunc{
		"nothing is written": func(http.ResponseWriter, *http.Request) {},
		"Write": func(w http.ResponseWriter, r *http.Request) {
			if n, err := io.WriteString(w, "the token is"); n != 0 || err == nil {
				t.Errorf("Write returned %d, %v", n, err)
			}
		},
		"WriteHeader": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(201)
			_, _ = io.WriteString(w, "the token is")
		},
		"Flush": func(w http.ResponseWriter, r *http.Request) {
			if err := http.NewResponseController(w).Flush(); err == nil {
				t.Error("Flush returned nil")
			}
			_, _ = io.WriteString(w, "the token is")
		},
		"http.Flusher": func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "the token is")
		},
		"ReadFrom": func(w http.ResponseWriter, r *http.Request) {
			// Not by io.Copy, which prefers the WriteTo of such a reader.
			if n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("the token is")); n != 0 || err == nil {
				t.Errorf("ReadFrom returned %d, %v", n, err)
			}
		},
	}
	for name, write := range ways {
		s := newSystem(t, nil)
		for _, cookie := range []string{"", s.login(s.alice)} {
			s.db.on(func(call string) error {
				if call == "InsertSession" || call == "SaveSession" {
					return errors.New("secret cause")
				}
				return nil
			})
			w := s.run(cookie, func(w http.ResponseWriter, r *http.Request) {
				s.session.Manager().Put(r.Context(), "k", name)
				w.Header().Set("X-Secret", "token")
				w.Header().Set("Content-Length", "12")
				write(w, r)
			})
			s.db.on(nil)
			if w.Code != 503 || w.Body.String() != body503 || w.Header().Get("Retry-After") != "1" ||
				w.Header().Get("X-Secret") != "" || w.Header().Get("Set-Cookie") != "" || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("%s: %d %v %s", name, w.Code, w.Header(), w.Body)
			}
		}
		if !strings.Contains(s.log.String(), "secret cause") {
			t.Errorf("%s: the cause is not logged", name)
		}
	}
}

// fetch gets the root of a server that serves h.
func fetch(t *testing.T, h http.Handler, cookie string) *http.Response {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	r, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if cookie != "" {
		r.Header.Set("Cookie", strings.TrimPrefix(cookie, "Cookie: "))
	}
	res, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res
}

// T4, R-117: an early byte does not lose what comes after it. What cannot be kept
// any more, because the cookie would have to go out, is an event.
func TestEarlyOutput(t *testing.T) {
	early := map[string]func(w http.ResponseWriter){
		"103":         func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints) },
		"Flush":       func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
		"empty Write": func(w http.ResponseWriter) { _, _ = w.Write(nil) },
	}
	for name, begin := range early {
		t.Run(name, func(t *testing.T) {
			m := plainSCS(nil)
			_, cookie := plainDo(m, "", plainPut(m, "k", "old"))
			h := m.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				begin(w)
				m.Put(r.Context(), "k", "new")
			}))
			if res := fetch(t, h, ""); res.Header["Set-Cookie"] != nil && name != "Flush" {
				t.Error("plain scs no longer loses the cookie")
			}
			fetch(t, h, cookie)
			if plainGet(m, cookie, "k") != "old" && name != "Flush" {
				t.Error("plain scs no longer loses the change")
			}

			s := newSystem(t, nil)
			ours := s.login(s.alice)
			s.put(ours, "k", "old")
			handler := s.session.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				begin(w)
				s.session.Manager().Put(r.Context(), "k", "new")
			}))
			fetch(t, handler, ours)
			if got := s.value(ours, "k"); got != "new" {
				t.Errorf("the value is %q", got)
			}
			var res *http.Response
			events := s.events(func() { res = fetch(t, handler, "") })
			if name == "103" {
				if got := res.Header["Set-Cookie"]; len(got) != 1 || len(events) > 0 {
					t.Errorf("Set-Cookie %q, events %v", got, events)
				}
				return
			}
			if len(events) != 1 || events[0]["msg"] != "auth: session changes lost" || events[0]["level"] != "ERROR" {
				t.Errorf("events %v", events)
			}
		})
	}
	t.Run("a login behind 103", func(t *testing.T) {
		s := newSystem(t, nil)
		res := fetch(t, s.session.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			if err := s.session.Login(r, s.alice); err != nil {
				t.Error(err)
			}
		})), "")
		if got := res.Header["Set-Cookie"]; len(got) != 1 || s.me("Cookie: "+strings.Split(got[0], ";")[0]) != "alice by session" {
			t.Errorf("Set-Cookie %q", got)
		}
	})
}

// a reverse proxy clears the header after each informational response, and with
// it the field that keeps shared caches from giving the answer of one user to another.
func TestVaryAfterAnInformationalResponse(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Set("Vary", "Accept")
		_, _ = io.WriteString(w, "yours")
	}))
	defer upstream.Close()
	to, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to) }}
	s := newSystem(t, nil)
	cookie := s.login(s.alice)
	for name, h := range map[string]http.Handler{
		"sessions": s.session.Handler(proxy), "a gate": s.session.Handler(s.gate.Require(proxy)),
	} {
		// A real server, because a recorder takes the first status for the last.
		srv := httptest.NewServer(h)
		r, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Cookie", strings.TrimPrefix(cookie, "Cookie: "))
		res, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := strings.Join(res.Header["Vary"], "|"); res.StatusCode != http.StatusOK || got != "Accept|Authorization, Cookie" {
			t.Errorf("%s: %d, Vary %q", name, res.StatusCode, got)
		}
		srv.Close()
	}
}
