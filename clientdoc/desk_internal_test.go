package clientdoc

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A server answers without a network, so that time can be virtual.
type server func(*http.Request) (*http.Response, error)

func (s server) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

// TestKept: documents and refusals are kept for their time, and no longer.
func TestKept(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header http.Header
		status int
		want   time.Duration
	}{
		{"a refusal", nil, 404, 10 * time.Second},
		{"a refusal that wants to be kept", http.Header{"Cache-Control": {"max-age=3600"}}, 500, 10 * time.Second},
		{"no fields", nil, 200, 10 * time.Minute},
		{"an hour", http.Header{"Cache-Control": {"public, max-age=3600"}}, 200, time.Hour},
		{"an hour, 10 minutes old", http.Header{"Cache-Control": {"max-age=3600"}, "Age": {"600"}}, 200, 50 * time.Minute},
		{"too long", http.Header{"Cache-Control": {"max-age=2147483647"}}, 200, 24 * time.Hour},
		{"longer than a number", http.Header{"Cache-Control": {"max-age=99999999999999999999"}}, 200, 10 * time.Minute},
		{"too short", http.Header{"Cache-Control": {"max-age=0"}}, 200, time.Minute},
		{"older than it lives", http.Header{"Cache-Control": {"max-age=5"}, "Age": {"4000000"}}, 200, time.Minute},
		{"not at all", http.Header{"Cache-Control": {"No-Store"}}, 200, time.Minute},
		{"not at all, in the second field", http.Header{"Cache-Control": {"max-age=3600", "x, no-cache"}}, 200, time.Minute},
		{"negative", http.Header{"Cache-Control": {"max-age=-1"}}, 200, 10 * time.Minute},
		{"twice", http.Header{"Cache-Control": {"max-age=3600, max-age=7200"}}, 200, time.Hour},
		{"an end in two hours", http.Header{"Expires": {"Sat, 01 Jan 2000 02:00:00 GMT"}}, 200, 2 * time.Hour},
		{"an end in the past", http.Header{"Expires": {"Thu, 01 Dec 1994 16:00:00 GMT"}}, 200, time.Minute},
		{"an end in far future", http.Header{"Expires": {"Fri, 31 Dec 9999 23:59:59 GMT"}}, 200, 24 * time.Hour},
		{"an end that is none", http.Header{"Expires": {"0"}}, 200, 10 * time.Minute},
		{"a time before an end", http.Header{"Cache-Control": {"max-age=3600"}, "Expires": {"0"}}, 200, time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // it begins on 2000-01-01
				f, err := New(&Options{AllowHosts: []string{"*"}})
				if err != nil {
					t.Fatal(err)
				}
				requests := 0
				f.client.Transport = server(func(r *http.Request) (*http.Response, error) {
					requests++
					h := tt.header.Clone()
					if h == nil {
						h = http.Header{}
					}
					h.Set("Content-Type", "application/json")
					return &http.Response{StatusCode: tt.status, Header: h, Request: r, Body: body(`{"client_id":"` + goodURL + `","redirect_uris":["http://[::1]/"]}`)}, nil
				})
				for _, step := range []struct {
					wait time.Duration
					want int
				}{{0, 1}, {tt.want - 1, 1}, {1, 2}, {tt.want, 3}} {
					time.Sleep(step.wait)
					_, err := f.Document(t.Context(), goodURL, nil)
					if (err == nil) != (tt.status == 200) {
						t.Errorf("error %v", err)
					}
					if requests != step.want {
						t.Fatalf("after %v: %d requests, want %d", step.wait, requests, step.want)
					}
				}
			})
		})
	}
}

