package auth_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/gateway"
	"github.com/ostiary/auth/internal/peertest"
)

func readVectors(t testing.TB) peertest.Vectors {
	t.Helper()
	return peertest.ReadVectors(t, "testdata/trusted-proxy-vectors.json")
}

// sleepUntil moves the clock of a bubble.
func sleepUntil(ns int64) { time.Sleep(time.Until(time.Unix(0, ns))) }

func TestTrustedProxyVectors(t *testing.T) {
	vectors := readVectors(t)
	for _, v := range vectors.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			key := auth.Must(gateway.ParseKey([]byte(vectors.PublicKeys[v.Key])))
			p := gatewayOf(&auth.ProofOptions{Keys: []*rsa.PublicKey{key}})
			synctest.Test(t, func(t *testing.T) {
				sleepUntil(v.Now)
				r := from("10.0.0.1:1", "X-Forwarded-For: 203.0.113.7", "X-Trusted-Proxy: "+v.Header)
				got := seenBy(p, r)
				verdict, address := "untrusted", "10.0.0.1"
				if auth.ProvenProxy(got.Context()) {
					verdict, address = "trusted", "203.0.113.7"
				}
				if !strings.Contains("|"+v.Expect+"|", "|"+verdict+"|") {
					t.Errorf("%s, want %s: %s", verdict, v.Expect, v.Why)
				}
				if a := auth.ClientAddr(got).String(); a != address {
					t.Errorf("%s, but the client is %s", verdict, a)
				}
				if n := len(got.Header["X-Forwarded-For"]); (n == 1) != (verdict == "trusted") {
					t.Errorf("%s, but handlers see %d X-Forwarded-For", verdict, n)
				}
			})
		})
	}
	if len(vectors.Vectors) < 20 {
		t.Fatalf("%d vectors", len(vectors.Vectors))
	}
	if _, err := gateway.ParseKey([]byte(vectors.PublicKeys["rsa1024"])); err == nil {
		t.Error("a key of 1,024 bits was taken")
	}
}

// gatewayOf returns a proxy for signed requests from 10.0.0.0/8.
func gatewayOf(o *auth.ProofOptions) *auth.Proxy {
	return auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8"), Proof: o, UserField: "X-Remote-User", Logger: quiet}))
}

// now1795 is the time of the vectors.
const now1795 = 1795000000000000000

func proven(p *auth.Proxy, peer, proof string) bool {
	return auth.ProvenProxy(seenBy(p, from(peer, "X-Trusted-Proxy: "+proof)).Context())
}

