package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A certificate is that of the server. It changes when its files do. New files that
// are no good change nothing.
type certificate struct {
	certFile, keyFile string
	certName, keyName string // of the settings, for errors
	current           atomic.Pointer[tls.Certificate]

	mu     sync.Mutex
	loaded digest    // of the files that current was made of
	failed digest    // of those that were no good
	logged bool      // failed is in the log
	warned time.Time // that the end is near
}

type digest [sha256.Size]byte

const (
	certInterval = 10 * time.Second
	// certEnds is how long before its end the log warns of it, once a day.
	certEnds = 7 * 24 * time.Hour
)

func loadCertificate(c config) (*certificate, error) {
	is := &certificate{
		certFile: c.tlsCert, keyFile: c.tlsKey,
		certName: c.settings.at("tls-cert"), keyName: c.settings.at("tls-key"),
	}
	pair, sum, err := is.read()
	if err != nil {
		return nil, err
	}
	is.current.Store(pair)
	is.loaded = sum
	return is, nil
}

// read returns what is in the files, and a digest by which a change is seen. New files
// must be good now.
func (c *certificate) read() (*tls.Certificate, digest, error) {
	cert, err := os.ReadFile(c.certFile)
	if err != nil {
		return nil, sha256.Sum256([]byte(err.Error())), fmt.Errorf("%s: %w", c.certName, err)
	}
	key, err := os.ReadFile(c.keyFile)
	if err != nil {
		return nil, sha256.Sum256([]byte(err.Error())), fmt.Errorf("%s: %w", c.keyName, err)
	}
	sum := sha256.Sum256(bytes.Join([][]byte{cert, key}, []byte{0}))
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, sum, fmt.Errorf("%s %s and %s %s: %w", c.certName, c.certFile, c.keyName, c.keyFile, err)
	}
	if now := time.Now(); sum != c.loaded && (now.After(pair.Leaf.NotAfter) || now.Before(pair.Leaf.NotBefore)) {
		return nil, sum, fmt.Errorf("%s: the certificate in %s is good from %s until %s, and now it is %s", c.certName, c.certFile,
			pair.Leaf.NotBefore.UTC().Format(time.RFC3339), pair.Leaf.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return &pair, sum, nil
}

// reload takes new files. Whoever has not asked for it hears nothing of files that
// are as they were, and of bad ones only if they are still so the next time: one may
// be written and the other not yet.
func (c *certificate) reload(asked bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pair, sum, err := c.read()
	switch {
	case err != nil:
		again := sum == c.failed
		if asked || again && !c.logged {
			slog.Error("the new certificate is not good; the old one stays", "error", err)
		}
		c.logged = asked || again
		c.failed = sum
		c.warnOfEnd()
		return
	case sum != c.loaded:
		c.current.Store(pair)
		c.loaded, c.warned = sum, time.Time{}
		slog.Info("the certificate was read again", "names", pair.Leaf.DNSNames, "until", pair.Leaf.NotAfter)
	case asked:
		slog.Info("the certificate has not changed", "until", pair.Leaf.NotAfter)
	}
	c.failed, c.logged = digest{}, false
	c.warnOfEnd()
}

func (c *certificate) warnOfEnd() {
	end := c.current.Load().Leaf.NotAfter
	if now := time.Now(); end.Sub(now) < certEnds && now.Sub(c.warned) >= 24*time.Hour {
		slog.Warn("the certificate ends soon; put another one into its files", "until", end)
		c.warned = now
	}
}

// watch reloads on a signal, and looks at the files from time to time.
func (c *certificate) watch(ctx context.Context, hangup <-chan os.Signal) {
	tick := time.NewTicker(certInterval)
	defer tick.Stop()
	c.reload(false) // which warns of a near end
	for {
		select {
		case <-hangup:
			c.reload(true)
		case <-tick.C:
			c.reload(false)
		case <-ctx.Done():
			return
		}
	}
}

// listen returns l with TLS, or as it is if there is no certificate.
func (c *certificate) listen(l net.Listener) net.Listener {
	if c == nil {
		return l
	}
	return tls.NewListener(l, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	})
}

// reloadOnHangup reads the certificate again on SIGHUP, until the function that it
// returns is called. Without a certificate the signal, which would end the process,
// does nothing.
func reloadOnHangup(c *certificate) (stop func()) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		if c != nil {
			c.watch(ctx, hangup)
			return
		}
		for {
			select {
			case <-hangup:
				slog.Info("SIGHUP reads the certificate again, and there is none; other settings need a new start")
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		signal.Stop(hangup)
		cancel()
		watching.Wait()
	}
}
