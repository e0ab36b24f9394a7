// Package websockettest puts libraries for WebSockets behind Session.Handler.
package websockettest
