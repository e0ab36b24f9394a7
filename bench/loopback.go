package bench

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
)

// connections is how many clients ask at the same time, each on a connection of its
// own, unless a server says otherwise. Their program has one thread.
const connections = 32

// A Server is a contestant over loopback.
type Server struct {
	Name    string
	Base    string // the name of the server whose share this one keeps; "" is a base itself
	Handler http.Handler
	Path    string
	Fields  http.Header
	Status  int
	Clients int // 0 means 32
}

// A Share is what is left of the throughput of a base, and what a request costs.
type Share struct {
	Name, Base string
	PerSecond  float64 // median of the rounds
	Of         float64 // of the base in the same round: median of the ratios
	// CPU is the process time of the server for one request, in ns. OfCPU is what the
	// base takes of it in the same round, median of the ratios: the share that is left
	// where the server alone has the processor. Neighbours on the machine hardly change
	// it. Both are 0 without wrk, because the clients are then part of the process.
	CPU, OfCPU float64
	// Bytes is what the server allocates for one request. It is 0 without wrk.
	Bytes float64
}

// Loopback is what a run over loopback has measured.
type Loopback struct {
	Generator string
	Rounds    int
	Each      time.Duration // of one server in a round
	Shares    []Share
}

// Servers returns the servers of this module and their bases, which are sent the same
// and check nothing.
func Servers(tb testing.TB) []Server {
	s := newSystem(tb)
	tokens := s.issue(tb, Stored)
	token := http.Header{"Authorization": {"Bearer " + tokens[0]}}
	cookie := http.Header{"Cookie": {s.login(func(*http.Request) {})}}
	basic := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("alice:"+password))}}
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(Passed) })
	varied := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Vary"] = varies
		w.WriteHeader(Passed)
	})
	spoken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { speak(w) })
	oursSpoken := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, ok := auth.FromContext(r.Context()); ok && p.Name == "alice" {
			speak(w)
		}
	})
	api := auth.Must(httpapi.New(httpapi.Config{Gate: s.gate, Users: s.db, Passwords: s.words, Tokens: s.tokens, Session: s.session, Logger: quiet}))
	const me = "/api/v2/me/"
	return []Server{
		{"bare", "", bare, "/", token, Passed, 0},
		{"bare, with Vary", "bare", varied, "/", token, Passed, 0},
		{"floor, tuned", "bare", tuned(tokens, theirs), "/", token, Passed, 0},
		{"floor, every duty", "bare", newDuties(tokens, s.alice).require(dutiful), "/", token, Passed, 0},
		{"Require, bearer", "bare", s.gate.Require(ours), "/", token, Passed, 0},
		{"bare, with a body", "", spoken, "/", token, http.StatusOK, 0},
		{"Require, bearer, with a body", "bare, with a body", s.gate.Require(oursSpoken), "/", token, http.StatusOK, 0},
		{"Require, bearer, 16 clients", "", s.gate.Require(ours), "/", token, Passed, 16},
		{"Require, bearer, 256 clients", "Require, bearer, 16 clients", s.gate.Require(ours), "/", token, Passed, 256},
		{"bare, 16 clients", "", bare, "/", token, Passed, 16},
		{"bare, 256 clients", "bare, 16 clients", bare, "/", token, Passed, 256},
		{"bare, with a cookie", "", bare, "/", cookie, Passed, 0},
		{"Require, session", "bare, with a cookie", s.session.Handler(s.gate.Require(ours)), "/", cookie, Passed, 0},
		{"bare, with Basic", "", bare, "/", basic, Passed, 0},
		{"Require, Basic", "bare, with Basic", s.gate.Require(ours), "/", basic, Passed, 0},
		{"bare, what me/ answers", "", echo(api, me, token), me, token, http.StatusOK, 0},
		{me + ", bearer", "bare, what me/ answers", api, me, token, http.StatusOK, 0},
	}
}