// TestChanged: a document that is gone after its time is not used any more, and a
// new one replaces it.
func TestChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, err := New(&Options{AllowHosts: []string{"*"}})
		if err != nil {
			t.Fatal(err)
		}
		uri, status := "http://[::1]/", 200
		f.client.Transport = server(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
				Body: body(`{"client_id":"` + goodURL + `","redirect_uris":["` + uri + `"]}`)}, nil
		})
		for _, step := range []struct{ uri, want string }{{"http://[::1]/", "http://[::1]/"}, {"http://127.0.0.1/", "http://127.0.0.1/"}, {"", ""}, {"http://localhost/", "http://localhost/"}} {
			uri, status = step.uri, 200
			if uri == "" {
				status = 404
			}
			d, err := f.Document(t.Context(), goodURL, nil)
			if (err == nil) != (step.want != "") || err == nil && d.RedirectURIs[0] != step.want {
				t.Errorf("document %+v, %v; want %q", d, err, step.want)
			}
			time.Sleep(10 * time.Minute)
		}
	})
}

// TestUnpaid: a call that cannot pay fetches nothing, and refuses no other call that
// waits for it.
func TestUnpaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, err := New(&Options{AllowHosts: []string{"*"}})
		if err != nil {
			t.Fatal(err)
		}
		requests := 0
		f.client.Transport = server(func(r *http.Request) (*http.Response, error) {
			requests++
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
				Body: body(`{"client_id":"` + goodURL + `","redirect_uris":["http://[::1]/"]}`)}, nil
		})
		poor, release := errors.New("no money"), make(chan struct{})
		go func() {
			if _, err := f.Document(t.Context(), goodURL, func() error { <-release; return poor }); !errors.Is(err, poor) {
				t.Errorf("the poor call: %v", err)
			}
		}()
		synctest.Wait()
		paid := 0
		for range 8 {
			go func() {
				if _, err := f.Document(t.Context(), goodURL, func() error { paid++; return nil }); err != nil {
					t.Errorf("another call: %v", err)
				}
			}()
		}
		synctest.Wait() // until they wait
		close(release)
		synctest.Wait()
		if requests != 1 || paid != 1 {
			t.Errorf("%d requests, %d payments", requests, paid)
		}
	})
}

// TestFloods: neither fetches nor what is kept of them grow without a bound.
func TestFloods(t *testing.T) {
	d, now := newDesk(), time.Now()
	var running []*flight
	for i := range maxFetches {
		fl, leads, err := d.join("https://"+strconv.Itoa(i)+".example/", strconv.Itoa(i), now)
		if err != nil || !leads {
			t.Fatalf("fetch %d: %v, %v", i, leads, err)
		}
		running = append(running, fl)
	}
	if _, _, err := d.join("https://one.more/", "one.more", now); err == nil {
		t.Errorf("there are more than %d fetches", maxFetches)
	}
	for i, fl := range running {
		d.leave("https://"+strconv.Itoa(i)+".example/", strconv.Itoa(i), fl)
	}
	for i := range 2*maxKept + 100 {
		id := fmt.Sprint("https://client.example/", i)
		fl, _, err := d.join(id, "client.example", now)
		if err != nil {
			t.Fatal(err)
		}
		fl.lifetime = time.Hour + time.Duration(i)*time.Second
		if i%2 == 0 {
			fl.err = errors.New("refused")
		}
		d.leave(id, "client.example", fl)
	}
	if len(d.documents) != maxKept || len(d.refusals) != maxKept || len(d.running) != 0 || len(d.hosts) != 0 {
		t.Errorf("%d documents, %d refusals, %d fetches, %d hosts", len(d.documents), len(d.refusals), len(d.running), len(d.hosts))
	}
	// What ends first has gone, and what ended goes before it.
	if d.documents["https://client.example/1"] != nil || d.documents[fmt.Sprint("https://client.example/", 2*maxKept+99)] == nil {
		t.Error("the wrong documents have gone")
	}
	makeRoom(d.documents, now.Add(2*time.Hour))
	if len(d.documents) != 0 {
		t.Errorf("%d documents that have ended", len(d.documents))
	}
}

func body(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }
