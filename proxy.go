package auth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/internal/forwarded"
	"github.com/ostiary/auth/internal/hook"
	"github.com/ostiary/auth/internal/options"
	"github.com/ostiary/auth/internal/trustedproxy"
	"github.com/ostiary/auth/observe"
)

// Proxy finds the address of the client behind trusted proxies, see
// [ClientAddr], and reports whether a proxy has proved itself, see
// [ProvenProxy]. Its [Proxy.Handler] must be the outermost handler. A Proxy is
// safe for concurrent use.
//
// A proxy is trusted by its connection or by a signature, never by a forwarding
// field.
type Proxy struct {
	opts      ProxyOptions
	fields    *forwarded.Fields
	addresses []string // fields with the client address, first one first
	signed    []string // the same for a signed request
	proof     *trustedproxy.Verifier
	log       *slog.Logger
	hook      *hook.Hook
}

// ProxyOptions are the options of [NewProxy]. A zero ProxyOptions trusts no
// proxy: the peer of the connection is the client.
type ProxyOptions struct {
	// Peers are the addresses of the proxies; [ParsePeers] reads AWX's
	// PROXY_IP_ALLOWED_LIST. Hops with these addresses between the peer and the
	// client are trusted, too. [NewProxy] refuses prefixes shorter than /8, or
	// /7 for IPv6.
	Peers []netip.Prefix

	// UnixSocket trusts the peer of every connection over a Unix socket and
	// counts it as proven. The mode of the socket file must restrict the
	// connections.
	UnixSocket bool

	// PeerCertificate reports whether a client certificate belongs to a proxy.
	// It is called with certificates that the TLS server has verified,
	// concurrently. A request with such a certificate is proven. Nil means that
	// certificates are ignored.
	PeerCertificate func(*x509.Certificate) bool

	// AddressFields are the fields in which the proxies write the address of
	// the client, best first. A name is that of the field, or has the form of
	// AWX's REMOTE_HOST_HEADERS (HTTP_X_FORWARDED_FOR). The first field with a
	// value counts. REMOTE_ADDR and REMOTE_HOST stand for the peer and end the
	// list. Nil means X-Forwarded-For. Every proxy must set or overwrite the
	// fields of this list, because clients can send them.
	AddressFields []string

	// ForwardedHost trusts the host in X-Forwarded-Host, or in Forwarded if
	// that is in AddressFields. Origins are compared with this host. The scheme
	// is trusted in any case.
	ForwardedHost bool

	// Protected are further fields that only the proxies may set, such as
	// X-Forwarded-Prefix. [Proxy.Handler] removes them from all other requests,
	// as it removes the forwarding fields that it knows.
	Protected []string

	// UserField is the field with the name of the user, for [NewProxyUsers].
	// [Proxy.Handler] removes it from requests that are not proven. "" means
	// none.
	UserField string

	// Proof verifies the signatures of a gateway in X-Trusted-Proxy. With it, a
	// peer in Peers is trusted only if the request is signed as well. As in
	// AWX, X-Envoy-External-Address and then X-Forwarded-For come before
	// AddressFields in a signed request. The gateway must therefore set or
	// remove both. Nil means that signatures are ignored.
	Proof *ProofOptions

	// InsecureAddressAlone counts an address in Peers as proven. Every process
	// that can use such an address can then act as any user.
	InsecureAddressAlone bool

	// Logger receives the events, and warnings about options that have no effect.
	// Nil means [slog.Default].
	Logger *slog.Logger

	// Observe is called for the events ProofRefused, GatewayUserRefused and
	// KeysFetched, see package observe.
	// Nil costs nothing.
	Observe observe.Func
}

// NewProxy returns a proxy with these options; nil trusts no proxy.
// Contradictory options, and Peers that are too wide, are an error.
func NewProxy(opts *ProxyOptions) (*Proxy, error) {
	var o ProxyOptions
	if opts != nil {
		o = *opts
	}
	if o.Proof != nil {
		proof := *o.Proof
		proof.Keys = slices.Clone(proof.Keys)
		o.Proof = &proof // the host may go on to use its own
	}
	p := &Proxy{opts: o, fields: forwarded.NewFields(), log: options.Logger(o.Logger)}
	p.hook = hook.New(o.Observe, p.log)
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
			return nil, errors.New("auth: ProxyOptions.Proof needs Peers, PeerCertificate or UnixSocket: list the addresses of the gateway")
		}
		if p.proof, err = p.newVerifier(); err != nil {
			return nil, err
		}
	}
	p.warn()
	return p, nil
}