func TestProofRules(t *testing.T) {
	vectors := readVectors(t)
	keys := []*rsa.PublicKey{
		auth.Must(gateway.ParseKey([]byte(vectors.PublicKeys["rsa3072"]))),
		auth.Must(gateway.ParseKey([]byte(vectors.PublicKeys["rsa2048"]))),
	}
	byName := map[string]string{}
	for _, v := range vectors.Vectors {
		byName[v.Name] = v.Header
	}
	valid, stale := byName["valid-now"], byName["stale-301s"]
	ts, sig, _ := strings.Cut(valid, "-")

	for _, tt := range []struct {
		name string
		opts auth.ProofOptions
		peer string
		line []string
		want []bool // of the same request again and again
	}{
		{"proof and peer", auth.ProofOptions{}, "10.0.0.1:1", []string{valid}, []bool{true, true}},
		{"another of the keys", auth.ProofOptions{}, "10.0.0.1:1", []string{byName["valid-3072"]}, []bool{true}},
		{"proof without peer", auth.ProofOptions{}, "192.0.2.1:1", []string{valid}, []bool{false}},
		{"proof without peer, if the operator wants", auth.ProofOptions{InsecureAnyPeer: true}, "192.0.2.1:1", []string{valid}, []bool{true}},
		{"peer without proof", auth.ProofOptions{}, "10.0.0.1:1", nil, []bool{false}},
		{"two lines", auth.ProofOptions{}, "10.0.0.1:1", []string{valid, "1-00"}, []bool{false}},
		{"twice the same line", auth.ProofOptions{}, "10.0.0.1:1", []string{valid, valid}, []bool{false}},
		{"empty", auth.ProofOptions{}, "10.0.0.1:1", []string{""}, []bool{false}},
		{"dash", auth.ProofOptions{}, "10.0.0.1:1", []string{"-"}, []bool{false}},
		{"three parts", auth.ProofOptions{}, "10.0.0.1:1", []string{"1-2-3"}, []bool{false}},
		{"literal", auth.ProofOptions{}, "10.0.0.1:1", []string{"true"}, []bool{false}},
		{"not a number", auth.ProofOptions{}, "10.0.0.1:1", []string{"NaN-00"}, []bool{false}},
		{"a megabyte", auth.ProofOptions{}, "10.0.0.1:1", []string{"1-" + strings.Repeat("a", 900_000)}, []bool{false}},
		{"upper case", auth.ProofOptions{}, "10.0.0.1:1", []string{ts + "-" + strings.ToUpper(sig)}, []bool{false}},
		{"leading zero", auth.ProofOptions{}, "10.0.0.1:1", []string{"0" + valid}, []bool{false}},
		{"sign", auth.ProofOptions{}, "10.0.0.1:1", []string{"+" + valid}, []bool{false}},
		{"20 digits", auth.ProofOptions{}, "10.0.0.1:1", []string{"9" + valid}, []bool{false}},
		{"no replay", auth.ProofOptions{RefuseReplay: true}, "10.0.0.1:1", []string{valid}, []bool{true, false, false}},
		{"stale", auth.ProofOptions{}, "10.0.0.1:1", []string{stale}, []bool{false}},
		{"wider window", auth.ProofOptions{Past: 302 * time.Second}, "10.0.0.1:1", []string{stale}, []bool{true}},
		{"gateway without a clock, if the operator wants", auth.ProofOptions{InsecureStale: true}, "10.0.0.1:1", []string{stale}, []bool{true}},
		{"first version where the second is required", auth.ProofOptions{RequireV2: true, Audience: "svc"}, "10.0.0.1:1", []string{valid}, []bool{false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.opts.Keys = keys
			p := gatewayOf(&tt.opts)
			synctest.Test(t, func(t *testing.T) {
				sleepUntil(now1795)
				for i, want := range tt.want {
					r := from(tt.peer)
					r.Header["X-Trusted-Proxy"] = tt.line
					r.Header["Connection"] = []string{"X-Trusted-Proxy"} // for the proxies, not for us
					r.Header["X-Forwarded-For"] = []string{"203.0.113.7"}
					got := seenBy(p, r)
					if auth.ProvenProxy(got.Context()) != want {
						t.Errorf("request %d: proven is %v", i, !want)
					}
					if a := auth.ClientAddr(got).String(); (a == "203.0.113.7") != want {
						t.Errorf("request %d: the client is %s", i, a)
					}
				}
			})
		})
	}

	t.Run("nothing sticks", func(t *testing.T) {
		p := gatewayOf(&auth.ProofOptions{Keys: keys})
		synctest.Test(t, func(t *testing.T) {
			sleepUntil(now1795)
			for range 3 {
				if !proven(p, "10.0.0.1:1", valid) {
					t.Fatal("not proven")
				}
				r := seenBy(p, from("192.0.2.1:1", "X-Forwarded-For: 6.6.6.6"))
				if a := auth.ClientAddr(r).String(); a != "192.0.2.1" {
					t.Errorf("the client is %s after a proven request", a)
				}
			}
		})
	})
	t.Run("a remembered proof goes stale", func(t *testing.T) {
		p := gatewayOf(&auth.ProofOptions{Keys: keys})
		synctest.Test(t, func(t *testing.T) {
			sleepUntil(now1795)
			if !proven(p, "10.0.0.1:1", valid) {
				t.Fatal("not proven")
			}
			time.Sleep(300 * time.Second)
			if !proven(p, "10.0.0.1:1", valid) {
				t.Error("not proven at the end of the window")
			}
			time.Sleep(time.Nanosecond)
			if proven(p, "10.0.0.1:1", valid) {
				t.Error("proven after the window")
			}
		})
	})
	t.Run("nesting does not count twice", func(t *testing.T) {
		p := gatewayOf(&auth.ProofOptions{Keys: keys, RefuseReplay: true})
		synctest.Test(t, func(t *testing.T) {
			sleepUntil(now1795)
			once := seenBy(p, from("10.0.0.1:1", "X-Trusted-Proxy: "+valid))
			if !auth.ProvenProxy(seenBy(p, once).Context()) {
				t.Error("the inner handler refused the proof")
			}
		})
	})
	t.Run("Envoy's field only with a proof", func(t *testing.T) {
		p := gatewayOf(&auth.ProofOptions{Keys: keys})
		synctest.Test(t, func(t *testing.T) {
			sleepUntil(now1795)
			lines := []string{"X-Envoy-External-Address: 203.0.113.7", "X-Forwarded-For: 198.51.100.1"}
			if a := auth.ClientAddr(seenBy(p, from("10.0.0.1:1", lines...))).String(); a != "10.0.0.1" {
				t.Errorf("without: %s", a)
			}
			if a := auth.ClientAddr(seenBy(p, from("10.0.0.1:1", append(lines, "X-Trusted-Proxy: "+valid)...))).String(); a != "203.0.113.7" {
				t.Errorf("with: %s", a)
			}
		})
	})
}

