package auth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Proxy decides which requests come from a proxy that may be believed, and what
// then counts as the client: see [ClientAddr] and [ProvenProxy]. Its
// [Proxy.Handler] belongs around everything else.
//
// Whether a peer is believed follows from the connection and from a signature,
// never from what a forwarding field says.
type Proxy struct {
	opts      ProxyOptions
	fields    *fields
	addresses []string // fields with the client address, first one first
	signed    []string // the same for a signed request
	proof     *verifier
	log       *slog.Logger
}

// ProxyOptions are the options of [NewProxy]. A zero ProxyOptions believes
// nobody: the peer of the connection is the client.
type ProxyOptions struct {
	// Peers are the addresses of the proxies; [ParsePeers] reads AWX's
	// PROXY_IP_ALLOWED_LIST. They are also the hops that are passed over on the
	// way from the peer to the client. Prefixes shorter than /8, or /7 for IPv6,
	// are refused: half the internet is not a proxy.
	Peers []netip.Prefix

	// UnixSocket takes the peer of every connection over a Unix socket for a
	// proxy, and for proven: the mode of the socket says who that can be.
	UnixSocket bool

	// PeerCertificate reports whether a client certificate that the TLS server
	// has verified is a proxy's. Such a request is proven. Nil means that
	// certificates do not matter.
	PeerCertificate func(*x509.Certificate) bool

	// AddressFields are the fields with the client address that the proxies
	// write, best first, as themselves or as AWX's REMOTE_HOST_HEADERS has them
	// (HTTP_X_FORWARDED_FOR). The first one with a value decides. Nil means
	// X-Forwarded-For. The list ends at REMOTE_ADDR or REMOTE_HOST, which stand
	// for the peer. Only name what every proxy sets or overwrites: a field that
	// it passes on is the client's own word.
	AddressFields []string

	// ForwardedHost believes the host in X-Forwarded-Host, or in Forwarded if
	// that is in AddressFields, besides the scheme. Origins are compared with it.
	ForwardedHost bool

	// Protected are further fields that only the proxies may set, such as
	// X-Forwarded-Prefix. From others they are removed; other forwarding fields
	// are removed in any case.
	Protected []string

	// UserField is the field with the name of the user, for [NewProxyUsers]; ""
	// means none. It is kept in proven requests only.
	UserField string

	// Proof verifies the signatures of a gateway in X-Trusted-Proxy. With it a
	// peer in Peers is believed only if the request is signed, too. As in AWX,
	// X-Envoy-External-Address and then X-Forwarded-For come before
	// AddressFields in a signed request, so the gateway must set both or remove
	// what clients send. Nil means that no signature is looked at.
	Proof *ProofOptions

	// InsecureAddressAlone counts an address in Peers as proof of identity. Who
	// else is on the machine, or on the network, can then act for any user.
	InsecureAddressAlone bool

	// Logger receives the events. Nil means [slog.Default].
	Logger *slog.Logger
}

// NewProxy returns a proxy with these options; nil means that nobody is
// believed. It returns an error for options that are contradictory, or so wide
// that they would believe anybody.
func NewProxy(opts *ProxyOptions) (*Proxy, error) {
	var o ProxyOptions
	if opts != nil {
		o = *opts
	}
	p := &Proxy{opts: o, fields: newFields(), log: logger(o.Logger)}
	var err error
	if p.opts.Peers, err = checkPeers(o.Peers); err != nil {
		return nil, err
	}
	if err := p.configureFields(); err != nil {
		return nil, err
	}
	if o.InsecureAddressAlone && (len(o.Peers) == 0 || o.Proof != nil) {
		return nil, errors.New("auth: ProxyOptions.InsecureAddressAlone needs Peers, and contradicts Proof")
	}
	if o.Proof != nil {
		if !o.Proof.InsecureAnyPeer && len(o.Peers) == 0 && !o.UnixSocket && o.PeerCertificate == nil {
			return nil, errors.New("auth: ProxyOptions.Proof without Peers proves nothing: list the addresses of the gateway")
		}
		if p.proof, err = newVerifier(o.Proof, p.fields.covered(), p.log); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// configureFields says which fields pass from whom.
func (p *Proxy) configureFields() error {
	names := p.opts.AddressFields
	if names == nil {
		names = []string{fieldFor}
	}
	read := true
	for _, s := range names {
		if socketNames[s] {
			read = false // the peer is always known, so what follows is never asked
			continue
		}
		name, err := parseFieldName(s)
		if err != nil {
			return fmt.Errorf("auth: ProxyOptions.AddressFields: %w", err)
		}
		switch name {
		case fieldProto, fieldHost:
			return fmt.Errorf("auth: ProxyOptions.AddressFields: %q holds no address", s)
		}
		if read {
			p.addresses = append(p.addresses, name)
			p.fields.allow(name, passTrusted)
		} else {
			p.fields.allow(name, passNobody)
		}
	}
	p.fields.allow(fieldProto, passTrusted)
	if p.opts.ForwardedHost {
		p.fields.allow(fieldHost, passTrusted)
	}
	for _, s := range p.opts.Protected {
		name, err := parseFieldName(s)
		if err != nil {
			return fmt.Errorf("auth: ProxyOptions.Protected: %w", err)
		}
		p.fields.allow(name, passTrusted)
	}
	p.fields.allow(fieldGatewayJWT, passProven)
	if p.opts.Proof != nil {
		p.fields.allow(fieldProof, passTrusted)
		p.fields.allow(fieldEnvoy, passTrusted)
		p.fields.allow(fieldFor, passTrusted)
		// What AWX puts in front for a signed request.
		p.signed = append([]string{fieldEnvoy, fieldFor}, p.addresses...)
	}
	if p.opts.UserField != "" {
		name, err := parseFieldName(p.opts.UserField)
		if err != nil {
			return fmt.Errorf("auth: ProxyOptions.UserField: %w", err)
		}
		if known := p.fields.byName[strings.ToLower(name)]; known.pass != passNobody {
			return fmt.Errorf("auth: ProxyOptions.UserField: %q is configured as another field, too", p.opts.UserField)
		}
		p.opts.UserField = name
		p.fields.allow(name, passProven)
	}
	return nil
}

// Handler returns a handler that gives next what is proved of a request: the
// client's address, scheme and host, in the context, and of the forwarding fields
// only those that a believed proxy has set. All others are removed, in every
// spelling. The request itself, and RemoteAddr, are not changed: next gets a copy
// where they differ. It never refuses a request. Nesting is harmless.
func (p *Proxy) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, p.resolve(r))
	})
}