// warn logs options that have no effect. They are no errors, because AWX's
// settings have them even without a proxy.
func (p *Proxy) warn() {
	switch {
	case !p.believes() && (p.opts.ForwardedHost || p.opts.UserField != "" || len(p.opts.Protected) > 0 || p.opts.AddressFields != nil && len(p.addresses) > 0):
		p.log.Warn("auth: the Proxy believes nobody, so that every client has the address of its peer; set ProxyOptions.Peers, PeerCertificate or UnixSocket if there is a proxy")
	case p.believes() && len(p.addresses) == 0 && p.opts.Proof == nil:
		p.log.Warn("auth: the Proxy reads no field with the address of the client, so that all clients behind a believed peer are one to the throttle; put X-Forwarded-For before REMOTE_ADDR in ProxyOptions.AddressFields")
	case p.opts.UserField != "" && !p.proves():
		p.log.Warn("auth: the Proxy removes the UserField from every request, because no peer can prove itself; set ProxyOptions.Proof, PeerCertificate or UnixSocket")
	}
}

// configureFields computes the fields of addresses and the fields to remove.
func (p *Proxy) configureFields() error {
	names := p.opts.AddressFields
	if names == nil {
		names = []string{forwarded.FieldFor}
	}
	read := true
	for _, s := range names {
		if forwarded.SocketName(s) {
			read = false // the peer is always known, so that further fields have no effect
			continue
		}
		name, err := forwarded.ParseFieldName(s)
		if err != nil {
			return fmt.Errorf("auth: ProxyOptions.AddressFields: %w", err)
		}
		switch name {
		case forwarded.FieldProto, forwarded.FieldHost:
			return fmt.Errorf("auth: ProxyOptions.AddressFields: %q holds no address", s)
		}
		if read {
			p.addresses = append(p.addresses, name)
			p.fields.Allow(name, forwarded.Trusted)
		} else {
			p.fields.Allow(name, forwarded.Nobody)
		}
	}
	p.fields.Allow(forwarded.FieldProto, forwarded.Trusted)
	if p.opts.ForwardedHost {
		p.fields.Allow(forwarded.FieldHost, forwarded.Trusted)
	}
	for _, s := range p.opts.Protected {
		name, err := forwarded.ParseFieldName(s)
		if err != nil {
			return fmt.Errorf("auth: ProxyOptions.Protected: %w", err)
		}
		p.fields.Allow(name, forwarded.Trusted)
	}
	p.fields.Allow(forwarded.FieldGatewayJWT, forwarded.Proven)
	if p.opts.Proof != nil {
		p.fields.Allow(forwarded.FieldProof, forwarded.Trusted)
		p.fields.Allow(forwarded.FieldEnvoy, forwarded.Trusted)
		p.fields.Allow(forwarded.FieldFor, forwarded.Trusted)
		// AWX reads these first in a signed request.
		p.signed = append([]string{forwarded.FieldEnvoy, forwarded.FieldFor}, p.addresses...)
	}
	if p.opts.UserField != "" {
		name, err := forwarded.ParseFieldName(p.opts.UserField)
		if err != nil {
			return fmt.Errorf("auth: ProxyOptions.UserField: %w", err)
		}
		if p.fields.Pass(name) != forwarded.Nobody {
			return fmt.Errorf("auth: ProxyOptions.UserField: %q is configured as another field, too", p.opts.UserField)
		}
		p.opts.UserField = name
		p.fields.Allow(name, forwarded.Proven)
	}
	return nil
}

// Protects reports whether handlers see the field of this name only if a
// trusted proxy has set it. It returns false for every field if p trusts no
// proxy.
func (p *Proxy) Protects(field string) bool {
	name, err := forwarded.ParseFieldName(field)
	return err == nil && p.believes() && p.fields.Pass(name) == forwarded.Trusted
}

// believes reports whether p can trust a peer.
func (p *Proxy) believes() bool {
	return len(p.opts.Peers) > 0 || p.opts.UnixSocket || p.opts.PeerCertificate != nil ||
		p.opts.Proof != nil && p.opts.Proof.InsecureAnyPeer
}

// proves reports whether there is a way for a peer to prove itself.
func (p *Proxy) proves() bool {
	return p.proof != nil || p.opts.UnixSocket || p.opts.PeerCertificate != nil || p.opts.InsecureAddressAlone
}

// Handler returns a handler that calls next with the address, the scheme and
// the host of the client in the context. Forwarding fields that no trusted
// proxy has set are removed from the header, in every spelling. The given
// request and its RemoteAddr do not change: next gets a copy, unless there is nothing to
// add and nothing to remove. Without a trusted proxy the peer is the client, unless the
// context has an address. Handler never refuses a request. Nested use is harmless.
func (p *Proxy) Handler(next http.Handler) http.Handler {
	mustHandle("Proxy.Handler", next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, p.resolve(r))
	})
}

