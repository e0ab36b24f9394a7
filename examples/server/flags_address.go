package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"strings"
)

func (c *config) addressFlags(f *flag.FlagSet) {
	f.StringVar(&c.addr, "addr", "127.0.0.1:8080", "`address` to listen on; port 0 takes a free one")
	f.StringVar(&c.url, "url", "", "public `address` of the server, for OAuth metadata, the device grant and browsers\nbehind a TLS proxy, such as https://api.example (default http:// or https:// and\n-addr if that is a loopback address, otherwise none)")
	f.StringVar(&c.tlsCert, "tls-cert", "", "PEM `file` with the certificate and those between it and the root. With it the server\nspeaks TLS 1.2 and 1.3. It is read again within 10s when it changes, and on SIGHUP")
	f.StringVar(&c.tlsKey, "tls-key", "", "PEM `file` with the private key of -tls-cert")
	f.Var(list{&c.proxies}, "trusted-proxies", "`list` of addresses and CIDR prefixes of proxies that are believed about the client,\nwith commas in between (AWX: PROXY_IP_ALLOWED_LIST)")
	f.Var(list{&c.addressFields}, "remote-host-headers", "`list` of header fields with the client's address that -trusted-proxies set, best\nfirst (AWX: REMOTE_HOST_HEADERS; default X-Forwarded-For)")
	f.BoolVar(&c.forwardedHost, "forwarded-host", false, "believe -trusted-proxies about the host that the client asked for, too\n(X-Forwarded-Host; AWX: USE_X_FORWARDED_HOST)")
	f.BoolVar(&c.gateway, "gateway-paths", false, "serve me, users, tokens, applications, login and logout below /api/gateway/v1/, too,\nwhere the Ansible platform has them")
	f.StringVar(&c.product, "product", "Ostiary", "`name` that the pages for people show")
	f.Var(orNone(&c.drain), "drain", "`time` after SIGTERM in which requests are still taken, while /readyz says 503, so\nthat a balancer can turn to other servers (default 0s)")
}

// resolve returns the address to listen on, before anything does.
func (c *config) resolve() (*net.TCPAddr, error) {
	addr, err := net.ResolveTCPAddr("tcp", c.addr)
	if err != nil {
		return nil, c.listenError(&net.OpError{Op: "listen", Net: "tcp", Err: err})
	}
	return addr, nil
}

func (c *config) listenError(err error) error {
	return fmt.Errorf("%s: %w; %s", c.settings.at("addr"), err, listenRemedy(err))
}

// tls reports whether the server speaks TLS itself.
func (c *config) tls() bool { return c.tlsCert != "" }

func (c *config) checkTLS() error {
	s := c.settings
	switch {
	case c.tlsCert != "" && c.tlsKey == "":
		return fmt.Errorf("%s: a certificate needs its private key; name the file with -tls-key", s.at("tls-cert"))
	case c.tlsCert == "" && c.tlsKey != "":
		return fmt.Errorf("%s: a private key needs its certificate; name the file with -tls-cert", s.at("tls-key"))
	case c.tls() && strings.HasPrefix(c.url, "http://"):
		return fmt.Errorf("%s: the server speaks TLS (%s): the address begins with https://", s.at("url"), s.at("tls-cert"))
	case c.tls() && c.insecureCookie && s.given("insecure-cookie"):
		return fmt.Errorf("%s: the server speaks TLS (%s), which needs no such cookie; leave one of them out", s.at("insecure-cookie"), s.at("tls-cert"))
	}
	return nil
}

// errNoPort is about an address whose port is not known before the server listens.
var errNoPort = errors.New("port 0 is another one at each start; write the port of the server")

// localAddress returns where this machine reaches the server.
func (c *config) localAddress() (string, error) {
	addr, err := c.resolve()
	if err != nil {
		return "", err
	}
	if addr.Port == 0 {
		return "", fmt.Errorf("%s: %w", c.settings.at("addr"), errNoPort)
	}
	if addr.IP == nil || addr.IP.IsUnspecified() {
		// A server on all addresses of version 6 has those of version 4, too.
		if host, _, _ := net.SplitHostPort(c.addr); strings.Contains(host, ":") {
			addr.IP = net.IPv6loopback
		} else {
			addr.IP = net.IPv4(127, 0, 0, 1)
		}
	}
	return addr.String(), nil
}