func TestKeysAreFetchedOnce(t *testing.T) {
	vectors := readVectors(t)
	key := auth.Must(gateway.ParseKey([]byte(vectors.PublicKeys["rsa2048"])))
	other := auth.Must(gateway.ParseKey([]byte(vectors.PublicKeys["rsa3072"])))
	valid := vectors.Vectors[0].Header
	junk := "1795000000000000000-" + strings.Repeat("ab", 256)

	t.Run("at most once in an interval, whatever comes", func(t *testing.T) {
		var calls atomic.Int32
		synctest.Test(t, func(t *testing.T) {
			sleepUntil(now1795)
			p := gatewayOf(&auth.ProofOptions{Keys: []*rsa.PublicKey{other}, Refresh: func(context.Context) ([]*rsa.PublicKey, error) {
				calls.Add(1)
				time.Sleep(time.Second)
				return nil, errors.New("the gateway is down")
			}})
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() { proven(p, "10.0.0.1:1", junk) })
			}
			wg.Wait()
			if n := calls.Load(); n != 1 {
				t.Errorf("%d calls", n)
			}
			time.Sleep(58 * time.Second)
			proven(p, "10.0.0.1:1", junk)
			if n := calls.Load(); n != 1 {
				t.Errorf("%d calls before the interval ended", n)
			}
			time.Sleep(time.Second)
			proven(p, "10.0.0.1:1", junk)
			if n := calls.Load(); n != 2 {
				t.Errorf("%d calls after the interval", n)
			}
		})
	})
	t.Run("a new key is found, and everybody waits for it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			sleepUntil(now1795)
			p := gatewayOf(&auth.ProofOptions{Keys: []*rsa.PublicKey{other}, Refresh: func(context.Context) ([]*rsa.PublicKey, error) {
				time.Sleep(time.Second)
				return []*rsa.PublicKey{key}, nil
			}})
			var good atomic.Int32
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					if proven(p, "10.0.0.1:1", valid) {
						good.Add(1)
					}
				})
			}
			wg.Wait()
			if n := good.Load(); n != 20 {
				t.Errorf("%d of 20 proven", n)
			}
		})
	})
	t.Run("a withdrawn key ends, and so do the proofs that it verified", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			sleepUntil(now1795 - int64(time.Hour))
			now := []*rsa.PublicKey{key}
			p := gatewayOf(&auth.ProofOptions{Past: 24 * time.Hour, Future: 24 * time.Hour, Refresh: func(context.Context) ([]*rsa.PublicKey, error) { return now, nil }})
			if !proven(p, "10.0.0.1:1", valid) {
				t.Fatal("not proven")
			}
			now = []*rsa.PublicKey{other}
			if !proven(p, "10.0.0.1:1", valid) {
				t.Error("fetched although the key is young")
			}
			time.Sleep(time.Hour + 1)
			if proven(p, "10.0.0.1:1", valid) {
				t.Error("still proven")
			}
		})
	})
	t.Run("keys that fail leave the old ones, for a while", testKeysAge)
	t.Run("weak keys leave the old ones", func(t *testing.T) {
		weak := auth.Must(rsa.GenerateKey(rand.Reader, 2048))
		synctest.Test(t, func(t *testing.T) {
			sleepUntil(now1795)
			p := gatewayOf(&auth.ProofOptions{Keys: []*rsa.PublicKey{key}, Refresh: func(context.Context) ([]*rsa.PublicKey, error) {
				return []*rsa.PublicKey{&weak.PublicKey, nil}, nil
			}})
			proven(p, "10.0.0.1:1", junk)
			if !proven(p, "10.0.0.1:1", valid) {
				t.Error("the old key is gone")
			}
		})
	})
}

