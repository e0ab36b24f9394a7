package main

import (
	"io"
	"log/slog"
)

// newLogger returns the log of the server. Records of a request have its ID.
func newLogger(w io.Writer, c observeConfig) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.logLevel}
	if c.logFormat.json {
		return slog.New(requestIDs{slog.NewJSONHandler(w, o)})
	}
	return slog.New(requestIDs{slog.NewTextHandler(w, o)})
}
