package clientdoc_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/clientdoc"
	"github.com/ostiary/auth/internal/clientdoctest"
)

// refusal returns the sentence of a refusal, "" for no error.
func refusal(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*clientdoc.Error](err)
	if !ok {
		t.Fatalf("error %v is no refusal", err)
	}
	return e.Detail
}

// documents are as their server sends them.
func TestFetch(t *testing.T) {
	web := clientdoctest.New(t)
	id := web.Client("/client.json", "Tool", web.URL()+"/cb")
	var header http.Header
	answer := clientdoctest.Answer(map[string]any{"client_id": id, "redirect_uris": []string{web.URL() + "/cb"}})
	web.Handle("/client.json", func(w http.ResponseWriter, r *http.Request) {
		header = r.Header.Clone()
		header.Set("Host", r.Host)
		answer(w, r)
	})
	f := web.Fetcher(nil)
	want := clientdoc.Document{ClientID: id, Host: web.Host(), RedirectURIs: []string{web.URL() + "/cb"}}
	paid := 0
	for range 3 {
		got, err := f.Document(t.Context(), id, func() error { paid++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("document (-want +got):\n%s", diff)
		}
		got.RedirectURIs[0] = "changed by the caller"
	}
	if web.Requests() != 1 || paid != 1 {
		t.Errorf("%d requests, %d payments; want one each", web.Requests(), paid)
	}
	if diff := cmp.Diff(http.Header{"Accept": {"application/json"}, "User-Agent": {"ostiary"}, "Connection": {"close"}, "Host": {web.Host()}}, header); diff != "" {
		t.Errorf("header of the request (-want +got):\n%s", diff)
	}
}

// A hostile server of documents.
func TestHostileServer(t *testing.T) {
	web, elsewhere := clientdoctest.New(t), clientdoctest.New(t)
	const path = "/client.json"
	id := web.URL() + path
	good := `{"client_id":"` + id + `","redirect_uris":["http://127.0.0.1/"]}`
	var bomb bytes.Buffer
	z, _ := gzip.NewWriterLevel(&bomb, gzip.BestSpeed)
	_, _ = z.Write(bytes.Repeat([]byte(" "), 1<<20))
	z.Close()
	as := func(kind string, more ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{kind}
			for i := 0; i < len(more); i += 2 {
				w.Header().Add(more[i], more[i+1])
			}
			_, _ = w.Write([]byte(good))
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Location", elsewhere.URL()+path)
			w.WriteHeader(code)
			_, _ = w.Write([]byte(good))
		}
	}
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	const fetch, late, wrongStatus, wrongType, tooLong = "cannot be fetched", "be fetched.", "status 200", "application/json", "5,120 bytes"
	for _, tt := range []struct {
		name, fault string
		handler     http.HandlerFunc
	}{
		{"JSON", "", as("application/json")},
		{"JSON with a charset", "", as("application/json; charset=utf-8")},
		{"a type of its own", "", as("application/oauth-client+json")},
		{"HTML", wrongType, as("text/html")},
		{"text", wrongType, as("text/plain")},
		{"JSON as text", wrongType, as("text/json")},
		{"JSON as an image", wrongType, as("image/x+json")},
		{"JSON for scripts", wrongType, as("application/javascript")},
		{"a type that is none", wrongType, as("application/json;;")},
		{"no type", wrongType, as("")},
		{"two types", wrongType, as("application/json", "Content-Type", "text/html")},
		{"a compression that nobody asked for", wrongType, as("application/json", "Content-Encoding", "gzip")},
		{"an unknown compression after an empty one", wrongType, as("application/json", "Content-Encoding", "", "Content-Encoding", "br")},
		{"a compressed bomb", wrongType, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		}},
		{"201", wrongStatus, status(201)}, {"203", wrongStatus, status(203)}, {"204", wrongStatus, status(204)}, {"206", wrongStatus, status(206)},
		{"300", wrongStatus, status(300)}, {"301", wrongStatus, status(301)}, {"302", wrongStatus, status(302)}, {"303", wrongStatus, status(303)},
		{"304", wrongStatus, status(304)}, {"307", wrongStatus, status(307)}, {"308", wrongStatus, status(308)},
		{"401", wrongStatus, status(401)}, {"404", wrongStatus, status(404)}, {"500", wrongStatus, status(500)},
		{"a body that is too long", tooLong, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(good + strings.Repeat(" ", 5<<10)))
		}},
		{"an endless body", tooLong, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for r.Context().Err() == nil {
				if _, err := w.Write(bytes.Repeat([]byte(" "), 4096)); err != nil {
					return
				}
			}
		}},
		{"headers without end", fetch, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 64<<10))
			as("application/json")(w, nil)
		}},
		{"no headers in time", late, hang},
		{"no body in time", late, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(good[:10]))
			w.(http.Flusher).Flush()
			hang(w, r)
		}},
		{"a body that drips", late, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(" "))
				w.(http.Flusher).Flush()
				<-tick.C
			}
		}},
		{"a connection that breaks", fetch, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(good))
			panic(http.ErrAbortHandler)
		}},
		{"no HTTP", fetch, func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = c.Write([]byte("SSH-2.0-secret banner\r\n"))
				c.Close()
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := web.Fetcher(nil)
			if tt.fault == late {
				f.SetTimeout(200 * time.Millisecond)
			}
			web.Handle(path, tt.handler)
			_, err := f.Document(t.Context(), id, nil)
			if got := refusal(t, err); (tt.fault == "") != (got == "") || !strings.Contains(got, tt.fault) {
				t.Errorf("refusal %q (%v), want one about %q", got, err, tt.fault)
			}
			if err != nil && strings.Contains(err.Error(), "banner") {
				t.Errorf("the error repeats the answer: %v", err)
			}
		})
	}
	if n := elsewhere.Requests(); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