// resolve returns the request that the handlers get.
func (p *Proxy) resolve(r *http.Request) *http.Request {
	if c := forwarded.Of(r.Context()); c != nil && c.By == p {
		return r // a proof that counts once must not be counted twice
	}
	peer, trusted, credit := p.peer(r)
	signed := false
	var body io.ReadCloser
	if p.proof != nil {
		switch {
		case !trusted && !p.opts.Proof.InsecureAnyPeer:
		case len(r.Header[forwarded.FieldProof]) == 0:
			trusted, credit = false, forwarded.Nobody
		default:
			var err error
			if body, err = p.proof.Verify(r, time.Now()); err != nil {
				p.eventUnproven(r, err)
			}
			signed = err == nil
			trusted, credit = signed, forwarded.Nobody
			if signed {
				credit = forwarded.Proven
			}
		}
	}
	forged := p.fields.AnyForged(r.Header, credit)
	if !trusted && !forged && body == nil {
		if _, known := client.From(r.Context()); known {
			return r
		}
	}
	c := &forwarded.Context{Context: r.Context()}
	if trusted {
		c.Facts = forwarded.Facts{By: p, Proven: credit == forwarded.Proven}
		// The original fields are read, except those that must be removed.
		c.Client, c.Scheme, c.Host = p.client(peer, r.Header, signed)
	} else {
		// A handler that hands on the context alone needs the address there, or the
		// throttle takes all clients for one.
		c.Client = client.Of(r)
	}
	c.Request = *r.WithContext(c)
	if body != nil {
		c.Request.Body = body
	}
	if forged {
		c.Request.Header = r.Header.Clone()
		p.fields.RemoveForged(c.Request.Header, credit)
	}
	return &c.Request
}

// peer returns the address at the other end of the connection, whether it is
// one of the proxies, and which fields it may set.
func (p *Proxy) peer(r *http.Request) (addr netip.Addr, trusted bool, credit forwarded.Pass) {
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		addr = ap.Addr().Unmap().WithZone("")
	}
	if p.opts.PeerCertificate != nil && r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && len(r.TLS.PeerCertificates) > 0 &&
		p.opts.PeerCertificate(r.TLS.PeerCertificates[0]) {
		return addr, true, forwarded.Proven
	}
	if p.opts.UnixSocket && !addr.IsValid() {
		if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && local.Network() == "unix" {
			return addr, true, forwarded.Proven
		}
	}
	if !client.In(p.opts.Peers, addr) {
		return addr, false, forwarded.Nobody
	}
	if p.opts.InsecureAddressAlone {
		return addr, true, forwarded.Proven
	}
	return addr, true, forwarded.Trusted
}

// client returns the address, the scheme and the host in the fields of h, for a
// trusted peer. It depends on its arguments and the options alone.
func (p *Proxy) client(peer netip.Addr, h http.Header, signed bool) (addr netip.Addr, scheme, host string) {
	names := p.addresses
	if signed {
		names = p.signed
	}
	addr = peer
	for _, name := range names {
		last, found := forwarded.Walk(p.opts.Peers, peer, h[name], name == forwarded.FieldForwarded)
		if found {
			addr, scheme, host = last.Client, last.Scheme, last.Host
			break
		}
	}
	if scheme == "" {
		scheme = forwarded.Single(h[forwarded.FieldProto], forwarded.ParseScheme)
	}
	switch {
	case !p.opts.ForwardedHost:
		host = ""
	case host == "":
		host = forwarded.Single(h[forwarded.FieldHost], forwarded.ParseHost)
	}
	return addr, scheme, host
}

// ProvenProxy reports whether the request with this context came from a proxy
// that proved itself by its signature, its client certificate or a Unix socket.
// An address in [ProxyOptions].Peers is no proof, except with
// InsecureAddressAlone. Only a proven gateway may name the user of a request.
func ProvenProxy(ctx context.Context) bool {
	c := forwarded.Of(ctx)
	return c != nil && c.Proven
}

// ParsePeers reads AWX's setting PROXY_IP_ALLOWED_LIST: addresses and CIDR
// prefixes, of IPv4 and IPv6. Ports, brackets and zones are dropped, IPv4
// addresses mapped into IPv6 are IPv4 addresses. Host names and wildcards are
// refused, because DNS would decide about trust.
func ParsePeers(list []string) ([]netip.Prefix, error) {
	peers := make([]netip.Prefix, 0, len(list))
	for _, s := range list {
		if addr, ok := forwarded.ParseNode(s); ok {
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

// eventUnproven records why a request with X-Trusted-Proxy counts as one without.
func (p *Proxy) eventUnproven(r *http.Request, reason error) {
	p.hook.One(r.Context(), observe.ProofRefused, observe.KindNone, observe.ReasonInvalidCredential)
	p.log.LogAttrs(r.Context(), slog.LevelWarn, audit.ProxyRefused,
		slog.String(audit.KeyOutcome, "failure"), slog.String(audit.KeyReason, reason.Error()), slog.String(audit.KeyPeer, audit.Clip(r.RemoteAddr)),
		slog.String(audit.KeyMethod, audit.Clip(r.Method)), slog.String(audit.KeyPath, audit.Clip(r.URL.Path)))
}
