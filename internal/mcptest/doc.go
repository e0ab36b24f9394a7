// Package mcptest has the clients of the Model Context Protocol use the example
// servers: the conformance suite of the protocol, and the SDKs for Go and TypeScript,
// with a real browser for the login and the consent.
package mcptest
