package main

import (
	"log/slog"
	"net"
	"os"
)

// notify tells systemd about the state of the service, as sd_notify does. Without
// systemd it does nothing.
func notify(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err == nil {
		defer conn.Close()
		_, err = conn.Write([]byte(state))
	}
	if err != nil {
		slog.Warn("tell systemd", "state", state, "error", err)
	}
}