// TestTLS: the certificate is that of the host, by an authority that is known.
func TestTLS(t *testing.T) {
	web := clientdoctest.New(t)
	_, port, _ := net.SplitHostPort(web.Host())
	for _, tt := range []struct {
		name, host string
		change     func(*clientdoc.Options)
		want       string
	}{
		{"the name of the certificate", "example.com", nil, ""},
		{"another name", "other.example", nil, "cannot be fetched"},
		{"an unknown authority", "example.com", func(o *clientdoc.Options) { o.RootCAs = nil }, "cannot be fetched"},
	} {
		id := "https://" + tt.host + ":" + port + "/client.json"
		web.Handle("/client.json", clientdoctest.Answer(map[string]any{"client_id": id, "redirect_uris": []string{"http://127.0.0.1/"}}))
		f := web.Fetcher(tt.change)
		l := newLiar(addresses("127.0.0.1"))
		f.SetResolver(l.resolver(), func(string, error) error { return nil })
		if _, err := f.Document(t.Context(), id, nil); !strings.Contains(refusal(t, err), tt.want) || (err == nil) != (tt.want == "") {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		for _, name := range l.names {
			if name != tt.host+"." {
				t.Errorf("%s: the resolver was asked for %q", tt.name, name)
			}
		}
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	if _, err := web.Fetcher(nil).Document(t.Context(), strings.Replace(plain.URL, "http:", "https:", 1)+"/c", nil); refusal(t, err) == "" {
		t.Error("a server without TLS was believed")
	}
}

// TestNoProxy: the proxy of the environment would dial in place of the dialer.
func TestNoProxy(t *testing.T) {
	proxied := false
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { proxied = true }))
	defer proxy.Close()
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	web := clientdoctest.New(t)
	_, port, _ := net.SplitHostPort(web.Host())
	id := "https://example.com:" + port + "/client.json"
	web.Handle("/client.json", clientdoctest.Answer(map[string]any{"client_id": id, "redirect_uris": []string{"http://127.0.0.1/"}}))
	f := web.Fetcher(nil)
	f.SetResolver(newLiar(addresses("127.0.0.1")).resolver(), func(string, error) error { return nil })
	if _, err := f.Document(t.Context(), id, nil); err != nil || proxied {
		t.Errorf("error %v, by the proxy: %v", err, proxied)
	}
}

var errNobody = errors.New("the test dials nobody")

