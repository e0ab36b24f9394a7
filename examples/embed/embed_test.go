package embed_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	client "github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/examples/embed/jobs"
	"github.com/ostiary/auth/examples/embed/ownsessions"
	"github.com/ostiary/auth/examples/embed/ownusers"
	"github.com/ostiary/auth/examples/embed/sister"
	"github.com/ostiary/auth/examples/embed/spa"
	"github.com/ostiary/auth/examples/embed/sse"
	"github.com/ostiary/auth/examples/embed/websocket"
	"github.com/ostiary/auth/examples/embed/withchi"
	"github.com/ostiary/auth/examples/embed/withecho"
	"github.com/ostiary/auth/examples/embed/withgin"
	"github.com/ostiary/auth/examples/embed/withgrpc"
	"github.com/ostiary/auth/examples/embed/withmux"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
	"github.com/ostiary/auth/store/storetest"
)

// One visitor of four routers.
func TestRouters(t *testing.T) {
	for name, build := range map[string]func(*memory.Store) http.Handler{
		"ServeMux": withmux.New, "chi": withchi.New, "gin": withgin.New, "echo": withecho.New,
	} {
		t.Run(name, func(t *testing.T) {
			v := visit(t, build(alice(t)))
			v.wants(401, "not provided", "GET", "/jobs/7", "")
			v.login()
			v.wants(200, "job 7 of alice", "GET", "/jobs/7", "")
			v.wants(200, "job 7 of alice", "POST", "/jobs/7", "")
			v.wants(403, "CSRF", "POST", "/jobs/7", "", "Origin", "https://evil.example")
			read := v.token("read")
			v.wants(302, "", "GET", "/api/logout/", "")
			v.wants(401, "", "GET", "/jobs/7", "")
			v.wants(200, "job 7 of alice", "GET", "/jobs/7", "", "Authorization", read)
			v.wants(403, "permission", "POST", "/jobs/7", "", "Authorization", read)
			v.wants(401, "", "GET", "/jobs/7", "", "Authorization", "Bearer dead")
		})
	}
}

func TestServeMux(t *testing.T) {
	v := visit(t, withmux.New(alice(t)))
	v.wants(200, "hello, stranger", "GET", "/", "")
	v.login()
	v.wants(200, "hello, alice", "GET", "/", "")
	deploy, write := v.token("deploy"), v.token("write")
	v.wants(200, "hello, alice", "POST", "/deploy", "", "Authorization", deploy)
	v.wants(403, "", "POST", "/deploy", "", "Authorization", write)
}

