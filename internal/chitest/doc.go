// Package chitest mounts the API on github.com/go-chi/chi.
package chitest