// resolve returns the request that the handlers get.
func (p *Proxy) resolve(r *http.Request) *http.Request {
	if c := forwardedOf(r.Context()); c != nil && c.by == p {
		return r // a proof that counts once must not be counted twice
	}
	peer, trusted, credit := p.peer(r)
	signed := false
	if p.proof != nil {
		switch {
		case !trusted && !p.proof.opts.InsecureAnyPeer:
		case len(r.Header[fieldProof]) == 0:
			trusted, credit = false, passNobody
		default:
			err := p.proof.verify(r, time.Now())
			if err != nil {
				p.eventUnproven(r, err)
			}
			signed = err == nil
			trusted, credit = signed, passNobody
			if signed {
				credit = passProven
			}
		}
	}
	forged := p.fields.anyForged(r.Header, credit)
	if !trusted {
		if !forged {
			return r
		}
		r = r.WithContext(r.Context())
		r.Header = r.Header.Clone()
		p.fields.removeForged(r.Header, credit)
		return r
	}
	c := &forwarded{Context: r.Context(), by: p, proven: credit == passProven}
	// From the fields as they came in: those that must go are not read.
	c.client, c.scheme, c.host = p.client(peer, r.Header, signed)
	c.request = *r.WithContext(c)
	if forged {
		c.request.Header = r.Header.Clone()
		p.fields.removeForged(c.request.Header, credit)
	}
	return &c.request
}

// peer returns the address at the other end of the connection, whether it is one
// of the proxies, and how far that goes.
func (p *Proxy) peer(r *http.Request) (addr netip.Addr, trusted bool, credit pass) {
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		addr = ap.Addr().Unmap().WithZone("")
	}
	if p.opts.PeerCertificate != nil && r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && len(r.TLS.PeerCertificates) > 0 &&
		p.opts.PeerCertificate(r.TLS.PeerCertificates[0]) {
		return addr, true, passProven
	}
	if p.opts.UnixSocket && !addr.IsValid() {
		if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && local.Network() == "unix" {
			return addr, true, passProven
		}
	}
	if !contains(p.opts.Peers, addr) {
		return addr, false, passNobody
	}
	if p.opts.InsecureAddressAlone {
		return addr, true, passProven
	}
	return addr, true, passTrusted
}

// client returns what the fields of h say about the client of a trusted peer. It
// is a function of its arguments and the options alone.
func (p *Proxy) client(peer netip.Addr, h http.Header, signed bool) (addr netip.Addr, scheme, host string) {
	names := p.addresses
	if signed {
		names = p.signed
	}
	addr = peer
	for _, name := range names {
		last, found := p.walk(peer, h[name], name == fieldForwarded)
		if found {
			addr, scheme, host = last.client, last.scheme, last.host
			break
		}
	}
	if scheme == "" {
		scheme = single(h[fieldProto], parseScheme)
	}
	switch {
	case !p.opts.ForwardedHost:
		host = ""
	case host == "":
		host = single(h[fieldHost], parseHost)
	}
	return addr, scheme, host
}