// TestRebinding: a name that has a public address when it is looked up first, and
// another one later. Each connection is judged by its own address.
func TestRebinding(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answers [][]string
		want    []string // what each fetch dials, and "!" for what is refused
	}{
		{"public, then loopback", [][]string{{"93.184.216.34"}, {"127.0.0.1"}}, []string{"93.184.216.34:443", "!127.0.0.1:443"}},
		{"public, then metadata", [][]string{{"93.184.216.34"}, {"169.254.169.254"}}, []string{"93.184.216.34:443", "!169.254.169.254:443"}},
		{"public, then metadata in IPv6", [][]string{{"2606:4700::1111"}, {"fd00:ec2::254"}}, []string{"[2606:4700::1111]:443", "![fd00:ec2::254]:443"}},
		{"an IPv4 address in IPv6", [][]string{{"::ffff:127.0.0.1"}, {"64:ff9b::7f00:1"}, {"2002:7f00:1::"}}, []string{"!127.0.0.1:443", "![64:ff9b::7f00:1]:443", "![2002:7f00:1::]:443"}},
		{"public and private at once", [][]string{{"93.184.216.34", "10.0.0.1"}}, []string{"!10.0.0.1:443 93.184.216.34:443"}},
		{"many private ones", [][]string{{"10.0.0.1", "192.168.0.1", "0.0.0.0"}}, []string{"!0.0.0.0:443 !10.0.0.1:443 !192.168.0.1:443"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := auth.Must(clientdoc.New(&clientdoc.Options{AllowHosts: []string{"*"}}))
			l := &liar{asked: map[uint16]int{}}
			for _, a := range tt.answers {
				l.answers = append(l.answers, addresses(a...))
			}
			var mu sync.Mutex
			dialed := map[string]bool{}
			f.SetResolver(l.resolver(), func(address string, verdict error) error {
				mu.Lock()
				defer mu.Unlock()
				if verdict != nil {
					address = "!" + address
				}
				dialed[address] = true
				return errNobody
			})
			for i, want := range tt.want {
				clear(dialed)
				_, err := f.Document(t.Context(), fmt.Sprintf("https://client.example/%d", i), nil)
				if got := refusal(t, err); !strings.Contains(got, "cannot be fetched") {
					t.Errorf("refusal %q", got)
				}
				if i == len(tt.want)-1 && len(tt.answers) > 1 && !errors.Is(err, clientdoc.ErrNotPublic) {
					t.Errorf("the cause for logs is %v", err)
				}
				var got []string
				for a := range dialed {
					got = append(got, a)
				}
				if diff := cmp.Diff(want, sorted(got)); diff != "" {
					t.Errorf("fetch %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

// TestSingleFlight: 64 calls for one document make one request and one payment.
func TestSingleFlight(t *testing.T) {
	web := clientdoctest.New(t)
	id := web.Client("/client.json", "", "http://127.0.0.1/")
	f := web.Fetcher(nil)
	var mu sync.Mutex
	paid := 0
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if _, err := f.Document(t.Context(), id, func() error {
				mu.Lock()
				defer mu.Unlock()
				paid++
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if web.Requests() != 1 || paid != 1 {
		t.Errorf("%d requests, %d payments; want one each", web.Requests(), paid)
	}
}

// TestHangingHost: a server that does not answer holds two places, and others go on.
func TestHangingHost(t *testing.T) {
	bad, good := clientdoctest.New(t), clientdoctest.New(t)
	f := good.Fetcher(func(o *clientdoc.Options) { o.RootCAs = bad.Roots() }) // of both
	arrived, release := make(chan struct{}, 3), make(chan struct{})
	hang := func(http.ResponseWriter, *http.Request) { arrived <- struct{}{}; <-release }
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for _, path := range []string{"/1", "/2"} {
		id := bad.Handle(path, hang)
		wg.Go(func() {
			if _, err := f.Document(ctx, id, nil); err == nil {
				t.Error("a document of nothing")
			}
		})
		<-arrived
	}
	_, err := f.Document(t.Context(), bad.Handle("/3", hang), nil)
	if e, ok := errors.AsType[*clientdoc.Error](err); !ok || e.RetryAfter != 5*time.Second {
		t.Errorf("the third fetch of the host: %v", err)
	}
	if _, err := f.Document(t.Context(), good.Client("/client.json", "", "http://127.0.0.1/"), nil); err != nil {
		t.Errorf("another host: %v", err)
	}
	// A call that hangs up ends nothing for the others.
	waiting := make(chan error)
	gone, leave := context.WithCancel(t.Context())
	go func() {
		_, err := f.Document(gone, bad.URL()+"/1", nil)
		waiting <- err
	}()
	leave()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Errorf("the call that hung up: %v", err)
	}
	close(release)
	cancel()
	wg.Wait()
}

func TestPolicy(t *testing.T) {
	web := clientdoctest.New(t)
	id := web.Client("/client.json", "", "http://127.0.0.1/")
	down := errors.New("down")
	for _, tt := range []struct {
		name        string
		allow, deny []string
		ask         func(context.Context, string) (bool, error)
		want        string
	}{
		{"the host", []string{"127.0.0.1"}, nil, nil, "not accepted"}, // it has a port
		{"every host", []string{"*"}, nil, nil, ""},
		{"another host", []string{"client.example", ".0.1.example"}, nil, nil, "not accepted"},
		{"asked for, yes", []string{"*"}, nil, func(_ context.Context, host string) (bool, error) { return host == web.Host(), nil }, ""},
		{"asked for, no", []string{"*"}, nil, func(context.Context, string) (bool, error) { return false, nil }, "not accepted"},
		{"nobody to ask", []string{"*"}, nil, func(context.Context, string) (bool, error) { return true, down }, "down"},
	} {
		f := web.Fetcher(func(o *clientdoc.Options) { o.AllowHosts, o.BlockHosts, o.Allow = tt.allow, tt.deny, tt.ask })
		_, err := f.Document(t.Context(), id, nil)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if _, refused := errors.AsType[*clientdoc.Error](err); refused && errors.Is(err, down) {
			t.Errorf("%s: an outage is a refusal", tt.name)
		}
	}
	// Administrators change their mind about a document that is kept.
	allowed := true
	f := web.Fetcher(func(o *clientdoc.Options) {
		o.Allow = func(context.Context, string) (bool, error) { return allowed, nil }
	})
	for range 2 {
		_, err := f.Document(t.Context(), id, nil)
		if (err == nil) != allowed {
			t.Errorf("allowed %v: %v", allowed, err)
		}
		allowed = false
	}
}
