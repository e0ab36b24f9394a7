package clientdoc

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
)

// TestUnpaidHoldsNothing: calls that have not paid take no place of a fetch, so a flood
// of them keeps nobody from the documents of a host, or of all.
func TestUnpaidHoldsNothing(t *testing.T) {
	for _, tt := range []struct {
		name  string
		flood int
		other string // the host of another call
	}{
		{"one host", maxFetchesPerHost, "client.example"},
		{"all hosts", maxFetches, "other.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, err := New(&Options{AllowHosts: []string{"*"}})
				if err != nil {
					t.Fatal(err)
				}
				id := "https://" + tt.other + "/client.json"
				f.client.Transport = server(func(r *http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
						Body: body(`{"client_id":"` + id + `","redirect_uris":["http://[::1]/"]}`)}, nil
				})
				poor, release := errors.New("no money"), make(chan struct{})
				for i := range tt.flood {
					host := "client.example"
					if tt.flood > maxFetchesPerHost {
						host = fmt.Sprintf("n%d.example", i)
					}
					go func() {
						if _, err := f.Document(t.Context(), fmt.Sprintf("https://%s/%d", host, i), func() error { <-release; return poor }); !errors.Is(err, poor) {
							t.Errorf("a poor call: %v", err)
						}
					}()
				}
				synctest.Wait() // until they try to pay
				if _, err := f.Document(t.Context(), id, func() error { return nil }); err != nil {
					t.Errorf("the call that pays: %v", err)
				}
				close(release)
				synctest.Wait()
				if len(f.desk.running) != 0 || len(f.desk.hosts) != 0 || f.desk.fetches != 0 {
					t.Errorf("%d calls, %d hosts and %d fetches stay", len(f.desk.running), len(f.desk.hosts), f.desk.fetches)
				}
			})
		})
	}
}