// walk goes from the peer to the first hop that is not a proxy of ours: that is
// what the proxies vouch for, and what stands left of it is hearsay. It stops
// where a proxy says nothing we understand. It reports false if the field has no
// elements.
func (p *Proxy) walk(peer netip.Addr, lines []string, rfc bool) (last hop, found bool) {
	size := 0
	for _, line := range lines {
		size += len(line)
	}
	if size == 0 {
		return hop{}, false
	}
	if size > maxForwarded {
		return hop{}, true
	}
	last.client = peer
	list := newHops(lines, rfc)
	for n := 0; ; n++ {
		element, ok := list.next()
		if !ok {
			return last, found || list.broken
		}
		if n == maxHops {
			return hop{}, true
		}
		found = true
		h, ok := parseHop(element, rfc)
		if !ok {
			return last, true
		}
		last = h
		if !contains(p.opts.Peers, h.client) {
			return last, true
		}
	}
}

// ProvenProxy reports whether the request with this context came from a proxy
// that proved what it is: by its signature, its client certificate or a Unix
// socket. An address in [ProxyOptions].Peers is not enough. Only then may a
// gateway's word count for who the user is.
func ProvenProxy(ctx context.Context) bool {
	c := forwardedOf(ctx)
	return c != nil && c.proven
}

// forwarded holds what a believed proxy says of a request, the context that
// carries it and the request that has this context, in one allocation.
type forwarded struct {
	context.Context
	by           *Proxy
	client       netip.Addr // zero if it cannot be known
	scheme, host string     // "" if the proxy does not say
	proven       bool
	request      http.Request
}

type forwardedKey struct{}

func (c *forwarded) Value(key any) any {
	switch key.(type) {
	case forwardedKey:
		return c
	case clientAddrKey:
		return &c.client
	}
	return c.Context.Value(key)
}

// forwardedOf returns what a believed proxy says of the request with this
// context, or nil.
func forwardedOf(ctx context.Context) *forwarded {
	c, _ := ctx.Value(forwardedKey{}).(*forwarded)
	return c
}

// overTLS reports whether the client sent r over TLS, as far as anybody knows.
func overTLS(r *http.Request) bool {
	if c := forwardedOf(r.Context()); c != nil && c.scheme != "" {
		return c.scheme == "https"
	}
	return r.TLS != nil
}

// hostOf returns the host to which the client sent r.
func hostOf(r *http.Request) string {
	if c := forwardedOf(r.Context()); c != nil && c.host != "" {
		return c.host
	}
	return r.Host
}

// ParsePeers reads AWX's setting PROXY_IP_ALLOWED_LIST: addresses and CIDR
// prefixes, of IPv4 and IPv6. Ports, brackets and zones are dropped, IPv4
// addresses mapped into IPv6 are IPv4 addresses. Host names are refused, because
// whoever answers for the name would decide; so are wildcards.
func ParsePeers(list []string) ([]netip.Prefix, error) {
	peers := make([]netip.Prefix, 0, len(list))
	for _, s := range list {
		if addr, ok := parseNode(s); ok {
			peers = append(peers, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(s)
		switch {
		case err == nil && prefix != prefix.Masked():
			return nil, fmt.Errorf("auth: PROXY_IP_ALLOWED_LIST: %q has bits behind the prefix; write %v or %v", s, prefix.Masked(), prefix.Addr())
		case err == nil:
			peers = append(peers, prefix)
		case strings.Contains(s, "*"):
			return nil, fmt.Errorf("auth: PROXY_IP_ALLOWED_LIST: %q is a wildcard; list the addresses of the proxies", s)
		case strings.ContainsAny(s, "/:"):
			return nil, fmt.Errorf("auth: PROXY_IP_ALLOWED_LIST: %q is not an address or a CIDR prefix", s)
		default:
			return nil, fmt.Errorf("auth: PROXY_IP_ALLOWED_LIST: %q is not an address; host names are not looked up, list the addresses behind the name", s)
		}
	}
	return checkPeers(peers)
}

// checkPeers returns a copy of the prefixes in the form that is compared.
func checkPeers(list []netip.Prefix) ([]netip.Prefix, error) {
	peers := make([]netip.Prefix, 0, len(list))
	for _, p := range list {
		addr, bits := p.Addr(), p.Bits()
		if addr.Is4In6() && bits >= 96 { // Contains is false for mapped addresses
			addr, bits = addr.Unmap(), bits-96
		}
		if !p.IsValid() {
			return nil, errors.New("auth: ProxyOptions.Peers: a zero prefix")
		}
		least := 8 // 10.0.0.0/8
		if addr.Is6() {
			least = 7 // fc00::/7
		}
		if bits < least {
			return nil, fmt.Errorf("auth: ProxyOptions.Peers: %v is too wide; list the addresses of the proxies", p)
		}
		peers = append(peers, netip.PrefixFrom(addr, bits).Masked())
	}
	return peers, nil
}
