// Package proxytest_test puts nginx, HAProxy and Caddy in front of a service, and
// Python's cryptography on the other side of X-Trusted-Proxy. It needs Debian's
// packages nginx-light, haproxy, caddy and python3-cryptography; what is not
// installed is skipped, and with CI set it is a failure.
package proxytest_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/internal/porttest"
	"github.com/ostiary/auth/internal/servertest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// The proxies connect from 127.0.0.1, the clients from elsewhere in 127/8.
const (
	proxyAddr  = "127.0.0.1"
	clientAddr = "127.0.0.77"
	publicHost = "public.example"
)

var quiet = slog.New(slog.DiscardHandler)

// A seen is what the service sees of a request.
type seen struct {
	Client string
	Proven bool
	Header http.Header
}

// need returns the path of a program.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := servertest.Program(program, "/usr/sbin/"+program, program)
	servertest.Check(t, err)
	return path
}

// A proxy is one under test.
type proxy struct {
	name    string
	program string
	args    func(config string) []string
	config  string // a template over configData
	lua     string // the same, for asks.lua
	// forwarded says that it is configured to write Forwarded, not X-Forwarded-For.
	forwarded bool
}

type configData struct {
	Dir, Cert           string // files of a directory of its own
	Plain, TLS          string // addresses to listen on
	Upstream, Questions string // addresses of the service and of ForwardAuth
}

var nginxHead = `
daemon off;
pid {{.Dir}}/pid;
error_log stderr crit;
worker_processes 1;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path {{.Dir}}/1; proxy_temp_path {{.Dir}}/2; fastcgi_temp_path {{.Dir}}/3; uwsgi_temp_path {{.Dir}}/4; scgi_temp_path {{.Dir}}/5;
	# As permissive as it can be: everything that clients send gets through.
	underscores_in_headers on;
	ignore_invalid_headers off;
	large_client_header_buffers 8 64k;
	server {
		listen {{.Plain}};
		listen {{.TLS}} ssl;
		ssl_certificate {{.Cert}}; ssl_certificate_key {{.Cert}};
		proxy_set_header Host $http_host;
		proxy_set_header X-Forwarded-Proto $scheme;
`

// haproxyAsks asks as auth_request does, with what HAProxy comes with.
const haproxyAsks = `
core.register_action("asks", {"http-req"}, function(txn)
	local headers = {}
	for name, values in pairs(txn.http:req_get_headers()) do
		headers[name] = {}
		for _, value in pairs(values) do table.insert(headers[name], value) end
	end
	for _, name in ipairs({"connection", "upgrade", "keep-alive", "te", "trailer", "content-length", "transfer-encoding", "expect"}) do
		headers[name] = nil
	end
	headers["x-forwarded-for"] = {txn.sf:src()}
	headers["x-forwarded-method"] = {txn.sf:method()}
	headers["x-forwarded-uri"] = {txn.sf:url()}
	local reply = core.httpclient():get{url = "http://{{.Questions}}/question", headers = headers, timeout = 5000}
	txn:set_var("txn.status", reply.status)
	for var, name in pairs({["txn.user"] = "x-remote-user", ["txn.proof"] = "x-trusted-proxy", ["txn.location"] = "location"}) do
		local values = reply.headers and reply.headers[name]
		if values then txn:set_var(var, values[0] or values[1]) end
	end
end)
`

