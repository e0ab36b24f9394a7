//go:build unix

package check

// ownersOnly reports whether the mode of a file says who may read it.
const ownersOnly = true
