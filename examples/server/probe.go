package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"time"
)

const probeTimeout = 3 * time.Second

// probe asks the server that has these settings whether it is alive.
func (c *config) probe(ctx context.Context) error {
	addr, err := c.localAddress()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.scheme()+"://"+addr+"/healthz", nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		// The certificate is for the public name, and nothing secret is sent.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	resp, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("healthcheck: %s answers %s", r.URL, resp.Status)
	}
	return nil
}