func TestGRPC(t *testing.T) {
	db := alice(t)
	u := auth.Must(db.UserByName(t.Context(), "alice"))
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	server, err := withgrpc.New(tokens)
	if err != nil {
		t.Fatal(err)
	}
	l := auth.Must(net.Listen("tcp", "127.0.0.1:0"))
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	conn := auth.Must(grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials())))
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		<-served
	})
	c := grpc_health_v1.NewHealthClient(conn)
	read := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+authtest.AddToken(t, tokens, u, auth.ScopeRead))
	if _, err := c.Check(t.Context(), nil); err != nil {
		t.Errorf("a public method: %v", err)
	}
	for name, tt := range map[string]struct {
		ctx  context.Context
		want codes.Code
	}{"no token": {t.Context(), codes.Unauthenticated}, "too few scopes": {read, codes.PermissionDenied}} {
		if _, err := c.List(tt.ctx, nil); status.Code(err) != tt.want {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	ctx, cancel := context.WithCancel(read)
	defer cancel()
	stream, err := c.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if err != nil {
		t.Errorf("a stream: %v", err)
	}
}

func TestWebSocket(t *testing.T) {
	v := visit(t, websocket.New(alice(t), time.Millisecond))
	dial := func(origin string) (*client.Conn, *http.Response, error) {
		return client.Dial(t.Context(), v.url+"/echo", &client.DialOptions{HTTPClient: v.client, HTTPHeader: http.Header{"Origin": {origin}}})
	}
	if _, res, err := dial(v.url); err == nil || res.StatusCode != 401 {
		t.Fatalf("nobody: %v", err)
	}
	v.login()
	if _, res, err := dial("https://evil.example"); err == nil || res.StatusCode != 403 {
		t.Fatalf("a page of another origin: %v", err)
	}
	conn, _, err := dial(v.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if err := conn.Write(t.Context(), client.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, text, err := conn.Read(t.Context()); string(text) != "hello" {
		t.Fatalf("%q, %v", text, err)
	}
	v.wants(302, "", "GET", "/api/logout/", "")
	if _, _, err := conn.Read(t.Context()); client.CloseStatus(err) != client.StatusPolicyViolation {
		t.Errorf("after the logout: %v", err)
	}
}

func TestServerSentEvents(t *testing.T) {
	v := visit(t, sse.New(alice(t), time.Millisecond))
	v.wants(401, "", "GET", "/events", "")
	v.login()
	r, _ := http.NewRequestWithContext(t.Context(), "GET", v.url+"/events", nil)
	res, err := v.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	seen := ""
	for lines.Scan() {
		if lines.Text() == "event: ping" && !strings.Contains(seen, "ping") {
			v.wants(302, "", "GET", "/api/logout/", "")
		}
		if text := lines.Text(); !strings.Contains(seen, text) {
			seen += text + "\n"
		}
	}
	if want := "event: hello\ndata: alice\nevent: ping\nevent: ended\ndata: log in again\n"; seen != want {
		t.Errorf("got\n%s\nwant\n%s", seen, want)
	}
}

func TestSPA(t *testing.T) {
	const app = "https://app.example"
	v := visit(t, spa.New(alice(t), app))
	v.login()
	read := v.token("read")
	for _, tt := range []struct {
		name, method, origin string
		fields               []string
		status               int
		allowed              string
	}{
		{"preflight of the page", "OPTIONS", app, []string{"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization"}, 204, app},
		{"preflight of another page", "OPTIONS", "https://evil.example", []string{"Access-Control-Request-Method", "GET"}, 401, ""},
		{"the page", "GET", app, []string{"Authorization", read}, 200, app},
		{"the page, refused", "POST", app, []string{"Authorization", read}, 403, app},
		{"the page, without a token but with the cookie", "GET", app, nil, 401, app},
		{"another page", "GET", "https://evil.example", []string{"Authorization", read}, 200, ""},
	} {
		res, _ := v.do(tt.method, "/jobs/", "", append(tt.fields, "Origin", tt.origin)...)
		if got := res.Header.Get("Access-Control-Allow-Origin"); res.StatusCode != tt.status || got != tt.allowed || res.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %s, allowed %q; want %d and %q", tt.name, res.Status, got, tt.status, tt.allowed)
		}
	}
	// The page of the other origin gets its token here.
	if res, _ := v.do("POST", "/api/o/token/", "", "Origin", app, "Content-Type", form); res.Header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("the token endpoint: %v", res.Header)
	}
}

func TestOwnUsers(t *testing.T) {
	people := new(ownusers.People)
	h, passwords := ownusers.New(people)
	id := people.Add("alice", true)
	if err := passwords.Set(t.Context(), id, password); err != nil {
		t.Fatal(err)
	}
	v := visit(t, h)
	v.wants(401, "", "GET", "/api/v2/me/", "")
	v.login()
	v.wants(200, `"username":"alice"`, "GET", "/api/v2/me/", "")
	token := v.token("read")
	if err := passwords.Set(t.Context(), id, "another password of hers"); err != nil {
		t.Fatal(err)
	}
	v.wants(401, "", "GET", "/api/v2/me/", "")
	v.wants(200, `"username":"alice"`, "GET", "/api/v2/me/", "", "Authorization", token)
	storetest.RunUsers(t, func(*testing.T) storetest.HostUsers {
		people := new(ownusers.People)
		return storetest.HostUsers{Users: people, Add: func(ctx context.Context, u store.User) (store.User, error) {
			return people.UserByID(ctx, people.Add(u.Name, u.Active))
		}}
	})
}

func TestOwnSessions(t *testing.T) {
	v := visit(t, ownsessions.New(alice(t)))
	v.wants(401, "", "GET", "/jobs/", "")
	v.wants(401, "", "POST", "/login", "name=alice&password=wrong", "Content-Type", form)
	v.wants(200, "", "POST", "/login", url.Values{"name": {"alice"}, "password": {password}}.Encode(), "Content-Type", form)
	v.wants(200, "jobs of alice", "POST", "/jobs/", "")
	v.wants(403, "CSRF", "POST", "/jobs/", "", "Origin", "https://evil.example")
	token := v.token("read")
	v.wants(200, "", "POST", "/logout", "")
	v.wants(401, "", "GET", "/jobs/", "")
	v.wants(200, "jobs of alice", "GET", "/jobs/", "", "Authorization", token)
	v.wants(403, "", "POST", "/jobs/", "", "Authorization", token)
}

func TestSister(t *testing.T) {
	var accounts http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { accounts.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	h, app, err := sister.NewAccounts(t.Context(), alice(t), srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	accounts = h
	second, err := sister.NewJobs(srv.URL, app.ClientID, app.ClientSecret)
	if err != nil {
		t.Fatal(err)
	}
	here, there := visit(t, h), visit(t, second)
	here.login()
	read := here.token("read")
	there.wants(401, "", "GET", "/jobs/", "")
	there.wants(200, "jobs of alice", "GET", "/jobs/", "", "Authorization", read)
	there.wants(403, "", "POST", "/jobs/", "", "Authorization", read)
	there.wants(401, "", "GET", "/jobs/", "", "Authorization", "Bearer dead")
	srv.Close()
	there.wants(503, "", "GET", "/jobs/", "", "Authorization", "Bearer unknown")
}

func TestJobs(t *testing.T) {
	db := alice(t)
	s := jobs.New(db)
	v := visit(t, s.Handler)
	v.wants(401, "", "POST", "/jobs/report", "")
	v.login()
	v.wants(403, "", "POST", "/jobs/report", "", "Authorization", v.token("read"))
	v.wants(202, "", "POST", "/jobs/report", "")
	v.wants(202, "", "POST", "/jobs/report", "")
	var ran []string
	do := func(ctx context.Context, name string) error {
		p, _ := auth.FromContext(ctx)
		ran = append(ran, name+" of "+p.Name)
		return nil
	}
	job := <-s.Queue
	if err := s.Run(t.Context(), job, do); err != nil || len(ran) != 1 || ran[0] != "report of alice" {
		t.Errorf("%q, %v", ran, err)
	}
	if err := s.Run(t.Context(), job, do); err == nil {
		t.Error("the token of the job outlived it")
	}
	u := auth.Must(db.UserByName(t.Context(), "alice"))
	if _, err := db.ChangeUser(t.Context(), u.ID, store.UserChange{Active: new(bool)}); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context(), <-s.Queue, do); err == nil || len(ran) != 1 {
		t.Errorf("the job of a disabled user ran: %v", err)
	}
}