var proxies = []proxy{
	{
		name: "nginx", program: "nginx",
		args: func(config string) []string { return []string{"-c", config, "-e", "stderr"} },
		config: nginxHead + `
		proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
		location / { proxy_pass http://{{.Upstream}}; }
		location /asked/ {
			auth_request /question;
			auth_request_set $user $upstream_http_x_remote_user;
			auth_request_set $proof $upstream_http_x_trusted_proxy;
			auth_request_set $login $upstream_http_location;
			error_page 401 = @login;
			proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $http_connection;
			proxy_set_header X-Remote-User $user;
			proxy_set_header X-Trusted-Proxy $proof;
			proxy_set_header X-Envoy-External-Address "";
			proxy_set_header X-Forwarded-For $remote_addr;
			proxy_set_header X-Forwarded-Proto $scheme;
			proxy_set_header Host $http_host;
			proxy_pass http://{{.Upstream}};
		}
		location @login {
			if ($login) { return 302 $login; }
			return 401;
		}
		location = /question {
			internal;
			proxy_pass http://{{.Questions}};
			proxy_pass_request_body off;
			proxy_set_header Content-Length "";
			proxy_set_header Host $http_host;
			proxy_set_header X-Forwarded-For $remote_addr;
			proxy_set_header X-Forwarded-Proto $scheme;
			proxy_set_header X-Forwarded-Method $request_method;
			proxy_set_header X-Forwarded-Uri $request_uri;
		}
	}
}`,
	},
	{
		name: "nginx with Forwarded", program: "nginx", forwarded: true,
		args: func(config string) []string { return []string{"-c", config, "-e", "stderr"} },
		config: nginxHead + `
		proxy_set_header Forwarded "$http_forwarded, for=$remote_addr;proto=$scheme";
		location / { proxy_pass http://{{.Upstream}}; }
	}
}`,
	},
	{
		name: "haproxy", program: "haproxy",
		args: func(config string) []string { return []string{"-db", "-f", config} },
		lua:  haproxyAsks,
		config: `
global
	maxconn 64
	tune.bufsize 65536
	lua-load {{.Dir}}/asks.lua
defaults
	mode http
	timeout connect 5s
	timeout client 5s
	timeout server 5s
frontend public
	bind {{.Plain}}
	bind {{.TLS}} ssl crt {{.Cert}}
	option forwardfor
	http-request set-header X-Forwarded-Proto https if { ssl_fc }
	http-request set-header X-Forwarded-Proto http unless { ssl_fc }
	acl asked path_beg /asked/
	http-request lua.asks if asked # /question
	http-request redirect code 302 location %[var(txn.location)] if asked { var(txn.location) -m found }
	http-request deny deny_status 401 if asked { var(txn.status) -m int 401 }
	http-request deny deny_status 403 if asked { var(txn.status) -m int 403 }
	http-request deny deny_status 503 if asked !{ var(txn.status) -m int 200 }
	http-request del-header X-Remote-User -m str if asked
	http-request del-header X-Trusted-Proxy -m str if asked
	http-request del-header X-Envoy-External-Address -m str if asked
	http-request set-header X-Remote-User %[var(txn.user)] if asked { var(txn.user) -m found }
	http-request set-header X-Trusted-Proxy %[var(txn.proof)] if asked { var(txn.proof) -m found }
	default_backend service
backend service
	server service {{.Upstream}}
`,
	},
	{
		name: "caddy", program: "caddy",
		args: func(config string) []string { return []string{"run", "--config", config, "--adapter", "caddyfile"} },
		config: `{
	admin off
	auto_https off
	skip_install_trust
	storage file_system {{.Dir}}
	log {
		level ERROR
	}
}
(service) {
	handle /asked/* {
		request_header -X-Envoy-External-Address
		forward_auth {{.Questions}} {
			uri /question
			copy_headers X-Remote-User X-Trusted-Proxy
		}
		reverse_proxy {{.Upstream}}
	}
	reverse_proxy {{.Upstream}}
}
http://{{.Plain}}, http://` + publicHost + `:{{port .Plain}} {
	bind 127.0.0.1
	import service
}
https://{{.TLS}}, https://` + publicHost + `:{{port .TLS}} {
	bind 127.0.0.1
	tls {{.Cert}} {{.Cert}}
	import service
}
`,
	},
}

// start starts p in front of the service and returns where it listens.
func (p *proxy) start(t *testing.T, upstream, questions string) configData {
	t.Helper()
	program := need(t, p.program)
	data := configData{Dir: t.TempDir(), Upstream: upstream, Questions: questions, Plain: freeAddr(t), TLS: freeAddr(t)}
	data.Cert = filepath.Join(data.Dir, "cert.pem")
	writeCertificate(t, data.Cert)
	config := filepath.Join(data.Dir, "config")
	text := data.write(t, config, p.config)
	data.write(t, filepath.Join(data.Dir, "asks.lua"), p.lua)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, p.args(config)...)
	cmd.Env = append(os.Environ(), "HOME="+data.Dir, "XDG_DATA_HOME="+data.Dir, "XDG_CONFIG_HOME="+data.Dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	running, err := servertest.Start(cmd)
	servertest.Check(t, err)
	t.Cleanup(func() { cancel(); <-running.Exited })
	for _, addr := range []string{data.Plain, data.TLS} { // Caddy begins with one of them
		err := running.Answers(func(context.Context) error {
			c, err := net.Dial("tcp", addr)
			if err == nil {
				c.Close()
			}
			return err
		})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	}
	return data
}

