package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ostiary/auth/gateway"
	"github.com/ostiary/auth/internal/peertest"
)

func TestFetchKeys(t *testing.T) {
	vectors := peertest.ReadVectors(t, "../testdata/trusted-proxy-vectors.json")
	text := vectors.PublicKeys["rsa2048"]
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/base/api/gateway/v1/jwt_key/" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, text)
	}))
	defer srv.Close()
	file := t.TempDir() + "/key.pem"
	writeFile(t, file, text)
	for _, tt := range []struct {
		name, setting string
		constructs    bool
		fetches       bool
	}{
		{"PEM", text, true, true},
		{"https", srv.URL + "/base/", true, true},
		{"https elsewhere", srv.URL, true, false},
		{"file", "file://" + file, true, true},
		{"file that is not there", "file://" + file + "x", true, false},
		{"http", "http://127.0.0.1/", false, false},
		{"password in the URL", "https://a:b@gateway/", false, false},
		{"weak key", vectors.PublicKeys["rsa1024"], false, false},
		{"nothing", "", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fetch, err := gateway.FetchKeys(tt.setting, srv.Client())
			if (err == nil) != tt.constructs {
				t.Fatalf("FetchKeys: %v", err)
			}
			if err != nil {
				return
			}
			if keys, err := fetch(t.Context()); (err == nil) != tt.fetches || tt.fetches && len(keys) != 1 {
				t.Errorf("fetched %d keys, %v", len(keys), err)
			}
		})
	}
	if _, err := gateway.ParseKey([]byte(privatePEM(t, gatewayKey()))); err == nil || !strings.Contains(err.Error(), "private") {
		t.Errorf("a private key: %v", err)
	}
}
