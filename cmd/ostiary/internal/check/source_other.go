//go:build !unix

package check

const ownersOnly = false