// speak answers as an API does, with a field of its own and a body.
func speak(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"id":1,"name":"alice"}`)
}

// echo returns a handler that answers what h does, the same for every request.
func echo(h http.Handler, path string, fields http.Header) http.Handler {
	r := NewRequest(fields.Clone())
	r.URL.Path = path
	w := &recorder{header: make(http.Header)}
	h.ServeHTTP(w, r)
	return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		header := rw.Header()
		for name, values := range w.header {
			header[name] = values
		}
		rw.WriteHeader(w.status)
		_, _ = rw.Write(w.body)
	})
}

type recorder struct {
	header http.Header
	status int
	body   []byte
}

func (w *recorder) Header() http.Header    { return w.header }
func (w *recorder) WriteHeader(status int) { w.status = status }
func (w *recorder) Write(b []byte) (int, error) {
	w.body = append(w.body, b...)
	return len(b), nil
}

// MeasureLoopback serves all servers on 127.0.0.1 and asks them in turn, in an order
// that changes with each round, each for so long. Clients are wrk, and a
// part of this process where wrk is not installed. It panics if an answer has not
// the status of its server.
func MeasureLoopback(servers []Server, rounds int, each time.Duration) Loopback {
	l := Loopback{Generator: "wrk", Rounds: rounds}
	wrk, err := exec.LookPath("wrk")
	if err == nil {
		each = max(time.Second, each.Truncate(time.Second)) // it takes nothing else
	} else {
		l.Generator = "a part of the process of the server, because wrk is not installed (Debian has a package of that name)"
	}
	l.Each = each
	urls := make([]string, len(servers))
	for i, s := range servers {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		srv := &http.Server{Handler: s.Handler}
		go func() { _ = srv.Serve(listener) }()
		defer srv.Close()
		urls[i] = "http://" + listener.Addr().String() + s.Path
		ask(http.DefaultClient, urls[i], s) // wrk only tells that a status is no success
	}
	rates, cpus, bytes := make([][]float64, len(servers)), make([][]float64, len(servers)), make([][]float64, len(servers))
	var before, after runtime.MemStats
	for range rounds {
		for _, i := range turns(servers) {
			if wrk == "" {
				rates[i] = append(rates[i], askAll(urls[i], servers[i], each))
				continue
			}
			runtime.ReadMemStats(&before)
			spent := processTime()
			n, perSecond := runWrk(wrk, urls[i], servers[i], each)
			spent = processTime() - spent
			runtime.ReadMemStats(&after)
			rates[i] = append(rates[i], perSecond)
			cpus[i] = append(cpus[i], spent/n)
			bytes[i] = append(bytes[i], float64(after.TotalAlloc-before.TotalAlloc)/n)
		}
	}
	for i, s := range servers {
		share := Share{Name: s.Name, Base: s.Base, PerSecond: median(rates[i])}
		if wrk != "" {
			share.CPU, share.Bytes = median(cpus[i]), median(bytes[i])
		}
		for j, base := range servers {
			if base.Name == s.Base {
				share.Of = median(ratios(rates[i], rates[j]))
				if wrk != "" {
					share.OfCPU = median(ratios(cpus[j], cpus[i]))
				}
			}
		}
		l.Shares = append(l.Shares, share)
	}
	return l
}

// turns returns the servers in the order of a round. Those that are compared follow
// one another, so that what the machine does else hits both alike.
func turns(servers []Server) []int {
	order := rand.Perm(len(servers))
	group := func(i int) string { return cmp.Or(servers[i].Base, servers[i].Name) }
	place := make(map[string]int)
	for n, i := range order {
		if _, ok := place[group(i)]; !ok {
			place[group(i)] = n
		}
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(place[group(i)], place[group(j)]) })
	return order
}

// ratios returns a/b for each round.
func ratios(a, b []float64) []float64 {
	list := make([]float64, len(a))
	for i := range list {
		list[i] = a[i] / b[i]
	}
	return list
}

var (
	wrkCount = regexp.MustCompile(`(\d+) requests in`)
	wrkRate  = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)
	wrkOdd   = regexp.MustCompile(`(?m)^\s*(?:Non-2xx|Socket errors).*$`)
)

// runWrk returns how many requests wrk has sent and how many in a second.
func runWrk(wrk, url string, s Server, each time.Duration) (n, perSecond float64) {
	args := []string{"-t1", "-c" + strconv.Itoa(cmp.Or(s.Clients, connections)), "-d" + strconv.Itoa(int(each.Seconds())) + "s"}
	for name, values := range s.Fields {
		args = append(args, "-H", name+": "+values[0])
	}
	ctx, cancel := context.WithTimeout(context.Background(), each+time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, wrk, append(args, url)...).CombinedOutput()
	count, rate := wrkCount.FindSubmatch(out), wrkRate.FindSubmatch(out)
	if err != nil || count == nil || rate == nil || wrkOdd.Match(out) {
		panic(fmt.Sprintf("wrk at %s: %v\n%s", s.Name, err, wrkOdd.Find(out))) // the rest has no credential, but the arguments have
	}
	n, err1 := strconv.ParseFloat(string(count[1]), 64)
	perSecond, err2 := strconv.ParseFloat(string(rate[1]), 64)
	if err := errors.Join(err1, err2); err != nil {
		panic(err)
	}
	return n, perSecond
}

// ask sends one request and reads the answer.
func ask(c *http.Client, url string, s Server) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		panic(err)
	}
	if s.Fields != nil {
		r.Header = s.Fields
	}
	resp, err := c.Do(r)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != s.Status {
		panic(fmt.Sprintf("%s answers %d, %v", s.Name, resp.StatusCode, err))
	}
}

// askAll returns how many answers all connections get in a second.
func askAll(url string, s Server, each time.Duration) float64 {
	clients := cmp.Or(s.Clients, connections)
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}, Timeout: time.Minute}
	defer c.CloseIdleConnections()
	began := time.Now()
	var sum atomic.Int64
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			n := int64(0)
			for ; time.Since(began) < each; n++ {
				ask(c, url, s)
			}
			sum.Add(n)
		})
	}
	all.Wait()
	return float64(sum.Load()) / time.Since(began).Seconds()
}