// A14: when fetching fails for too long, nothing is believed.
func testKeysAge(t *testing.T) {
	vectors := readVectors(t)
	key := auth.Must(gateway.ParseKey([]byte(vectors.PublicKeys["rsa2048"])))
	valid := vectors.Vectors[0].Header
	keys := []*rsa.PublicKey{key}
	failures := map[string]func(context.Context) ([]*rsa.PublicKey, error){
		"error":   func(context.Context) ([]*rsa.PublicKey, error) { return nil, errors.New("the gateway is down") },
		"no keys": func(context.Context) ([]*rsa.PublicKey, error) { return nil, nil },
		"no key":  func(context.Context) ([]*rsa.PublicKey, error) { return make([]*rsa.PublicKey, 1), nil },
		"hangs": func(ctx context.Context) ([]*rsa.PublicKey, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
	}
	for name, failure := range failures {
		for _, tt := range []struct {
			maxAge, want time.Duration
			configured   bool // the keys are in Keys, and were never fetched
		}{
			{0, 24 * time.Hour, false},
			{0, 24 * time.Hour, true},
			{2 * time.Minute, 2 * time.Minute, false},
			{72 * time.Hour, 72 * time.Hour, true},
		} {
			t.Run(fmt.Sprint(name, tt.maxAge, tt.configured), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					sleepUntil(now1795)
					down := tt.configured
					opts := &auth.ProofOptions{InsecureStale: true, MaxKeyAge: tt.maxAge, Refresh: func(ctx context.Context) ([]*rsa.PublicKey, error) {
						if down {
							return failure(ctx)
						}
						return keys, nil
					}}
					if tt.configured {
						opts.Keys = keys
					}
					p := gatewayOf(opts)
					try := func() bool {
						tried := p.TryKeys(t.Context(), func(k *rsa.PublicKey) bool { return k.Equal(key) })
						if got := proven(p, "10.0.0.1:1", valid); got != tried {
							t.Errorf("proven is %v, but the keys are tried: %v", got, tried)
						}
						return tried
					}
					start := time.Now()
					if !try() {
						t.Fatal("not proven at first")
					}
					down = true
					// Somebody asks all the time, and the end is exact.
					for time.Since(start) < tt.want-30*time.Second {
						time.Sleep(min(17*time.Minute, tt.want-20*time.Second-time.Since(start)))
						if !try() {
							t.Fatalf("not proven after %v", time.Since(start))
						}
					}
					time.Sleep(tt.want - time.Since(start) + time.Nanosecond)
					for range 3 {
						if try() {
							t.Fatalf("proven after %v", time.Since(start))
						}
						time.Sleep(10 * time.Minute)
					}
					down = false
					time.Sleep(time.Minute)
					if !try() {
						t.Error("not proven after the gateway came back")
					}
				})
			})
		}
	}
	t.Run("keys that never change have no age", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			sleepUntil(now1795)
			p := gatewayOf(&auth.ProofOptions{InsecureStale: true, Keys: keys})
			time.Sleep(1000 * time.Hour)
			if !proven(p, "10.0.0.1:1", valid) {
				t.Error("not proven")
			}
		})
	})
}