// write writes a file that is a template over data, and returns its text.
func (data configData) write(t *testing.T, path, source string) string {
	t.Helper()
	var text bytes.Buffer
	funcs := template.FuncMap{"port": func(addr string) string { return addr[strings.LastIndex(addr, ":")+1:] }}
	if err := template.Must(template.New("").Funcs(funcs).Parse(source)).Execute(&text, data); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// freeAddr returns an address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	ports, err := porttest.Free(proxyAddr, 1)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort(proxyAddr, strconv.Itoa(ports[0]))
}

func writeCertificate(t *testing.T, path string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: publicHost}, DNSNames: []string{publicHost},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// newService starts the service and returns its address.
func newService(t *testing.T, opts *auth.ProxyOptions) string {
	t.Helper()
	opts.Peers, opts.Logger = []netip.Prefix{netip.MustParsePrefix(proxyAddr + "/32")}, quiet
	p := auth.Must(auth.NewProxy(opts))
	db := memory.New()
	passwords := auth.Must(auth.NewPasswords(db, db, &auth.PasswordsOptions{Logger: quiet}))
	u, err := db.InsertUser(t.Context(), store.User{Name: "alice", Active: true})
	if err == nil {
		err = passwords.Set(t.Context(), u.ID, "correct horse battery")
	}
	if err != nil {
		t.Fatal(err)
	}
	session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{Logger: quiet}))
	gate := auth.NewGate(session, &auth.GateOptions{Logger: quiet})
	mux := http.NewServeMux()
	mux.Handle("/api/", auth.Must(httpapi.New(httpapi.Config{Gate: gate, Users: db, Passwords: passwords, Session: session})))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(seen{auth.ClientAddr(r).String(), auth.ProvenProxy(r.Context()), r.Header})
	})
	srv := httptest.NewServer(p.Handler(mux))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// dial connects from the client's address.
func dial(t *testing.T, to string, useTLS bool) net.Conn {
	t.Helper()
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientAddr)}, Timeout: 5 * time.Minute}
	var c net.Conn
	var err error
	if useTLS {
		// Self-signed, and made a moment ago by this test.
		c, err = tls.DialWithDialer(d, "tcp", to, &tls.Config{InsecureSkipVerify: true, ServerName: publicHost})
	} else {
		c, err = d.Dial("tcp", to)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

// ask sends lines as they are, from the client's address. An error is that the
// proxy hung up, which is as good as a refusal.
func ask(t *testing.T, to string, useTLS bool, path string, lines ...string) (*http.Response, []byte, error) {
	t.Helper()
	return request(t, to, useTLS, "GET", path, lines...)
}

// request is ask with another method.
func request(t *testing.T, to string, useTLS bool, method, path string, lines ...string) (*http.Response, []byte, error) {
	t.Helper()
	c := dial(t, to, useTLS)
	defer c.Close()
	port := to[strings.LastIndex(to, ":"):]
	text := method + " " + path + " HTTP/1.1\r\nHost: " + publicHost + port + "\r\n" + strings.Join(append(lines, "", ""), "\r\n")
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, body, nil
}

// send asks, and returns the status, 0 if there was none, and what the service
// saw if it was asked.
func send(t *testing.T, to string, useTLS bool, path string, lines ...string) (status int, got seen) {
	t.Helper()
	res, body, err := ask(t, to, useTLS, path, lines...)
	if err != nil {
		return 0, got
	}
	if res.StatusCode == http.StatusOK {
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%s: %q", err, body)
		}
	}
	return res.StatusCode, got
}

func (s seen) String() string {
	return fmt.Sprintf("client %s, proven %v, %v", s.Client, s.Proven, s.Header)
}
