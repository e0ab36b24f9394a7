package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A pair is a certificate for 127.0.0.1 with its key.
type pair struct{ cert, key string }

// newPair writes a pair with the number into dir. It is good for the time around now
// that good says, or else for an hour.
func newPair(t *testing.T, dir, name string, number int64, good ...time.Duration) pair {
	t.Helper()
	if good == nil {
		good = []time.Duration{-time.Hour, 1000 * time.Hour}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(number), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(good[0]), NotAfter: time.Now().Add(good[1]),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p := pair{filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")}
	write(t, p.cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, p.key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	return p
}

// replace puts the files of p in the place of those of old, as tools do that renew
// certificates: one after the other.
func (p pair) replace(t *testing.T, old pair) {
	t.Helper()
	for from, to := range map[string]string{p.cert: old.cert, p.key: old.key} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		write(t, to+".new", string(b))
		if err := os.Rename(to+".new", to); err != nil {
			t.Fatal(err)
		}
	}
}

func (p pair) roots(t *testing.T, pool *x509.CertPool) {
	t.Helper()
	if b, err := os.ReadFile(p.cert); err != nil || !pool.AppendCertsFromPEM(b) {
		t.Fatal(err)
	}
}

// logged returns what f logs.
func logged(t *testing.T, f func()) string {
	t.Helper()
	var b bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&b, nil)))
	defer slog.SetDefault(before)
	f()
	return b.String()
}

// TestCertificateRotation changes the certificate while clients open connections, and
// puts a bad one there.
func TestCertificateRotation(t *testing.T) {
	dir := t.TempDir()
	served := newPair(t, dir, "served", 1)
	second := newPair(t, dir, "second", 2)
	pool := x509.NewCertPool()
	served.roots(t, pool)
	second.roots(t, pool)
	s := start(t, dir, "-tls-cert", served.cert, "-tls-key", served.key)
	if !strings.HasPrefix(s.url, "https://127.0.0.1:") {
		t.Fatalf("listening on %s", s.url)
	}
	var requests, failures, h2 atomic.Int64
	var seen [3]atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for n := range 4 {
		clients.Go(func() {
			// Half of the clients keep their connection.
			tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: n%2 == 0, ForceAttemptHTTP2: true}
			defer tr.CloseIdleConnections()
			for ctx.Err() == nil {
				resp, err := (&http.Client{Transport: tr}).Get(s.url + "/healthz")
				requests.Add(1)
				if err != nil || resp.StatusCode != http.StatusOK {
					failures.Add(1)
					t.Error(err)
					return
				}
				resp.Body.Close()
				if resp.ProtoMajor == 2 {
					h2.Add(1)
				}
				seen[resp.TLS.PeerCertificates[0].SerialNumber.Int64()].Add(1)
			}
		})
	}
	// until waits for the traffic, which the server keeps going.
	until := func(what string, done func() bool) {
		for deadline := time.Now().Add(5 * time.Minute); !done(); {
			if time.Now().After(deadline) {
				t.Fatalf("%s: never\n%s", what, s.out)
			}
			resp, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}).Get(s.url + "/healthz")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
	}
	hangup := func() {
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	until("traffic", func() bool { return seen[1].Load() > 50 })
	write(t, served.cert, "no certificate")
	hangup()
	until("a word about the bad one", func() bool { return strings.Contains(s.out.String(), "the old one stays") })
	before := seen[1].Load()
	until("the old one goes on", func() bool { return seen[1].Load() > before+50 })
	second.replace(t, served)
	hangup()
	until("the new one", func() bool { return seen[2].Load() > 50 })
	hangup()
	until("a word about the same one", func() bool { return strings.Contains(s.out.String(), "has not changed") })
	cancel()
	clients.Wait()
	t.Logf("%d requests, %d failed, %d by HTTP/2; %d with the first certificate, %d with the second", requests.Load(), failures.Load(), h2.Load(), seen[1].Load(), seen[2].Load())
	if h2.Load() == 0 {
		t.Error("no request by HTTP/2")
	}

	for version, good := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "https://"), &tls.Config{RootCAs: pool, MinVersion: version, MaxVersion: version})
		if (err == nil) != good {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			conn.Close()
		}
	}
	// curl verifies the certificate, and gets the cookie that needs TLS.
	body, statuses := s.shell("curl -i --cacert " + second.cert + " " + s.url + "/api/login/ -d 'username=admin&password=" + testPassword + "'")
	if statuses[0] != "302" || !strings.Contains(strings.ToLower(body), "set-cookie: __host-session=") {
		t.Errorf("login: %s %s", statuses, body)
	}
}

func TestCertificateRefusals(t *testing.T) {
	dir := t.TempDir()
	good, other := newPair(t, dir, "good", 1), newPair(t, dir, "other", 2)
	old, early := newPair(t, dir, "old", 3, -2*time.Hour, -time.Hour), newPair(t, dir, "early", 4, time.Hour, 2*time.Hour)
	for _, tt := range []struct {
		name string
		pair
		want string
	}{
		{"missing", pair{filepath.Join(dir, "none"), good.key}, "-tls-cert: open "},
		{"missing key", pair{good.cert, filepath.Join(dir, "none")}, "-tls-key: open "},
		{"key of another", pair{good.cert, other.key}, "private key does not match"},
		{"changed over", pair{good.key, good.cert}, "PEM inputs may have been switched"},
		{"too old", old, "and now it is"},
		{"not yet good", early, "and now it is"},
	} {
		c, err := parseFlags([]string{"-tls-cert", tt.cert, "-tls-key", tt.key})
		if err == nil {
			_, err = c.checkAll()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q in it", tt.name, err, tt.want)
		}
		// While the server runs each of them leaves the old one in place.
		is := &certificate{certFile: good.cert, keyFile: good.key}
		is.reload(false)
		is.certFile, is.keyFile = tt.cert, tt.key
		log := logged(t, func() { is.reload(false); is.reload(false); is.reload(false) })
		if serial := is.current.Load().Leaf.SerialNumber.Int64(); serial != 1 || strings.Count(log, "the old one stays") != 1 {
			t.Errorf("%s: %d is served\n%s", tt.name, serial, log)
		}
	}
}

// TestCertificateWatch has the files change without a signal.
func TestCertificateWatch(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		served, second := newPair(t, dir, "served", 1), newPair(t, dir, "second", 2)
		ends := newPair(t, dir, "ends", 3, -time.Hour, 50*time.Hour)
		is := &certificate{certFile: served.cert, keyFile: served.key}
		is.reload(false)
		ctx, cancel := context.WithCancel(t.Context())
		log := logged(t, func() {
			go is.watch(ctx, nil)
			time.Sleep(time.Second)
			write(t, served.key, "half of it")
			time.Sleep(certInterval)
			second.replace(t, served)
			time.Sleep(certInterval)
			synctest.Wait()
			if serial := is.current.Load().Leaf.SerialNumber.Int64(); serial != 2 {
				t.Errorf("%d is served", serial)
			}
			ends.replace(t, served)
			time.Sleep(50 * time.Hour)
			cancel()
			synctest.Wait()
		})
		if strings.Contains(log, "not good") || strings.Count(log, "read again") != 2 || strings.Count(log, "ends soon") != 3 {
			t.Errorf("logged is\n%s", log)
		}
	})
}
