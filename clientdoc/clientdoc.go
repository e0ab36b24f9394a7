// Package clientdoc fetches client ID metadata documents: the descriptions of OAuth
// clients that are registered nowhere
// (draft-ietf-oauth-client-id-metadata-document). The client_id of such a client is
// the https URL of its document. Clients of the Model Context Protocol use them.
//
//	documents := auth.Must(clientdoc.New(&clientdoc.Options{AllowHosts: []string{"*"}}))
//	server := auth.Must(oauth.NewServer(tokens, db, db, &oauth.Options{
//		Issuer:    "https://api.example",
//		Documents: &oauth.DocumentOptions{Fetcher: documents},
//	}))
//
// # What is accepted
//
// A client_id is an https URL of at most 255 bytes with a host name and a path. The
// host name is a full one in lower case, with a dot, and is neither an IP address
// nor a name of local networks. There is no port, user, query, fragment, dot segment
// or percent sign, so that a URL has one spelling.
//
// A document is one JSON object of at most 5,120 bytes, with each member once.
//
//	client_id                   the URL, byte for byte
//	redirect_uris               1 to 20, each of at most 512 bytes: https on the host of the client_id, or http on
//	                            127.0.0.1, [::1] and localhost
//	client_name                 optional; at most 100 visible characters
//	token_endpoint_auth_method  optional; "none"
//	grant_types                 optional; authorization_code, and also refresh_token and the device grant
//	response_types              optional; "code"
//	client_secret…              refused
//
// Other members do not matter. The names are those of RFC 7591 section 2. A client
// with another authentication method, such as private_key_jwt, is refused, because
// it means to be a confidential client.
//
// # How it is fetched
//
// The server of the document must have a public address: the dialer refuses
// special-use addresses (RFC 6890) when it connects, so a name whose addresses
// change between two look-ups gains nothing. It dials port 443 only, verifies the
// certificate, uses no proxy and keeps no connection. A fetch takes five seconds at
// most. Its answer must have status 200, application/json or a type that ends in
// "+json", and no compression. Redirects are not followed.
//
// One URL is fetched once at a time, for all who wait for it. 64 fetches run at a
// time, and two of one host, so that a server which does not answer holds two places.
// A document is kept for as long as its Cache-Control or Expires says, but for a
// minute at least and a day at most, and for ten minutes without either. A refusal
// is kept for ten seconds. The draft keeps no refusals at all; ten seconds only
// make a page that is reloaded cost nothing. 1,000 documents and 1,000 refusals are kept.
//
// The errors for people never repeat what a server answered, and do not tell why a
// server was not reached, because that would explore the network of the service.
package clientdoc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// A Fetcher fetches client ID metadata documents and keeps them for a while. It is
// safe for concurrent use and does not change after construction.
type Fetcher struct {
	opts    Options
	dialer  *dialer
	client  http.Client
	timeout time.Duration // of a fetch
	desk    desk
}

// New returns a Fetcher. It calls nobody. It returns an error for options that are
// contradictory or allow no host.
func New(opts *Options) (*Fetcher, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	o.AllowHosts, o.BlockHosts = slices.Clone(o.AllowHosts), slices.Clone(o.BlockHosts)
	if err := o.check(); err != nil {
		return nil, err
	}
	d := newDialer(o.InsecureLoopback)
	return &Fetcher{opts: o, dialer: d, client: newClient(d, o.RootCAs), timeout: maxFetchTime, desk: newDesk()}, nil
}

// Insecure reports whether Options.InsecureLoopback is set.
func (f *Fetcher) Insecure() bool { return f.opts.InsecureLoopback }

// IsClient reports whether a client_id is the URL of a document that f may fetch. It
// does not ask Options.Allow, and fetches nothing.
func (f *Fetcher) IsClient(clientID string) bool {
	host, fault := parseURL(clientID, f.opts.InsecureLoopback)
	return fault == "" && f.serves(host)
}

// serves reports whether the documents of a host may be fetched, as far as lists say.
func (f *Fetcher) serves(host string) bool {
	return matches(f.opts.AllowHosts, host) && !matches(f.opts.BlockHosts, host)
}

// An Error says why a client_id or its document is not accepted.
type Error struct {
	// Detail is a sentence for people. It has nothing that the server of the
	// document answered.
	Detail string
	// RetryAfter is how long to wait if nothing was fetched because too many
	// fetches are running, otherwise zero.
	RetryAfter time.Duration
	// Err is the cause for logs, or nil.
	Err error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("clientdoc: %s (%v)", e.Detail, e.Err)
	}
	return "clientdoc: " + e.Detail
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Document returns the document of a client_id, from memory or from its server. It
// returns an [*Error] if the client_id or the document is not accepted. Any other
// error is an outage, or that of pay.
//
// Pay is called before a fetch and can refuse it. It is not called for a document
// or a refusal that is kept, nor if another call fetches the document already.
// Nil refuses nothing. A call that is canceled stops waiting; its fetch goes on for the
// others.
func (f *Fetcher) Document(ctx context.Context, clientID string, pay func() error) (Document, error) {
	host, err := f.accept(ctx, clientID)
	if err != nil {
		return Document{}, err
	}
	for {
		fl, leads, err := f.desk.join(clientID, host, time.Now())
		if err != nil {
			return Document{}, err
		}
		if leads {
			f.lead(ctx, fl, clientID, host, pay)
		}
		select {
		case <-fl.done:
		case <-ctx.Done():
			return Document{}, ctx.Err()
		}
		if fl.unpaid && !leads {
			continue // only the call that led cannot pay
		}
		doc := fl.doc
		doc.RedirectURIs = slices.Clone(doc.RedirectURIs) // others have the same
		return doc, fl.err
	}
}

// accept returns the host of a client_id whose document may be fetched.
func (f *Fetcher) accept(ctx context.Context, clientID string) (string, error) {
	host, fault := parseURL(clientID, f.opts.InsecureLoopback)
	switch {
	case fault != "":
		return "", &Error{Detail: fault}
	case !f.serves(host):
		return "", &Error{Detail: faultPolicy}
	case f.opts.Allow == nil:
		return host, nil
	}
	ok, err := f.opts.Allow(ctx, host)
	if err != nil {
		return "", fmt.Errorf("clientdoc: ask Options.Allow: %w", err)
	}
	if !ok {
		return "", &Error{Detail: faultPolicy}
	}
	return host, nil
}

// lead fetches the document for all who wait for the flight. A client that hangs up
// does not end it.
func (f *Fetcher) lead(ctx context.Context, fl *flight, clientID, host string, pay func() error) {
	fl.err = errors.New("clientdoc: the call that fetched the document has ended without an answer")
	defer f.desk.leave(clientID, host, fl)
	if pay != nil {
		if err := pay(); err != nil {
			fl.unpaid, fl.err = true, err
			return
		}
	}
	if err := f.desk.enter(host, fl); err != nil {
		fl.err = err
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.timeout)
	defer cancel()
	body, lifetime, err := f.fetch(ctx, clientID)
	if ctx.Err() != nil { // what came while the connection was being closed is late
		err = &Error{Detail: faultFetch, Err: ctx.Err()}
	}
	if err == nil {
		fl.doc, err = Parse(clientID, body)
	}
	if err != nil {
		lifetime = refusalLifetime
	}
	fl.err, fl.lifetime = err, lifetime
}
