// Package clienttest runs OAuth clients that others wrote against this server:
// golang.org/x/oauth2, and oauth4webapi and openid-client from npm.
package clienttest
